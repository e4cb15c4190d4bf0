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
_POOL_BYTES: Final = 4096
_ID_CHARS: Final = 32
_LEAD_CHARS: Final = 3
"""The first 12 of the bits that ids of a run share; two more lead the next character."""

_HEX: Final = "0123456789abcdef"
_VARIANT: Final = {digit: "89ab"[place & 3] for place, digit in enumerate(_HEX)}


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
        self._pool = ""
        self._at = 0
        self._left = 0
        self._lead = ""
        self._fourth: dict[str, str] = {}

    def draw(self) -> str:
        """A new id."""
        at = self._at
        if at >= len(self._pool):
            self._pool, at = self._entropy(_POOL_BYTES).hex(), 0
        self._at = at + _ID_CHARS
        drawn = self._pool[at : at + _ID_CHARS]
        if not self._left:
            self._begin(drawn)
        self._left -= 1
        return (
            f"{self._lead}{self._fourth[drawn[3]]}{drawn[4:8]}-{drawn[8:12]}-4{drawn[13:16]}"
            f"-{_VARIANT[drawn[16]]}{drawn[17:20]}-{drawn[20:]}"
        )

    def _begin(self, drawn: str) -> None:
        """Ids begin from now on with the first 14 bits of what was drawn."""
        self._left, self._lead = _RUN, drawn[:_LEAD_CHARS]
        shared = int(drawn[_LEAD_CHARS], 16) & 0b1100
        self._fourth = {digit: _HEX[shared | place & 3] for place, digit in enumerate(_HEX)}
