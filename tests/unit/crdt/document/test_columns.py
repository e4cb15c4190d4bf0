import random

import pytest

from crdt.document.columns import (
    NUMBER_MAX,
    TooManyRowsError,
    read_booleans,
    read_deltas,
    read_strings,
    read_uints,
    write_booleans,
    write_deltas,
    write_strings,
    write_uints,
)
from crdt.document.model import ChangeError


def test_columns_come_back_and_have_one_spelling() -> None:
    r = random.Random(11)
    for _ in range(300):
        size = r.choice([0, 1, 2, 5, 40])
        numbers = [r.choice([None, 0, 1, 1, 200]) for _ in range(size)]
        texts = [None if n is None else "é" * n for n in numbers]
        flags = [r.random() < 0.4 for _ in range(size)]
        some = any(n is not None for n in numbers)
        assert list(read_uints(write_uints(numbers), size)) == (numbers if some else [])
        assert list(read_strings(write_strings(texts), size)) == (texts if some else [])
        assert list(read_deltas(write_deltas(numbers), size)) == (numbers if some else [])
        assert list(read_booleans(write_booleans(flags), size)) == flags


@pytest.mark.parametrize(
    ("values", "data"),
    [
        ([1, 1, 1], "0301"),
        ([1, 2, 3], "7d010203"),
        ([1, 2, 2], "7f010202"),
        ([None, 1], "00017f01"),
        ([1, None, None], "7f010002"),
        ([None, None], ""),
    ],
)
def test_runs_as_the_format_has_them(values: list[int | None], data: str) -> None:
    assert write_uints(values).hex() == data


def test_differences_and_booleans_as_the_format_has_them() -> None:
    assert write_deltas([10, 11, 12, 13, 2]).hex() == "7f0a03017f75"
    assert write_booleans([True, True, False]).hex() == "000201"
    assert write_booleans([False, False]).hex() == "02"


@pytest.mark.parametrize(
    "data",
    [
        "0101",  # a run of one
        "7f0101",  # cut off
        "7f017f02",  # two runs of single values
        "7e0101",  # single values that are equal
        "02010201",  # a run that goes on
        "7f010201",  # the same after a single value
        "00017f0100010001",  # two runs of nothing
        "0000",  # nothing, no times
        "0002",  # nothing at all
        "8000",
    ],
)
def test_other_spellings_are_refused(data: str) -> None:
    with pytest.raises(ChangeError):
        read_uints(bytes.fromhex(data), 100)


@pytest.mark.parametrize("data", ["00", "0000", "010001", "0200", "ff"])
def test_other_spellings_of_booleans_are_refused(data: str) -> None:
    with pytest.raises(ChangeError):
        read_booleans(bytes.fromhex(data), 100)


def test_a_column_makes_no_more_rows_than_allowed() -> None:
    bomb = bytes.fromhex("ffffffffff0f01")
    for read in (read_uints, read_deltas, read_strings):
        with pytest.raises(TooManyRowsError):
            read(bomb, 1000)
        with pytest.raises(TooManyRowsError):
            read(b"\x00" + bomb, 1000)
    with pytest.raises(TooManyRowsError):
        read_booleans(bomb, 1000)


def test_what_was_read_once_is_bounded_the_next_time_too() -> None:
    data = write_uints([5] * 9)
    assert len(read_uints(data, 9)) == 9
    with pytest.raises(TooManyRowsError):
        read_uints(data, 8)


def test_texts_are_utf8_and_end_within_their_column() -> None:
    for data in ("7f02c328", "7f05616263", "7fffffffffffffffff0161"):
        with pytest.raises(ChangeError):
            read_strings(bytes.fromhex(data), 9)


def test_counters_stay_within_bounds() -> None:
    assert read_deltas(write_deltas([NUMBER_MAX]), 1) == (NUMBER_MAX,)
    for values in ([NUMBER_MAX + 1], [-1], [5, -1]):
        with pytest.raises(ChangeError):
            read_deltas(write_deltas(values), 9)
