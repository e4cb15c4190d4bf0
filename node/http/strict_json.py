"""JSON as it comes in: nothing that two readers could understand in two ways.

Law: duplicate keys, NaN, Infinity, numbers beyond 64 bits, U+0000, lone surrogates, a byte
order mark and nesting beyond the parser are refused with words; everything else is taken
unchanged (RFC 8259; the refusals follow its sections 4, 6, 8.1 and 8.2).

A quick reader goes first. Its value counts only when the strict one would have given the same:
when as many texts are in it as quotes were in the body, so that no key was lost to a second of
its name, and nothing in it is deep, large or escaped enough for the two to differ.
"""

import json
from collections import Counter
from math import isfinite
from typing import Any, Final, NoReturn

import orjson

from node.memory.problems import RequestError

_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**64 - 1
_DIGITS_MAX: Final = 20
_FIELD_SHOWN_MAX: Final = 100
_FLOAT_MAX: Final = 2.0**62
"""Whole numbers beyond 64 bits become floats in the quick reader, and are above this."""

_QUICK_DEPTH_MAX: Final = 16
_LOST: Final = -(2**62)
"""Makes any count of texts a wrong one."""


class BadJsonError(RequestError):
    """The body is not JSON, or not unambiguous."""

    code = "invalid_json"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise BadJsonError(f"the key {twice[:64]!r} stands twice in one object")
    return out


def _constant(name: str) -> NoReturn:
    raise BadJsonError(f"{name} is no JSON number")


def _int(text: str) -> int:
    if len(text) <= _DIGITS_MAX:
        value = int(text)
        if _INT_MIN <= value <= _INT_MAX:
            return value
    raise BadJsonError("a whole number is beyond 64 bits")


def _float(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise BadJsonError("a number is beyond the range of a double")
    return value


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_int=_int, parse_float=_float
)


def parse(body: bytes) -> Any:
    """The value of a JSON text; an empty one is `{}`.

    Raises:
        BadJsonError: it is not JSON, or could be understood in two ways.
    """
    if not body:
        return {}
    value = _quickly(body)
    if value is not _UNSURE:
        return value
    value, escapes = unambiguous(body)
    # Raw control characters are no JSON and raw surrogates no UTF-8: only escapes can hide them.
    if escapes:
        _refuse_unprintable(value)
    return value


_UNSURE: Final = object()


def _quickly(body: bytes) -> Any:
    """The value of a JSON text that only one value can be read in, else `_UNSURE`."""
    quotes = body.count(b'"')
    if b"\\" in body:
        if b"\\\\" in body or b"\\u" in body:
            return _UNSURE
        quotes -= body.count(b'\\"')
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _UNSURE
    return value if 2 * _texts(value, _QUICK_DEPTH_MAX) == quotes else _UNSURE


def _texts(value: Any, depth: int) -> int:
    """How many texts are in a value, keys included; as good as none if in doubt about it."""
    kind = type(value)
    if kind is str:
        return 1
    if kind is dict:
        if not depth:
            return _LOST
        count = len(value)
        for one in value.values():
            count += 1 if type(one) is str else _texts(one, depth - 1)
        return count
    if kind is list:
        if not depth:
            return _LOST
        count = 0
        for one in value:
            count += 1 if type(one) is str else _texts(one, depth - 1)
        return count
    return _LOST if kind is float and not -_FLOAT_MAX < value < _FLOAT_MAX else 0


def unambiguous(body: bytes) -> tuple[Any, bool]:
    """The value of a JSON text whatever its texts hold, and whether any may be escaped.

    Raises:
        BadJsonError: it is not JSON, or could be understood in two ways.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise BadJsonError(f"not UTF-8 at byte {error.start}") from error
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        said = error.msg.removesuffix(" at")  # some of its messages end so
        raise BadJsonError(f"not JSON: {said} at character {error.pos}") from error
    except RecursionError as error:
        raise BadJsonError("nested too deeply") from error
    return value, "\\u" in text


def _refuse_unprintable(value: Any) -> None:
    """Walk the value; what is refused is named by the field it stands in."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        field, one = waiting.pop()
        if isinstance(one, str):
            _refuse_text(field, one)
        elif isinstance(one, list):
            waiting.extend((f"{field}[{place}]", part) for place, part in enumerate(one))
        elif isinstance(one, dict):
            for name, part in one.items():
                _refuse_text(f"a key of {field}" if field else "a key", name)
                waiting.append((f"{field}.{name}" if field else name, part))


def _refuse_text(field: str, text: str) -> None:
    where = field[:_FIELD_SHOWN_MAX] or "the text"
    if "\0" in text:
        raise BadJsonError(f"{where}: contains U+0000")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise BadJsonError(f"{where}: contains half a surrogate pair") from error
