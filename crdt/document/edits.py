"""Edits as people and agents ask for them, read from JSON.

Law: JSON becomes typed values here and nowhere else; what cannot be meant says which edit it is,
what is wrong with it and what to send instead.

    {"op": "put", "path": ["a", "b", 0], "value": any, "type"?}
    {"op": "insert", "path": ["list", index], "value": any | "values": [any, ...], "type"?}
    {"op": "delete", "path": ["a", "b", 0], "count"?}
    {"op": "splice", "path": ["text or list"], "index"?, "delete"?, "insert"?, "type"?}
    {"op": "increment", "path": ["counter"], "by"?}

A path goes from the root through keys of maps and indexes of lists. Types of a value: text,
string, int, uint, float, counter, timestamp, bytes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

TYPES: Final = ("text", "string", "int", "uint", "float", "counter", "timestamp", "bytes")
_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**63 - 1
_SHORT: Final = 40

Path = tuple[str | int, ...]


class EditError(ValueError):
    """An edit that cannot be made.

    Attributes:
        index: which of the edits that were asked for, from 0.
        words: what is wrong, and what to do.
    """

    def __init__(self, index: int, words: str) -> None:
        super().__init__(f"edit {index}: {words}")
        self.index = index
        self.words = words


class BadEditError(ValueError):
    """What is wrong with an edit whose place among the others is not known yet."""


@dataclass(frozen=True, slots=True)
class Put:
    """Write a value under a key or in place of an element."""

    path: Path
    value: Any
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Insert:
    """Write new elements before the one that the path names; `type` is for each."""

    path: Path
    values: list[Any]
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Take a key, or so many elements or code points from the one that the path names on."""

    path: Path
    count: int = 1


@dataclass(frozen=True, slots=True)
class Splice:
    """Take `delete` elements or code points at `index` (None: the end), and put others there."""

    path: Path
    index: int | None = None
    delete: int = 0
    insert: str | list[Any] = ""
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Increment:
    """Add to a counter."""

    path: Path
    by: int = 1


Edit = Put | Insert | Delete | Splice | Increment

_FIELDS: Final[dict[str, frozenset[str]]] = {
    "put": frozenset({"path", "value", "type"}),
    "insert": frozenset({"path", "value", "values", "type"}),
    "delete": frozenset({"path", "count"}),
    "splice": frozenset({"path", "index", "delete", "insert", "type"}),
    "increment": frozenset({"path", "by"}),
}


def read_edit(edit: object) -> Edit:
    """One edit as JSON gives it.

    Raises:
        BadEditError: it is none.
    """
    if not isinstance(edit, Mapping):
        raise BadEditError("an edit is an object with `op` and `path`")
    op = edit.get("op")
    if not isinstance(op, str) or op not in _FIELDS:
        raise BadEditError(f"`op` is one of {_listed(_FIELDS)}, not {quoted(op)}")
    strange = sorted(str(name) for name in edit if name != "op" and name not in _FIELDS[op])
    if strange:
        raise BadEditError(f"`{op}` takes {_listed(sorted(_FIELDS[op]))}, not {quoted(strange[0])}")
    path = _path(edit)
    kind = edit.get("type")
    if kind is not None and kind not in TYPES:
        raise BadEditError(f"`type` is one of {_listed(TYPES)}, not {quoted(kind)}")
    if op == "put":
        if "value" not in edit:
            raise BadEditError("`put` needs `value`; null is a value, `delete` takes a key away")
        return Put(path, edit["value"], kind)
    if op == "insert":
        return Insert(path, _inserted(edit), kind)
    if op == "delete":
        return Delete(path, _number(edit, "count", 1, least=1))
    if op == "increment":
        return Increment(path, _number(edit, "by", 1, least=_INT_MIN))
    place = _number(edit, "index", 0) if edit.get("index") is not None else None
    return Splice(path, place, _number(edit, "delete", 0), _spliced(edit), kind)


def pointer(path: Iterable[str | int]) -> str:
    """A path in words, as a JSON pointer."""
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in path]
    return "".join(f"/{part}" for part in parts) or "the root"


def encodable(text: str) -> str:
    """The same text, if it can be written as UTF-8.

    Raises:
        BadEditError: it cannot.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadEditError("a string holds half of a surrogate pair: send it whole") from error
    return text


def _path(edit: Mapping[str, Any]) -> Path:
    path = edit.get("path")
    if not isinstance(path, (list, tuple)):
        raise BadEditError('`path` is a list of keys and indexes, as ["tasks", 0, "title"]')
    for part in path:
        if isinstance(part, bool) or not isinstance(part, (str, int)):
            raise BadEditError(f"`path` holds keys and indexes, not {quoted(part)}")
        if isinstance(part, int) and part < 0:
            raise BadEditError(f"index {part}: indexes count from 0; leave `index` out for the end")
        if isinstance(part, str):
            encodable(part)
    return tuple(path)


def _inserted(edit: Mapping[str, Any]) -> list[Any]:
    if ("value" in edit) is ("values" in edit):
        raise BadEditError("`insert` needs either `value` or a list of `values`")
    if "value" in edit:
        return [edit["value"]]
    values = edit["values"]
    if not isinstance(values, list):
        raise BadEditError("`values` is a list; one value goes into `value`")
    return values


def _spliced(edit: Mapping[str, Any]) -> str | list[Any]:
    insert = edit.get("insert", "")
    if not isinstance(insert, (str, list)):
        raise BadEditError("`insert` is a string for a text, a list of values for a list")
    return insert


def _number(edit: Mapping[str, Any], name: str, default: int, *, least: int = 0) -> int:
    found = edit.get(name, default)
    if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= _INT_MAX:
        what = "a whole number" if least < 0 else f"a whole number from {least} on"
        raise BadEditError(f"`{name}` is {what}, not {quoted(found)}")
    return found


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def quoted(found: object) -> str:
    """What was sent, in few words."""
    words = repr(found)
    return words if len(words) <= _SHORT else words[: _SHORT - 3] + "..."
