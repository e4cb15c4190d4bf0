import hashlib
from typing import Any

import msgpack
import pytest

from crdt.bundle import NO_PREV, Bundle, BundleError, cluster_hash, read_bundle, seal_bundle
from crdt.dot import DATA, GOVERNANCE, SEQ_MAX
from crdt.op import Kind, Op
from tests.unit.crdt.rig import actor, dot, genuine, key_of, signed

CLUSTER = cluster_hash("test")


def sealed(*ops: Op, lane: bytes = DATA, first: int = 1, prev: bytes = NO_PREV) -> Bundle:
    made = tuple(op._replace(dot=dot("a", first + n, lane)) for n, op in enumerate(ops))
    return seal_bundle(
        cluster=CLUSTER,
        actor=actor("a", lane),
        first=first,
        prev=prev,
        ops=made,
        sign=lambda message: signed("a", message),
    )


CREATE = Op(dot=dot(), kind=Kind.CREATE, id="r", set={"title": "x"})


def test_what_was_sealed_reads_back_with_its_signature_and_its_hash() -> None:
    bundle = sealed(CREATE, CREATE, first=7, prev=b"p" * 32)
    assert read_bundle(bundle.data, cluster=CLUSTER, ops_max=2) == bundle
    assert (bundle.first, bundle.last) == (7, 8)
    assert genuine(key_of("a"), bundle.signed, bundle.signature)
    assert bundle.hash == hashlib.sha256(bundle.signed).digest()


def test_the_signature_binds_cluster_place_chain_and_content() -> None:
    base = sealed(CREATE)
    others = [
        sealed(CREATE, first=2),
        sealed(CREATE, CREATE),
        sealed(CREATE, prev=b"p" * 32),
        sealed(CREATE._replace(id="s")),
        read_bundle(base.data, cluster=cluster_hash("other"), ops_max=9),
    ]
    assert len({b.signed for b in (base, *others)}) == 6


def test_too_many_operations_are_refused_by_the_header_alone() -> None:
    with pytest.raises(BundleError) as caught:
        read_bundle(sealed(CREATE, CREATE).data, cluster=CLUSTER, ops_max=1)
    assert caught.value.reason == "too_many_ops"


BAD: list[tuple[int, Any, str]] = [
    (0, 2, "unknown_format"),
    (0, "1", "unknown_format"),
    (1, b"x" * 45, "malformed"),
    (1, "d" * 45, "malformed"),
    (2, 0, "malformed"),
    (2, SEQ_MAX + 1, "malformed"),
    (2, True, "malformed"),
    (3, 0, "too_many_ops"),
    (3, 2, "malformed"),
    (4, b"p" * 31, "malformed"),
    (5, "ops", "malformed"),
    (5, b"\x90", "malformed_op"),
    (6, b"s" * 63, "malformed"),
]


@pytest.mark.parametrize(("place", "value", "reason"), BAD)
def test_a_spoiled_header_is_refused(place: int, value: Any, reason: str) -> None:
    row = msgpack.unpackb(sealed(CREATE).data)
    row[place] = value
    with pytest.raises(BundleError) as caught:
        read_bundle(msgpack.packb(row), cluster=CLUSTER, ops_max=9)
    assert caught.value.reason == reason


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x80", b"\x97" + b"\x01" * 6, b"\x91" * 2000])
def test_what_is_no_list_of_seven_is_malformed(data: bytes) -> None:
    with pytest.raises(BundleError) as caught:
        read_bundle(data, cluster=CLUSTER, ops_max=9)
    assert caught.value.reason in {"malformed", "unknown_format"}


G = dot("a", 1, GOVERNANCE)


@pytest.mark.parametrize(
    ("op", "lane", "reason"),
    [
        (CREATE._replace(kind=Kind.POLICY), DATA, "wrong_lane"),
        (CREATE, GOVERNANCE, "wrong_lane"),
        (CREATE._replace(kind=Kind.VOTE), GOVERNANCE, "wrong_lane"),
        (CREATE._replace(kind=Kind.VOTE), DATA, "malformed_op"),
        (CREATE._replace(kind=Kind.SEAL), DATA, "malformed_op"),
        (CREATE._replace(heads=(dot(),)), DATA, "wrong_lane"),
        (Op(dot=G, kind=Kind.READY, births=frozenset([dot()])), GOVERNANCE, "wrong_lane"),
        (Op(dot=G, kind=Kind.REMOVE, supersedes=frozenset([dot()])), GOVERNANCE, "wrong_lane"),
        (Op(dot=G, kind=Kind.POLICY, heads=(dot(),)), GOVERNANCE, "wrong_lane"),
    ],
)
def test_each_lane_keeps_to_itself(op: Op, lane: bytes, reason: str) -> None:
    with pytest.raises(BundleError) as caught:
        read_bundle(sealed(op, lane=lane).data, cluster=CLUSTER, ops_max=9)
    assert caught.value.reason == reason


def test_the_last_sequence_number_is_the_last() -> None:
    assert read_bundle(sealed(CREATE, first=SEQ_MAX).data, cluster=CLUSTER, ops_max=9)
