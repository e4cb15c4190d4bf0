"""Whether a time source disciplines the clock of this machine, as the kernel says.

Law: asks and changes nothing. Where the kernel cannot be asked, a note of the usual time service
counts; else nothing is known.

Source: adjtimex(2); STA_UNSYNC and the fields of struct timex, Linux with 64-bit words.
"""

import ctypes
import struct
import sys
from pathlib import Path
from typing import Final

_TIMEX_BYTES: Final = 256
_MAX_ERROR_AT: Final = 24
_STATUS_AT: Final = 40
_UNSYNCHRONISED: Final = 0x40
_TIME_ERROR: Final = 5
_WORD_BYTES: Final = 8
# Left by systemd-timesyncd when it has set the clock; also seen from within a container.
_NOTE: Final = Path("/run/systemd/timesync/synchronized")


def synchronised() -> tuple[bool | None, int]:
    """Whether the clock is disciplined (None: unknown), and how far off it may be (ms)."""
    known = _ask_kernel()
    if known is None:
        return (True, 0) if _NOTE.exists() else (None, 0)
    state, status, max_error_us = known
    return not (status & _UNSYNCHRONISED or state == _TIME_ERROR), max_error_us // 1000


def _ask_kernel() -> tuple[int, int, int] | None:
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_long) != _WORD_BYTES:
        return None
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return None
    # All zero: modes that change nothing.
    raw = ctypes.create_string_buffer(_TIMEX_BYTES)
    state = int(adjtimex(raw))
    if state < 0:
        return None
    (max_error_us,) = struct.unpack_from("=q", raw, _MAX_ERROR_AT)
    (status,) = struct.unpack_from("=i", raw, _STATUS_AT)
    return state, status, max_error_us
