"""What blocking code can ask of a node about collaborative documents.

Law: as `node.client.sync_api`: no decision is made here. The awaiting client has the same methods.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Protocol, TypeVar, cast

from node.client import documents as calls
from node.client.call import Call
from node.client.documents import (
    DocumentChanges,
    DocumentNews,
    DocumentView,
    DocumentWritten,
    Edit,
    HistoryEntry,
)
from node.client.streams import Event

T = TypeVar("T")


class Documents(Protocol):
    """The methods of the client that blocks."""

    def _run(self, call: Call[T]) -> T: ...

    def events(self, *, cursor: str = "", path: str = "/events/stream") -> Iterator[Event]:
        """The events of a stream; see the client."""
        ...

    def document(
        self, memory_id: str, *, heads: Sequence[str] | None = None, verify: bool = False
    ) -> DocumentView:
        """A document: its value, its heads and its `etag`.

        Args:
            memory_id: of a memory of kind `document`.
            heads: of an earlier state, to see it as it was.
            verify: have a second program read it as well; `verified` says whether it agrees.

        Raises:
            Conflict: the memory is no document, or the node has not seen these heads.
        """
        return self._run(calls.document(memory_id, heads, verify=verify))

    def edit_document(
        self,
        memory_id: str,
        edits: Sequence[Edit],
        *,
        heads: Sequence[str] | None = None,
        message: str | None = None,
        if_match: str | None = None,
        idempotency_key: str | None = None,
    ) -> DocumentWritten:
        """Edit a document; all of the edits are made, or none. What others do meanwhile stays.

        Args:
            memory_id: of the document.
            edits: in their order; each sees those before it.
            heads: of the document that was read: positions mean what they meant there.
            message: kept with the change.
            if_match: the `etag` that it must still have.
            idempotency_key: makes a repetition harmless.

        Raises:
            BadRequest: an edit cannot be made; `index` of the body says which.
            PreconditionFailed: it is not the version that `if_match` names.
        """
        call = calls.edit_document(
            memory_id, edits, heads=heads, message=message, if_match=if_match, key=idempotency_key
        )
        return self._run(call)

    def document_changes(self, memory_id: str, *, since: Sequence[str] = ()) -> DocumentChanges:
        """The changes of a document, or those beyond the heads that the caller has.

        Raises:
            Conflict: the node has not seen these heads; `missing` of the body says which.
        """
        return self._run(calls.document_changes(memory_id, since))

    def add_changes(
        self,
        memory_id: str,
        changes: Iterable[bytes],
        *,
        if_match: str | None = None,
        idempotency_key: str | None = None,
    ) -> DocumentWritten:
        """Add changes that an Automerge library made; those that are known do no harm.

        Raises:
            Conflict: they depend on others that the node has not; `missing` of the body says which.
        """
        return self._run(calls.add_changes(memory_id, changes, if_match, idempotency_key))

    def document_history(self, memory_id: str, *, limit: int = 100) -> list[HistoryEntry]:
        """Who changed a document, when and how much, newest first; at most 1000."""
        return self._run(calls.document_history(memory_id, limit))

    def watch(self, memory_id: str, *, since: Sequence[str] = ()) -> Iterator[DocumentNews]:
        """A document's changes as they come, for as long as it is there to be seen.

        The first piece is what the document has beyond `since`. A stream that breaks off is
        opened again where it ended, on another node when this one is gone; a change may then
        come twice, which does no harm.

        Raises:
            NotFound: it was gone before the stream began.
        """
        found = self.events(
            cursor=calls.cursor_of(since), path=calls.path_of(memory_id, "/changes")
        )
        with closing(cast("Generator[Event, None, None]", found)) as events:
            for event in events:
                news = calls.news_of(event)
                if news is None:
                    return
                yield news
