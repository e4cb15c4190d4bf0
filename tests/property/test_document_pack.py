"""Packs lose nothing, whatever is packed and however it came into its order."""

import random
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.document.change import read_change
from crdt.document.leb import read_uleb, uleb
from crdt.document.model import ChangeError, DocumentLimits
from crdt.document.pack import MARK, pack, unpack
from tests.property.hostile import mutated
from tests.property.test_document_codec import PEAK_BYTES_MAX, seed_of_run
from tests.unit.crdt.document.changes_rig import LIMITS, kept, library, random_changes

SMALL = DocumentLimits(
    change_ops_max=2_000, changes_max=100, ops_max=5_000, stored_bytes_max=100_000
)


@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 30),
    share=st.floats(0, 1),
    shuffled=st.booleans(),
)
def test_what_is_packed_comes_out_as_it_was(
    seed: int, count: int, share: float, *, shuffled: bool
) -> None:
    r = random.Random(seed)
    some = [one for one in kept(random_changes(r, count, r.randint(1, 4)), r) if r.random() < share]
    if shuffled:
        r.shuffle(some)
    data = pack(some)
    out = unpack(data, LIMITS)
    assert out == some
    assert [one.change.data for one in out] == [one.change.data for one in some]
    assert pack(out) == data


def test_changes_of_the_library_are_packed_too() -> None:
    r = random.Random(1)
    changes = [read_change(bytes.fromhex(one["chunk"]), LIMITS) for one in library()["changes"]]
    some = kept(changes, r)
    assert unpack(pack(some), LIMITS) == some


def opened(data: bytes) -> tuple[bytes, bytes]:
    """The count of a pack, and its streams as they are before they are deflated."""
    _, at = read_uleb(data, len(MARK))
    count = data[len(MARK) : at]
    _, at = read_uleb(data, at)
    return count, zlib.decompress(data[at:], -15)


def closed(count: bytes, body: bytes) -> bytes:
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    return MARK + count + uleb(len(body)) + deflater.compress(body) + deflater.flush()


def barrage(count: int) -> int:
    """Packs with a few bytes changed, most before they are deflated; how many were read."""
    r = random.Random(seed_of_run())
    good = [pack(kept(random_changes(r, size), r)) for size in (1, 2, 5, 20)]
    read = 0
    for n in range(count):
        data = r.choice(good)
        if n % 4:
            number, body = opened(data)
            data = closed(number, mutated(r, body))
        else:
            data = mutated(r, data)
        try:
            unpack(data, SMALL)
            read += 1
        except ChangeError:
            continue
        except BaseException:
            print(f"input {n}: {data.hex()}")
            raise
    return read


def hold_memory(count: int) -> None:
    tracemalloc.start()
    try:
        read = barrage(count)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < PEAK_BYTES_MAX
    assert 0 < read < count, "the barrage is blunt, or does not reach the changes"


def test_hostile_packs_give_changes_or_the_typed_error() -> None:
    hold_memory(300)


@pytest.mark.thorough
def test_ten_thousand_hostile_packs() -> None:
    hold_memory(10_000)
