"""The words of the Maelstrom node protocol.

Law: one JSON object a line, `src`, `dest` and `body`; a line that is none is a `ProtocolError`
and ends nothing. Error codes are the published ones, each with its certainty: a definite error
is only ever answered when the operation did not and will not happen.

Source: Maelstrom, doc/protocol.md and doc/workloads.md (Jepsen), read in 2026.
"""

import json
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final, NamedTuple

Body = Mapping[str, Any]
"""The payload of a message; JSON leaves have no better type."""


class Code(IntEnum):
    """The published error codes that a node of ours answers with."""

    TIMEOUT = 0
    NOT_SUPPORTED = 10
    TEMPORARILY_UNAVAILABLE = 11
    MALFORMED_REQUEST = 12
    CRASH = 13
    ABORT = 14
    PRECONDITION_FAILED = 22

    @property
    def definite(self) -> bool:
        """Whether the operation certainly did not happen."""
        return self not in _INDEFINITE


_INDEFINITE: Final = frozenset({Code.TIMEOUT, Code.CRASH})


class ProtocolError(ValueError):
    """A line that is no message."""


class RpcError(Exception):
    """A request that is answered with an error.

    Attributes:
        code: which one.
        text: for people.
    """

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Message(NamedTuple):
    """One message of the network.

    Attributes:
        src: who sent it.
        dest: who is to get it.
        body: the payload; `type` is in it.
    """

    src: str
    dest: str
    body: Body

    @property
    def kind(self) -> str:
        """The type that the body names; empty when it names none."""
        kind = self.body.get("type")
        return kind if isinstance(kind, str) else ""


def decode(line: str | bytes) -> Message:
    """The message of one line.

    Raises:
        ProtocolError: it is none.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {error}") from error
    if not isinstance(row, dict):
        raise ProtocolError("a message is an object")
    src, dest, body = row.get("src"), row.get("dest"), row.get("body")
    if not isinstance(src, str) or not isinstance(dest, str) or not isinstance(body, dict):
        raise ProtocolError("a message has `src`, `dest` and an object as `body`")
    return Message(src, dest, body)


def encode(message: Message) -> str:
    """The line of a message, with its end."""
    row = {"src": message.src, "dest": message.dest, "body": message.body}
    return json.dumps(row, separators=(",", ":")) + "\n"


def msg_id(body: Body) -> int | None:
    """The number under which an answer is awaited; None when nobody awaits one."""
    number = body.get("msg_id")
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def error_body(error: RpcError) -> dict[str, Any]:
    """The body of an error, without `in_reply_to`."""
    return {"type": "error", "code": int(error.code), "text": error.text}
