"""What may be recorded, and what becomes of a flood of it."""

import ast

import pytest

from node.audit.events import (
    EVENTS,
    FORBIDDEN,
    LIST_ITEMS_MAX,
    TEXT_CHARS_MAX,
    UnknownEventError,
    check_names,
    harmless,
)
from node.audit.flood import Flood
from node.logs import EVENTS as LOG_EVENTS
from tests.architecture.tree import sources

RECORDERS = {"record", "_record", "audit", "_audit"}


def test_the_table_has_every_event_that_operators_are_promised() -> None:
    promised = {
        "policy_set", "policy_cleared", "agent_registered", "role_granted", "mode_changed",
        "vote", "seal", "pending", "refused", "gate_denied", "member_added", "member_removed",
        "member_ready", "allowlist_changed", "key_created", "key_revoked", "peer_enrolled",
        "store_changed", "started", "stopped", "clock", "chain_recovered", "switch_weakened",
    }  # fmt: skip
    assert promised <= EVENTS.keys()
    assert all(row.help for row in EVENTS.values())
    assert all(name in LOG_EVENTS for name in ("audit_rollback", "audit_chain_broken"))


@pytest.mark.parametrize("name", sorted(FORBIDDEN))
def test_names_that_could_carry_content_are_refused(name: str) -> None:
    with pytest.raises(UnknownEventError):
        check_names("refused", ["agent", name])


def test_an_event_outside_the_table_is_refused() -> None:
    with pytest.raises(UnknownEventError):
        check_names("something_happened", [])


def test_facts_are_cut_to_size() -> None:
    facts = harmless(
        {
            "text": "x" * 10_000,
            "many": [str(n) for n in range(1000)],
            "set": {"b", "a"},
            "bytes": b"\x01\xff",
            "big": 2**70,
            "flag": True,
            "none": None,
            "odd": 1.5,
        }
    )
    assert len(str(facts["text"])) == TEXT_CHARS_MAX
    assert isinstance(facts["many"], tuple)
    assert len(facts["many"]) == LIST_ITEMS_MAX
    assert facts["set"] == ("a", "b")
    assert (facts["bytes"], facts["big"]) == ("01ff", str(2**70))
    assert (facts["flag"], facts["none"], facts["odd"]) == (True, None, "1.5")


def test_of_a_flood_the_first_are_entries_and_the_rest_is_one_with_a_count() -> None:
    flood = Flood(singles_max=3)
    assert [flood.admits("refused", 1000 + n) for n in range(10)] == [True] * 3 + [False] * 7
    assert flood.waiting
    assert flood.take(1900) == [], "the second is not over"
    assert flood.take(2000) == [("refused", {"count": 7, "second": 1000})]
    assert not flood.waiting


def test_the_next_second_begins_anew_and_nothing_is_forgotten() -> None:
    flood = Flood(singles_max=1)
    for at in (0, 1, 1000, 1001, 1002):
        flood.admits("gate_denied", at)
    flood.admits("refused", 1002)
    assert flood.take(None) == [
        ("gate_denied", {"count": 1, "second": 0}),
        ("gate_denied", {"count": 2, "second": 1000}),
    ]


def test_decisions_are_never_counted_together() -> None:
    flood = Flood(singles_max=1)
    assert all(flood.admits("policy_set", 5) for _ in range(100))
    assert not flood.waiting


def test_every_event_that_the_code_records_stands_in_the_table() -> None:
    """A misspelt one would be found only when it happens."""
    calls = [
        (module.where, node.lineno, node.args[0].value)
        for module in sources()
        if module.package == "node" and any(name in module.text for name in RECORDERS)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) in RECORDERS
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    ]
    assert len(calls) > 10, "the search finds nothing any more"
    wrong = [f"{where}:{line} {name}" for where, line, name in calls if name not in EVENTS]
    assert not wrong, "\n".join(wrong)
