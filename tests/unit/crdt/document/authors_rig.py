"""Authors who edit one document: random edits, and what a plain model makes of them."""

import base64
import copy
import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from crdt.document import showing
from crdt.document.change import encode_change
from crdt.document.gathering import gather
from crdt.document.model import (
    Action,
    Change,
    ChangeOp,
    DocumentLimits,
    OpId,
    Scalar,
    ScalarKind,
    Stored,
)
from crdt.document.opened import Document
from crdt.document.opset import OpSet
from tests.unit.crdt.document.changes_rig import stored

LIMITS: Final = DocumentLimits()
ANN: Final = b"\x0a" * 16
BOB: Final = b"\xb0" * 16
EVE: Final = b"\x5c" * 8
ACTORS: Final = (ANN, BOB, EVE)
WORDS: Final = ("a", "bc", "d\u00e9f", "\U0001f469\u200d\U0001f469", "e\u0301", "x y\n", "")
KEYS: Final = ("text", "list", "map", "n", "a/b~c", "")
STRING: Final = ScalarKind.STRING


def document(changes: Iterable[Change], limits: DocumentLimits = LIMITS) -> Document:
    return Document.opened(gather(_versions(changes), LIMITS), limits)


def _versions(changes: Iterable[Change]) -> list[Stored]:
    return [stored(one, place) for place, one in enumerate(changes, 1)]


def opset(changes: Iterable[Change]) -> OpSet:
    out = OpSet()
    for one in changes:
        out.apply(one)
    return out


def all_of(one: OpSet | Document) -> dict[str, Any]:
    """Everything that can be seen of a state."""
    state = one._opset if isinstance(one, Document) else one
    return {
        "value": showing.value(state),
        "types": showing.types(state),
        "conflicts": showing.conflicts(state),
        "text": showing.text(state),
        "package": showing.package_shape(state),
        "plain": showing.is_plain(state),
        "heads": state.heads,
        "max_op": state.max_op,
        "ops": state.ops,
        "marks": state.marks,
    }


def made(
    actor: bytes,
    ops: Iterable[ChangeOp],
    *,
    seq: int = 1,
    start_op: int = 1,
    deps: Iterable[bytes | Change] = (),
) -> Change:
    names = [one if isinstance(one, bytes) else one.hash for one in deps]
    return encode_change(
        actor=actor, seq=seq, start_op=start_op, time=0, message=None, deps=names, ops=ops
    )


def written(obj: OpId | None, key: str, value: Any, *pred: OpId) -> ChangeOp:
    """Set a key to a plain value."""
    return ChangeOp(obj, key, False, Action.SET, scalar(value), tuple(sorted(pred)))


def scalar(value: Any) -> Scalar:
    if isinstance(value, Scalar):
        return value
    return Scalar(STRING, value) if isinstance(value, str) else Scalar(ScalarKind.INT, value)


def typed(obj: OpId | None, behind: OpId | None, *values: Any, at: OpId) -> list[ChangeOp]:
    """Insert values one behind the other; `at` is the name of the first operation."""
    ops = []
    for value in values:
        ops.append(ChangeOp(obj, behind, True, Action.SET, scalar(value)))
        behind, at = at, OpId(at.counter + 1, at.actor)
    return ops


def edit(doc: Document, actor: bytes, edits: list[Any], **more: Any) -> Change:
    heads = more.get("heads")
    seq = doc.next_seq(actor, heads)
    assert seq is not None
    return doc.edited(edits, actor=actor, seq=seq, time=0, message=None, **more)


class Author:
    """Edits a copy of the document, and hears of others now and then."""

    def __init__(self, actor: bytes, changes: Iterable[Change]) -> None:
        self.actor = actor
        self.changes = list(changes)
        self._gathered = gather(_versions(self.changes), LIMITS)
        self.doc = Document.opened(self._gathered)

    def edit(self, edits: list[Any], **more: Any) -> Change:
        change = edit(self.doc, self.actor, edits, **more)
        self.take([change])
        return change

    def take(self, changes: Iterable[Change]) -> None:
        known = {one.hash for one in self.changes}
        self.changes += [one for one in changes if one.hash not in known]
        self._gathered = self._gathered.grown(_versions(self.changes))
        self.doc = self.doc.grown(self._gathered)


