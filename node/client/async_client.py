"""The client that awaits.

Law: every decision about nodes, tries and tokens is made by `exchange`; every request is
described by `api`. Here is only what has to be awaited.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from node.client.async_api import AsyncApi
from node.client.call import Call, make_call, plain
from node.client.causal import Seen
from node.client.exchange import Outcome, Pause, Session, Step, exchange
from node.client.ingest import Ingest, opened
from node.client.places import DEFAULT_URL, Options, running_node, settle
from node.client.wires import AsyncWires

T = TypeVar("T")


class AsyncClient(AsyncApi):
    """Speaks to a node, or to whichever of several answers; belongs to one event loop.

    Args:
        url: address of a node, or of several members of one mesh.
        **options: what to present, whom to trust and how long to try; see `Options`.

    Raises:
        BadArgument: an argument cannot mean anything, or would give a secret away.
    """

    def __init__(self, url: str | Sequence[str] = DEFAULT_URL, **options: Unpack[Options]) -> None:
        settled = settle(url, options)
        self._settled = settled
        self._session = Session(settled=settled, seen=Seen(len(settled.places)))
        self._wires = AsyncWires(settled)

    def __repr__(self) -> str:
        return f"AsyncClient({self.url!r})"

    @classmethod
    def local(cls, data_dir: str | Path | None = None, *, agent_id: str | None = None) -> Self:
        """A client of the node that runs on a data directory of this machine.

        Raises:
            node.errors.NodeError: none runs there, or its key can be read by others.
        """
        url, options = running_node(data_dir, agent_id)
        return cls(url, **options)

    @property
    def token(self) -> str:
        """What this session has seen; `adopt` hands it to another one."""
        return self._session.seen.token()

    def adopt(self, token: str) -> None:
        """See from now on at least what another session has seen."""
        self._session.seen.adopt(token)

    @property
    def url(self) -> str:
        """The node that the next call begins with."""
        return self._settled.places[self._session.preferred].url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._wires.aclose()

    def ingest(self) -> AbstractAsyncContextManager[Ingest]:
        """A connection over which many stores go at once, several times as fast as one by one.

        `async with client.ingest() as lane: await asyncio.gather(*(lane.store(...) ...))`.

        Raises:
            BadArgument: the agent signs its requests; messages on a connection are not signed.
        """
        return opened(self._session)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        body: object | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """One call to the HTTP API, with retries, failover and the causal token.

        Args:
            method: HTTP method.
            path: below `/api/v1`, as `/memories`; from the root when it begins with `/api/`.
            params: of the address; lists are joined with commas, None is left out.
            body: anything JSON can say.
            idempotency_key: of a write; drawn when it is left out, the same for every try.

        Returns:
            The answer; `{"text": ...}` for one that is no JSON.

        Raises:
            ApiError: the node said no.
            ClientError: there is no answer.
        """
        return await self._run(
            make_call(
                method, path, plain, params=params, body=body, idempotency_key=idempotency_key
            )
        )

    async def _run(self, call: Call[T]) -> T:
        steps = exchange(self._session, call)
        try:
            step = next(steps)
            while True:
                step = steps.send(await self._do(step))
        except StopIteration as done:
            result: T = done.value
            return result

    async def _do(self, step: Step) -> Outcome:
        if not isinstance(step, Pause):
            return await self._wires.send(step)
        pause = self._settled.ambience.pause
        if pause is time.sleep:
            await asyncio.sleep(step.seconds)
        else:
            pause(step.seconds)
        return None
