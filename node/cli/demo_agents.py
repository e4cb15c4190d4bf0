"""The agents of the demonstration: they write on every node at once and remember each answer.

Law: an agent speaks plain HTTP with an API key, as any agent does. A write that breaks off is
sent again, to another node if need be, under the same key, so that it can take effect once
only. Only a 201 or 200 is a promise.
"""

import asyncio
import itertools
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from node.cli.demo_ledger import Ledger, content_hash
from node.cli.demo_mesh import DemoNode
from node.errors import NodeError
from node.importers.values import batches

_API: Final = "/api/v1"
_TIMEOUT_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.05
_TRIES_MAX: Final = 40
_BROKEN: Final = (aiohttp.ClientError, TimeoutError, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One answer of a node."""

    status: int
    body: Any


@dataclass(slots=True)
class Agents:
    """Everything that talks to the nodes.

    Attributes:
        ledger: where promises are written down.
        wrote: confirmed writes by name of the node that confirmed them.
    """

    ledger: Ledger
    wrote: dict[str, int] = field(default_factory=dict)
    _session: aiohttp.ClientSession | None = None
    _keys: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def __aenter__(self) -> Self:
        """Open the connections."""
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS),
            connector=aiohttp.TCPConnector(limit=0),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close them."""
        if self._session is not None:
            await self._session.close()

    async def ask(
        self,
        node: DemoNode,
        method: str,
        path: str,
        body: object | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Said:
        """Send one request; raises what the connection raises."""
        assert self._session is not None  # noqa: S101 -- used inside `async with`
        key = self._keys.setdefault(node.name, node.api_key)
        sent = {"x-api-key": key, "x-agent-id": "ai:demo", **(headers or {})}
        url = f"{node.url}{path if path.startswith('/readyz') else _API + path}"
        async with self._session.request(method, url, json=body, headers=sent) as answer:
            if "json" in answer.content_type:
                return Said(status=answer.status, body=await answer.json())
            return Said(status=answer.status, body=await answer.text())

    async def tell(
        self, node: DemoNode, method: str, path: str, body: object | None = None
    ) -> Said:
        """Like `ask`, for what must succeed.

        Raises:
            NodeError: it did not.
        """
        said = await self.ask(node, method, path, body)
        if said.status >= HTTPStatus.BAD_REQUEST:
            raise NodeError(f"{node.name} answered {said.status}", why=str(said.body)[:300])
        return said

    async def store_all(self, node: DemoNode, memories: Sequence[Mapping[str, Any]]) -> list[str]:
        """Store many through the bulk route and return their ids."""
        ids: list[str] = []
        for batch in batches(memories):
            named = [{"id": str(uuid.uuid4()), **memory} for memory in batch]
            for memory in named:
                self.ledger.doubt(memory["id"])
            said = await self.tell(node, "POST", "/memories/bulk", named)
            if said.body["errors"]:
                raise NodeError("a section was refused", why=str(said.body["errors"][:2]))
            for memory in named:
                self._count(node, memory["id"], memory)
            ids += said.body["ids"]
        return ids

    async def edit(self, node: DemoNode, ident: str, memory: Mapping[str, Any]) -> Said:
        """Write title and content over; a promise when it is confirmed."""
        body = {"title": memory["title"], "content": memory["content"]}
        said = await self.ask(node, "PUT", f"/memories/{ident}", body)
        if said.status == HTTPStatus.OK:
            self._count(node, ident, memory)
        return said

    async def write(
        self, nodes: Sequence[DemoNode], memory: Mapping[str, Any], ends: asyncio.Event
    ) -> None:
        """Store one memory on the first node that confirms it."""
        body = {"id": str(uuid.uuid4()), **memory}
        headers = {"idempotency-key": f"demo-{next(self._numbers)}"}
        self.ledger.doubt(body["id"])
        broken = False
        for node in itertools.islice(itertools.cycle(nodes), _TRIES_MAX):
            if node.process is None:
                continue
            try:
                said = await self.ask(node, "POST", "/memories", body, headers)
            except _BROKEN:
                said, broken = Said(status=0, body={}), True
            if said.status == HTTPStatus.CREATED:
                self._count(node, body["id"], memory)
                self.ledger.retried += broken
                return
            if said.status and said.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise NodeError(f"{node.name} answered {said.status}", why=str(said.body)[:300])
            if ends.is_set():
                return
            await asyncio.sleep(_PAUSE_SECONDS)

    def _count(self, node: DemoNode, ident: str, memory: Mapping[str, Any]) -> None:
        self.ledger.promise(ident, memory)
        self.wrote[node.name] = self.wrote.get(node.name, 0) + 1

    async def keep_writing(
        self,
        nodes: Sequence[DemoNode],
        texts: Iterator[Mapping[str, Any]],
        ends: asyncio.Event,
        *,
        hands: int,
    ) -> None:
        """Write on all nodes with several hands each until told to end."""

        async def hand(first: int) -> None:
            while not ends.is_set():
                await self.write([*nodes[first:], *nodes[:first]], next(texts), ends)

        async with asyncio.TaskGroup() as group:
            for first in range(len(nodes)):
                for _ in range(hands):
                    group.create_task(hand(first))

    async def held(self, node: DemoNode) -> dict[str, str]:
        """Content hash of every memory that a node holds, by id."""
        said = await self.tell(node, "GET", "/export")
        return {memory["id"]: content_hash(memory) for memory in said.body["memories"]}

    async def mesh(self, node: DemoNode) -> dict[str, Any] | None:
        """What a node says about its mesh; None when it does not answer."""
        if node.process is None:
            return None
        try:
            said = await self.ask(node, "GET", "/mesh")
        except _BROKEN:
            return None
        return said.body if said.status == HTTPStatus.OK else None

    async def taken_in(self, node: DemoNode) -> int:
        """Operations this process got from its peers since it started."""
        page = str((await self.tell(node, "GET", "/metrics")).body)
        rows = (line.rpartition(" ") for line in page.splitlines())
        return int(
            sum(
                float(value)
                for name, _, value in rows
                if name.startswith("mnemesh_sync_ops_total{") and 'direction="in"' in name
            )
        )
