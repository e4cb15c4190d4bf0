"""Few arenas for the C library's allocator.

Law: asked once, before there are threads; where the library knows no such thing, nothing
happens. glibc gives each thread an arena of its own, up to eight for each processor, and keeps in
each what was freed there: a node whose index is written by changing threads grew to 300 MiB on
two processors, most of it free, and to 110 with two arenas. Python's own small objects do not
come from there.
"""

import ctypes
from contextlib import suppress
from typing import Final

_M_ARENA_MAX: Final = -8  # malloc.h of glibc, mallopt(3)
_ARENAS: Final = 2


def few_arenas() -> bool:
    """Ask for few arenas; whether the library agreed."""
    with suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS))
    return False
