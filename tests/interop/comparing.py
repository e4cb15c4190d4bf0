"""The reference's document in the oracle's words, so that the two can be held against each other.

Law: everything is told that either knows: every version of every value with its type and its
name, those that lost with all that is in them. Only what lies inside the elements of a text is
left to the text they show.
"""

import base64
import struct
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from crdt.document.model import OpId, Scalar, ScalarKind
from crdt.document.opset import MapNode, OpSet
from crdt.document.register import Register, Value
from crdt.document.sequence import Sequence
from crdt.document.span import Mark, first_of

_NAMES: Final = {
    ScalarKind.NULL: "null",
    ScalarKind.FALSE: "boolean",
    ScalarKind.TRUE: "boolean",
    ScalarKind.UINT: "uint",
    ScalarKind.INT: "int",
    ScalarKind.FLOAT: "f64",
    ScalarKind.STRING: "str",
    ScalarKind.BYTES: "bytes",
    ScalarKind.COUNTER: "counter",
    ScalarKind.TIMESTAMP: "timestamp",
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def tree_of(opset: OpSet) -> dict[str, Any]:
    """What the oracle's `value` would show of this document."""
    return {"t": "map", "id": "_root", "v": _map(opset.root)}


def _map(node: MapNode) -> dict[str, Any]:
    there = {key: _versions(register) for key, register in sorted(node.keys.items())}
    return {key: versions for key, versions in there.items() if versions}


def _versions(register: Register) -> list[dict[str, Any]]:
    return [_told(one) for one in reversed(register.ranked())]


def _list(node: Sequence) -> list[list[dict[str, Any]]]:
    told: list[list[dict[str, Any]]] = []
    for span in node.spans():
        content = span.content
        if isinstance(content, Register):
            told += [versions] if (versions := _versions(content)) else []
        elif not isinstance(content, Mark) and not span.over:
            for place, one in enumerate(content):
                scalar = Scalar(ScalarKind.STRING, one) if isinstance(one, str) else one
                told.append([_scalar(scalar, first_of(span, place))])
    return told


def _told(one: Value) -> dict[str, Any]:
    node = one.node
    if node is None:
        shown = one.shown()
        assert shown is not None
        return _scalar(shown, one.id)
    if isinstance(node, MapNode):
        return {"t": "map", "id": _name(one.id), "v": _map(node)}
    if node.is_text:
        return {"t": "text", "id": _name(one.id), "v": node.text()}
    return {"t": "list", "id": _name(one.id), "v": _list(node)}


def _scalar(scalar: Scalar, named: OpId) -> dict[str, Any]:
    kind, value = scalar
    told: Any = value
    if isinstance(value, float):
        told = struct.pack(">d", value).hex()
    elif isinstance(value, bytes):
        told = value.hex()
    elif isinstance(value, int) and not isinstance(value, bool):
        told = str(value)
    return {"t": _NAMES[ScalarKind(kind)], "id": _name(named), "v": told}


def _name(named: OpId) -> str:
    return f"{named.counter}@{named.actor.hex()}"


def json_of(shown: dict[str, Any]) -> Any:
    """What the oracle shows, as the JSON that a node answers with: of versions the last."""
    kind, value = shown["t"], shown["v"]
    if kind == "map":
        return {key: json_of(versions[-1]) for key, versions in value.items()}
    if kind == "list":
        return [json_of(versions[-1]) for versions in value]
    if kind in {"int", "uint", "counter"}:
        return int(value)
    if kind == "f64":
        return struct.unpack(">d", bytes.fromhex(value))[0]
    if kind == "timestamp":
        when = _EPOCH + timedelta(milliseconds=int(value))
        return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03}Z"
    return _base64(value) if kind == "bytes" else value


def _base64(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text)).decode()


def conflicts_of(shown: dict[str, Any], at: str = "") -> dict[str, dict[str, Any]]:
    """Places with several versions, as the oracle shows them, by JSON pointer; the winner first."""
    kind, value = shown["t"], shown["v"]
    inside = value.items() if kind == "map" else enumerate(value) if kind == "list" else ()
    found: dict[str, dict[str, Any]] = {}
    for step, versions in inside:
        place = f"{at}/{str(step).replace('~', '~0').replace('/', '~1')}"
        if len(versions) > 1:
            found[place] = {one["id"]: json_of(one) for one in reversed(versions)}
        found |= conflicts_of(versions[-1], place)
    return found
