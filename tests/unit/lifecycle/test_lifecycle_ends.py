"""How the core judges what archives in the place of a deletion, and ends what others hide."""

from typing import Any

import pytest

from crdt.op import Draft, Kind, Op
from crdt.pending import action_of
from crdt.policy import actions_of
from node.lifecycle.origins import Origins
from tests.unit.crdt.rig import Node, dot


def edit(**fields: Any) -> Op:
    return Op(dot=dot(), kind=Kind.EDIT, collection="memory", id="m", set=fields)


@pytest.mark.parametrize("reason", ["deleted", "forgotten"])
def test_to_archive_in_the_place_of_a_deletion_is_to_delete(reason: str) -> None:
    op = edit(archived_at=1, archive_reason=reason, original_expires_at=2, rev=3)
    assert (actions_of(op), action_of(op)) == (("delete",), "delete")
    both = edit(archived_at=1, archive_reason=reason, content="more")
    assert (actions_of(both), action_of(both)) == (("write", "delete"), "update")


@pytest.mark.parametrize("reason", ["consolidated", "tidy", ["deleted"], {"deleted": 1}, None, 7])
def test_to_archive_for_another_reason_is_a_change_whatever_it_is(reason: Any) -> None:
    assert actions_of(edit(archived_at=1, archive_reason=reason)) == ("write",)


@pytest.mark.parametrize("first", ["ann", "bob"])
def test_a_delete_can_name_births_that_others_hide(first: str) -> None:
    node = Node("a").found()
    second = {"ann": "bob", "bob": "ann"}[first]
    for agent in (first, second):
        node.create("m", agent, owner=agent, content=f"of {agent}")
    wish = Draft(
        kind=Kind.DELETE, collection="memory", id="m", namespace="n", owner="bob", exact=True
    )
    node.write(wish, agent="bob")
    assert (node.values("m") or {})["content"] == "of ann"
    record = node.record("m")
    assert record is not None
    assert "of bob" not in str(record)


def test_concurrent_versions_of_what_a_memory_came_from_all_count() -> None:
    node = Node("a").found()
    node.create("c", consolidation={"sources": ["x", "y"], "digest": "", "below": ["z"]})
    origins = Origins()
    origins.note("c", node.record("c"), private=False)
    assert sorted(origins.sources()) == ["x", "y", "z"]
    node.edit("c", consolidation={"sources": ["y"], "digest": ""})
    origins.note("c", node.record("c"), private=False)
    assert (origins.sources(), origins.made_of("y")) == (["y"], ["c"])
    origins.note("c", None, private=False)
    assert origins.sources() == []
