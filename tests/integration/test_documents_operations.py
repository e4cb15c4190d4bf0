"""Documents through what operators do: backup, restore, join, damage, and being forgotten.

Law: whatever was done, heads, text and history are what they were, and the next edit works on
every member.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.rig import (
    RealNode,
    check_equal,
    cleaned_up,
    until,
    until_level,
    until_linked,
)
from tests.integration.rig_commands import mnemesh, newcomer, told
from tests.integration.rig_mesh import founded, start_all
from tests.integration.rig_traces import until_clear
from tests.integration.test_integrity_mesh import file_of, integrity, row_of
from tests.integration.test_mesh_disk import SHORT_LOG, lose_store, until_truncated, write

pytestmark = [pytest.mark.integration, pytest.mark.slow]
OWNER = {"X_Agent_Id": "ai:walrus"}
# How a change and a pack begin.
CHANGE, PACK = b"\x85oJ\x83", b"mnpk"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RealNode]]:
    flags = ("--quorum-timeout-ms", "2000")
    mesh = founded(tmp_path_factory.mktemp("kept"), 3, flags=flags, config=SHORT_LOG)
    with cleaned_up(mesh):
        start_all(mesh)
        yield mesh


def document(node: RealNode, content: str = "begin", **fields: Any) -> str:
    made = node.store("Plan", content, memory_kind="document", agent_id="ai:walrus", **fields)
    return str(made["id"])


def edit(node: RealNode, ident: str, words: str) -> Any:
    ops = [{"op": "splice", "path": ["text"], "insert": words}]
    return node.tell("PATCH", f"/memories/{ident}/document", ops, **OWNER)


def seen(node: RealNode, ident: str) -> dict[str, Any]:
    """Heads, value and history of a document, and nothing that hangs on the moment."""
    now = node.tell("GET", f"/memories/{ident}/document")
    past = node.tell("GET", f"/memories/{ident}/document/history?limit=1000")
    return {
        **{name: now[name] for name in ("heads", "value", "changes", "set_aside", "version")},
        "history": past["history"],
        "content": node.get(ident)["content"],
    }


def alike(nodes: list[RealNode], ident: str) -> dict[str, Any]:
    """What all of them show of a document, once they are level."""
    until_level(nodes)
    first, *others = [seen(node, ident) for node in nodes]
    assert all(other == first for other in others)
    return first


def goes_on(nodes: list[RealNode], *idents: str) -> None:
    """Every member edits what every other one sees."""
    for node in nodes:
        for ident in idents:
            edit(node, ident, f"[{node.name}]")
    for ident in idents:
        text = alike(nodes, ident)["content"]
        assert all(f"[{node.name}]" in text for node in nodes)


@contextmanager
def edited(node: RealNode, ident: str) -> Iterator[list[str]]:
    """Edits that go on within the block, one after the other; the heads after each."""
    stop, heads = threading.Event(), []

    def typing() -> None:
        while not stop.is_set():
            heads.append(edit(node, ident, "x")["heads"][0])

    thread = threading.Thread(target=typing)
    thread.start()
    try:
        yield heads
    finally:
        stop.set()
        thread.join()


def test_a_backup_under_edits_is_restored_into_the_same_mesh(
    nodes: list[RealNode], tmp_path: Path
) -> None:
    one, two, three = nodes
    ident = document(one)
    for number in range(80):  # some of it is folded
        edit(one, ident, f" {number}")
    with edited(two, ident) as heads:
        until(lambda: len(heads) > 10, "edits go on")
        told("backup", "--to", tmp_path, node=three)
        saved = len(heads)
        until(lambda: len(heads) > saved + 10, "edits go on after it")
    assert mnemesh("backup", "verify", "--from", tmp_path).code == 0
    before = alike(nodes, ident)
    assert len(before["history"]) == before["changes"] > 100
    assert three.stop() == 0
    told("restore", "--from", tmp_path, "--yes", node=three)
    three.start()
    until_linked(nodes)
    assert alike(nodes, ident) == before
    until(three.ready, "it is linked")
    until(lambda: not told("status", node=three)["recovering"], "it has pulled")
    goes_on(nodes, ident)
    check_equal(nodes)


def test_a_lost_mesh_is_founded_again_from_a_backup(tmp_path: Path) -> None:
    alone = newcomer(tmp_path, "alone")
    with cleaned_up([alone]):
        alone.start()
        until(alone.ready, "it serves", seen=alone.tail)
        ident = document(alone)
        for number in range(70):
            edit(alone, ident, f" {number}")
        before = seen(alone, ident)
        told("backup", "--to", tmp_path / "copies", node=alone)
        edit(alone, ident, " is lost")
        alone.kill()
        lose_store(alone)
        told("restore", "--from", tmp_path / "copies", "--as-founder", "--yes", node=alone)
        alone.start()
        until(alone.ready, "it serves again", seen=alone.tail)
        assert seen(alone, ident) == before
        goes_on([alone], ident)


def test_a_member_without_a_store_gets_documents_by_a_snapshot(nodes: list[RealNode]) -> None:
    one, two, three = nodes
    ident = document(one)
    for number in range(70):
        edit(one, ident, f" {number}")
    write(one, 600, size=4000)
    until_level(nodes)
    until_truncated(nodes)
    before = alike(nodes, ident)
    three.kill()
    lose_store(three)
    write(two, 600, size=4000)
    edit(two, ident, " while it was away")
    three.start()
    until_linked(nodes)
    assert three.events("store_swapped")
    after = alike(nodes, ident)
    assert after["history"][1:] == before["history"]
    goes_on(nodes, ident)
    check_equal(nodes)


def record_of(node: RealNode, ident: str) -> bytes:
    """The bytes of a record as they are stored, with its key."""
    file, place = file_of(node), -1
    while True:
        row = b"".join(row_of(file, "feed", place))
        if f"memory/{ident}".encode() in row:
            return row
        place -= 1


def flip_chunk(node: RealNode, ident: str) -> None:
    """Flip a bit inside of a change of a record, wherever it is stored in the file."""
    piece = min(pieces(node, ident))
    file, data = file_of(node), file_of(node).read_bytes()
    for at in _places(data, piece):
        with file.open("r+b") as held:
            held.seek(at + 20)
            held.write(bytes([data[at + 20] ^ 0x10]))


def _places(data: bytes, piece: bytes) -> Iterator[int]:
    at = data.find(piece)
    while at >= 0:
        yield at
        at = data.find(piece, at + 1)


def test_a_damaged_document_is_not_served_and_is_copied_from_a_member(
    nodes: list[RealNode],
) -> None:
    three = nodes[2]
    ident = document(nodes[0])
    edit(nodes[0], ident, " and more")
    before = alike(nodes, ident)
    repaired = integrity(three)["repaired"]
    three.kill()
    flip_chunk(three, ident)
    three.start()
    until_linked(nodes)
    reply = three.ask("GET", f"/memories/{ident}/document")  # damaged, or whole again already
    assert reply.status != 200 or reply.body["heads"] == before["heads"]
    until(lambda: integrity(three)["repaired"] > 0, "it is made whole", seen=lambda: repaired)
    assert alike(nodes, ident) == before
    goes_on(nodes, ident)
    check_equal(nodes)


WORDS = ("zanzibar-quagga-7", "zanzibar-quagga-8", "zanzibar-quagga-9")


def all_traces(nodes: list[RealNode], chunks: set[bytes]) -> dict[str, list[str]]:
    found = {}
    for node in nodes:
        files = [path for path in [*node.data_dir.rglob("*"), node.log] if path.is_file()]
        data = {str(path): path.read_bytes() for path in files if path.exists()}
        for piece in {words.encode() for words in WORDS} | chunks:
            held = [name for name, text in data.items() if piece in text]
            if held:
                found[f"{node.name} {piece!r}"] = held
    return found


def pieces(node: RealNode, ident: str) -> set[bytes]:
    """A part of every chunk of a document, as its record has it: words in packs are compressed."""
    value = record_of(node, ident)
    starts = [at for mark in (CHANGE, PACK) for at in _places(value, mark)]
    return {value[at + 4 : at + 44] for at in starts}


def test_what_is_forgotten_of_a_document_is_in_no_byte_of_any_member(
    nodes: list[RealNode],
) -> None:
    one, two, three = nodes
    first, second, third = WORDS
    ident = document(one, f"{first} " * 50)
    edit(two, ident, f" {second} ")
    at = len(f"{first} " * 50) + 1
    gone = {"op": "splice", "path": ["text"], "index": at, "delete": len(second)}
    two.tell("PATCH", f"/memories/{ident}/document", [gone], **OWNER)  # its history keeps it
    for number in range(70):  # and a pack keeps all
        edit(one, ident, f" {number}")
    put = {"op": "put", "path": ["note"], "value": third}
    body = {"ops": [put], "message": third}
    three.tell("PATCH", f"/memories/{ident}/document", body, **OWNER)
    alike(nodes, ident)
    chunks = set().union(*(pieces(node, ident) for node in nodes))
    assert len(chunks) > 2
    for node in nodes:
        node.tell("GET", f"/recall?context={first}", **OWNER)
        kept = " ".join(all_traces([node], chunks))
        unseen = [one for one in (*chunks, third.encode()) if str(one) not in kept]
        assert not unseen, "the test would show nothing"
    said = mnemesh(
        "forget", ident, "--wait", "--yes", "--agent-id", "ai:walrus", "--json", node=one
    )
    assert said.code == 0, said
    until_clear(nodes)
    done = mnemesh("compact", "--mesh", "--wait", "--timeout", "30", "--json", node=one)
    assert done.json["erasure"]["gone"] is True, done
    assert all_traces(nodes, chunks) == {}
    for node in nodes:
        assert node.ask("GET", f"/memories/{ident}/document").status == 404
        assert node.tell("GET", f"/search?q={first}", **OWNER)["count"] == 0
    goes_on(nodes, document(one))
    until_level(nodes)
    assert all_traces(nodes, chunks) == {}
