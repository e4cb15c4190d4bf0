"""JSON as it comes in: nothing that two readers could understand in two ways.

Law: duplicate keys, NaN, Infinity, numbers beyond 64 bits, U+0000, lone surrogates, a byte
order mark and nesting beyond the parser are refused with words; everything else is taken
unchanged (RFC 8259; the refusals follow its sections 4, 6, 8.1 and 8.2).
"""

import json
from collections import Counter
from math import isfinite
from typing import Any, Final, NoReturn

from node.memory.problems import RequestError

_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**64 - 1
_DIGITS_MAX: Final = 20
_FIELD_SHOWN_MAX: Final = 100


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
    value, escapes = unambiguous(body)
    # Raw control characters are no JSON and raw surrogates no UTF-8: only escapes can hide them.
    if escapes:
        _refuse_unprintable(value)
    return value


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
