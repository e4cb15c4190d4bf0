"""Words about snapshots: what is none is None, and what is one is the same after the wire."""

import random

import msgpack
import pytest

from node.replication.comparing import (
    PART_ENTRIES,
    ClockPart,
    clock_parts,
    decode_answer,
    decode_question,
    encode,
)
from node.replication.manifest import Manifest, read_manifest
from node.store.roster import KINDS
from tests.golden.frozen import asides
from tests.property.hostile import SigningNode
from tests.unit.store.rig import actor
from transport.identity import verify


def test_each_word_is_the_same_after_the_wire() -> None:
    for said in asides():
        assert (decode_question(encode(said)) or decode_answer(encode(said))) == said


@pytest.mark.parametrize("seed", range(20))
def test_any_bytes_are_a_word_or_none(seed: int) -> None:
    print(f"seed {seed}")
    r = random.Random(seed)
    for said in asides():
        row = msgpack.unpackb(encode(said), strict_map_key=False)
        row[r.randrange(len(row))] = r.choice([None, -1, "x", b"y", [], {}, 2**64 - 1, 1.5, True])
        for data in (msgpack.packb(row), r.randbytes(20), encode(said)[: r.randrange(9)]):
            decode_question(data)
            decode_answer(data)
            assert read_manifest(data, verify) is None


def test_what_is_out_of_bounds_is_no_word() -> None:
    part = ClockPart(number=1, place=0, part=0, parts=257, clock={})
    assert decode_question(encode(part)) is None
    for bad in (
        [1, 0, "range", b"z", b"", b"", b""],
        [1, 0, "range", KINDS[0], b"k" * 512, b"", b""],
    ):
        assert decode_question(msgpack.packb(bad)) is None
    assert decode_question(msgpack.packb([1, 0, "clock", 0, 1, {b"no actor": 1}])) is None
    assert decode_answer(msgpack.packb([1, 0, "rows", True, b"", [b"key", b"weight"]])) is None


def test_a_clock_goes_in_parts_that_are_the_clock() -> None:
    clock = {actor(birth=birth): birth for birth in range(1, PART_ENTRIES + 2)}
    parts = list(clock_parts(7, clock))
    assert [len(part.clock) for part in parts] == [PART_ENTRIES, 1]
    assert {a: n for part in parts for a, n in part.clock.items()} == clock
    assert all(len(encode(part)) <= 64 * 1024 for part in parts)
    assert [part.parts for part in clock_parts(7, {})] == [1]


def test_a_manifest_proves_who_offered_what() -> None:
    node = SigningNode("a")
    made = Manifest(
        snapshot=b"s", key=node.key.public, genesis=bytes(32), clock=bytes(16), digest=5, now_ms=9
    )
    data = made.signed(node.key.sign)
    said = read_manifest(data, verify)
    assert said is not None
    assert (said.node_id, said.digest, said.snapshot) == (node.key.node_id, 5, b"s")
    for at in range(0, len(data), 7):
        other = bytearray(data)
        other[at] ^= 1
        assert read_manifest(bytes(other), verify) is None
