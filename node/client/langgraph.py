"""A LangGraph store on a mnemesh node: `from node.client.langgraph import MnemeshStore`.

Law: what `langgraph.store.base.BaseStore` promises, on top of the public client: gets and
searches of a batch see what was there before it, and of several puts of one key the last one
counts. Each operation is a generator of calls, so blocking and awaiting graphs get the same.
"""

import asyncio
from collections.abc import Callable, Generator, Iterable
from datetime import UTC, datetime
from typing import Any, Final, cast

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
)

from node.client import api
from node.client.async_client import AsyncClient
from node.client.call import Call, make_call, plain
from node.client.errors import BadArgument, ClientError, Conflict, NotFound
from node.client.langgraph_items import (
    ROOT,
    Path,
    body_of,
    facts_of,
    fields_of,
    is_cut,
    item_id,
    labels_of,
    life_to_renew,
    matches,
    passes_filter,
    prefix_tag,
)
from node.client.many import Pages
from node.client.sync_client import Client

_RECALL_MAX: Final = 50
_AT_ONCE: Final = 16

Work = Generator[Call[Any], Any, Any]


def _now() -> datetime:
    return datetime.now(UTC)


class MnemeshStore(BaseStore):
    """Long-term memory of LangGraph agents, replicated by a mesh.

    Args:
        client: for graphs that block.
        async_client: for graphs that await; it belongs to their event loop.
        root: first part of every namespace on the node.
        scope: `private` to hide the items from other agents.
        ttl: default lives, in minutes, and whether reading prolongs them.
        now: the time of day, for tests.

    An item with a life is prolonged by a read once a tenth of it has passed. `index` is not
    used: the whole value is found by a search, by the words in it.
    """

    supports_ttl = True

    def __init__(
        self,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
        *,
        root: str = ROOT,
        scope: str | None = None,
        ttl: TTLConfig | None = None,
        now: Callable[[], datetime] = _now,
    ) -> None:
        super().__init__()
        if client is None and async_client is None:
            raise BadArgument("a store needs a client, an async_client, or both")
        if not root or "/" in root:
            raise BadArgument("root: expected one part of a namespace")
        self.ttl_config = ttl
        self._client = client
        self._async_client = async_client
        self._root = root
        self._scope = scope
        self._now = now

    # --- what BaseStore asks for ------------------------------------------------------

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations, one after the other.

        Raises:
            BadArgument: this store was made without a `client`.
            ClientError: see `node.client.errors`.
        """
        client = self._client
        if client is None:
            raise BadArgument("this store has an async_client only; use the methods with an a")
        every = list(ops)
        results: list[Result] = [None] * len(every)
        for place, op in enumerate(every):
            if not isinstance(op, PutOp):
                results[place] = _drive(client, self._work(op))
        for op in _last_puts(every):
            _drive(client, self._put(op))
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations, several at once: first all that read, then the puts.

        Raises:
            BadArgument: this store was made without an `async_client`.
            ClientError: see `node.client.errors`.
        """
        client = self._async_client
        if client is None:
            raise BadArgument("this store has a client only; use the methods without an a")
        every = list(ops)
        reads = [(n, self._work(op)) for n, op in enumerate(every) if not isinstance(op, PutOp)]
        results: list[Result] = [None] * len(every)
        found = await _drive_all(client, [work for _, work in reads])
        for (place, _), result in zip(reads, found, strict=True):
            results[place] = result
        await _drive_all(client, [self._put(op) for op in _last_puts(every)])
        return results

    # --- each operation as calls ------------------------------------------------------

    def _work(self, op: Op) -> Work:
        if isinstance(op, GetOp):
            return self._get(op)
        if isinstance(op, SearchOp):
            return self._search(op)
        if isinstance(op, ListNamespacesOp):
            return self._list_namespaces(op)
        raise BadArgument(f"a store has no operation {type(op).__name__}")

    def _get(self, op: GetOp) -> Work:
        ident = item_id(self._root, op.namespace, str(op.key))
        try:
            memory = yield api.get(ident)
        except NotFound:
            return None
        fields = fields_of(memory)
        if fields is None:
            return None
        if op.refresh_ttl:
            yield from self._renew(memory)
        return Item(**fields)

    def _renew(self, memory: dict[str, Any]) -> Work:
        seconds = life_to_renew(memory, self._now())
        if seconds is not None:
            try:
                yield api.update(memory["id"], None, None, {"ttl_secs": seconds})
            except NotFound:
                return  # its life ended meanwhile

    def _put(self, op: PutOp) -> Work:
        ident = item_id(self._root, op.namespace, str(op.key))
        if op.value is None:
            try:
                yield api.delete(ident, None, None)
            except NotFound:
                return
            return
        body = body_of(self._root, op.namespace, str(op.key), op.value, op.ttl)
        if self._scope is not None:
            body["scope"] = self._scope
        try:
            yield make_call("POST", "/memories", plain, body={**body, "id": ident})
        except Conflict as error:
            if error.code == "idempotency_key_reused":
                raise
        else:
            return
        try:
            yield api.update(ident, None, None, body)
        except NotFound:
            # It is in the archive, where nothing is changed.
            yield api.restore(ident, None)
            yield api.update(ident, None, None, body)

    def _search(self, op: SearchOp) -> Work:
        wanted = op.offset + op.limit
        found: dict[str, SearchItem] = {}
        memories: dict[str, dict[str, Any]] = {}
        tag = prefix_tag(self._root, op.namespace_prefix)
        if op.query:
            limit = _RECALL_MAX if op.filter else min(wanted, _RECALL_MAX)
            answer = yield api.recall(op.query, max(limit, 1), {"tags": [tag]})
            for memory in answer["memories"]:
                memories[memory["id"]] = memory
                _take(found, memory, op, memory.get("score"))
        if len(found) < wanted:
            pages = Pages()
            while not pages.done and len(found) < wanted:
                listed = yield api.page(pages.limit, pages.offset, {"tags": [tag]})
                for memory in pages.take(listed):
                    memories[memory["id"]] = cast("dict[str, Any]", memory)
                    _take(found, memory, op, None)
        chosen = list(found.values())[op.offset : wanted]
        if op.refresh_ttl:
            for ident in list(found)[op.offset : wanted]:
                yield from self._renew(memories[ident])
        return chosen

    def _list_namespaces(self, op: ListNamespacesOp) -> Work:
        answer = yield make_call("GET", "/namespaces", plain)
        found: set[Path] = set()
        for row in answer["namespaces"]:
            labels = labels_of(self._root, row["namespace"])
            if labels is None or not row["count"]:
                continue
            if is_cut(row["namespace"]):
                found |= yield from self._namespaces_in(row["namespace"])
            else:
                found.add(labels)
        conditions = op.match_conditions or ()
        fitting = {
            namespace[: op.max_depth] if op.max_depth is not None else namespace
            for namespace in found
            if all(matches(namespace, c.match_type, c.path) for c in conditions)
        }
        return sorted(fitting)[op.offset : op.offset + op.limit]

    def _namespaces_in(self, space: str) -> Work:
        """Whole namespaces of the items that share the first labels."""
        found: set[Path] = set()
        pages = Pages()
        while not pages.done:
            listed = yield api.page(pages.limit, pages.offset, {"namespace": space})
            for memory in pages.take(listed):
                facts = facts_of(memory)
                if facts is not None:
                    found.add(tuple(facts["namespace"]))
        return found


