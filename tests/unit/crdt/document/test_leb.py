import random

import pytest

from crdt.document.leb import read_sleb, read_uleb, sleb, uleb
from crdt.document.model import ChangeError

EDGES = [0, 1, 63, 64, 127, 128, 255, 8191, 8192, 16383, 16384, 2**31, 2**53, 2**63 - 1]


def test_numbers_come_back() -> None:
    r = random.Random(7)
    numbers = EDGES + [r.getrandbits(r.randint(1, 63)) for _ in range(500)]
    for number in [*numbers, 2**64 - 1]:
        assert read_uleb(b"?" + uleb(number) + b"?", 1) == (number, 1 + len(uleb(number)))
    for number in numbers:
        for one in (number, -number, ~number):
            assert read_sleb(b"?" + sleb(one) + b"?", 1) == (one, 1 + len(sleb(one)))


@pytest.mark.parametrize(
    ("number", "data"), [(0, "00"), (127, "7f"), (128, "8001"), (624485, "e58e26")]
)
def test_unsigned_numbers_of_the_literature(number: int, data: str) -> None:
    assert uleb(number).hex() == data


@pytest.mark.parametrize(
    ("number", "data"),
    [(2, "02"), (-2, "7e"), (127, "ff00"), (-127, "817f"), (128, "8001"), (-128, "807f")],
)
def test_signed_numbers_of_the_literature(number: int, data: str) -> None:
    assert sleb(number).hex() == data


@pytest.mark.parametrize("data", ["", "80", "8000", "ff8000", "ff" * 9 + "02", "80" * 10 + "01"])
def test_what_is_no_unsigned_number(data: str) -> None:
    with pytest.raises(ChangeError):
        read_uleb(bytes.fromhex(data), 0)


@pytest.mark.parametrize(
    "data", ["", "ff", "bf00", "81ff7f", "ff" * 9 + "01", "80" * 9 + "7e", "ff7f", "80" * 11]
)
def test_what_is_no_signed_number(data: str) -> None:
    with pytest.raises(ChangeError):
        read_sleb(bytes.fromhex(data), 0)


def test_what_does_not_fit_is_not_written() -> None:
    for number in (-1, 2**64):
        with pytest.raises(ChangeError):
            uleb(number)
    for number in (2**63, -(2**63) - 1):
        with pytest.raises(ChangeError):
            sleb(number)