def written_at_once(r: random.Random, edits: int, authors: int = 3) -> list[Change]:
    """A document that several authors edited, each seeing the others now and then."""
    first = edit(
        document([]),
        ANN,
        [
            {"op": "put", "path": ["text"], "value": "hello world"},
            {"op": "put", "path": ["list"], "value": [1, "two", {"three": 3}]},
            {"op": "put", "path": ["n"], "value": 0, "type": "counter"},
        ],
    )
    people = [Author(actor, [first]) for actor in ACTORS[:authors]]
    for _ in range(edits):
        one = r.choice(people)
        if r.random() < 0.25:
            one.take(r.choice(people).changes)
        else:
            one.edit(random_edits(r, one.doc.value(), one.doc.types(), r.randint(1, 3)))
    seen = {change.hash: change for one in people for change in one.changes}
    return list(seen.values())


def shuffled(r: random.Random, changes: Iterable[Change]) -> list[Change]:
    """A random order in which each comes after what it depends on."""
    left = list(changes)
    r.shuffle(left)
    out: list[Change] = []
    there: set[bytes] = set()
    while left:
        one = next(c for c in left if there.issuperset(c.deps))
        left.remove(one)
        out.append(one)
        there.add(one.hash)
    return out


def past_of(changes: Iterable[Change], heads: Iterable[bytes]) -> list[Change]:
    """The changes that heads depend on and they themselves, in the order given: the plain way."""
    known = {one.hash: one for one in changes}
    past: set[bytes] = set()
    waiting = list(heads)
    while waiting:
        name = waiting.pop()
        if name not in past:
            past.add(name)
            waiting += known[name].deps
    return [one for one in known.values() if one.hash in past]


# --- edits at random ---------------------------------------------------------------


def random_value(r: random.Random, depth: int = 0) -> Any:
    kind = r.randrange(9 if depth < 2 else 7)
    if kind == 7:
        return [random_value(r, depth + 1) for _ in range(r.randrange(3))]
    if kind == 8:
        return {r.choice(KEYS): random_value(r, depth + 1) for _ in range(r.randrange(3))}
    simple = (r.randrange(100), r.random(), r.choice(WORDS), None, True, False, -(2**63))
    return simple[kind]


def _typed_value(r: random.Random) -> dict[str, Any]:
    return r.choice(
        [
            {"value": r.randrange(10), "type": "counter"},
            {"value": r.choice(WORDS), "type": "string"},
            {"value": "AQID", "type": "bytes"},
            {"value": 1_700_000_000_123, "type": "timestamp"},
            {"value": 2**64 - 1, "type": "uint"},
            {"value": 3, "type": "float"},
        ]
    )


def _places(value: Any, path: list[Any]) -> list[tuple[Any, list[Any]]]:
    out = [(value, path)]
    if isinstance(value, Mapping):
        for key, inner in value.items():
            out += _places(inner, [*path, key])
    if isinstance(value, list):
        for place, inner in enumerate(value):
            out += _places(inner, [*path, place])
    return out


def _pointer(path: list[Any]) -> str:
    return "".join("/" + str(p).replace("~", "~0").replace("/", "~1") for p in path)


def random_edits(
    r: random.Random, value: dict[str, Any], types: dict[str, str], count: int
) -> list[dict[str, Any]]:
    """Edits that can be made one after the other on a document of this value."""
    value, types = copy.deepcopy(value), dict(types)
    out: list[dict[str, Any]] = []
    while len(out) < count:
        held, path = r.choice(_places(value, []))
        one = _random_edit(r, held, path, types.get(_pointer(path), ""))
        if one is None:
            continue
        out.append(one)
        value, types = modelled(value, types, one)
    return out


