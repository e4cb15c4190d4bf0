"""What awaiting code can ask of a node, one method for each thing.

Law: no decision is made here: calls are described by `api`, cut by `many`, read by `streams`,
and brought to their result by the client below. The blocking client has the same methods.
"""

import builtins
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, Unpack

from node.client import api
from node.client.async_documents import AsyncDocuments
from node.client.call import Call
from node.client.errors import BadRequest, ClientError
from node.client.exchange import ERROR, Outcome, Session, Step, error_of
from node.client.faults import client_error
from node.client.many import (
    PAGE,
    Pages,
    add_bulk,
    add_import,
    import_pieces,
    no_bulk,
    no_import,
    pieces,
    whole,
)
from node.client.places import Settled
from node.client.streams import Event, EventReader, ExportReader, Following, Kind, export_of
from node.client.values import (
    BulkResult,
    Changes,
    Compared,
    Comparing,
    Consolidating,
    Filters,
    Forgetting,
    ImportResult,
    Link,
    Memory,
    MemoryBody,
    Message,
    NewMemory,
    Recalled,
    RecallFilters,
    Stored,
    Written,
)
from node.client.wires import AsyncWires, httpx_error, reply_of

T = TypeVar("T")


class AsyncApi(AsyncDocuments, Protocol):
    """The methods of the client that awaits."""

    _settled: Settled
    _session: Session
    _wires: AsyncWires

    async def _run(self, call: Call[T]) -> T: ...

    async def _do(self, step: Step) -> Outcome: ...

    # --- memories ---------------------------------------------------------------------

    async def store(
        self,
        title: str,
        content: str,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[NewMemory],
    ) -> Stored:
        """Store a memory; returns when W members hold it.

        Raises:
            QuorumNotMet: one node holds it and spreads it later.
            ClientError: see `node.client.errors`; so for every method.
        """
        return await self._run(api.store(title, content, idempotency_key, fields))

    async def get(self, memory_id: str) -> Memory:
        """One memory with its links and its `etag`.

        Raises:
            NotFound: there is none that the caller may see.
        """
        return await self._run(api.get(memory_id))

    async def update(
        self,
        memory_id: str,
        *,
        if_match: str | None = None,
        idempotency_key: str | None = None,
        **changes: Unpack[Changes],
    ) -> Written:
        """Change fields of a memory.

        Raises:
            PreconditionFailed: it is not the version that `if_match` names.
        """
        return await self._run(api.update(memory_id, idempotency_key, if_match, changes))

    async def delete(
        self, memory_id: str, *, if_match: str | None = None, idempotency_key: str | None = None
    ) -> Written:
        """Delete a memory on every node."""
        return await self._run(api.delete(memory_id, idempotency_key, if_match))

    async def list(
        self, *, limit: int = 20, offset: int = 0, **filters: Unpack[Filters]
    ) -> list[Memory]:
        """Memories that pass every filter, newest first; at most 1000."""
        return await self._run(api.page(limit, offset, filters))

    async def iterate(
        self, *, page: int = PAGE, **filters: Unpack[Filters]
    ) -> AsyncIterator[Memory]:
        """All memories that pass every filter, each once, page by page."""
        pages = Pages(page)
        while not pages.done:
            found = await self._run(api.page(pages.limit, pages.offset, filters))
            for memory in pages.take(found):
                yield memory

    async def recall(
        self, context: str, *, limit: int = 10, **filters: Unpack[RecallFilters]
    ) -> Recalled:
        """The memories that fit a context best, each with its score."""
        return await self._run(api.recall(context, limit, filters))

    async def search(
        self, text: str, *, limit: int = 20, offset: int = 0, **filters: Unpack[Filters]
    ) -> builtins.list[Memory]:
        """Memories in which every word of a text stands."""
        return await self._run(api.search(text, limit, offset, filters))

    async def promote(
        self,
        memory_id: str,
        *,
        to_namespace: str | None = None,
        idempotency_key: str | None = None,
    ) -> Written:
        """Make a memory last, and bring it back from the archive."""
        return await self._run(api.promote(memory_id, idempotency_key, to_namespace))

    async def grant(
        self, memory_id: str, agent_id: str, *, idempotency_key: str | None = None
    ) -> Written:
        """Let an agent see a private memory."""
        return await self._run(api.sharing(memory_id, "grant", agent_id, idempotency_key))

    async def revoke(
        self, memory_id: str, agent_id: str, *, idempotency_key: str | None = None
    ) -> Written:
        """Take that back."""
        return await self._run(api.sharing(memory_id, "revoke", agent_id, idempotency_key))

    # --- many at once -----------------------------------------------------------------

    async def store_many(
        self, memories: Iterable[MemoryBody], *, idempotency_key: str | None = None
    ) -> BulkResult:
        """Store any number of memories, 1000 in a request; bad ones are reported.

        Raises:
            ClientError: a request failed; repeated with its `idempotency_key`, what was
                stored is not stored again.
        """
        key = idempotency_key or self._session.key()
        total, first = no_bulk(), 0
        for number, piece in enumerate(pieces(memories)):
            try:
                answer = await self._run(api.bulk(piece, f"{key}-{number}"))
            except BadRequest as error:
                # Not one item of this piece was good; the others are worth sending.
                if "errors" not in error.body:
                    raise whole(error, key) from None
                answer = dict(error.body)
            except ClientError as error:
                raise whole(error, key) from None
            add_bulk(total, answer, first)
            first += len(piece)
        return total

    async def take_in(
        self,
        memories: Iterable[Mapping[str, Any]],
        links: Iterable[Mapping[str, Any]] = (),
        *,
        trust_source: bool = False,
        idempotency_key: str | None = None,
    ) -> ImportResult:
        """Import memories, then links, as `export` gives them; ids already held are skipped.

        Args:
            memories: records.
            links: between them.
            trust_source: keep the declared authors; for administrators.
            idempotency_key: of the whole.
        """
        key = idempotency_key or self._session.key()
        total, first = no_import(), 0
        for number, (records, between) in enumerate(import_pieces(memories, links)):
            call = api.take_in(records, between, f"{key}-{number}", trust_source=trust_source)
            try:
                answer = await self._run(call)
            except ClientError as error:
                raise whole(error, key) from None
            add_import(total, answer, first)
            first += len(records)
        return total

    async def export(self) -> AsyncIterator[tuple[Kind, dict[str, Any]]]:
        """All that the caller may see: `("memory", record)`, then `("link", record)`.

        Raises:
            BrokenAnswer: it ended before its end.
        """
        reader = ExportReader()
        if len(self._session.seen.tokens()) > 1:
            await self._run(api.look("/quota"))  # then one token says it all
        send = export_of(self._session)
        try:
            async with self._wires.open(send) as response:
                if response.status_code >= ERROR:
                    raise error_of(reply_of(response, await response.aread()))
                async for part in response.aiter_bytes():
                    for kind, record in reader.feed(part):
                        yield kind, record
        except httpx_error() as error:
            raise client_error(error, self._settled.places[send.node].url) from error
        reader.close()

    async def events(
        self, *, cursor: str = "", path: str = "/events/stream"
    ) -> AsyncIterator[Event]:
        """What happens, as it happens, for as long as it is asked for.

        A stream that breaks off is opened again where it ended, on another node when this one
        is gone. An event named `reset` says that what lies between cannot be told any more.

        Args:
            cursor: of an earlier event, to go on after it; else from now on.
            path: another stream, as `/pending/stream`.
        """
        following = Following(self._session, api.stream_target(path), cursor)
        while True:
            broke: ClientError | None = None
            reader, send = EventReader(), following.opening()
            try:
                async with self._wires.open(send) as response:
                    if response.status_code >= ERROR:
                        body = await response.aread()
                        await self._do(following.refused(reply_of(response, body)))
                        continue
                    async for part in response.aiter_bytes():
                        following.took(None)
                        for event in reader.feed(part):
                            following.took(event)
                            yield event
            except httpx_error() as error:
                broke = client_error(error, self._settled.places[send.node].url)
            await self._do(following.broke(broke))

    # --- links, lifecycle, agents -----------------------------------------------------

    async def link(
        self,
        source_id: str,
        target_id: str,
        relation: str | None = None,
        *,
        valid_from: str | None = None,
        idempotency_key: str | None = None,
    ) -> Link:
        """Say how two memories belong together; `related_to` unless said otherwise."""
        return await self._run(
            api.link(source_id, target_id, relation, valid_from, idempotency_key)
        )

    async def unlink(
        self,
        source_id: str,
        target_id: str,
        relation: str | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Written:
        """Take that back."""
        return await self._run(api.unlink(source_id, target_id, relation, idempotency_key))

    async def links(self, memory_id: str) -> builtins.list[Link]:
        """Links of a memory, both ways."""
        return await self._run(api.links(memory_id))

    async def forget(
        self, *, idempotency_key: str | None = None, **which: Unpack[Forgetting]
    ) -> Written:
        """Erase memories, in the archive too."""
        return await self._run(api.forget(idempotency_key, which))

    async def archive(
        self,
        ids: Sequence[str],
        *,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> Written:
        """Put memories into the archive."""
        return await self._run(api.archive(ids, reason, idempotency_key))

    async def restore(self, memory_id: str, *, idempotency_key: str | None = None) -> Written:
        """Bring a memory back from the archive."""
        return await self._run(api.restore(memory_id, idempotency_key))

    async def consolidate(
        self, *, idempotency_key: str | None = None, **fields: Unpack[Consolidating]
    ) -> Written:
        """Make one memory of several; these go into the archive."""
        return await self._run(api.consolidate(idempotency_key, fields))

    async def check_duplicate(self, content: str, **fields: Unpack[Comparing]) -> Compared:
        """Which memories come close to a text, nearest first."""
        return await self._run(api.check_duplicate({"content": content, **fields}))

    async def notify(
        self,
        to: str,
        title: str,
        content: str,
        *,
        priority: int | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Send a message to an agent."""
        return await self._run(api.notify(to, title, content, priority, idempotency_key))

    async def inbox(
        self, *, limit: int | None = None, unread_only: bool = False
    ) -> builtins.list[Message]:
        """Messages for the caller."""
        return await self._run(api.inbox(limit, unread_only=unread_only))

    async def stats(self) -> dict[str, Any]:
        """Figures about the memories of a node."""
        return await self._run(api.look("/stats"))

    async def capabilities(self) -> dict[str, Any]:
        """What a node can do."""
        return await self._run(api.look("/capabilities"))
