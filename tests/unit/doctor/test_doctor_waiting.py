"""What counts as waiting for approval."""

from typing import Any

from crdt.dot import DATA, Dot, new_actor
from crdt.hlc import stamp_of
from crdt.op import record_key
from crdt.pending import Pending, Vote
from node.doctor.facts import PendingFacts
from node.doctor.waiting_seen import waiting_of
from tests.unit.doctor.healthy import DAY_MS, NOW_MS, A

ACTOR = new_actor(DATA, 1, bytes(8), A)


def dot(seq: int) -> Dot:
    return Dot(ACTOR, seq)


def held(asked_ms: int = NOW_MS, **changes: Any) -> Pending:
    return Pending(
        key=record_key(DATA, "memory", "m"),
        hash=bytes(32),
        requester="ai:bob",
        approver={"agent": "human:anna"},
        asked=stamp_of(asked_ms),
        **changes,
    )


def voted(*, yes: bool) -> dict[Dot, Vote]:
    vote = Vote(
        "human:anna", stamp_of(NOW_MS), yes=yes, human=True, registered=True, seen=frozenset()
    )
    return {dot(99): vote}


def test_what_is_undecided_waits_and_the_oldest_counts() -> None:
    table = {dot(1): held(NOW_MS - 5_000), dot(2): held(NOW_MS - 9_000)}
    assert waiting_of(table, NOW_MS) == PendingFacts(count=2, oldest_ms=NOW_MS - 9_000)
    assert waiting_of({}, NOW_MS) == PendingFacts(count=0, oldest_ms=None)


def test_the_operations_of_one_request_are_one_action() -> None:
    table = {dot(1): held(), dot(2): held(leader=dot(1))}
    assert waiting_of(table, NOW_MS).count == 1


def test_what_is_decided_final_or_out_of_time_waits_no_more() -> None:
    old = NOW_MS - DAY_MS
    table = {
        dot(1): held(old, votes=voted(yes=True)),
        dot(2): held(old, votes=voted(yes=False)),
        dot(3): held(old, sealed=stamp_of(NOW_MS)),
        dot(4): held(old, expires=stamp_of(NOW_MS - 1)),
        dot(5): held(NOW_MS - 10, expires=stamp_of(NOW_MS + 1_000)),
    }
    assert waiting_of(table, NOW_MS) == PendingFacts(count=1, oldest_ms=NOW_MS - 10)
