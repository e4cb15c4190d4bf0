"""What a document shows: as JSON, as text, and what JSON does not say.

Law: pure functions of an `OpSet`; maps in the order of their keys, so equal documents give equal
words. Where several values were written at once, the winner shows and `conflicts` tells the rest.

    text        a string           bytes       a string, base64
    counter     a number           timestamp   a string, RFC 3339, milliseconds, UTC
    uint, int   a number           float       a number; null where JSON has none for it

A moment that RFC 3339 has no words for (before the year 1 or after 9999) is its number of
milliseconds. A value of a kind that this version does not know is shown as bytes are.
"""

import base64
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from crdt.document.model import Scalar, ScalarKind
from crdt.document.opset import MapNode, Node, OpSet
from crdt.document.register import Register, Value
from crdt.document.sequence import Sequence
from crdt.document.span import Mark, Span, first_of, scalar_at

TEXT_KEY: Final = "text"
"""The key of the root whose text stands for the whole document."""

TOLD_CHARS_MAX: Final = 16 * 2**20
"""Of types, or of conflicts: a pointer repeats the keys around a place, and a value that conflicts
stands in each conflict around it, so a small document could have gigabytes of them."""

T = TypeVar("T")
Path = tuple[str, ...]
"""Escaped parts of a JSON pointer."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_MS: Final = -62_135_596_800_000
_LATEST_MS: Final = 253_402_300_799_999
_STRING: Final = ScalarKind.STRING


def value(opset: OpSet) -> dict[str, Any]:
    """The document as JSON."""
    return {key: _shown(one) for key, one in _entries(opset.root)}


def text(opset: OpSet) -> str:
    """The document as text, for those who read and search.

    The root's `text` is all of it, if there are no other strings; else it comes first, and every
    other string follows on a line of its own, by key and position.
    """
    first: list[str] = []
    rest: list[str] = []
    for key, one in _entries(opset.root):
        (first if key == TEXT_KEY else rest).extend(_strings(one))
    return "\n".join(one for one in first + rest if one)


def is_plain(opset: OpSet) -> bool:
    """Whether the root's `text`, a string or nothing, is all the strings that there are."""
    for key, one in _entries(opset.root):
        if key == TEXT_KEY:
            node = one.node
            if node is not None and not (isinstance(node, Sequence) and node.is_text):
                return False
            if node is None and one.scalar is not None and one.scalar.kind != _STRING:
                return False
            if isinstance(node, Sequence) and any(_strings_inside(node)):
                return False
        elif next(_strings(one), None) is not None:
            return False
    return True


def types(opset: OpSet) -> dict[str, str]:
    """What JSON does not say, by JSON pointer (RFC 6901).

    `text` (other strings cannot be edited inside), `counter`, `timestamp`, `bytes`, `uint`,
    `float` where the number has no fraction or JSON has none for it, `kind <n>` where this
    version has no name. A text with marks, or with objects inside, says so: `text, marks`,
    `text, objects`, `text, marks, objects`. Where there is more to tell than `TOLD_CHARS_MAX`,
    the empty pointer says `cut`.
    """
    told = _Told[str]()
    _tell_types(opset.root, (), told)
    if told.is_full:
        told.out[""] = "cut"
    return told.out


def conflicts(opset: OpSet) -> dict[str, dict[str, Any]]:
    """Places where several values were written at once, by JSON pointer.

    Each is a map of all of them by the name of the operation (`<counter>@<actor>`), the one that
    shows first. Places inside of values that do not show are not told. Where there is more to
    tell than `TOLD_CHARS_MAX`, the empty pointer stands for the rest, with no values.
    """
    told = _Told[dict[str, Any]]()
    _tell_conflicts(opset.root, (), told)
    if told.is_full:
        told.out[""] = {}
    return told.out


def package_shape(opset: OpSet) -> dict[str, Any]:
    """The document as the PyPI package `automerge` 0.1.2 tells it.

    Texts are lists of their elements, counters and timestamps numbers, bytes lists of numbers. Of
    values that were written at once it shows the one with the smallest counter, of equal ones
    that of the greatest actor (seen, not documented).
    """
    return _packaged_map(opset.root)


def plain(one: Value) -> Any:
    """One value as JSON, with all that is in it."""
    return _shown(one)


def elements(
    node: Sequence, chosen: Callable[[Register], Value | None] = Register.winner
) -> Iterator[tuple[Span, int, Value]]:
    """The visible elements of a sequence: where each is, and the value that is `chosen` of it."""
    for span in node.spans():
        content = span.content
        if isinstance(content, Register):
            winner = chosen(content)
            if winner is not None:
                yield span, 0, winner
        elif not isinstance(content, Mark) and not span.over:
            for place in range(span.length):
                yield span, place, Value(first_of(span, place), scalar_at(content, place), None)


def _entries(node: MapNode) -> Iterator[tuple[str, Value]]:
    for key in sorted(node.keys):
        winner = node.keys[key].winner()
        if winner is not None:
            yield key, winner


def _shown(one: Value) -> Any:
    node = one.node
    if node is None:
        scalar = one.shown()
        return None if scalar is None else json_of(scalar)
    if isinstance(node, MapNode):
        return {key: _shown(inner) for key, inner in _entries(node)}
    if node.is_text:
        return node.text()
    return [_shown(inner) for _, _, inner in elements(node)]


