"""Random edits of random documents.

Law: a script is a pure function of its seed and of what the document shows. Edits are those that
PATCH takes, and they are right for the document that was shown, one after the other: a `Sketch`
plays each before the next is drawn. Names and places are few, so that authors meet in them.
"""

import base64
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

KEYS: Final = ("text", "a", "b", "list", "notes", "ключ", "~1t", "🗝")
"""None has a slash: the library joins the steps of a path by it, and finds no text below then."""

GRAPHEMES: Final = (
    *string.ascii_letters,
    *" \n\t.,-",
    "é",
    "ß",
    "中",
    "א",
    "e\u0301",  # a letter and an accent that combines with it
    "\u200b",  # of no width
    "\u200d",
    "\ufeff",
    "\u202e",  # what follows runs from right to left
    "👍",
    "👩\u200d👩\u200d👧",  # five code points that are drawn as one
    "🇦🇹",
    "\U0001d518",  # a letter beyond the first plane
    "\U0010fffd",
    "\x00",
    "\uffff",
)
INTEGERS: Final = (0, 1, -1, 63, 64, -64, -65, 127, 128, 2**31, -(2**31), 2**53 - 1, -(2**53) + 1)
COUNTS: Final = INTEGERS[:-2]
"""What counters begin with: the library cannot add to one beyond 2**53."""

FLOATS: Final = (0.5, -0.25, 1e-300, 5e-324, 3.141592653589793, -1e15 - 0.5)
"""None is whole and large: the library takes those for integers, and makes 2**63 - 1 of them."""

TYPES: Final = ("counter", "timestamp", "bytes", "string", "uint", "int", "float")
Json = Any
Path = list[str | int]


class Text(list[str]):
    """Code points of a text."""


@dataclass
class Count:
    """A counter."""


@dataclass
class Leaf:
    """Any other value: it has no inside."""


def sketch_of(shown: Mapping[str, Any]) -> Any:
    """What edits can aim at, from what the oracle shows: of several versions the winning one."""
    kind, value = shown["t"], shown.get("v")
    if kind in {"map", "table"}:
        return {key: sketch_of(versions[-1]) for key, versions in value.items()}
    if kind == "list":
        return [sketch_of(versions[-1]) for versions in value]
    if kind == "text":
        return Text(value)
    return Count() if kind == "counter" else Leaf()


def _sketch_of_json(value: Json) -> Any:
    if isinstance(value, dict):
        return {key: _sketch_of_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_sketch_of_json(inner) for inner in value]
    return Text(value) if isinstance(value, str) else Leaf()


