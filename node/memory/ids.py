"""Ids of new records: UUIDs of version 4, drawn in runs.

Law: unguessable and unique (RFC 9562, section 5.4): at least 108 fresh random bits in every
id. The ids of one run share their first 14 bits, drawn anew for every run; so the records of
one commit lie on a few pages of the store instead of one page each, and a prefix of six
characters still tells the ids of a run apart. Random bytes are drawn a page at a time, since a
system call an id costs more than all the rest.
"""

from collections.abc import Callable
from typing import Final

_RUN: Final = 128
_LEAD_BITS: Final = 14
_POOL_BYTES: Final = 4096
_FREE: Final = (1 << 128 - _LEAD_BITS) - 1 ^ (0xF << 76) ^ (0x3 << 62)
_VERSION: Final = 0x4 << 76 | 0x2 << 62


def uuid_text(number: int) -> str:
    """The text of a 128-bit number as a UUID."""
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class RecordIds:
    """Draws ids.

    Args:
        entropy: gives so many random bytes.
    """

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._pool = b""
        self._at = 0
        self._left = 0
        self._lead = 0

    def draw(self) -> str:
        """A new id."""
        if self._at >= len(self._pool):
            self._pool, self._at = self._entropy(_POOL_BYTES), 0
        drawn = int.from_bytes(self._pool[self._at : self._at + 16], "big")
        self._at += 16
        if not self._left:
            self._left, self._lead = _RUN, drawn >> 128 - _LEAD_BITS << 128 - _LEAD_BITS
        self._left -= 1
        return uuid_text(drawn & _FREE | self._lead | _VERSION)
