"""A sum of checksums proves little to somebody who may choose many summands.

The forger is Wagner's: it knows which record is damaged and what the missing weights add up to, and
looks for a record and rows held for approval that add up to the same. Lists of tries are joined two
by two, so that a few more of the low bits of each sum fit every time.
"""

import random
from collections.abc import Callable
from typing import Any, Final

import pytest

from crdt.digest import checksum, move, weight
from crdt.dot import ACTOR_BYTES
from crdt.overlay import pending_key
from node.store.proving import SUM_PIECES_MAX, Given, Needs, proven_of
from node.store.rows import NO_WEIGHT, key_dot

SEED = 4
VICTIM = b"dmemory/victim"
LEVELS: Final = 10
TRIES: Final = 4300
BITS_A_LEVEL: Final = 12
Found = tuple[int, Any]


def row_of(number: int) -> bytes:
    return b"d" * ACTOR_BYTES + number.to_bytes(8, "big")


def weight_of(number: int, data: bytes) -> int:
    """Of what a forger says: the record is the first piece, rows for approval are the others."""
    return weight(pending_key(key_dot(row_of(number))) if number else VICTIM, data)


def forged(total: int) -> dict[int, bytes]:
    """Pieces by number that have a sum; none when this seed finds none."""

    def tries(number: int) -> list[Found]:
        some = (b"forged %d" % n for n in range(TRIES))
        return [(weight_of(number, data), (number, data)) for data in some]

    def joined(low: int, count: int, level: int, wanted: int) -> list[Found]:
        if count == 1:
            return tries(low)
        half = count // 2
        bits = 128 if level == LEVELS else BITS_A_LEVEL * level
        left = joined(low, half, level - 1, 0)
        by_end: dict[int, list[Found]] = {}
        for one in joined(low + half, half, level - 1, wanted):
            by_end.setdefault(one[0] % 2**bits, []).append(one)
        pairs = (
            (move(0, 0, a + b), (first, second))
            for a, first in left
            for b, second in by_end.get((wanted - a) % 2**bits, ())
        )
        return [pair for pair, _ in zip(pairs, range(2 * TRIES), strict=False)]

    pieces: dict[int, bytes] = {}

    def take(tree: Any) -> None:
        if isinstance(tree[0], int):
            pieces[tree[0]] = tree[1]
        else:
            take(tree[0])
            take(tree[1])

    for _, tree in joined(0, 2**LEVELS, LEVELS, total)[:1]:
        take(tree)
    return pieces


def wanted(records: dict[bytes, bytes], pending: dict[bytes, bytes], total: int) -> Needs:
    return Needs(records=records, pending=pending, missing=total)


@pytest.mark.slow
def test_who_chooses_many_pieces_finds_some_with_any_sum_and_is_not_believed() -> None:
    print(f"seed {SEED}")
    total = random.Random(SEED).getrandbits(128)
    pieces = forged(total)
    assert len(pieces) == 2**LEVELS
    assert move(0, 0, sum(weight_of(n, data) for n, data in pieces.items())) == total
    given = Given(
        records={VICTIM: pieces.pop(0)}, pending={row_of(n): data for n, data in pieces.items()}
    )
    needs = wanted({VICTIM: NO_WEIGHT}, {row_of(1): bytes(16)}, total)
    proven = proven_of(needs, given, {})
    assert (proven.whole, proven.records, proven.pending) == (False, {}, {})


def summed(count: int, rows: int) -> tuple[dict[bytes, bytes], dict[bytes, bytes], int]:
    records = {b"dmemory/%d" % n: b"content %d" % n for n in range(count)}
    pending = {row_of(n): b"held %d" % n for n in range(1, rows + 1)}
    total = sum(weight(key, data) for key, data in records.items())
    total += sum(weight_of(n, pending[row_of(n)]) for n in range(1, rows + 1))
    return records, pending, move(0, 0, total)


Told = Callable[[bytes, bytes], bytes]


@pytest.mark.parametrize("count", range(5))
@pytest.mark.parametrize("rows", range(3))
def test_a_sum_proves_a_few_pieces_a_row_that_tells_its_weight_proves_itself(
    count: int, rows: int
) -> None:
    records, pending, total = summed(count, rows)

    def needs(told: Told) -> Needs:
        return wanted(
            {key: told(key, data) for key, data in records.items()},
            {key: told(key, data) for key, data in pending.items()},
            total,
        )

    def nothing(_key: bytes, _data: bytes) -> bytes:
        return NO_WEIGHT

    given = Given(records=records, pending=pending)
    few = count + rows <= SUM_PIECES_MAX
    assert proven_of(needs(nothing), given, {}).whole == few
    assert proven_of(needs(checksum), given, {}).whole
    vouched = Given(records=records, pending=pending, vouched=True)
    assert proven_of(needs(nothing), vouched, {}).whole
    if count and rows:  # with one that is wrong, the others that tell their weight stand alone
        wrong = Given(records={**records, b"dmemory/0": b"x"}, pending=pending, vouched=True)
        left = proven_of(needs(checksum), wrong, {})
        assert (left.whole, left.pending) == (False, pending)
        assert left.records.keys() == records.keys() - {b"dmemory/0"}
