"""Documents that the official JavaScript library and the nodes write at the same time."""

import base64
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.rig import RealNode, cleaned_up, until, until_level, until_linked
from tests.integration.rig_automerge import AUTOMERGE, Client, wire
from tests.integration.rig_mesh import cut, founded, heal, start_all
from tests.interop.rig import Oracle, oracle_of_the_library
from tests.interop.scripts import GRAPHEMES, Author

pytestmark = pytest.mark.integration
ROUNDS = 8
FOLDED_FROM = 64
"""So many single chunks are folded, once all members hold them."""


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    with oracle_of_the_library() as one:
        yield one


@pytest.fixture(scope="module")
def mesh(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RealNode]]:
    """Two nodes; a write counts when it is on one."""
    assert oracle.ask("about")
    flags = ("--quorum-writes", "1")
    nodes = founded(tmp_path_factory.mktemp("interop"), 2, flags=flags)
    with cleaned_up(nodes):
        start_all(nodes)
        yield nodes


def stored(node: RealNode, content: str) -> str:
    return str(node.store("Plan", content, memory_kind="document", agent_id="ann")["id"])


def view(node: RealNode, ident: str) -> dict[str, Any]:
    told: dict[str, Any] = node.tell("GET", f"/memories/{ident}/document")
    return told


def patch(node: RealNode, ident: str, **body: Any) -> dict[str, Any]:
    told: dict[str, Any] = node.tell(
        "PATCH", f"/memories/{ident}/document", body, X_Agent_Id=f"at-{node.name}"
    )
    return told


def check_alike(nodes: list[RealNode], clients: list[Client], ident: str) -> None:
    """One set of heads, one value, one text: at the nodes, and with those who use the library."""
    first, *others = [view(node, ident) for node in nodes]
    for told in others:
        assert (told["heads"], told["value"]) == (first["heads"], first["value"])
    for client in clients:
        client.pull()
        assert sorted(client.heads) == sorted(first["heads"])
        assert client.shown() == clients[0].shown()
    if first["types"].get("/text", "").startswith("text"):
        texts = {client.oracle.text(client.doc) for client in clients}
        assert texts == {first["value"]["text"]}
    contents = {node.get(ident)["content"] for node in nodes}
    assert len(contents) == 1
    for node in nodes:
        status, data = wire(node, "GET", f"/memories/{ident}/document", Accept=AUTOMERGE)
        assert status == 200
        loaded = clients[0].oracle.load("served", data)
        assert sorted(loaded) == sorted(first["heads"])


@pytest.mark.parametrize("seed", [None, pytest.param(8, marks=pytest.mark.thorough)])
def test_two_sides_of_a_cut_write_by_library_and_by_node_and_end_alike(
    oracle: Oracle, mesh: list[RealNode], seed: int | None
) -> None:
    dice = random.Random(seed := seed or random.randrange(2**32))
    print(f"seed {seed}")
    ident = stored(mesh[0], "What we know so far: 👩\u200d👩\u200d👧 went home.\n")
    until_level(mesh)
    clients = [
        Client(oracle, node, ident, f"side-{place}", dice.randbytes(16))
        for place, node in enumerate(mesh)
    ]
    assert clients[0].heads == clients[1].heads
    # JSON of a request must not hold a NUL.
    author = Author(dice, long=300, graphemes=[one for one in GRAPHEMES if one != "\0"])
    cut(mesh[0], [mesh[1]])
    until(lambda: not any(node.links() for node in mesh), "the two are cut off from each other")
    for number in range(ROUNDS):
        for client in clients:
            client.edit(author.edits(client.shown()), author.message())
            if dice.random() < 0.5:
                # Meant for what the client saw last, and sent as it stands.
                edits = author.edits(
                    oracle.ask("value", doc=client.doc, heads=client.sent)["value"]
                )
                patch(client.node, ident, ops=edits, heads=client.sent, message=f"round {number}")
            told = client.push(as_json=dice.random() < 0.5)
            assert told is None or told["added"]
            if dice.random() < 0.5:
                client.pull()
    assert view(mesh[0], ident)["heads"] != view(mesh[1], ident)["heads"]
    heal(mesh[0], [mesh[1]])
    until_linked(mesh)
    until_level(mesh)
    check_alike(mesh, clients, ident)
    # They go on together, and what one says the other hears.
    clients[0].edit([{"op": "put", "path": ["last"], "value": "words"}])
    clients[0].push()
    until_level(mesh)
    check_alike(mesh, clients, ident)
    assert view(mesh[1], ident)["value"]["last"] == "words"


