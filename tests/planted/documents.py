"""Planted bugs of documents that many write: their changes as bytes, packed and gathered.

Law: as of `tests.planted.bug`; numbers from 49 to 60.
"""

from typing import Final

from tests.planted.bug import Planted
from tests.planted.layers import Watch

DOCUMENTS: Final = (
    Planted(
        name="49-run-of-one-is-a-second-spelling",
        meaning="a change is taken that other programs would write with another hash",
        watch=Watch(property=("tests/property/test_document_codec.py",)),
    ),
    Planted(
        name="50-fold-forgets-the-order-within-a-millisecond",
        meaning="what is folded comes out with another stamp than it was written with",
        watch=Watch(property=("tests/property/test_document_pack.py",)),
    ),
    Planted(
        name="51-rival-that-is-read-first-stays",
        meaning="which of two changes with one number is kept depends on which came first",
        watch=Watch(property=("tests/property/test_document_gathering.py",)),
    ),
    Planted(
        name="52-growth-puts-what-is-new-at-the-end",
        meaning="a document that grew has its changes in another order than one read anew",
        watch=Watch(property=("tests/property/test_document_gathering.py",)),
    ),
)
