"""Changes to test with: those that the official library made, and random ones."""

import hashlib
import json
import math
import random
from functools import cache
from pathlib import Path
from typing import Any, Final

from crdt.document.change import encode_change
from crdt.document.model import (
    NULL,
    Action,
    Change,
    ChangeOp,
    DocumentLimits,
    OpId,
    Scalar,
    ScalarKind,
    Stored,
)
from crdt.document.pack import Kept, is_pack
from crdt.dot import Dot

LIMITS: Final = DocumentLimits()
GOLDEN: Final = Path(__file__).parents[3] / "golden" / "document_changes.json"
ANN: Final = bytes.fromhex("aabbccdd00112233aabbccdd00112233")
BOB: Final = b"\x11" * 16
TEXTS: Final = ("", "a", "word ", "é", "𝄞", "日本", "line\n", "x" * 130)
KEYS: Final = ("text", "k1", "k2", "é", "")


@cache
def library() -> dict[str, Any]:
    """What version 3.5 of the official JavaScript library wrote, and what it reads in that."""
    known: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return known


def said(change: Change) -> dict[str, Any]:
    """A change in the words of the library."""
    return {
        "actor": change.actor.hex(),
        "seq": change.seq,
        "startOp": change.start_op,
        "time": change.time,
        "message": change.message,
        "deps": [one.hex() for one in change.deps],
        "hash": change.hash.hex(),
        "ops": [_said(op) for op in change.ops],
    }


_ACTIONS: Final = {
    Action.SET: "set",
    Action.DELETE: "del",
    Action.INCREMENT: "inc",
    Action.MAKE_MAP: "makeMap",
    Action.MAKE_LIST: "makeList",
    Action.MAKE_TEXT: "makeText",
    Action.MAKE_TABLE: "makeTable",
}
_TYPES: Final = {
    ScalarKind.UINT: "uint",
    ScalarKind.INT: "int",
    ScalarKind.FLOAT: "float64",
    ScalarKind.COUNTER: "counter",
    ScalarKind.TIMESTAMP: "timestamp",
}


def _name(one: OpId | None, nothing: str) -> str:
    return nothing if one is None else f"{one.counter}@{one.actor.hex()}"


def _said(op: ChangeOp) -> dict[str, Any]:
    told: dict[str, Any] = {"obj": _name(op.obj, "_root"), "pred": [_name(p, "") for p in op.pred]}
    if isinstance(op.key, str):
        told["key"] = op.key
    else:
        told["elemId"] = _name(op.key, "_head")
    if op.insert:
        told["insert"] = True
    if op.action is Action.MARK:
        told["action"] = "markEnd" if op.mark is None else "markBegin"
        told["expand"] = op.expand
        if op.mark is not None:
            told |= {"name": op.mark, "value": op.value.value}
        return told
    told["action"] = _ACTIONS[op.action]
    if op.action in {Action.SET, Action.INCREMENT}:
        value = op.value.value
        told["value"] = list(value) if isinstance(value, bytes) else value
        if op.value.kind in _TYPES and op.action is Action.SET:
            told["datatype"] = _TYPES[ScalarKind(op.value.kind)]
    return told


def random_scalar(r: random.Random) -> Scalar:
    kind = r.randrange(12)
    values: dict[int, Any] = {
        ScalarKind.NULL: None,
        ScalarKind.FALSE: False,
        ScalarKind.TRUE: True,
        ScalarKind.UINT: r.choice([0, 127, 128, 2**64 - 1, r.getrandbits(40)]),
        ScalarKind.FLOAT: r.choice([0.0, -1.5, math.inf, r.random()]),
        ScalarKind.STRING: r.choice(TEXTS),
    }
    if kind in {ScalarKind.INT, ScalarKind.COUNTER, ScalarKind.TIMESTAMP}:
        return Scalar(
            kind, r.choice([0, 63, 64, -64, -65, -(2**63), 2**63 - 1, -r.getrandbits(30)])
        )
    if kind in values:
        return Scalar(kind, values[kind])
    return Scalar(kind, r.randbytes(r.randrange(5)))


def _ids(r: random.Random, actors: list[bytes], count: int, most: int) -> tuple[OpId, ...]:
    return tuple(sorted({OpId(r.randint(1, most), r.choice(actors)) for _ in range(count)}))


