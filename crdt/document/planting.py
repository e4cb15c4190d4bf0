"""JSON as operations that write it.

Law: an object is made before what is in it, and names are counted as operations are written, so
what is planned refers to itself without being in any document yet. Strings become texts, as in
version 3 of the JavaScript library: whoever wants one that is only replaced as a whole says so.
"""

import base64
import binascii
import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from crdt.document.edits import BadEditError, encodable, quoted
from crdt.document.model import (
    NULL,
    Action,
    ChangeOp,
    DocumentTooLargeError,
    OpId,
    Scalar,
    ScalarKind,
)

VALUE_DEPTH_MAX: Final = 32
"""Objects and lists inside each other in one value that is written."""

_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**63 - 1
_UINT_MAX: Final = 2**64 - 1
_FLOAT_MAX: Final = sys.float_info.max


class Plan:
    """Operations of one author, as they are thought up.

    Attributes:
        actor: who.
        start_op: counter of the first.
        ops: what there is so far.
        ops_max: how many there may be.
    """

    def __init__(self, actor: bytes, start_op: int, ops_max: int) -> None:
        self.actor = actor
        self.start_op = start_op
        self.ops: list[ChangeOp] = []
        self.ops_max = ops_max

    def next(self) -> OpId:
        """The name of the operation that is added next."""
        return OpId(self.start_op + len(self.ops), self.actor)

    def add(self, op: ChangeOp) -> OpId:
        """Add an operation; its name.

        Raises:
            DocumentTooLargeError: there are as many as a change may have.
        """
        if len(self.ops) >= self.ops_max:
            raise DocumentTooLargeError("change_ops_max", self.ops_max, len(self.ops) + 1)
        named = self.next()
        self.ops.append(op)
        return named

    def characters(self, obj: OpId | None, behind: OpId | None, text: str) -> OpId | None:
        """Write a text behind an element, an element for each code point; the last one's name."""
        if len(self.ops) + len(text) > self.ops_max:
            got = len(self.ops) + len(text)
            raise DocumentTooLargeError("change_ops_max", self.ops_max, got)
        kind = ScalarKind.STRING
        for one in encodable(text):
            behind = self.add(ChangeOp(obj, behind, True, Action.SET, Scalar(kind, one)))
        return behind

    def value(
        self,
        place: ChangeOp,
        value: object,
        kind: str | None = None,
        depth: int = 0,
    ) -> OpId:
        """Write a value; the name of the operation that makes it.

        Args:
            place: says where: its object, key, whether it inserts, and predecessors.
            value: JSON.
            kind: one of `edits.TYPES`, or None to go by the value alone.
            depth: objects around it in the value that is written.

        Raises:
            BadEditError: the value cannot be of this type, or lies too deep.
            DocumentTooLargeError: as `add`.
        """
        if kind in {None, "text"} and isinstance(value, str):
            named = self.add(place._replace(action=Action.MAKE_TEXT, value=NULL))
            self.characters(named, None, value)
            return named
        if kind is None and isinstance(value, (Mapping, list, tuple)):
            if depth >= VALUE_DEPTH_MAX:
                raise BadEditError(f"objects lie deeper in each other than {VALUE_DEPTH_MAX}")
            return self._object(place, value, depth)
        return self.add(place._replace(action=Action.SET, value=scalar_of(value, kind)))

    def _object(
        self, place: ChangeOp, value: Mapping[Any, Any] | list[Any] | tuple[Any, ...], depth: int
    ) -> OpId:
        if isinstance(value, Mapping):
            named = self.add(place._replace(action=Action.MAKE_MAP, value=NULL))
            for key, inner in value.items():
                if not isinstance(key, str):
                    raise BadEditError(f"a key is a string, not {quoted(key)}")
                where = ChangeOp(named, encodable(key), False, Action.SET)
                self.value(where, inner, None, depth + 1)
            return named
        named = self.add(place._replace(action=Action.MAKE_LIST, value=NULL))
        behind: OpId | None = None
        for inner in value:
            where = ChangeOp(named, behind, True, Action.SET)
            behind = self.value(where, inner, None, depth + 1)
        return named


def scalar_of(value: object, kind: str | None) -> Scalar:
    """A value of JSON as a scalar of a type; None as `kind` goes by the value.

    Raises:
        BadEditError: it cannot be of this type.
    """
    if kind is None:
        return _untyped(value)
    if kind == "timestamp":
        return Scalar(ScalarKind.TIMESTAMP, _milliseconds(value))
    fits: Scalar | None = None
    if isinstance(value, str):
        if kind == "string":
            fits = Scalar(ScalarKind.STRING, encodable(value))
        elif kind == "bytes":
            fits = Scalar(ScalarKind.BYTES, _unbased(value))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if kind == "float" and abs(value) <= _FLOAT_MAX:
            fits = Scalar(ScalarKind.FLOAT, float(value))
        elif isinstance(value, int):
            fits = _whole(value, kind)
    if fits is None:
        raise BadEditError(f"a value of type {kind} is {_WANTED[kind]}, not {quoted(value)}")
    return fits


def _whole(value: int, kind: str) -> Scalar | None:
    if kind == "uint" and 0 <= value <= _UINT_MAX:
        return Scalar(ScalarKind.UINT, value)
    if kind in _WHOLE and _INT_MIN <= value <= _INT_MAX:
        return Scalar(_WHOLE[kind], value)
    return None


def _unbased(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadEditError(f"bytes are written as base64, not {quoted(value)}") from error


_WHOLE: Final = {"int": ScalarKind.INT, "counter": ScalarKind.COUNTER}
_WANTED: Final = {
    "text": "a string",
    "string": "a string",
    "int": "a whole number of 64 bits",
    "uint": "a whole number from 0 to 2^64 - 1",
    "float": "a number",
    "counter": "a whole number of 64 bits",
    "timestamp": "RFC 3339 words or milliseconds",
    "bytes": "a string of base64",
}


def _untyped(value: object) -> Scalar:
    if value is None:
        return NULL
    if isinstance(value, bool):
        return Scalar(ScalarKind.TRUE if value else ScalarKind.FALSE, value)
    if isinstance(value, int) and _INT_MIN <= value <= _INT_MAX:
        return Scalar(ScalarKind.INT, value)
    if isinstance(value, int) and 0 <= value <= _UINT_MAX:
        return Scalar(ScalarKind.UINT, value)
    if isinstance(value, float) and math.isfinite(value):
        return Scalar(ScalarKind.FLOAT, value)
    raise BadEditError(f"{quoted(value)} is no value of JSON, or a number beyond 64 bits")


def _milliseconds(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and _INT_MIN <= value <= _INT_MAX:
        return value
    if isinstance(value, str):
        try:
            when = datetime.fromisoformat(value)
        except ValueError:
            when = None
        if when is not None and when.tzinfo is not None:
            since = when - datetime(1970, 1, 1, tzinfo=UTC)
            return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
    raise BadEditError(
        f"a timestamp is written as 2026-01-31T12:00:00.000Z or as milliseconds,"
        f" not {quoted(value)}"
    )
