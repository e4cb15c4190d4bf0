"""Erased bytes are gone: every file of every node of a real mesh is read, byte by byte."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import RealNode, until, until_level, until_linked
from tests.integration.rig_commands import mnemesh
from tests.integration.rig_traces import erasure, traces, until_clear, until_gone

pytestmark = [pytest.mark.integration, pytest.mark.thorough]
FIRST, SECOND, NOTE = "zanzibar-quagga-1", "zanzibar-quagga-2", "zanzibar-quagga-3"
OWNER = "ai:walrus"
EVERYTHING = (FIRST, SECOND, NOTE)


def told(node: RealNode, words: str = FIRST, **fields: Any) -> str:
    """Store a memory that holds the words in every place that takes some; returns its id."""
    made = node.tell(
        "POST",
        "/memories",
        {
            "title": f"about {words}",
            "content": f"{words} " * 400,  # a page of its own, and more
            "metadata": {"note": NOTE},
            "tags": [words],
            **fields,
        },
        x_agent_id=OWNER,
    )
    return str(made["id"])


def command(node: RealNode, *args: str, code: int = 0) -> dict[str, Any]:
    ran = mnemesh(*args, "--json", node=node)
    assert ran.code == code, ran.err
    body: dict[str, Any] = ran.json
    return body


def forget(node: RealNode, *idents: str, **fields: Any) -> None:
    node.tell("POST", "/forget", {"ids": list(idents), **fields}, x_agent_id=OWNER)


def all_traces(nodes: list[RealNode], *words: str) -> dict[str, list[str]]:
    return {
        f"{node.name} {one}": held for node in nodes for one in words if (held := traces(node, one))
    }


def test_what_is_forgotten_is_in_no_byte_of_any_member(found: Found) -> None:
    nodes = found(3)
    other = told(nodes[1], "kept", metadata={})
    ident = told(nodes[0])
    nodes[1].tell("PUT", f"/memories/{ident}", {"content": SECOND}, x_agent_id=OWNER)
    link = {"source_id": ident, "target_id": other, "relation": "related_to"}
    nodes[2].tell("POST", "/links", link, x_agent_id=OWNER)
    # Its words again, in what is made of it.
    second = told(nodes[2], FIRST)
    body = {"ids": [ident, second], "title": "both", "summary": f"{FIRST} and {SECOND}"}
    nodes[0].tell("POST", "/consolidate", body, x_agent_id=OWNER)
    until_level(nodes)
    for node in nodes:
        assert all(traces(node, words) for words in EVERYTHING), node.name
    said = command(nodes[0], "forget", ident, second, "--wait", "--yes", "--agent-id", OWNER)
    assert (said["erasure"]["covered"], said["erasure"]["log_clear"]) == (True, True)
    done = command(nodes[0], "compact", "--mesh", "--wait", "--timeout", "20")
    assert done["erasure"]["gone"] is True
    assert all_traces(nodes, *EVERYTHING) == {}
    for node in nodes:
        assert node.ask("GET", f"/memories/{ident}").status == 404
        assert node.get(other)["title"] == "about kept"
        assert node.metric("mnemesh_store_rewrites_total", outcome="done") >= 1
    until_level(nodes)
    # Writes go on, and a node that starts again is as it was.
    nodes[2].kill()
    nodes[2].start()
    until_linked(nodes)
    told(nodes[2], "after", metadata={})
    until_level(nodes)
    assert all_traces(nodes, *EVERYTHING) == {}
    until(lambda: erasure(nodes[0])["outstanding"] == 0, "done with")


def test_until_the_file_is_rewritten_freed_pages_keep_the_bytes(found: Found) -> None:
    (node,) = found(1)
    ident = told(node)
    forget(node, ident)
    until_clear([node])
    status = erasure(node)
    assert (status["outstanding"], status["rewritten"], status["gone"]) == (1, False, False)
    assert traces(node, FIRST)
    node.tell("POST", "/compact", {})
    assert traces(node, FIRST) == []
    assert erasure(node)["gone"] is True


def test_a_plain_delete_leaves_the_bytes_in_the_log(found: Found) -> None:
    (node,) = found(1)
    ident = told(node)
    node.tell("DELETE", f"/memories/{ident}", x_agent_id=OWNER)
    node.tell("POST", "/compact", {})
    assert traces(node, FIRST)
    assert erasure(node)["outstanding"] == 0


def test_the_file_is_rewritten_by_itself_when_an_erasure_is_old_enough(found: Found) -> None:
    (node,) = found(1, config={"storage": {"erase_rewrite_hours": 0.0}})
    ident = told(node)
    assert traces(node, FIRST)
    forget(node, ident)
    until_gone([node])
    assert traces(node, FIRST) == []
    until(lambda: node.events("store_rewritten"), "it is told", seen=node.tail)


def test_a_private_memory_leaves_the_log_of_its_node(found: Found) -> None:
    nodes = found(2, config={"federation": {"share_private": False}})
    ident = told(nodes[0], scope="private")
    assert traces(nodes[0], FIRST)
    assert traces(nodes[1], FIRST) == []
    forget(nodes[0], ident)
    until_clear(nodes[:1])
    nodes[0].tell("POST", "/compact", {})
    assert all_traces(nodes, *EVERYTHING) == {}


@pytest.mark.slow
def test_a_member_that_is_away_keeps_it_until_it_is_back(found: Found) -> None:
    nodes = found(3)
    ident = told(nodes[0])
    until_level(nodes)
    nodes[2].kill()
    until(lambda: "node-3" not in nodes[0].links(), "node-3 is missed")
    forget(nodes[0], ident)
    code = 1
    left = command(nodes[0], "erasure", "--wait", "--timeout", "1", code=code)
    assert left["error"] == "erasure_outstanding"
    away = next(m for m in left["members"] if m["name"] == "node-3")
    assert (away["reached"], away["covered"]) == (False, False)
    # The others keep the log for it, so the words are in their logs too.
    assert left["log_clear"] is False
    nodes[0].tell("POST", "/compact", {})
    assert traces(nodes[0], FIRST)
    assert traces(nodes[2], FIRST)
    nodes[2].start()
    until_linked(nodes)
    until_clear(nodes)
    command(nodes[1], "compact", "--mesh", "--wait", "--timeout", "20")
    assert all_traces(nodes, *EVERYTHING) == {}


@pytest.mark.slow
def test_an_old_copy_of_a_store_brings_nothing_back(found: Found) -> None:
    """A backup holds what it holds; a node restored from it erases what was erased since."""
    nodes = found(3)
    ident = told(nodes[2])  # by the node that is restored: its own line is not overtaken
    until_level(nodes)
    nodes[2].kill()
    backup = nodes[2].data_dir.parent / "backup"
    shutil.copytree(nodes[2].data_dir, backup)
    nodes[2].start()
    until_linked(nodes)
    forget(nodes[0], ident)
    until_clear(nodes)
    command(nodes[0], "compact", "--mesh", "--wait", "--timeout", "20")
    until(lambda: erasure(nodes[0])["outstanding"] == 0, "done with")
    assert all_traces(nodes, *EVERYTHING) == {}
    nodes[2].kill()
    shutil.rmtree(nodes[2].data_dir)
    shutil.copytree(backup, nodes[2].data_dir)
    assert traces(nodes[2], FIRST)
    nodes[2].start()
    until_linked(nodes)
    until_level(nodes)
    assert nodes[2].ask("GET", f"/memories/{ident}").status == 404
    assert nodes[2].events("store_swapped")  # nobody has the erasing delete in a log any more
    until_clear([nodes[2]])
    nodes[2].tell("POST", "/compact", {})
    assert all_traces(nodes, *EVERYTHING) == {}


def test_the_index_is_made_anew_without_it(found: Found) -> None:
    (node,) = found(1)
    kept = told(node, "kept", metadata={})
    ident = told(node)
    folder = node.data_dir / "recall"
    before = until(lambda: files_of(folder, ".store"), "the index has files")
    forget(node, ident)
    node.tell("POST", "/compact", {})
    assert not [path for path in before if path.exists()]
    assert traces(node, FIRST) == []
    found_now = node.tell("GET", f"/recall?context={FIRST}", x_agent_id=OWNER)["memories"]
    assert [one["id"] for one in found_now] == [kept]
    assert node.tell("GET", f"/search?q={FIRST}", x_agent_id=OWNER)["memories"] == []


def files_of(folder: Path, suffix: str) -> list[Path]:
    return [path for path in folder.rglob(f"*{suffix}") if path.is_file()]