def _take(found: dict[str, SearchItem], memory: Any, op: SearchOp, score: float | None) -> None:
    if memory["id"] in found:
        return
    fields = fields_of(memory)
    if fields is not None and passes_filter(fields["value"], op.filter):
        found[memory["id"]] = SearchItem(**fields, score=score)


def _last_puts(ops: Iterable[Op]) -> list[PutOp]:
    """Of the puts of one key the last one."""
    last: dict[tuple[Path, str], PutOp] = {}
    for op in ops:
        if isinstance(op, PutOp):
            last[op.namespace, str(op.key)] = op
    return list(last.values())


def _drive(client: Client, work: Work) -> Any:
    """Carry out the calls of an operation; errors go back into it."""
    try:
        call = next(work)
        while True:
            try:
                answer = client._run(call)  # noqa: SLF001 -- the two clients and this are one package
            except ClientError as error:
                call = work.throw(error)
            else:
                call = work.send(answer)
    except StopIteration as done:
        return done.value


async def _adrive(client: AsyncClient, work: Work) -> Any:
    """The same, awaiting."""
    try:
        call = next(work)
        while True:
            try:
                answer = await client._run(call)  # noqa: SLF001 -- as above
            except ClientError as error:
                call = work.throw(error)
            else:
                call = work.send(answer)
    except StopIteration as done:
        return done.value


async def _drive_all(client: AsyncClient, works: list[Work]) -> list[Any]:
    """Carry out operations, several at once; the first error is raised as itself."""
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(work: Work) -> Any:
        async with turn:
            return await _adrive(client, work)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(work)) for work in works]
    except BaseExceptionGroup as errors:
        raise cast("Exception", errors.exceptions[0]) from None
    return [task.result() for task in tasks]
