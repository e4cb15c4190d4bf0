import tracemalloc
import zlib

import pytest

from crdt.document.change import encode_change, read_change
from crdt.document.chunk import MAGIC, UNFOLDED_TIMES, frame, split_chunks
from crdt.document.leb import uleb
from crdt.document.model import (
    Action,
    Change,
    ChangeError,
    ChangeOp,
    DocumentTooLargeError,
    Scalar,
    ScalarKind,
)
from tests.unit.crdt.document.changes_rig import ANN, LIMITS, library


def a_change(text: str = "x") -> Change:
    ops = [ChangeOp(None, "k", False, Action.SET, Scalar(ScalarKind.STRING, text))]
    return encode_change(actor=ANN, seq=1, start_op=1, time=0, message=None, deps=(), ops=ops)


def deflated(change: Change) -> bytes:
    """The chunk as clients send it that deflate what is longer than 256 bytes."""
    contents = change.data[9 + len(uleb(len(change.data) - 11)) :]
    assert frame(contents) == (change.hash, change.data)
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflater.compress(contents) + deflater.flush()
    return MAGIC + change.hash[:4] + b"\x02" + uleb(len(packed)) + packed


def test_chunks_lie_one_after_the_other() -> None:
    changes = [a_change(), a_change("y" * 300), a_change("z")]
    data = b"".join(change.data for change in changes)
    assert split_chunks(data, LIMITS) == [change.data for change in changes]
    assert split_chunks(b"", LIMITS) == []


def test_a_deflated_change_is_the_change_that_it_was() -> None:
    change = a_change("lorem " * 200)
    packed = deflated(change)
    assert len(packed) < len(change.data) / 4
    assert split_chunks(a_change().data + packed, LIMITS) == [a_change().data, change.data]
    assert read_change(split_chunks(packed, LIMITS)[0], LIMITS) == change


def test_a_deflated_bomb_is_inflated_to_its_bound_and_no_further() -> None:
    bomb = zlib.compress(bytes(40_000_000), 9)[2:-4]
    chunk = MAGIC + b"abcd\x02" + uleb(len(bomb)) + bomb
    tracemalloc.start()
    try:
        with pytest.raises(DocumentTooLargeError) as caught:
            split_chunks(chunk, LIMITS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.bound == "change_bytes_max"
    assert peak < 2_000_000


def test_many_deflated_chunks_together_have_a_bound() -> None:
    limits = LIMITS._replace(stored_bytes_max=40_000)
    packed = deflated(a_change("a" * 200_000))
    assert len(packed) < 1000
    split_chunks(packed, limits)
    with pytest.raises(DocumentTooLargeError) as caught:
        split_chunks(packed * 2, limits)
    assert caught.value.bound == "stored_bytes_max"
    assert caught.value.most == UNFOLDED_TIMES * 40_000


def test_chunks_have_a_number() -> None:
    with pytest.raises(DocumentTooLargeError) as caught:
        split_chunks(a_change().data * 4, LIMITS._replace(changes_max=3))
    assert (caught.value.bound, caught.value.got) == ("changes_max", 4)


def test_a_chunk_has_a_size() -> None:
    data = a_change("x" * 500).data
    limits = LIMITS._replace(change_bytes_max=len(data))
    assert split_chunks(data, limits) == [data]
    assert read_change(data, limits).data == data
    smaller = LIMITS._replace(change_bytes_max=len(data) - 1)
    for refuse in (split_chunks, read_change):
        with pytest.raises(DocumentTooLargeError):
            refuse(data, smaller)


def test_a_saved_document_is_refused_with_advice() -> None:
    with pytest.raises(ChangeError, match="getAllChanges"):
        split_chunks(bytes.fromhex(library()["saved"]), LIMITS)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"hello", "begins at byte 0"),
        (MAGIC + b"abcd", "begins at byte 0"),
        (MAGIC + b"abcd\x03\x00", "type 3"),
        (MAGIC + b"abcd\x09\x00", "type 9"),
        (MAGIC + b"abcd\x01\x7fxy", "cut off"),
        (MAGIC + b"abcd\x02\x02\xff\xff", "inflated"),
        (MAGIC + b"abcd\x02\x03\x03\x00z", "goes on"),
        (MAGIC + b"abcd\x02\x01\x03", "cut off"),
        (MAGIC + b"abcd\x01\x80", "number"),
    ],
)
def test_what_is_no_chunk(data: bytes, words: str) -> None:
    with pytest.raises(ChangeError, match=words):
        split_chunks(data, LIMITS)
    good = a_change().data
    with pytest.raises(ChangeError):
        split_chunks(good + data, LIMITS)


def test_a_chunk_answers_for_its_bytes() -> None:
    good = a_change("x").data
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 1
        with pytest.raises(ChangeError):
            read_change(bytes(bad), LIMITS)
    for bad_length in (good[:-1], good + b"x", good[:9], b""):
        with pytest.raises(ChangeError):
            read_change(bad_length, LIMITS)
    with pytest.raises(ChangeError, match="type 2"):
        read_change(deflated(a_change("y" * 300)), LIMITS)
