import math
import random

import pytest

from crdt.document.model import ChangeError, Scalar, ScalarKind
from crdt.document.values import read_values, write_values
from tests.unit.crdt.document.changes_rig import random_scalar

ALL = [
    (Scalar(ScalarKind.NULL, None), "00", ""),
    (Scalar(ScalarKind.FALSE, False), "01", ""),
    (Scalar(ScalarKind.TRUE, True), "02", ""),
    (Scalar(ScalarKind.UINT, 300), "23", "ac02"),
    (Scalar(ScalarKind.INT, -65), "24", "bf7f"),
    (Scalar(ScalarKind.FLOAT, 1.5), "8501", "000000000000f83f"),
    (Scalar(ScalarKind.STRING, "hé"), "36", "68c3a9"),
    (Scalar(ScalarKind.BYTES, b"\x00\xff"), "27", "00ff"),
    (Scalar(ScalarKind.COUNTER, 3), "18", "03"),
    (Scalar(ScalarKind.TIMESTAMP, 1_700_000_000_123), "69", "fbd095ffbc31"),
    (Scalar(15, b"later"), "5f", "6c61746572"),
]


@pytest.mark.parametrize(("value", "meta", "raw"), ALL, ids=str)
def test_types_lengths_and_bytes_as_the_format_has_them(value: Scalar, meta: str, raw: str) -> None:
    written = write_values([value])
    assert written == (bytes.fromhex("7f" + meta), bytes.fromhex(raw))
    assert read_values(*written, 1) == [value]


def test_values_come_back() -> None:
    r = random.Random(31)
    for size in (1, 2, 7, 50):
        values = [random_scalar(r) for _ in range(size)]
        assert read_values(*write_values(values), size) == values


def test_what_is_no_number_is_a_number_of_its_own() -> None:
    (value,) = read_values(*write_values([Scalar(ScalarKind.FLOAT, math.nan)]), 1)
    assert isinstance(value.value, float)
    assert math.isnan(value.value)


def test_there_is_a_value_for_each_operation() -> None:
    written = write_values([value for value, _, _ in ALL])
    for count in (len(ALL) - 1, len(ALL) + 1):
        with pytest.raises(ChangeError):
            read_values(*written, count)


@pytest.mark.parametrize(
    "bad",
    [
        Scalar(ScalarKind.NULL, False),
        Scalar(ScalarKind.TRUE, 1),
        Scalar(ScalarKind.INT, True),
        Scalar(ScalarKind.INT, 1.0),
        Scalar(ScalarKind.FLOAT, 1),
        Scalar(ScalarKind.STRING, b"x"),
        Scalar(ScalarKind.BYTES, "x"),
        Scalar(12, 5),
        Scalar(-1, b""),
        Scalar(16, b""),
    ],
    ids=str,
)
def test_a_value_fits_its_type(bad: Scalar) -> None:
    with pytest.raises(ChangeError):
        write_values([bad])
