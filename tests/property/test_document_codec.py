"""Changes of documents: one spelling each; any bytes are a change or the typed error."""

import os
import random
import tracemalloc
from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.document.change import assemble, assemble_columns, encode_change, read_change
from crdt.document.chunk import MAGIC, frame, split_chunks
from crdt.document.gathering import gather
from crdt.document.leb import sleb, uleb
from crdt.document.model import Change, ChangeError, DocumentLimits, Stored
from crdt.document.pack import pack, unpack
from crdt.dot import Dot
from tests.property.hostile import mutated
from tests.unit.crdt.document.changes_rig import LIMITS, kept, library, random_changes

PEAK_BYTES_MAX = 64 * 2**20
SMALL = DocumentLimits(change_ops_max=2_000, changes_max=100, ops_max=5_000)


def seed_of_run() -> int:
    seed = int(os.environ.get("FUZZ_SEED") or random.SystemRandom().getrandbits(32))
    print(f"replay: FUZZ_SEED={seed}")
    return seed


def written_again(change: Change) -> bytes:
    known = change._asdict()
    del known["hash"], known["data"]
    return encode_change(**known).data


@given(st.integers(0, 2**32), st.integers(1, 12))
def test_what_is_written_is_read(seed: int, count: int) -> None:
    for change in random_changes(random.Random(seed), count):
        assert read_change(change.data, LIMITS) == change
        assert written_again(change) == change.data


@given(st.binary(max_size=300))
def test_any_bytes_are_a_change_or_refused(data: bytes) -> None:
    for chunk in (data, MAGIC + data, frame(data)[1]):
        attempt(chunk)


def attempt(chunk: bytes) -> str:
    """Read as one chunk and as several; what came of it. Anything but `ChangeError` fails."""
    with suppress(ChangeError):
        split_chunks(chunk, SMALL)
    try:
        change = read_change(chunk, SMALL)
    except ChangeError as error:
        return type(error).__name__
    assert written_again(change) == chunk, "a second spelling was taken"
    return "value"


def barrage(count: int) -> Counter[str]:
    """Good chunks with a few bytes changed, checksums mended so that they are looked into."""
    r = random.Random(seed_of_run())
    good = [bytes.fromhex(one["chunk"]) for one in library()["changes"]]
    good += [change.data for change in random_changes(r, 60)]
    outcomes: Counter[str] = Counter()
    for n in range(count):
        contents = mutated(r, r.choice(good)[r.choice([10, 11, 11, 11]) :])
        chunk = frame(contents)[1] if n % 10 else mutated(r, r.choice(good))
        try:
            outcomes[attempt(chunk)] += 1
        except BaseException:
            print(f"input {n}: {chunk.hex()}")
            raise
    return outcomes


def hold_memory(count: int) -> Counter[str]:
    tracemalloc.start()
    try:
        outcomes = barrage(count)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < PEAK_BYTES_MAX
    assert outcomes["ChangeError"] > count / 2
    assert outcomes["value"], "nothing was taken: the barrage does not reach the operations"
    return outcomes


def test_hostile_chunks_give_a_change_or_the_typed_error() -> None:
    print(hold_memory(400))


@pytest.mark.thorough
def test_ten_thousand_hostile_chunks() -> None:
    print(hold_memory(10_000))


def test_hostile_packs_and_records_are_read_or_set_aside() -> None:
    """Whatever a faulty member writes: `ChangeError` of a pack, an Aside of a record."""
    r = random.Random(seed_of_run())
    for n in range(200):
        some = kept(random_changes(r, 6), r)
        data = mutated(r, pack(some))
        with suppress(ChangeError):
            unpack(data, SMALL)
        name = r.choice(["chunk/x", "chunk/" + some[0].change.hash.hex()])
        wrong = Stored(name, data, "eve", r.randrange(2**40), Dot(b"e" * 45, n + 1))
        right = Stored(
            "chunk/" + some[0].change.hash.hex(), some[0].change.data, "ann", 5, Dot(b"a" * 45, 1)
        )
        found = gather([wrong, right], SMALL)
        assert some[0].change.hash in found.kept
        assert [one.name for one in found.aside] == [name]


@pytest.mark.parametrize("ops", [10, 2_000, pytest.param(65_536, marks=pytest.mark.thorough)])
def test_a_few_bytes_make_no_more_than_the_bound(ops: int) -> None:
    """The longest run that fits is taken, one row more is refused, and neither takes much room."""
    limits = LIMITS._replace(change_ops_max=ops)
    for count in (ops, ops + 1, 2**31, 2**62):
        chunk = deletions(count)
        tracemalloc.start()
        try:
            read_change(chunk, limits)
            taken = True
        except ChangeError:
            taken = False
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert taken is (count == ops)
        assert peak < PEAK_BYTES_MAX
        assert len(chunk) < 200


def deletions(count: int) -> bytes:
    """A change of some seventy bytes that deletes so many elements of one text."""

    def run(value: int) -> bytes:
        return sleb(count) + sleb(value)

    columns = [
        (0x01, run(0)),
        (0x02, run(1)),
        (0x11, run(0)),
        (0x13, b"\x7f\x02" + sleb(count - 1) + b"\x01"),
        (0x34, uleb(count)),
        (0x42, run(3)),
        (0x56, run(0)),
        (0x70, run(1)),
        (0x71, run(0)),
        (0x73, b"\x7f\x02" + sleb(count - 1) + b"\x01"),
    ]
    head = assemble([], b"a", 1, 100, 0, b"", [])
    return frame(head + assemble_columns(columns))[1]