def _random_edit(r: random.Random, held: Any, path: list[Any], kind: str) -> dict[str, Any] | None:
    if kind == "counter" and r.random() < 0.7:
        return {"op": "increment", "path": path, "by": r.randint(-5, 5)}
    new = {"value": random_value(r)} if r.random() < 0.7 else _typed_value(r)
    if isinstance(held, dict):
        return {"op": "put", "path": [*path, r.choice(KEYS)], **new}
    if kind.startswith("text") or isinstance(held, list):
        at = r.randrange(len(held) + 1)
        gone = min(r.randrange(3), len(held) - at)
        is_text = isinstance(held, str)
        fresh: Any = (
            r.choice(WORDS) if is_text else [random_value(r) for _ in range(r.randrange(3))]
        )
        ways: list[dict[str, Any]] = [
            {"op": "splice", "path": path, "index": at, "delete": gone, "insert": fresh},
            {"op": "splice", "path": path, "insert": fresh},
            {"op": "insert", "path": [*path, at], "value": r.choice(WORDS)},
        ]
        if gone:
            ways.append({"op": "delete", "path": [*path, at], "count": gone})
        return r.choice(ways)
    if path and r.random() < 0.3:
        return {"op": "delete", "path": path}
    return {"op": "put", "path": path, **new} if path else None


# --- the plain model -------------------------------------------------------------------


def modelled(
    value: dict[str, Any], types: dict[str, str], one: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """What an edit makes of plain JSON, and which of its strings and numbers can be edited.

    Of types only what `random_edits` asks for: texts and counters.
    """
    value = copy.deepcopy(value)
    kinds = {tuple(path): types.get(_pointer(path), "") for _, path in _places(value, [])}
    path = list(one["path"])
    op = one["op"]
    if op == "increment":
        holder = _at(value, path[:-1])
        holder[path[-1]] += one["by"]
        return value, types
    if op == "splice":
        at = one.get("index", len(_at(value, path)))
        gone, fresh = one.get("delete", 0), one["insert"]
    elif op == "insert" or (op == "delete" and isinstance(path[-1], int)):
        at = path.pop()
        gone = one.get("count", 1) if op == "delete" else 0
        fresh = [one["value"]] if op == "insert" else []
    else:
        holder = _at(value, path[:-1])
        if op == "delete":
            del holder[path[-1]]
        else:
            holder[path[-1]] = _shown(one)
        return value, _types_after(kinds, path, value, one)
    held = _at(value, path)
    if isinstance(held, str):
        fresh = "".join(fresh)
        _set(value, path, held[:at] + fresh + held[at + gone :])
        return value, types
    held[at : at + gone] = fresh
    return value, _types_of_list(kinds, path, value, (at, gone, len(fresh)))


def _at(value: Any, path: list[Any]) -> Any:
    for part in path:
        value = value[part]
    return value


def _set(value: Any, path: list[Any], new: Any) -> None:
    _at(value, path[:-1])[path[-1]] = new


def _shown(one: dict[str, Any]) -> Any:
    value, kind = one["value"], one.get("type")
    if kind == "timestamp":
        when = datetime.fromtimestamp(value / 1000, UTC)
        return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if kind == "bytes":
        return base64.b64encode(base64.b64decode(value)).decode()
    return float(value) if kind == "float" else copy.deepcopy(value)


def _types_after(
    kinds: dict[tuple[Any, ...], str], path: list[Any], value: Any, one: dict[str, Any]
) -> dict[str, str]:
    out: dict[str, str] = {}
    for held, there in _places(value, []):
        if there[: len(path)] != path:
            out[_pointer(there)] = kinds.get(tuple(there), "")
        elif "type" in one:
            out[_pointer(there)] = one["type"]
        elif isinstance(held, str):
            out[_pointer(there)] = "text"
    return out


def _types_of_list(
    kinds: dict[tuple[Any, ...], str], path: list[Any], value: Any, cut: tuple[int, int, int]
) -> dict[str, str]:
    at, gone, came = cut
    out: dict[str, str] = {}
    for held, there in _places(value, []):
        before = list(there)
        if there[: len(path)] == path and len(there) > len(path):
            place = there[len(path)]
            if at <= place < at + came:
                out[_pointer(there)] = "text" if isinstance(held, str) else ""
                continue
            if place >= at + came:
                before[len(path)] = place - came + gone
        out[_pointer(there)] = kinds.get(tuple(before), "")
    return out