def json_of(scalar: Scalar) -> Any:
    """A scalar as JSON."""
    kind, held = scalar
    if isinstance(held, bytes):
        return base64.b64encode(held).decode()
    if isinstance(held, float):
        return held if math.isfinite(held) else None
    if kind == ScalarKind.TIMESTAMP and isinstance(held, int):
        return moment(held)
    return held


def moment(ms: int) -> str | int:
    """A moment in the words of RFC 3339; its number where there are none."""
    if not _EARLIEST_MS <= ms <= _LATEST_MS:
        return ms
    when = _EPOCH + timedelta(milliseconds=ms)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _strings(one: Value) -> Iterator[str]:
    """Every string inside a value, in order."""
    node = one.node
    if node is None:
        if one.scalar is not None and one.scalar.kind == _STRING:
            yield str(one.scalar.value)
    elif isinstance(node, MapNode):
        for _, inner in _entries(node):
            yield from _strings(inner)
    elif node.is_text:
        yield node.text()
        yield from _strings_inside(node)
    else:
        for _, _, inner in elements(node):
            yield from _strings(inner)


def _strings_inside(node: Sequence) -> Iterator[str]:
    """Every string of the objects that are elements of a text."""
    for span in node.spans():
        if isinstance(span.content, Register):
            winner = span.content.winner()
            if winner is not None and winner.node is not None:
                yield from _strings(winner)


class _Told(Generic[T]):
    """What is told of places, by JSON pointer, as far as there is room."""

    __slots__ = ("_room", "out")

    def __init__(self) -> None:
        self.out: dict[str, T] = {}
        self._room = TOLD_CHARS_MAX

    @property
    def is_full(self) -> bool:
        """Whether there is more to tell than there is room."""
        return self._room < 0

    def add(self, path: Path, words: T) -> None:
        """Tell something of a place."""
        self._room -= sum(map(len, path)) + len(path) + _length(words)
        if not self.is_full:
            self.out["".join(f"/{part}" for part in path)] = words


def _length(told: Any) -> int:
    """About how many characters JSON takes."""
    if isinstance(told, dict):
        return sum(len(key) + _length(one) for key, one in told.items()) + 1
    if isinstance(told, list):
        return sum(map(_length, told)) + 1
    return len(told) if isinstance(told, str) else 1


def _tell_types(node: Node, path: Path, told: _Told[str]) -> None:
    if isinstance(node, MapNode):
        for key, one in _entries(node):
            _tell_type(one, (*path, escaped(key)), told)
    elif node.is_text:
        told.add(path, ", ".join(["text", *_extras(node)]))
    else:
        for place, (_, _, one) in enumerate(elements(node)):
            _tell_type(one, (*path, str(place)), told)


def _tell_type(one: Value, path: Path, told: _Told[str]) -> None:
    if one.node is not None:
        _tell_types(one.node, path, told)
    elif one.scalar is not None:
        name = _type_name(one.scalar)
        if name:
            told.add(path, name)


def _type_name(scalar: Scalar) -> str | None:
    kind, held = scalar
    if kind == ScalarKind.FLOAT and isinstance(held, float):
        return "float" if not math.isfinite(held) or held.is_integer() else None
    if kind in _NAMED:
        return _NAMED[kind]
    return f"kind {kind}" if kind > ScalarKind.TIMESTAMP else None


_NAMED: Final[dict[int, str]] = {
    ScalarKind.UINT: "uint",
    ScalarKind.BYTES: "bytes",
    ScalarKind.COUNTER: "counter",
    ScalarKind.TIMESTAMP: "timestamp",
}


def _extras(node: Sequence) -> list[str]:
    marks = objects = False
    for span in node.spans():
        content = span.content
        marks = marks or isinstance(content, Mark)
        if isinstance(content, Register):
            winner = content.winner()
            objects = objects or (winner is not None and winner.node is not None)
    return ["marks"] * marks + ["objects"] * objects


def _tell_conflicts(node: Node, path: Path, told: _Told[dict[str, Any]]) -> None:
    if isinstance(node, MapNode):
        for key, register in sorted(node.keys.items()):
            _tell_conflict(register, (*path, escaped(key)), told)
        return
    place = 0
    for span in node.spans():
        if isinstance(span.content, Register):
            _tell_conflict(span.content, (*path, str(place)), told)
        place += span.width(text=node.is_text)


def _tell_conflict(register: Register, path: Path, told: _Told[dict[str, Any]]) -> None:
    ranked = register.ranked()
    if len(ranked) > 1 and not told.is_full:
        told.add(path, {f"{one.id.counter}@{one.id.actor.hex()}": _shown(one) for one in ranked})
    if ranked and ranked[0].node is not None:
        _tell_conflicts(ranked[0].node, path, told)


def _packaged_map(node: MapNode) -> dict[str, Any]:
    chosen = ((key, _packages_choice(node.keys[key])) for key in sorted(node.keys))
    return {key: _packaged(one) for key, one in chosen if one is not None}


def _packaged(one: Value) -> Any:
    node = one.node
    if node is None:
        scalar = one.shown()
        held = None if scalar is None else scalar.value
        return list(held) if isinstance(held, bytes) else held
    if isinstance(node, MapNode):
        return _packaged_map(node)
    return [_packaged(inner) for _, _, inner in elements(node, _packages_choice)]


def _packages_choice(register: Register) -> Value | None:
    return max(register.live, key=lambda one: (-one.id.counter, one.id.actor), default=None)


def escaped(key: str) -> str:
    """A key as a part of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")