def random_ops(r: random.Random, actors: list[bytes], start_op: int) -> list[ChangeOp]:
    """Operations that a change may hold; whether a document has what they are about is open."""
    ops: list[ChangeOp] = []
    while len(ops) < r.choice([0, 1, 1, 3, 9]):
        most = start_op + len(ops)
        home = r.choice([None, *_ids(r, actors, 1, most)])
        some = _ids(r, actors, r.choice([1, 1, 1, 3]), most)
        kind = r.randrange(8)
        if kind <= 2:
            key = r.choice([None, some[0]])
            for character in r.choice(TEXTS):
                value = Scalar(ScalarKind.STRING, character)
                ops.append(ChangeOp(home, key, True, Action.SET, value))
                key = OpId(start_op + len(ops) - 1, actors[0])
        elif kind == 3:
            ops.append(
                ChangeOp(
                    home, r.choice([r.choice(KEYS), some[0]]), False, Action.DELETE, NULL, some
                )
            )
        elif kind == 4:
            step = Scalar(ScalarKind.INT, r.randint(-9, 9))
            ops.append(ChangeOp(home, r.choice(KEYS), False, Action.INCREMENT, step, some))
        elif kind == 5:
            make = r.choice(
                [Action.MAKE_MAP, Action.MAKE_LIST, Action.MAKE_TEXT, Action.MAKE_TABLE]
            )
            ops.append(ChangeOp(home, r.choice(KEYS), False, make, NULL, r.choice([(), some])))
        elif kind == 6:
            expand = r.random() < 0.5
            ops.append(
                ChangeOp(home, None, True, Action.MARK, random_scalar(r), (), expand, "bold")
            )
            ops.append(ChangeOp(home, some[0], True, Action.MARK, NULL, (), expand))
        else:
            ops.append(
                ChangeOp(
                    home, r.choice(KEYS), False, Action.SET, random_scalar(r), r.choice([(), some])
                )
            )
    return ops


def random_changes(r: random.Random, count: int, authors: int = 3) -> list[Change]:
    """Changes of a document that several edit at once, each after what it depends on."""
    actors = [bytes([n]) + r.randbytes(r.choice([15, 15, 0, 31])) for n in range(authors)]
    heads: list[set[bytes]] = [set() for _ in actors]
    tops = [0] * authors
    seqs = [0] * authors
    made: list[Change] = []
    for _ in range(count):
        who = r.randrange(authors)
        if r.random() < 0.3:
            other = r.randrange(authors)
            heads[who] |= heads[other]
            tops[who] = max(tops[who], tops[other])
        known = [actors[who], *(a for a in actors if a != actors[who])]
        start_op = tops[who] + 1
        seqs[who] += 1
        change = encode_change(
            actor=actors[who],
            seq=seqs[who],
            start_op=start_op,
            time=r.choice([0, -5, 1_700_000_000 + r.randrange(10**6)]),
            message=r.choice([None, None, "said", "é"]),
            deps=heads[who],
            ops=random_ops(r, known, start_op),
            extra=r.choice([b"", b"", b"", b"later"]),
        )
        made.append(change)
        heads[who] = {change.hash}
        tops[who] += len(change.ops)
    return made


def name_of(data: bytes, digest: bytes | None = None) -> str:
    return "chunk/" + (digest or hashlib.sha256(data).digest()).hex()


def stored(
    what: Change | bytes, place: int = 1, agent: str = "ann", hlc: int | None = None
) -> Stored:
    """A version as a record holds it, under its right name."""
    data = what if isinstance(what, bytes) else what.data
    name = name_of(data, None if isinstance(what, bytes) else what.hash)
    assert isinstance(what, bytes) is is_pack(data)
    return Stored(name, data, agent, (place << 16) if hlc is None else hlc, Dot(b"d" * 45, place))


def kept(changes: list[Change], r: random.Random) -> list[Kept]:
    """Who wrote them, and when."""
    ms = 1_700_000_000_000
    out = []
    for change in changes:
        ms += r.randrange(-50, 10_000)
        out.append(
            Kept(change, r.choice(["ann", "bob", "é"]), ms << 16 | r.choice([0, 0, 1, 65_535]))
        )
    return out
