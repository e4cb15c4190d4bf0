"""As much of the protocol of Redis as the load needs: SET, and SET with WAIT behind it.

Law: an answer counts once all of it is there and says what was wanted; a WAIT that no replica
met in time is told as short, never as good. Source: the RESP2 specification of Redis.
"""

import functools
from collections.abc import Callable
from typing import Final

from tests.benchmarks.shapes import content

GOOD: Final = "OK"
KINDS: Final = frozenset({"redis-set", "redis-set-wait"})
DIGITS: Final = 16
_WAIT_MS: Final = b"5000"


def command(*words: bytes) -> bytes:
    """One command as an array of bulk strings."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


def halves(kind: str, size: int) -> tuple[bytes, bytes]:
    """What is sent before and after the number that is the key; the WAIT goes in the same send."""
    place = b"#" * DIGITS
    sent = command(b"SET", place, content(size).encode())
    if kind == "redis-set-wait":
        sent += command(b"WAIT", b"1", _WAIT_MS)
    before, _, after = sent.partition(place)
    return before, after


def answer(data: bytes, *, waits: bool) -> str | None:
    """The status of the one or two answers; None while more has to come."""
    if not data.endswith(b"\r\n"):
        return None
    lines = data[:-2].split(b"\r\n")
    if lines[0] != b"+OK":
        return "refused"
    if not waits:
        return GOOD if len(lines) == 1 else "too much"
    if len(lines) == 1:
        return None
    if len(lines) > 2 or lines[1][:1] != b":":
        return "refused"
    return GOOD if int(lines[1][1:]) >= 1 else "short"


def speaker(kind: str) -> Callable[[bytes], str | None]:
    """What reads the answers to one kind of request."""
    return functools.partial(answer, waits=kind == "redis-set-wait")
