"""A document that hostile changes are made for, honest in itself.

Law: always the same document; checksums and names are made good here, so that a liar may lie in
everything else.
"""

import random
from collections.abc import Sequence
from typing import Final

from crdt.document.change import encode_change
from crdt.document.chunk import frame, open_chunk
from crdt.document.gathering import gather
from crdt.document.leb import uleb
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
from crdt.document.opened import Document
from crdt.dot import Dot
from crdt.fields import CHUNK_MARK

LIMITS: Final = DocumentLimits()
ANN, BOB, EVE = b"a" * 16, b"b" * 16, b"e" * 16
ANNS: Final = b"\x01" + uleb(len(ANN)) + ANN
"""A table of one other actor."""

TEXT, LIST = OpId(1, ANN), OpId(2, ANN)
Dice = random.Random


def char(obj: OpId, after: OpId | None, text: str) -> ChangeOp:
    """A letter that is put behind another one."""
    return ChangeOp(obj, after, True, Action.SET, Scalar(ScalarKind.STRING, text))


def honest() -> list[Change]:
    """A document of two authors: a text, a list, a counter, and rivals."""
    first = [
        ChangeOp(None, "text", False, Action.MAKE_TEXT),
        ChangeOp(None, "list", False, Action.MAKE_LIST),
        *(char(TEXT, OpId(at - 1, ANN) if at > 3 else None, "é") for at in range(3, 43)),
        ChangeOp(LIST, None, True, Action.MAKE_MAP),
        ChangeOp(None, "count", False, Action.SET, Scalar(ScalarKind.COUNTER, 1)),
    ]
    changes = [made(ANN, 1, 1, (), first)]
    for number in range(2, 14):
        actor = (ANN, BOB)[number % 2]
        seq = 1 + sum(one.actor == actor for one in changes)
        deps = {one.hash for one in changes[-2:]} - set(changes[-1].deps)
        start = 1 + sum(len(one.ops) for one in changes)
        ops = [
            char(TEXT, OpId(3 + number, ANN), "x" * (1 + number % 3)),
            ChangeOp(None, "k", False, Action.SET, Scalar(ScalarKind.FLOAT, 0.5)),
            ChangeOp(
                None,
                "count",
                False,
                Action.INCREMENT,
                Scalar(ScalarKind.INT, -number),
                (OpId(44, ANN),),
            ),
            ChangeOp(
                TEXT, OpId(20 + number, ANN), False, Action.DELETE, NULL, (OpId(20 + number, ANN),)
            ),
        ]
        changes.append(made(actor, seq, start, sorted(deps), ops))
    return changes


def made(
    actor: bytes, seq: int, start_op: int, deps: Sequence[bytes], ops: Sequence[ChangeOp]
) -> Change:
    """A change that says so much."""
    return encode_change(
        actor=actor, seq=seq, start_op=start_op, time=7, message="m", deps=deps, ops=ops
    )


def contents_of(chunk: bytes) -> bytes:
    """A chunk without its head."""
    return chunk[open_chunk(chunk, LIMITS)[1] :]


def chunk_of(contents: bytes) -> bytes:
    """A chunk with these contents, whose checksum is right."""
    return frame(contents)[1]


class Target:
    """The document that is attacked.

    Attributes:
        changes: of it.
        heads: of it.
        next_op: the first counter that is free.
    """

    def __init__(self) -> None:
        self.changes = honest()
        self.stored = [
            Stored(CHUNK_MARK + c.hash.hex(), c.data, "ann", (at + 1) << 16, Dot(b"n" * 45, at + 1))
            for at, c in enumerate(self.changes)
        ]
        self.document = Document.opened(gather(self.stored, LIMITS), LIMITS)
        assert not self.document.aside
        self.heads = self.document.heads
        self.next_op = 1 + sum(len(c.ops) for c in self.changes)

    def change(
        self, ops: Sequence[ChangeOp], actor: bytes = EVE, seq: int = 1, start_op: int | None = None
    ) -> bytes:
        """A chunk that follows the document."""
        return made(actor, seq, start_op or self.next_op, self.heads, ops).data

    def raw(self, dice: Dice, columns: dict[int, bytes], **told: bytes) -> bytes:
        """A chunk that says anything: heads and columns as they are given."""
        deps = told.get("deps", uleb(len(self.heads)) + b"".join(self.heads))
        parts = [
            deps,
            told.get("actor", uleb(len(EVE)) + EVE),
            told.get("seq", b"\x01"),
            told.get("start", uleb(self.next_op)),
            told.get("time", b"\x00"),
            told.get("message", b"\x00"),
            told.get("others", b"\x00"),
            told.get("count", uleb(len(columns))),
        ]
        for column, data in sorted(columns.items()):
            parts += (uleb(column), told.get(f"size-{column}", uleb(len(data))))
        parts += [data for _, data in sorted(columns.items())]
        parts.append(dice.randbytes(dice.choice((0, 0, 0, 3))))
        return chunk_of(b"".join(parts))
