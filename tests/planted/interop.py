"""Planted bugs of what documents share with other programs: bytes from them, and their opinion.

Law: as of `tests.planted.bug`; numbers from 64 to 67.
"""

from typing import Final

from tests.planted.bug import Planted
from tests.planted.layers import Watch

_HOSTILE: Final = "tests/property/test_document_hostile.py::test_three_hundred_hostile_inputs"

INTEROP: Final = (
    Planted(
        name="64-panic-is-let-through",
        meaning="when the second program dies of a document, so does whoever asked it",
        watch=Watch(property=("tests/unit/crdt/document/test_second_opinion.py",)),
    ),
    Planted(
        name="65-chunks-are-not-counted-together",
        meaning="a body of short chunks becomes more operations than memory holds",
        watch=Watch(property=("tests/unit/crdt/document/test_change.py",)),
    ),
    Planted(
        name="66-deflated-chunk-is-inflated-to-its-end",
        meaning="a deflated chunk takes as much memory as it likes before it is refused",
        watch=Watch(property=(_HOSTILE,)),
    ),
    Planted(
        name="67-smaller-name-shows",
        meaning="of what was written at once another value shows than in the official library",
        watch=Watch(property=("tests/interop/test_scripts.py::test_a_dozen_scripts",)),
    ),
)
