"""Documents while members are upgraded: what an older program cannot read is not written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.rig import RealNode, Reply, cleaned_up, until, until_level, until_linked
from tests.integration.rig_documents import SPLICE
from tests.integration.rig_mesh import start_all
from tests.integration.rig_releases import LATEST, founded_of, program_of, run_release

pytestmark = [pytest.mark.integration, pytest.mark.slow]
# A release that knows documents does not hold anybody up.
OLD = LATEST


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return program_of(OLD, tmp_path / "programs")


@pytest.fixture
def mesh(tmp_path: Path, program: Path) -> Iterator[list[RealNode]]:
    """Three members on folders of the old program, which none runs yet."""
    nodes = founded_of(OLD, program, tmp_path)
    with cleaned_up(nodes):
        yield nodes


def another_program(node: RealNode, program: Path | None) -> None:
    assert node.stop() == 0
    run_release(node, program)
    node.start()


def edit(node: RealNode, ident: str, words: str) -> Reply:
    ops = [{"op": "splice", "path": ["text"], "insert": words}]
    return node.ask("PATCH", f"/memories/{ident}/document", ops)


def text(node: RealNode, ident: str) -> Any:
    return node.tell("GET", f"/memories/{ident}/document")["value"].get("text")


def test_documents_open_when_the_last_member_is_upgraded(
    mesh: list[RealNode],
) -> None:
    old, new, other = mesh
    run_release(new, None)
    run_release(other, None)
    start_all(mesh)
    ident = new.store("Plan", "one", memory_kind="document")["id"]
    until_level(mesh)
    for node in (new, other):
        refused = edit(node, ident, " two")
        assert (refused.status, refused.body["error"]) == (409, "members_outdated")
        assert refused.body["members"] == [old.name]
        assert text(node, ident) == "one"
    # Content goes on as content, on both sides, and a move by the old program loses nothing.
    new.tell("PUT", f"/memories/{ident}", {"content": "one, new"})
    until_level(mesh)
    old.tell("PUT", f"/memories/{ident}", {"content": "one, old"})
    old.tell("PUT", f"/memories/{ident}", {"namespace": "moved"})
    until_level(mesh)
    assert {node.get(ident)["content"] for node in mesh} == {"one, old"}
    # Away is not enough: it may come back as it was. That is known after a restart, too.
    assert old.stop() == 0
    other.stop()
    other.start()
    until(other.ready, "the other serves again")
    assert edit(other, ident, " two").status == 409
    run_release(old, None)
    old.start()
    until_linked(mesh)
    for number, node in enumerate(mesh):
        assert edit(node, ident, f" {number}").status == 200
        until_level(mesh)
    assert {text(node, ident) for node in mesh} == {"one, old 0 1 2"}
    assert not [error for node in mesh for error in node.events("request_failed")]


def test_a_member_that_goes_back_serves_and_edits_without_harm(
    mesh: list[RealNode], program: Path
) -> None:
    for node in mesh:
        run_release(node, None)
    start_all(mesh)
    old, new, _ = mesh
    ident = new.store("Plan", "one", memory_kind="document")["id"]
    gone = new.store("Other", "one", memory_kind="document")["id"]
    until_level(mesh)
    assert [edit(new, one, " two").status for one in (ident, gone)] == [200, 200]
    until_level(mesh)
    another_program(old, program)
    until_linked(mesh)
    until_level(mesh)
    for path in (
        f"/memories/{ident}",
        "/memories",
        "/export",
        "/search?q=two",
        "/recall?context=two",
    ):
        reply = old.ask("GET", path)
        assert reply.status == 200
        assert "mnpk" not in str(reply.body), f"{path} shows bytes"
    assert old.get(ident)["content"] == ""  # its way to show what it cannot read
    refused = new.ask("PATCH", f"/memories/{ident}/document", SPLICE)
    assert (refused.status, refused.body["error"]) == (409, "members_outdated")
    # Its edit stands beside the document; nothing takes the place of anything.
    old.tell("PUT", f"/memories/{ident}", {"content": "in its old way"})
    old.tell("PUT", f"/memories/{gone}", {"namespace": "moved"})  # it leaves the changes behind
    until_level(mesh)
    assert text(new, ident) == "one two"
    assert new.get(ident)["conflicts"] == 1
    beside = new.tell("GET", f"/memories/{ident}/conflicts")["fields"]["content"]
    assert [one["value"] for one in beside] == ["in its old way"]
    for node in mesh:
        assert node.ask("GET", f"/memories/{gone}").status == 200
        assert node.ask("GET", "/memories").status == 200
    another_program(old, None)
    until_linked(mesh)
    until_level(mesh)
    assert {text(node, ident) for node in mesh} == {"one two"}
    old.tell("PUT", f"/memories/{ident}", {"content": "one two, in its old way"})
    assert edit(old, gone, "anew").status == 200
    until_level(mesh)
    assert {text(node, ident) for node in mesh} == {"one two, in its old way"}
    assert {text(node, gone) for node in mesh} == {"anew"}
    assert "conflicts" not in new.get(ident)
    assert not [error for node in mesh for error in node.events("request_failed")]
