"""The header that names a trace: read and written (W3C Trace Context, section 3.2).

Law: pure; what does not have the shape of the standard names no trace, and is never repeated.
"""

import re
from dataclasses import dataclass
from typing import Final

HEADER: Final = "traceparent"
BYTES: Final = 25

_SHAPE: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED: Final = 1
_TRACE_BYTES: Final = 16
_SPAN_BYTES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceParent:
    """A place in a trace.

    Attributes:
        trace_id: 128 bits, not 0.
        span_id: 64 bits, not 0.
        sampled: whether who began the trace wants it recorded.
    """

    trace_id: int
    span_id: int
    sampled: bool

    def text(self) -> str:
        """As a header, version 00."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{int(self.sampled):02x}"

    def packed(self) -> bytes:
        """As 25 bytes, for peers."""
        ids = self.trace_id.to_bytes(_TRACE_BYTES) + self.span_id.to_bytes(_SPAN_BYTES)
        return ids + bytes([self.sampled])


def read(text: str | None) -> TraceParent | None:
    """What a header names; None for no header, and for one that is not of the standard."""
    match = _SHAPE.fullmatch(text) if text is not None else None
    if match is None or match[1] == "ff" or (match[1] == "00" and match[5]):
        return None
    return _valid(int(match[2], 16), int(match[3], 16), int(match[4], 16))


def unpacked(data: object) -> TraceParent | None:
    """What 25 bytes of a peer name; None when they are not that."""
    if not isinstance(data, bytes) or len(data) != BYTES:
        return None
    return _valid(
        int.from_bytes(data[:_TRACE_BYTES]), int.from_bytes(data[_TRACE_BYTES:-1]), data[-1]
    )


def _valid(trace_id: int, span_id: int, flags: int) -> TraceParent | None:
    if not trace_id or not span_id:
        return None
    return TraceParent(trace_id=trace_id, span_id=span_id, sampled=bool(flags & _SAMPLED))
