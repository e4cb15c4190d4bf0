"""GET /ingest: a WebSocket on which an agent writes as fast as the mesh confirms (RFC 6455).

Law: each message is one request, all or none, with its own retry key and its own answer, and
passes every check that the same request over POST would pass. Answers come when their writes
are confirmed, so not always in the order of the messages; `ref` tells which is which. What is
unanswered is bounded: beyond that nothing is read, and TCP holds the sender back. A draining
node reads no more, answers what it has read, and closes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

import orjson
from aiohttp import WSCloseCode, WSMsgType, hdrs, web
from multidict import CIMultiDictProxy

from node.http import memory_routes, transfer_routes
from node.http.answer import Answer
from node.http.call import RETRY, Call
from node.http.problems import Problem, refused
from node.http.strict_json import BadJsonError, parse
from node.memory.problems import InvalidField

UNANSWERED_MAX: Final = 64
"""Messages that may wait for their answers on one connection."""

_PING_SECONDS: Final = 20.0
_STALL_SECONDS: Final = 20.0
_REF_CHARS_MAX: Final = 128
_ENVELOPE_BYTES: Final = 4096
_CREATES: Final = "memory"
_CREATES_MANY: Final = "memories"


class _Part(Call):
    """One message of a connection, as if it were a request of its own.

    What the connection proved when it began counts; a signature does not, because it said
    nothing about this message.
    """

    __slots__ = ()

    def __init__(self, whole: Call, fields: Mapping[str, Any], key: str | None) -> None:
        super().__init__(whole.request, whole.services, whole.door)
        headers = whole.headers.copy()
        headers.popall(RETRY, None)
        if key is not None:
            headers[RETRY] = key
        self.headers = CIMultiDictProxy(headers)
        self.peer, self.grant = whole.peer, whole.grant
        self._json = dict(fields)
        try:
            self._body = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError as error:  # it was read from JSON: only depth is left
            raise BadJsonError("nested too deeply") from error


class _Message(NamedTuple):
    """What a message asks for."""

    ref: str | int
    key: str | None
    fields: Mapping[str, Any]
    handler: Callable[[Call], Awaitable[Answer]]


def _read(text: str | bytes, number: int) -> _Message:
    """Take a message apart.

    Raises:
        node.memory.problems.RequestError: it is none; its message says why.
    """
    value = parse(text.encode(errors="surrogatepass") if isinstance(text, str) else text)
    if not isinstance(value, dict):
        raise InvalidField("message", "expected an object with `memory` or `memories`")
    key = value.get("key")
    if key is not None and not isinstance(key, str):
        raise InvalidField("key", "expected a text, as in the header Idempotency-Key")
    one, many = value.get(_CREATES), value.get(_CREATES_MANY)
    if isinstance(one, dict) and many is None:
        return _Message(_ref(value, number), key, one, memory_routes.create)
    if isinstance(many, list) and one is None:
        fields = {_CREATES_MANY: many}
        return _Message(_ref(value, number), key, fields, transfer_routes.bulk)
    raise InvalidField("message", "expected `memory`, an object, or `memories`, a list of them")


def _ref(value: Mapping[str, Any], number: int) -> str | int:
    """How the answer names its message: as the sender did, else by number from 1."""
    ref = value.get("ref", number)
    if isinstance(ref, bool) or not isinstance(ref, str | int):
        raise InvalidField("ref", "expected a text or a whole number")
    if isinstance(ref, str) and len(ref) > _REF_CHARS_MAX:
        raise InvalidField("ref", f"expected at most {_REF_CHARS_MAX} characters")
    return ref


class _Ingest:
    """One connection.

    Args:
        call: the request that opened it.
        socket: open.
    """

    def __init__(self, call: Call, socket: web.WebSocketResponse) -> None:
        self._call = call
        self._socket = socket
        self._room = asyncio.Semaphore(UNANSWERED_MAX)
        self._answers: list[bytes] = []
        self._answered = asyncio.Event()

    async def run(self, wake: asyncio.Event) -> None:
        """Serve until the client closes, its key ends, or the node drains."""
        writing = asyncio.create_task(self._write())
        try:
            code = await self._until_drained(wake)
            for _ in range(UNANSWERED_MAX):
                await self._room.acquire()  # all that was read has been answered
            await self._socket.close(code=code)
        except ConnectionError:
            # Nobody is there to be told; what was minted stays and spreads all the same.
            if self._call.request.transport is not None:
                self._call.request.transport.abort()
        finally:
            writing.cancel()

    async def _until_drained(self, wake: asyncio.Event) -> int:
        """Read until there is a reason not to; the code to close with."""
        async with asyncio.TaskGroup() as serving:
            reading = asyncio.ensure_future(self._read_all(serving))
            draining = asyncio.ensure_future(wake.wait())
            try:
                await asyncio.wait((reading, draining), return_when=asyncio.FIRST_COMPLETED)
            finally:
                draining.cancel()
                if not reading.done():
                    reading.cancel()
                    with suppress(asyncio.CancelledError):
                        await reading
        return WSCloseCode.GOING_AWAY if reading.cancelled() else reading.result()

    async def _read_all(self, serving: asyncio.TaskGroup) -> int:
        number = 0
        while True:
            async with self._room:  # for now: who may not read on must not read
                pass
            message = await self._socket.receive()
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return WSCloseCode.OK
            if not self._call.still_admitted:
                return WSCloseCode.POLICY_VIOLATION
            await self._room.acquire()  # at once: nobody else takes
            number += 1
            serving.create_task(self._serve(message.data, number))

    async def _serve(self, text: str | bytes, number: int) -> None:
        """Carry out one message; whatever comes of it is answered."""
        ref: str | int = number
        try:
            message = _read(text, number)
            ref = message.ref
            answer = await message.handler(_Part(self._call, message.fields, message.key))
        except Exception as error:  # noqa: BLE001 - the last resort of a server
            answer = refused(error) or self._failed(error)
        head: dict[str, Any] = {"ref": ref, "status": answer.status}
        if answer.headers and hdrs.RETRY_AFTER in answer.headers:
            head["retry_after"] = int(answer.headers[hdrs.RETRY_AFTER])
        # The body of an answer is an object of at least one field: it goes on where this ends.
        self._answers.append(orjson.dumps(head)[:-1] + b"," + answer.body[1:])
        self._answered.set()

    def _failed(self, error: Exception) -> Answer:
        self._call.services.log(
            "request_failed", route="GET /api/v1/ingest", error=type(error).__name__
        )
        said = "the node failed to serve this message; its log says more"
        return Problem(500, "internal", said).answer()

    async def _write(self) -> None:
        """Send what is answered, all of a turn in one message: a list of answers."""
        while True:
            await self._answered.wait()
            self._answered.clear()
            answers, self._answers = self._answers, []
            try:
                async with asyncio.timeout(_STALL_SECONDS):
                    await self._socket.send_str((b"[" + b",".join(answers) + b"]").decode())
            except (TimeoutError, ConnectionError):
                if self._call.request.transport is not None:
                    self._call.request.transport.abort()
            for _ in answers:
                self._room.release()


async def ingest(call: Call) -> web.StreamResponse:
    """GET /ingest: the upgrade, and then the connection."""
    if call.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
        raise Problem(
            426,
            "upgrade_required",
            "this address speaks WebSocket; single requests go to POST /api/v1/memories",
            headers={hdrs.UPGRADE: "websocket", hdrs.CONNECTION: "Upgrade"},
        )
    services = call.services
    wake = asyncio.Event()
    services.streams.enter(wake)
    try:
        socket = web.WebSocketResponse(
            compress=False,
            heartbeat=_PING_SECONDS,
            max_msg_size=services.limits.body_bytes_max + _ENVELOPE_BYTES,
        )
        try:
            await socket.prepare(call.request)
        except web.HTTPException as error:
            raise Problem(400, "invalid_upgrade", (error.text or "no handshake")[:200]) from error
        await _Ingest(call, socket).run(wake)
    finally:
        services.streams.leave(wake)
    return socket
