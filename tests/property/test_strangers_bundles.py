"""A bundle is taken on its author's word alone: an author whose key nobody knows has none."""

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.admission import Fit
from crdt.bundle import NO_PREV, cluster_hash, seal_bundle
from crdt.dot import DATA, GOVERNANCE, Actor, Dot, new_actor
from crdt.op import Kind, Op
from tests.unit.crdt.rig import T0_MS, T0_S, Node, mesh, shared_state


def forged(node: Node, who: Actor, ops: list[Op], key: bytes) -> bytes:
    """A first bundle of an actor, signed with some key."""
    return seal_bundle(
        cluster=cluster_hash(node.replica.genesis.cluster),
        actor=who,
        first=1,
        prev=NO_PREV,
        ops=tuple(ops),
        sign=lambda message: hashlib.sha512(key + message).digest(),
    ).data


@given(st.binary(min_size=32, max_size=32), st.integers(1, 4), st.sampled_from([DATA, GOVERNANCE]))
@settings(max_examples=60, deadline=None)
def test_an_author_whom_nobody_admitted_is_not_believed(
    key: bytes, count: int, lane: bytes
) -> None:
    (node,) = mesh("a")
    before = shared_state(node.disk)
    who = new_actor(lane, T0_S, bytes(8), hashlib.sha256(key).digest())
    heads = node.replica.governance.heads
    kind: Kind = Kind.CREATE
    fields: dict[str, object] = {"title": "x"}
    collection = "memory"
    if lane == GOVERNANCE:
        kind, collection, fields = Kind.POLICY, "", {"governance": {"write": "any"}}
    ops = []
    for seq in range(1, count + 1):
        seen = heads if lane == DATA or seq == 1 else (Dot(who, seq - 1),)
        ops.append(
            Op(
                dot=Dot(who, seq),
                kind=kind,
                collection=collection,
                id=f"r{seq}",
                owner="ann",
                namespace="n",
                agent="ann",
                hlc=(T0_MS << 16) + seq,
                set=fields,
                heads=seen,
            )
        )
    assert node.hear(forged(node, who, ops, key)) is Fit.BAD
    node.commit()
    assert shared_state(node.disk) == before
