"""Messages of the protocol, and which errors leave no doubt.

Law: bytes become a `Message` here or a `MalformedError`; nobody else looks at JSON lines.

Source: Maelstrom, doc/protocol.md.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

ERRORS: Final[Mapping[int, tuple[str, bool]]] = {
    0: ("timeout", False),
    1: ("node-not-found", True),
    10: ("not-supported", True),
    11: ("temporarily-unavailable", True),
    12: ("malformed-request", True),
    13: ("crash", False),
    14: ("abort", True),
    20: ("key-does-not-exist", True),
    21: ("key-already-exists", True),
    22: ("precondition-failed", True),
    30: ("txn-conflict", True),
}
"""Code -> name, and whether the operation certainly did not happen."""

_SHOWN_CHARS: Final = 200


class MalformedError(ValueError):
    """A line, or an answer, that the protocol does not have."""


class Message(NamedTuple):
    """One message.

    Attributes:
        src: who sent it.
        dest: who is to get it.
        body: its payload.
        line: the bytes as they came, with their end.
    """

    src: str
    dest: str
    body: Mapping[str, Any]
    line: bytes


def made(src: str, dest: str, body: Mapping[str, Any]) -> Message:
    """A message of our own."""
    row = {"src": src, "dest": dest, "body": body}
    line = json.dumps(row, separators=(",", ":")).encode() + b"\n"
    return Message(src, dest, body, line)


def read(line: bytes) -> Message:
    """The message of one line.

    Raises:
        MalformedError: it is none.
    """
    shown = line[:_SHOWN_CHARS].decode("utf-8", "replace")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"not JSON: {shown!r}") from error
    if not isinstance(row, dict):
        raise MalformedError(f"not an object: {shown!r}")
    src, dest, body = row.get("src"), row.get("dest"), row.get("body")
    if not (isinstance(src, str) and isinstance(dest, str) and isinstance(body, dict)):
        raise MalformedError(f"without `src`, `dest` or `body`: {shown!r}")
    return Message(src, dest, body, line.rstrip(b"\r\n") + b"\n")


def canonical(value: object) -> str:
    """The text by which two values are the same."""
    if type(value) is int:
        return str(value)  # as the encoder has it; nearly all elements are integers
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
