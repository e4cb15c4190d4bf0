"""The two columns that hold the values of operations: their types and lengths, and their bytes.

Law: as of `columns`. What a type takes no bytes for has none, a number is written in its shortest
form, and no byte is left over (Automerge binary format, value columns).
"""

from collections.abc import Iterable
from struct import Struct
from typing import Final

from crdt.document.columns import read_uints, write_uints
from crdt.document.leb import read_sleb, read_uleb, sleb, uleb
from crdt.document.model import NULL, ChangeError, Scalar, ScalarKind

_KIND_BITS: Final = 4
_KINDS: Final = 16
_DOUBLE: Final = Struct("<d")
_CHARACTER: Final = 1 << _KIND_BITS | ScalarKind.STRING
"""Type and length of one ASCII character: nearly all that is ever written into a text."""

_ASCII: Final = tuple(Scalar(ScalarKind.STRING, chr(code)) for code in range(128))
_EMPTY: Final = {
    ScalarKind.NULL: NULL,
    ScalarKind.FALSE: Scalar(ScalarKind.FALSE, False),
    ScalarKind.TRUE: Scalar(ScalarKind.TRUE, True),
}
_SIGNED: Final = {ScalarKind.INT, ScalarKind.COUNTER, ScalarKind.TIMESTAMP}


def _bytes_of(kind: int, value: object) -> bytes:
    if kind in _EMPTY:
        known = value is _EMPTY[ScalarKind(kind)].value
        if known:
            return b""
    elif kind == ScalarKind.STRING and isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise ChangeError("a text holds half of a surrogate pair") from error
    elif kind == ScalarKind.FLOAT and isinstance(value, float):
        return _DOUBLE.pack(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        if kind == ScalarKind.UINT:
            return uleb(value)
        if kind in _SIGNED:
            return sleb(value)
    elif isinstance(value, bytes) and (kind == ScalarKind.BYTES or 9 < kind < _KINDS):  # noqa: PLR2004
        return value
    raise ChangeError(f"{type(value).__name__} is no value of type {kind}")


def write_values(values: Iterable[Scalar]) -> tuple[bytes, bytes]:
    """The column of types and lengths, and the column of bytes.

    Raises:
        ChangeError: a value does not fit its type.
    """
    metas: list[int] = []
    parts: list[bytes] = []
    for kind, value in values:
        data = _bytes_of(kind, value)
        metas.append(len(data) << _KIND_BITS | kind)
        parts.append(data)
    return write_uints(metas), b"".join(parts)


def read_values(meta: bytes, raw: bytes, count: int) -> list[Scalar]:
    """The values of `count` operations.

    Raises:
        ChangeError: there are more or fewer, or bytes that are no such values.
    """
    metas = read_uints(meta, count)
    if len(metas) != count:
        raise ChangeError(f"{len(metas)} values for {count} operations")
    values: list[Scalar] = []
    at = 0
    end = len(raw)
    for one in metas:
        if one == _CHARACTER and at < end and raw[at] < len(_ASCII):
            values.append(_ASCII[raw[at]])
            at += 1
        elif one is None:
            raise ChangeError("an operation without a value")
        else:
            start, at = at, at + (one >> _KIND_BITS)
            if at > end:
                raise ChangeError("a value is longer than its column")
            values.append(_value(one & (_KINDS - 1), raw[start:at]))
    if at != end:
        raise ChangeError("bytes are left over that belong to no value")
    return values


def _value(kind: int, data: bytes) -> Scalar:
    if kind in _EMPTY:
        if data:
            raise ChangeError(f"a value of type {kind} has bytes")
        return _EMPTY[ScalarKind(kind)]
    if kind == ScalarKind.STRING:
        try:
            return Scalar(ScalarKind.STRING, data.decode())
        except UnicodeDecodeError as error:
            raise ChangeError("a text is not UTF-8") from error
    if kind == ScalarKind.UINT or kind in _SIGNED:
        number, end = (read_uleb if kind == ScalarKind.UINT else read_sleb)(data, 0)
        if end != len(data):
            raise ChangeError("a number has bytes to spare")
        return Scalar(ScalarKind(kind), number)
    if kind == ScalarKind.FLOAT:
        if len(data) != _DOUBLE.size:
            raise ChangeError("a floating-point number takes 8 bytes")
        return Scalar(ScalarKind.FLOAT, _DOUBLE.unpack(data)[0])
    return Scalar(ScalarKind.BYTES if kind == ScalarKind.BYTES else kind, data)
