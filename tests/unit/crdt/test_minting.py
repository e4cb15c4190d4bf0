"""Creations of one request: as if each came alone, and all or none."""

from dataclasses import replace

import pytest

from crdt.dot import DATA, PRIVATE
from crdt.op import Draft, Kind, Op
from crdt.op_codec import OpError
from crdt.policy import Verdict
from tests.unit.crdt.rig import Node, mesh


def drafts(*ids: str, fresh: bool = True, private: str = "") -> list[Draft]:
    return [
        Draft(
            kind=Kind.CREATE,
            collection="memory",
            id=ident,
            namespace="n",
            owner="ann",
            set={"title": ident},
            fresh=fresh,
            private=ident in private,
        )
        for ident in ids
    ]


def told(node: Node, wanted: list[Draft]) -> list[tuple[int, Op, Verdict]]:
    ops, verdicts = node.replica.mint(wanted, agent="ann", now_ms=node.now_ms)
    node.commit()
    rows = zip(ops, verdicts, strict=True)
    return [(op.dot.seq, op._replace(dot=ops[0].dot, hlc=0), verdict) for op, verdict in rows]


def test_fresh_creations_are_what_others_are() -> None:
    one, other = mesh("a", "b")
    quick, slow = told(one, drafts(*"xyz")), told(other, drafts(*"xyz", fresh=False))
    assert [row[0] for row in quick] == [row[0] for row in slow] == [1, 2, 3]
    for (_, mine, said), (_, theirs, also) in zip(quick, slow, strict=True):
        assert mine._replace(dot=theirs.dot, heads=theirs.heads) == theirs
        assert said == also
    for ident in "xyz":
        seen, also_seen = one.view(ident), other.view(ident)
        assert seen is not None
        assert also_seen is not None
        assert seen.values == also_seen.values


def test_both_lanes_are_counted_apart() -> None:
    (node,) = mesh("a")
    ops, _ = node.replica.mint(drafts(*"wxyz", private="xy"), agent="ann", now_ms=node.now_ms)
    assert [(op.dot.actor[:1], op.dot.seq) for op in ops] == [
        (DATA, 1),
        (PRIVATE, 1),
        (PRIVATE, 2),
        (DATA, 2),
    ]


def test_an_id_that_stands_twice_is_one_record() -> None:
    (node,) = mesh("a")
    node.replica.mint(drafts("x", "x"), agent="ann", now_ms=node.now_ms)
    node.commit()
    seen = node.view("x")
    assert seen is not None
    assert seen.version > 1


def test_one_refused_creation_refuses_them_all() -> None:
    (node,) = mesh("a")
    before = node.replica.digest
    wanted = [*drafts("x"), replace(drafts("y")[0], set={"title": object()})]
    with pytest.raises(OpError):
        node.replica.mint(wanted, agent="ann", now_ms=node.now_ms)
    assert not node.replica.has_open
    assert node.replica.digest == before
    assert node.view("x") is None
