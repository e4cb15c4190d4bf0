from dataclasses import replace

from crdt.pending import Pending, Vote
from crdt.pending_table import PendingTable
from tests.unit.crdt.rig import dot, node_of

KEY = b"dmemory/r"


def held(**more: object) -> Pending:
    plain = Pending(KEY, b"h" * 32, "ann", {"agent": "bob"})
    return replace(plain, **more)  # type: ignore[arg-type]  # the fields of a test


def yes(pending: Pending, place: int = 1) -> Pending:
    vote = Vote("bob", 5, yes=True, human=False, registered=True, seen=frozenset())
    return pending.with_vote(dot("v", place), vote)


def test_what_shows_of_a_record_is_known_by_its_key() -> None:
    table = PendingTable({})
    table.put(dot("a", 1), held())
    assert not table.approved(KEY)
    table.put(dot("a", 1), yes(held()))
    assert table.approved(KEY).stamps == {dot("a", 1): 5}
    assert table.approved(KEY).shown(dot("a", 1))
    assert not table.approved(b"dmemory/other")


def test_a_request_shows_whole_or_not_at_all() -> None:
    lead, tail = dot("a", 1), dot("a", 2)
    table = PendingTable({lead: yes(held()), tail: held(leader=lead)})
    assert table.group(tail) == table.group(lead) == [lead, tail]
    assert not table.shown(lead)
    assert not table.shown(tail)
    table.put(tail, yes(held(leader=lead), 2))
    assert table.shown(lead)
    assert table.shown(tail)


def test_a_node_knows_what_it_has_not_sealed() -> None:
    table = PendingTable({dot("a", 1): held(), dot("b", 1): held()})
    assert table.unsealed(node_of("a")) == [dot("a", 1)]
    table.put(dot("a", 1), held(sealed=7))
    assert table.unsealed(node_of("a")) == []
    assert table.stamp(dot("a", 1)) == 7


def test_nobody_knows_what_was_never_held() -> None:
    table = PendingTable({})
    assert not table.shown(dot("a", 1))
    assert table.stamp(dot("a", 1)) == 0
