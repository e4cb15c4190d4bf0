"""Storing many memories over one connection: what `AsyncClient.ingest` gives.

Law: every store has one retry key for its whole life. What was sent and not answered when a
connection ends is sent again, with that key, on the next node; so a store that returns took
effect once, and one that raises says whether it may have. Which node is asked, how long and
after which pause is decided as for any other call.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Unpack, cast

from node.client.call import API
from node.client.errors import (
    ApiError,
    BadArgument,
    CertificateRefused,
    ClientError,
    NoAnswer,
    Unreachable,
    api_error,
)
from node.client.exchange import ERROR, Session, passes
from node.client.values import NewMemory, Stored

if TYPE_CHECKING:
    import aiohttp

_PATH: Final = f"{API}/ingest"
_PING_SECONDS: Final = 10.0
_SOONEST: Final = 0.001


@dataclass(slots=True, eq=False)
class _Store:
    """One store until it is answered.

    Attributes:
        text: the message.
        key: its retry key.
        done: its answer.
        sent: whether any node may have read it.
    """

    text: str
    key: str
    done: asyncio.Future[Stored]
    sent: bool = False


class Ingest:
    """An open way in; made by `AsyncClient.ingest`, belongs to one event loop."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._numbers = 0
        self._open: dict[int, _Store] = {}
        self._unsent: deque[int] = deque()
        self._wake = asyncio.Event()
        self._why: ClientError = Unreachable("no node was reached before the deadline")
        self._over: ClientError | None = None

    async def store(
        self,
        title: str,
        content: str,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[NewMemory],
    ) -> Stored:
        """Store a memory; returns when W members hold it. Call it many times at once.

        Raises:
            QuorumNotMet: one node holds it and spreads it later.
            ClientError: see `node.client.errors`.
        """
        if self._over is not None:
            raise self._over
        self._numbers += 1
        number, key = self._numbers, idempotency_key or self._session.key()
        memory = {"title": title, "content": content, **fields}
        try:
            text = json.dumps({"ref": number, "key": key, "memory": memory}, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise BadArgument(f"the memory cannot be said in JSON: {error}") from error
        store = _Store(text, key, self._loop.create_future())
        self._open[number] = store
        self._send(number)
        try:
            async with asyncio.timeout(self._session.settled.retry.total):
                return await store.done
        except TimeoutError:
            raise self._late(store) from None
        except ClientError as error:
            error.idempotency_key = key
            raise
        finally:
            self._open.pop(number, None)

    def _late(self, store: _Store) -> ClientError:
        error: ClientError = self._why
        if store.sent:
            error = NoAnswer(f"a store was not confirmed before its deadline: {self._why}")
        error.idempotency_key = store.key
        return error

    def _send(self, number: int) -> None:
        if number in self._open:
            self._unsent.append(number)
            self._wake.set()

    # --- the connection ---------------------------------------------------------------

    async def _run(self) -> None:
        """Keep a connection to some node until cancelled."""
        import aiohttp  # noqa: PLC0415 -- few clients need it

        retry, ambience = self._session.settled.retry, self._session.settled.ambience
        strangers: set[int] = set()
        completed = 0
        async with aiohttp.ClientSession(trust_env=False) as web:
            while self._over is None:
                for node in self._session.order():
                    if node not in strangers and await self._visit(web, node, strangers):
                        completed = 0
                        break
                else:
                    completed += 1
                    if len(strangers) == len(self._session.settled.places):
                        self._end(self._why)
                        return
                await asyncio.sleep(retry.pause(completed, ambience.chance()) if completed else 0)

    async def _visit(self, web: "aiohttp.ClientSession", node: int, strangers: set[int]) -> bool:
        """Talk to a node for as long as it listens; whether it did at all."""
        import aiohttp  # noqa: PLC0415 -- as above

        settled = self._session.settled
        place = settled.places[node]
        talked = False
        try:
            async with asyncio.timeout(settled.retry.connect):
                socket = await web.ws_connect(
                    place.url + _PATH,
                    headers=settled.headers_for(node),
                    ssl=settled.tls(place) if place.url.startswith("https:") else True,
                    heartbeat=_PING_SECONDS,
                    max_msg_size=0,
                )
            async with socket:
                talked, self._session.preferred = True, node
                self._unsent = deque(self._open)
                self._wake.set()
                await self._talk(socket, node)
            self._why = Unreachable(f"{place.url} closed the connection ({socket.close_code})")
        except aiohttp.WSServerHandshakeError as error:
            self._refused(place.url, error)
        except aiohttp.ClientConnectorCertificateError as error:
            self._why = CertificateRefused(f"{place.url}: {error.certificate_error}")
            strangers.add(node)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            words = str(error) or type(error).__name__
            self._why = Unreachable(f"no connection to {place.url}: {words}")
        return talked

    def _refused(self, url: str, error: "aiohttp.WSServerHandshakeError") -> None:
        refusal = api_error(error.status, {"detail": f"{url} lets nobody in with this"})
        self._why = refusal
        if error.status < 500 and error.status != 429:  # noqa: PLR2004 - it will say no again
            self._end(refusal)

    def _end(self, error: ClientError) -> None:
        """Nothing will come any more: tell all who wait."""
        self._over = error
        for store in self._open.values():
            if not store.done.done():
                store.done.set_exception(_told(error))

    async def _talk(self, socket: "aiohttp.ClientWebSocketResponse", node: int) -> None:
        writing = asyncio.ensure_future(self._write(socket))
        try:
            async for message in socket:
                for answer in json.loads(message.data):
                    self._take(answer, node)
        finally:
            writing.cancel()

    async def _write(self, socket: "aiohttp.ClientWebSocketResponse") -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._unsent:
                store = self._open.get(self._unsent.popleft())
                if store is not None and not store.done.done():
                    store.sent = True
                    try:
                        await socket.send_str(store.text)
                    except (ConnectionError, RuntimeError):
                        return  # the reading side ends with it, and sends it again elsewhere

    def _take(self, answer: Mapping[str, Any], node: int) -> None:
        number, status = answer["ref"], answer["status"]
        store = self._open.get(number)
        if store is None or store.done.done():
            return
        body = {name: value for name, value in answer.items() if name not in ("ref", "status")}
        if status < ERROR:
            durability = body.get("durability") or {}
            self._session.seen.wrote(node, durability.get("token"))
            store.done.set_result(cast("Stored", body))
            return
        error = api_error(status, body, retry_after=answer.get("retry_after"))
        if passes(error):
            self._why = error
            retry, chance = self._session.settled.retry, self._session.settled.ambience.chance()
            pause = max(error.retry_after or 0.0, retry.pause(1, chance), _SOONEST)
            self._loop.call_later(pause, self._send, number)
        else:
            store.done.set_exception(error)


def _told(error: ClientError) -> ClientError:
    """The same error for one more call; each gets its own key."""
    if isinstance(error, ApiError):
        return api_error(error.status, dict(error.body))
    return type(error)(*error.args)


@asynccontextmanager
async def opened(session: Session) -> AsyncIterator[Ingest]:
    """An open way in; at the end, what still waits for its answer is given up."""
    if session.settled.identity is not None:
        raise BadArgument("an agent that has bound a key signs every request; use store_many")
    ingest = Ingest(session)
    running = asyncio.ensure_future(ingest._run())  # noqa: SLF001 - two halves of one thing
    try:
        yield ingest
    finally:
        running.cancel()
        await asyncio.wait([running])
        ingest._end(Unreachable("the connection was closed by this client"))  # noqa: SLF001 - as above
