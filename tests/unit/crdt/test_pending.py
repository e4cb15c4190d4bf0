from dataclasses import replace
from typing import Any

import msgpack
import pytest

from crdt.dot import Dot
from crdt.op import Kind, Op
from crdt.pending import Pending, Vote, decode_pending, encode_pending, op_hash
from tests.unit.crdt.rig import dot


def vote(agent: str, *, yes: bool = True, hlc: int = 5, human: bool = True, seen: Any = ()) -> Vote:
    return Vote(agent, hlc, yes, human, registered=True, seen=frozenset(seen))


def held(approver: Any = "human", **more: Any) -> Pending:
    return Pending(b"dmemory/r", b"h" * 32, "ann", approver, **more)


def voted(pending: Pending, *votes: Vote) -> Pending:
    for place, one in enumerate(votes, start=1):
        pending = pending.with_vote(dot("v", place), one)
    return pending


@pytest.mark.parametrize(
    ("approver", "votes", "approved"),
    [
        ("human", [], False),
        ("human", [vote("bob")], True),
        ("human", [vote("bot", human=False)], False),
        ("human", [vote("ann")], False),
        ({"agent": "bob"}, [vote("cat")], False),
        ({"agent": "bob"}, [vote("bob", human=False)], True),
        ({"consensus": 2}, [vote("bob")], False),
        ({"consensus": 2}, [vote("bob"), vote("bob")], False),
        ({"consensus": 2}, [vote("bob"), vote("cat")], True),
        ({"consensus": 0}, [], False),
        ({"consensus": "two"}, [vote("bob"), vote("cat")], False),
        ({"nobody": 1}, [vote("bob")], False),
        (None, [vote("bob")], False),
    ],
)
def test_who_may_approve(approver: Any, votes: list[Vote], approved: bool) -> None:  # noqa: FBT001 - parametrized
    assert voted(held(approver), *votes).approved() is approved


def test_unregistered_agents_make_no_consensus() -> None:
    stranger = replace(vote("cat"), registered=False)
    assert not voted(held({"consensus": 2}), vote("bob"), stranger).approved()


def test_a_no_stands_against_any_number_of_yes() -> None:
    both = voted(held(), vote("bob"), vote("cat", yes=False))
    assert not both.approved()
    assert both.rejected()


def test_a_no_that_had_seen_a_full_approval_is_void() -> None:
    late = voted(held(), vote("bob"), vote("cat", yes=False, seen=[dot("v", 1)]))
    assert late.approved()
    assert not late.rejected()


def test_the_requesters_no_is_void_too() -> None:
    assert voted(held(), vote("bob"), vote("ann", yes=False)).approved()


def test_a_yes_after_the_end_is_void() -> None:
    assert not voted(held(expires=4), vote("bob", hlc=5)).approved()
    assert voted(held(expires=5), vote("bob", hlc=5)).approved()


def test_the_stamp_is_the_largest_valid_yes() -> None:
    many = voted(held(), vote("bob", hlc=5), vote("cat", hlc=9, yes=False), vote("ann", hlc=11))
    assert many.stamp() == 5
    assert held().stamp() == 0
    assert replace(many, sealed=7).stamp() == 7


def test_a_seal_ends_it() -> None:
    sealed = voted(held(sealed=7), vote("cat", yes=False))
    assert sealed.approved()
    assert not sealed.rejected()


def test_a_seal_must_show_the_votes_that_approve() -> None:
    pending = voted(held(), vote("bob"), vote("cat", yes=False))
    assert pending.approved_by(frozenset([dot("v", 1)]))
    assert not pending.approved_by(frozenset([dot("v", 1), dot("v", 2)]))
    assert not pending.approved_by(frozenset())


def test_joining_unites_votes_and_keeps_the_seal() -> None:
    left = held().with_vote(dot("v", 1), vote("bob"))
    right = held(sealed=3).with_vote(dot("w", 1), vote("cat"))
    both = left.joined(right)
    assert both == right.joined(left)
    assert (set(both.votes), both.sealed) == ({dot("v", 1), dot("w", 1)}, 3)


def test_it_reads_back_and_equal_values_have_equal_bytes() -> None:
    one, two = vote("bob", seen=[dot("w", 2), dot("v", 3)]), vote("cat", yes=False)
    places: list[Dot] = [dot("v", 1), dot("w", 1)]
    left = held({"consensus": 2}).with_vote(places[0], one).with_vote(places[1], two)
    right = held({"consensus": 2}).with_vote(places[1], two).with_vote(places[0], one)
    assert encode_pending(left) == encode_pending(right)
    assert decode_pending(encode_pending(left)) == left


def test_a_reason_reads_back_and_without_one_the_row_is_as_before() -> None:
    plain = held().with_vote(dot("v", 1), vote("bob"))
    told = held().with_vote(dot("v", 1), replace(vote("bob"), reason="no röom"))
    assert decode_pending(encode_pending(told)) == told
    assert encode_pending(plain) != encode_pending(told)
    (row,) = msgpack.unpackb(encode_pending(plain))[-2]
    assert row[-1] == [], "the last is what its caster saw"


def test_what_is_no_pending_row_is_refused() -> None:
    with pytest.raises(ValueError, match="not a pending operation"):
        decode_pending(b"\x93\x01\x02\x03")


def test_a_vote_is_about_every_part_of_the_content() -> None:
    op = Op(dot=dot(), kind=Kind.EDIT, id="r", set={"a": 1, "b": 2}, births=frozenset([dot()]))
    same = op._replace(set={"b": 2, "a": 1}, hlc=9)
    others = [
        op._replace(**change)
        for change in (
            {"dot": dot(seq=2)},
            {"kind": Kind.DELETE},
            {"collection": "x"},
            {"id": "x"},
            {"owner": "x"},
            {"namespace": "x"},
            {"agent": "x"},
            {"births": frozenset()},
            {"set": {"a": 1, "b": 3}},
            {"removed": frozenset("x")},
            {"supersedes": frozenset([dot()])},
        )
    ]
    assert op_hash(op) == op_hash(same)
    assert len({op_hash(o) for o in (op, *others)}) == len(others) + 1


@pytest.mark.parametrize("leader", [9, [b"actor"], "text", {"a": 1, "b": 2, "c": 3}])
def test_a_row_with_a_leader_of_another_shape_is_none(leader: object) -> None:
    row = msgpack.unpackb(encode_pending(held()), raw=False)
    row[8] = leader
    with pytest.raises(ValueError, match="not a pending operation"):
        decode_pending(msgpack.packb(row))