@dataclass
class Author:
    """Draws edits.

    Attributes:
        long: how many characters a text grows by at most, now and then.
        graphemes: what is written.
    """

    random: Random
    long: int = 1_200
    graphemes: Sequence[str] = GRAPHEMES

    def edits(self, shown: Mapping[str, Any], most: int = 5) -> list[dict[str, Any]]:
        """One to `most` edits of a document as it is shown."""
        root = sketch_of(shown)
        return [self._edit(root) for _ in range(self.random.randint(1, most))]

    def message(self) -> str | None:
        """What an author says of a change: mostly nothing."""
        draw = self.random.random()
        if draw < 0.6:
            return None
        return self.words(600 if draw > 0.95 else 20) or None

    def words(self, most: int) -> str:
        """Any text."""
        return "".join(self.random.choices(self.graphemes, k=self.random.randint(0, most)))

    # --- edits ----------------------------------------------------------------------------

    def _edit(self, root: dict[str, Any]) -> dict[str, Any]:
        places: list[tuple[Path, Any]] = []
        _walk([], root, places)
        kinds: dict[str, list[tuple[Path, Any]]] = {}
        for path, inner in places:
            kinds.setdefault(type(inner).__name__, []).append((path, inner))
        draws = [("dict", 4), ("list", 3), ("Text", 6), ("Count", 2)]
        there = [(kind, weight) for kind, weight in draws if kind in kinds]
        (kind,) = self.random.choices([k for k, _ in there], [w for _, w in there])
        path, inner = self.random.choice(kinds[kind])
        if kind == "Text":
            return self._text_edit(path, inner)
        if kind == "Count":
            return {"op": "increment", "path": path, "by": self.random.choice((1, 2, -3, 1000))}
        return self._map_edit(path, inner) if kind == "dict" else self._list_edit(path, inner)

    def _map_edit(self, path: Path, inner: dict[str, Any]) -> dict[str, Any]:
        if inner and self.random.random() < 0.2:
            key = self.random.choice(sorted(inner))
            del inner[key]
            return {"op": "delete", "path": [*path, key]}
        key = self.random.choice(KEYS)
        told, inner[key] = self._value(text=key == "text" and self.random.random() < 0.7)
        return {"op": "put", "path": [*path, key], **told}

    def _list_edit(self, path: Path, inner: list[Any]) -> dict[str, Any]:
        draw = self.random.random()
        if inner and draw < 0.2:
            at = self.random.randrange(len(inner))
            count = self.random.randint(1, min(3, len(inner) - at))
            del inner[at : at + count]
            return {"op": "delete", "path": [*path, at], "count": count}
        if inner and draw < 0.4:
            at = self.random.randrange(len(inner))
            told, inner[at] = self._value()
            return {"op": "put", "path": [*path, at], **told}
        at = self.random.randint(0, len(inner))
        if draw < 0.6:
            told, inner[at:at] = self._values()
            return {"op": "insert", "path": [*path, at], "values": told}
        if draw < 0.7:
            count = self.random.randint(0, min(3, len(inner) - at))
            told, inner[at : at + count] = self._values()
            return {"op": "splice", "path": path, "index": at, "delete": count, "insert": told}
        one, sketch = self._value()
        inner.insert(at, sketch)
        return {"op": "insert", "path": [*path, at], **one}

    def _text_edit(self, path: Path, inner: Text) -> dict[str, Any]:
        draw = self.random.random()
        at = self.random.randint(0, len(inner))
        if draw < 0.1 and at < len(inner):
            count = self.random.randint(1, len(inner) - at)
            del inner[at : at + count]
            return {"op": "delete", "path": [*path, at], "count": count}
        written = self.words(self.long if draw > 0.97 else 12)
        if draw < 0.2:
            inner += written
            return {"op": "splice", "path": path, "insert": written}
        count = self.random.randint(0, min(6, len(inner) - at)) if draw < 0.7 else 0
        inner[at : at + count] = written
        return {"op": "splice", "path": path, "index": at, "delete": count, "insert": written}

    # --- values ---------------------------------------------------------------------------

    def _value(self, *, text: bool = False) -> tuple[dict[str, Any], Any]:
        if text:
            written = self.words(30)
            return {"value": written}, Text(written)
        kind = self.random.choice(("", "", "", "", "", *TYPES))
        if kind == "counter":
            return {"value": self.random.choice(COUNTS), "type": kind}, Count()
        if kind:
            return {"value": self._typed(kind), "type": kind}, Leaf()
        told = self._json(2)
        return {"value": told}, _sketch_of_json(told)

    def _typed(self, kind: str) -> Json:
        if kind == "timestamp":
            return self.random.randint(-(10**12), 4 * 10**12)
        if kind == "bytes":
            data = self.random.randbytes(self.random.choice((0, 1, 5, 70)))
            return base64.b64encode(data).decode()
        if kind == "string":
            return self.words(8)
        if kind == "float":
            return self.random.choice(FLOATS)
        number = self.random.choice(INTEGERS)
        return abs(number) if kind == "uint" else number

    def _values(self) -> tuple[list[Json], list[Any]]:
        told = [self._json(1) for _ in range(self.random.randint(1, 4))]
        return told, [_sketch_of_json(one) for one in told]

    def _json(self, depth: int) -> Json:
        draw = self.random.randrange(9 if depth else 6)
        plain: Sequence[Json] = (
            None,
            self.random.random() < 0.5,
            self.random.choice(INTEGERS),
            self.random.choice(FLOATS),
            self.words(6),
            self.words(3),
        )
        if draw < len(plain):
            return plain[draw]
        count = self.random.randint(0, 3)
        if draw == 6:
            return [self._json(depth - 1) for _ in range(count)]
        return {self.random.choice(KEYS): self._json(depth - 1) for _ in range(count)}


def _walk(path: Path, inner: Any, places: list[tuple[Path, Any]]) -> None:
    places.append((path, inner))
    if isinstance(inner, dict):
        for key, one in inner.items():
            _walk([*path, key], one, places)
    elif isinstance(inner, list) and not isinstance(inner, Text):
        for at, one in enumerate(inner):
            _walk([*path, at], one, places)
