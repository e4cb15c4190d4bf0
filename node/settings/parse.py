"""Turn text and TOML values into the declared types, or say what was expected.

Law: pure. A value is accepted whole or refused with the words a person needs to mend it;
nothing is clamped, guessed or dropped.
"""

import math
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_origin

from node.declare import Setting

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})


class Unfit(ValueError):  # noqa: N818 -- it says the value is unfit; callers turn it into an error
    """The value does not fit; the message says what would."""


def core_type(row: Setting) -> Any:
    """The declared type without `| None`."""
    if isinstance(row.type, UnionType):
        return next(part for part in get_args(row.type) if part is not NoneType)
    return row.type


def expected(row: Setting) -> str:
    """What a value of this setting looks like, in words."""
    kind, about = core_type(row), row.about
    if about.choices:
        return "one of " + ", ".join(about.choices)
    if kind is bool:
        return "true or false"
    if kind in (int, float):
        return _number_words(row, "a whole number" if kind is int else "a number")
    if kind is Path:
        return "a path"
    return "a list of texts" if get_origin(kind) is tuple else "a text"


def _number_words(row: Setting, noun: str) -> str:
    about = row.about
    unit = f" ({about.unit})" if about.unit else ""
    if about.minimum is not None and about.maximum is not None:
        return f"{noun} from {about.minimum:g} to {about.maximum:g}{unit}"
    if about.minimum is not None:
        return f"{noun} of at least {about.minimum:g}{unit}"
    return noun + unit


def from_text(row: Setting, text: str, folder: Path) -> Any:
    """Read a value from a flag or an environment variable.

    Args:
        row: the setting.
        text: what was given; lists have commas between items.
        folder: relative paths start here.

    Raises:
        Unfit: the text is no such value.
    """
    kind, text = core_type(row), text.strip()
    if kind is bool:
        if text.lower() not in _TRUE | _FALSE:
            raise Unfit(expected(row))
        return text.lower() in _TRUE
    if kind in (int, float):
        try:
            return _ranged(row, kind(text))
        except ValueError as error:
            raise Unfit(expected(row)) from error
    if get_origin(kind) is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return _text_or_path(row, text, folder)


def from_toml(row: Setting, value: object, folder: Path) -> Any:
    """Read a value that TOML has typed already.

    Raises:
        Unfit: another type, or out of range.
    """
    kind = core_type(row)
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return _ranged(row, value)
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return _ranged(row, float(value))
    if get_origin(kind) is tuple and isinstance(value, list):
        if all(isinstance(part, str) and part for part in value):
            return tuple(value)
        raise Unfit("a list of non-empty texts")
    if kind in (str, Path) and isinstance(value, str):
        return _text_or_path(row, value, folder)
    raise Unfit(expected(row))


def _ranged(row: Setting, number: float) -> float:
    low, high = row.about.minimum, row.about.maximum
    if not math.isfinite(number):
        raise Unfit(expected(row))
    if (low is not None and number < low) or (high is not None and number > high):
        raise Unfit(expected(row))
    return number


def _text_or_path(row: Setting, text: str, folder: Path) -> str | Path:
    if "-----BEGIN" in text:
        raise Unfit("the path of a file, not the secret itself")
    if "\0" in text or (core_type(row) is Path and not text):
        raise Unfit(expected(row))
    if row.about.choices and text not in row.about.choices:
        raise Unfit(expected(row))
    if core_type(row) is Path:
        return folder / Path(text).expanduser()
    return text
