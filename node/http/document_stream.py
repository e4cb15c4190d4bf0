"""The changes of one document as a stream, as one caller may follow them.

Law: a follower has heads and nothing else, and is sent what the document has beyond them, in an
order in which each change comes after those it was made upon. So whoever goes on from the heads
of the last event it has seen, at whichever node, misses nothing; what comes twice does no harm.
The stream ends with the memory, and with the follower's right to see it.
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import orjson

from crdt.document.model import MissingChangesError
from crdt.document.opened import Document
from crdt.document.pack import Kept
from node.contracts import Caller
from node.documents.documents import Documents
from node.event_stream import Event
from node.memory.memories import Memories
from node.memory.problems import RequestError

CHANGE: Final = "change"
END: Final = "end"
PIECE_BYTES: Final = 256 * 1024
PIECE_CHANGES: Final = 500
_HEADS_IN_ID_MAX: Final = 64
"""An id comes back as a header, which is bounded. Fewer heads only mean that more comes twice."""

Heads = frozenset[bytes]


def beyond(document: Document, heads: Iterable[bytes]) -> tuple[Heads, list[Kept]]:
    """The heads that the document knows, and what it has beyond them.

    A follower may come from a node that has seen more, or have changes that were set aside since.
    """
    known = frozenset(heads)
    while known:
        try:
            return known, document.since(known)
        except MissingChangesError as error:
            known -= set(error.missing) or known
    return known, document.since(())


def moved(heads: Heads, kept: Iterable[Kept]) -> Heads:
    """The heads of a follower that was sent further changes."""
    out = set(heads)
    for one in kept:
        out.difference_update(one.change.deps)
        out.add(one.change.hash)
    return frozenset(out)


def pieces(kept: Sequence[Kept]) -> Iterator[list[Kept]]:
    """Changes in the lists in which they are sent; one empty list of none."""
    piece: list[Kept] = []
    size = 0
    for one in kept:
        if piece and (len(piece) == PIECE_CHANGES or size + len(one.change.data) > PIECE_BYTES):
            yield piece
            piece, size = [], 0
        piece.append(one)
        size += len(one.change.data)
    yield piece


class DocumentSource:
    """One document as one caller may follow it.

    Args:
        memories: where its memory is found.
        documents: where it is read.
        record_id: of the memory, whole.
        viewer: who follows.
        heads: what the follower has.
        follow: has the stream woken after each commit.
    """

    def __init__(
        self,
        *,
        memories: Memories,
        documents: Documents,
        record_id: str,
        viewer: Caller,
        heads: Iterable[bytes],
        follow: Callable[[Callable[[], None]], Callable[[], None]],
    ) -> None:
        self._memories = memories
        self._documents = documents
        self._id = record_id
        self._viewer = viewer
        self._heads: Heads = frozenset(heads)
        self._etag = ""
        self._waiting: Iterator[list[Kept]] = iter(())
        self.over = False
        self.follow = follow

    def take(self) -> list[Event]:
        """The next piece of what is new; empty when there is nothing."""
        piece = next(self._waiting, None)
        if piece is None:
            try:
                piece = self._looked()
            except RequestError as error:
                self.over = True
                said = {"id": self._id, "reason": error.code}
                return [Event(name=END, data=orjson.dumps(said))]
        return [] if piece is None else [self._event(piece)]

    def _looked(self) -> list[Kept] | None:
        """The first piece of what the document has and the follower has not.

        Raises:
            RequestError: there is no such document any more for this follower.
        """
        first = not self._etag
        held = self._memories.find(self._id, self._viewer)
        if held.view.etag == self._etag:
            return None
        held, document = self._documents.read(self._id, self._viewer)
        self._etag = held.view.etag
        self._heads, kept = beyond(document, self._heads)
        if not kept and not first:
            return None  # another field of the memory
        self._waiting = pieces(kept)
        return next(self._waiting)

    def _event(self, piece: list[Kept]) -> Event:
        self._heads = moved(self._heads, piece)
        heads = sorted(one.hex() for one in self._heads)
        said = {
            "changes": [base64.b64encode(one.change.data).decode() for one in piece],
            "hashes": [one.change.hash.hex() for one in piece],
            "agents": [one.agent for one in piece],
            "heads": heads,
        }
        return Event(id=",".join(heads[:_HEADS_IN_ID_MAX]), name=CHANGE, data=orjson.dumps(said))

    def seconds(self) -> float | None:
        """Nothing happens without a commit, but for a life that ends: a heartbeat sees that."""
        return None