def folds(node: RealNode, ident: str) -> list[int]:
    """How many chunks each operation took away that did."""
    told = node.tell("GET", f"/memories/{ident}/history?limit=100")["history"]
    counts = [sum(name.startswith("chunk/") for name in one["removed"]) for one in told]
    return [count for count in counts if count]


def test_whoever_was_away_while_a_document_was_folded_goes_on(
    oracle: Oracle, mesh: list[RealNode]
) -> None:
    one, two = mesh
    ident = stored(one, "0")
    until_level(mesh)
    writer = Client(oracle, one, ident, "writer", b"w" * 16)
    away = Client(oracle, two, ident, "away", b"y" * 16)
    away.edit([{"op": "splice", "path": ["text"], "insert": " written far away"}])
    for number in range(FOLDED_FROM + 6):
        writer.edit([{"op": "splice", "path": ["text"], "insert": f" {number}"}])
        writer.push()
    until_level(mesh)

    def fold() -> bool:
        # That the other holds everything is known a moment after it does.
        patch(one, ident, ops=[{"op": "splice", "path": ["text"], "insert": "."}])
        return bool(folds(one, ident))

    until(fold, "an edit folds what all members hold")
    until_level(mesh)
    assert max(folds(two, ident)) >= FOLDED_FROM
    check_alike(mesh, [writer], ident)
    away.push()
    until_level(mesh)
    check_alike(mesh, [writer, away], ident)
    assert "written far away" in oracle.text("away")
    later = Client(oracle, two, ident, "later", b"l" * 16)
    assert sorted(later.heads) == sorted(away.heads)
    assert later.shown() == away.shown()
    told = one.tell("GET", f"/memories/{ident}/document/history?limit=100")["history"]
    agents = {entry["agent_id"] for entry in told}
    assert agents >= {"with-writer", "with-away", f"at-{one.name}", "ann"}


def test_a_client_follows_what_the_other_node_takes(oracle: Oracle, mesh: list[RealNode]) -> None:
    one, two = mesh
    ident = stored(one, "first")
    until_level(mesh)
    writer = Client(oracle, one, ident, "teller", b"t" * 16)
    reader = Client(oracle, two, ident, "listener", b"r" * 16)
    with reader.followed() as events:
        for number in range(5):
            writer.edit([{"op": "splice", "path": ["text"], "insert": f" {number}"}])
            writer.push()
            patch(one, ident, ops=[{"op": "put", "path": ["count"], "value": number}])
            writer.pull()
            while sorted(reader.heads) != sorted(writer.heads):
                reader.take(next(events)["changes"])
            assert reader.shown() == writer.shown()
    assert oracle.text("listener") == "first 0 1 2 3 4"


def test_what_a_client_sends_twice_is_known_and_gaps_are_told(
    oracle: Oracle, mesh: list[RealNode]
) -> None:
    ident = stored(mesh[0], "text")
    client = Client(oracle, mesh[0], ident, "again", b"a" * 16)
    since = client.heads
    client.edit([{"op": "splice", "path": ["text"], "insert": " one"}])
    client.edit([{"op": "splice", "path": ["text"], "insert": " two"}])
    first, second = oracle.changes("again", since)
    path = f"/memories/{ident}/document/changes"
    status, body = wire(mesh[0], "POST", path, second, Content_Type=AUTOMERGE)
    told = json.loads(body)
    assert (status, told["error"]) == (409, "changes_missing")
    change = base64.b64encode(first).decode()
    assert told["missing"] == [oracle.ask("decode", change=change)["change"]["hash"]]
    assert view(mesh[0], ident)["value"] == {"text": "text"}
    for added, known in ((2, 0), (0, 2)):
        status, body = wire(mesh[0], "POST", path, first + second, Content_Type=AUTOMERGE)
        told = json.loads(body)
        assert (status, told["added"], told["known"]) == (200, added, known)
    saved = base64.b64decode(oracle.ask("save", doc="again")["data"])
    status, body = wire(mesh[0], "POST", path, saved, Content_Type=AUTOMERGE)
    told = json.loads(body)
    assert (status, told["error"]) == (400, "bad_change")
    assert "getAllChanges" in json.dumps(told)
    assert view(mesh[0], ident)["value"] == {"text": "text one two"}
