"""What a message gives is what the receiver could take from it."""

import os

import pytest

from crdt import messages as m
from crdt.bundle import NO_PREV, seal_bundle
from crdt.dot import DATA, Dot, new_actor
from crdt.messages import encode
from crdt.op import Kind, Op
from node.peers.given import ops_given

_ACTOR = new_actor(DATA, 1_700_000_000, bytes(8), bytes(32))


def bundle(first: int, count: int, size: int) -> bytes:
    ops = [
        Op(
            dot=Dot(_ACTOR, first + number),
            kind=Kind.CREATE,
            collection="memory",
            id=f"{first + number}",
            owner="ai:a",
            namespace="global",
            agent="ai:a",
            hlc=1,
            set={"content": os.urandom(size // 2).hex()},
        )
        for number in range(count)
    ]
    sealed = seal_bundle(
        cluster=bytes(32),
        actor=_ACTOR,
        first=first,
        prev=NO_PREV,
        ops=ops,
        sign=lambda _data: bytes(64),
    )
    return sealed.data


@pytest.mark.parametrize("size", [10, 300, 70_000])
@pytest.mark.parametrize(("first", "count"), [(1, 1), (1, 7), (200, 130), (70_000, 2)])
def test_pushes_and_pages_are_counted_by_their_operations(
    size: int, first: int, count: int
) -> None:
    data = bundle(first, count, size // count)
    assert ops_given(encode(m.Push(data))) == count
    assert ops_given(encode(m.Spread(data, bytes(32)))) == count
    assert ops_given(encode(m.Page(1, [data, bundle(first + count, 3, 5)], last=True))) == count + 3


def test_what_carries_no_operation_counts_as_none() -> None:
    quiet = (m.Gap(), m.Behind(), m.Echo(5), m.Level({_ACTOR: 3}), m.Aside("t", bytes(100)))
    for message in (*quiet, m.Push(b""), m.Push(b"no bundle"), m.Page(1, [b""], last=True)):
        assert ops_given(encode(message)) == 0
