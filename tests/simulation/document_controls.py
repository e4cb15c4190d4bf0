"""Negative controls of documents: one rule of the node's own code broken each.

Law: that of `controls`. Where agents write other things than documents, none of them shows.
"""

from collections.abc import Sequence
from typing import Any

from crdt.document.model import ACTOR_BYTES
from crdt.document.opened import Document
from crdt.document.pack import Kept, pack
from node.documents import folding, pen
from node.documents.actors import Actors, Turn
from tests.planting import Patch


def _one_name() -> list[Patch]:
    """What is held for approval is not seen, so its number is given out again."""

    def turn(self: Actors, key: bytes, document: Document, heads: Any = None) -> Turn:
        last = self._last.get(key)
        seq = None if last is None else document.next_seq(last.actor, heads)
        if last is None or seq is None:
            return Turn(self._entropy(ACTOR_BYTES), 1)
        return Turn(last.actor, seq)

    return [(Actors, "turn", turn)]


def _lossy_fold() -> list[Patch]:
    def packed(kept: Sequence[Kept]) -> bytes:
        return pack(kept[:-1])

    return [(folding, "pack", packed), (folding, "_is_lossless", lambda *_: True)]


def _no_heads() -> list[Patch]:
    original = pen.Pen.edited

    def edited(self: pen.Pen, *args: Any, heads: Any = None, **kept: Any) -> Any:
        del heads
        return original(self, *args, **kept)

    return [(pen.Pen, "edited", edited)]


def _own_retry() -> list[Patch]:
    original = pen.Pen.edited

    def edited(self: pen.Pen, *args: Any, retry: Any = None, **kept: Any) -> Any:
        del retry
        return original(self, *args, **kept)

    return [(pen.Pen, "edited", edited)]


PATCHES = {
    "ownretry": (_own_retry, "a retry on the other side of a cut is an edit of its own"),
    "onename": (_one_name, "two changes of a document share an actor and a number"),
    "lossyfold": (_lossy_fold, "a fold leaves out a change"),
    "noheads": (_no_heads, "an edit is made upon what is there, not upon what was seen"),
}
