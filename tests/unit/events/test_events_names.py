"""The table of event names: complete, unambiguous, and right about operations."""

from typing import Any

import pytest

from crdt.dot import DATA, Dot, new_actor
from crdt.op import ERASE, Kind, Op
from node.events.filters import Filter, read_filter
from node.events.names import (
    NAMES,
    TABLE,
    Happening,
    asked_names,
    canonical,
    name_of,
)
from node.events.telling import Told
from node.limits import Limits
from node.memory.problems import InvalidField

ACTOR = new_actor(DATA, 1_770_000_000, bytes(8), bytes(32))
PUBLISHED = (
    "memory_store",
    "memory_promote",
    "memory_delete",
    "memory_link_created",
    "memory_link_invalidated",
    "memory_consolidated",
    "approval_requested",
)


def op(kind: Kind, collection: str = "memory", **fields: Any) -> Op:
    return Op(dot=Dot(ACTOR, 1), kind=kind, collection=collection, id="x", **fields)


CASES: list[tuple[Happening, str | None]] = [
    (Happening(op=op(Kind.CREATE, set={"title": "t"})), "memory_store"),
    (Happening(op=op(Kind.CREATE), moves=True), "memory_moved"),
    (
        Happening(op=op(Kind.CREATE, set={"metadata": {"consolidated_from_agents": ["a"]}})),
        "memory_consolidated",
    ),
    (Happening(op=op(Kind.CREATE, set={"metadata": "odd"})), "memory_store"),
    (Happening(op=op(Kind.CREATE), kind="entity"), "entity_created"),
    (Happening(op=op(Kind.CREATE), kind="entity", moves=True), "memory_moved"),
    (Happening(op=op(Kind.EDIT, set={"aliases/x": 0}), kind="entity"), "entity_updated"),
    (Happening(op=op(Kind.EDIT, set={"title": "t"})), "memory_update"),
    (Happening(op=op(Kind.EDIT, set={"tier": "long"})), "memory_promote"),
    (
        Happening(op=op(Kind.EDIT, set={"tier": "long"}, removed=frozenset({"expires_at"}))),
        "memory_promote",
    ),
    (Happening(op=op(Kind.EDIT, set={"archived_at": 1})), "memory_archived"),
    (Happening(op=op(Kind.EDIT, removed=frozenset({"archived_at"}))), "memory_restored"),
    (Happening(op=op(Kind.DELETE)), "memory_delete"),
    (Happening(op=op(Kind.DELETE, set={ERASE: True})), "memory_erased"),
    (Happening(op=op(Kind.DELETE), ends_move=True), None),
    (Happening(op=op(Kind.CREATE, "link")), "memory_link_created"),
    (Happening(op=op(Kind.EDIT, "link", set={"valid_until": 1})), "memory_link_invalidated"),
    (Happening(op=op(Kind.EDIT, "link", set={"valid_from": 1})), "memory_link_updated"),
    (Happening(op=op(Kind.DELETE, "link")), "memory_link_deleted"),
    (Happening(op=op(Kind.CREATE, "message")), "message_received"),
    (Happening(op=op(Kind.EDIT, "message", set={"read": True})), None),
    (Happening(op=op(Kind.CREATE, "subscription")), None),
    (Happening(op=op(Kind.POLICY, "", set={"governance": {"write": "deny"}})), "policy_set"),
    (Happening(op=op(Kind.POLICY, "", set={"governance": {}})), "policy_cleared"),
    (Happening(op=op(Kind.AGENT, "")), "agent_registered"),
    (Happening(op=op(Kind.ROLE, "")), "role_granted"),
    (Happening(op=op(Kind.MODE, "")), "mode_changed"),
    (Happening(op=op(Kind.FOUND, "")), "member_added"),
    (Happening(op=op(Kind.ADD, "")), "member_added"),
    (Happening(op=op(Kind.REMOVE, "")), "member_removed"),
    (Happening(op=op(Kind.READY, "")), "member_ready"),
    (Happening(op=op(Kind.FORK, "")), None),
]


@pytest.mark.parametrize(("happening", "name"), CASES)
def test_an_operation_has_one_name(happening: Happening, name: str | None) -> None:
    assert name_of(happening) == name


def test_every_name_that_is_read_off_an_operation_is_tried_above() -> None:
    told = {name for _, name in CASES}
    assert told - {None} == {row.name for row in TABLE if row.fits is not None}


def test_no_name_means_two_things() -> None:
    every = [name for row in TABLE for name in (row.name, *row.also)]
    assert len(every) == len(set(every))
    assert set(PUBLISHED) <= set(NAMES)
    assert all(row.meaning for row in TABLE)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("memory_store", {"memory_store"}),
        (" memory_store , memory_deleted ", {"memory_store", "memory_delete"}),
        (["memory.updated"], {"memory_update"}),
        ("*", None),
        (["memory_store", "*"], None),
        ("", None),
        ([], None),
    ],
)
def test_filters_know_all_names_of_an_event(given: Any, names: set[str] | None) -> None:
    found = canonical(asked_names("events", given))
    assert found == (None if names is None else frozenset(names))


@pytest.mark.parametrize("given", ["nonsense", ["memory_store", "Memory_Store"], 7, [7], {"a": 1}])
def test_a_name_of_no_event_is_told_with_all_that_are(given: Any) -> None:
    with pytest.raises(InvalidField) as caught:
        asked_names("events", given)
    assert caught.value.field == "events"


def test_a_filter_narrows_by_both() -> None:
    wanted = read_filter({"events": "memory_store", "namespace": "team"}, Limits())
    assert wanted.wants(Told(name="memory_store", namespace="team"))
    assert not wanted.wants(Told(name="memory_store", namespace="team/sub"))
    assert not wanted.wants(Told(name="memory_delete", namespace="team"))
    assert Filter().wants(Told(name="anything"))
