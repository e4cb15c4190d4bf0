"""What a campaign asks nodes over HTTP.

Law: an answer is one of three. `ok`: the node says it is so. `fail`: the node says that nothing was
changed. `info`: everything else, a 503, a timeout, a reset, for the request may still have its
effect. Trouble of the network is an answer without a status, never an exception. A request is
sent once: who retries, says so in the history.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import h11
import trio

from chaos.events import Outcome
from chaos.network.places import Place

_READ_BYTES: Final = 64 * 1024
_IDLE_MAX: Final = 8  # connections kept open for each node
_OK: Final = range(200, 300)
_FAIL: Final = range(400, 500)
_REQUEST_TIMEOUT: Final = 408  # it may have had its effect
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_ROOTS: Final = ("/livez", "/readyz", "/metrics", "/mcp")


class Answer(NamedTuple):
    """What came back.

    Attributes:
        status: of HTTP; 0 when nothing came.
        body: decoded JSON, else text, else None.
        headers: names in lower case.
        outcome: see the law of this file.
        why: the trouble, when there was no answer.
    """

    status: int
    body: Any
    headers: Mapping[str, str]
    outcome: Outcome
    why: str = ""


def outcome_of(status: int) -> Outcome:
    """What a status says about the effect of a write."""
    if status in _OK:
        return "ok"
    if status in _FAIL and status != _REQUEST_TIMEOUT:
        return "fail"
    return "info"


class Client:
    """Asks the nodes of a mesh, over connections that it keeps.

    Args:
        places: of the nodes; a node's number is its place in the list.
        agent: who asks, where a request does not say another.
    """

    def __init__(self, places: list[Place], agent: str = "ops:chaos") -> None:
        self._places = places
        self._agent = agent
        self._idle: list[list[_Wire]] = [[] for _ in places]

    async def ask(
        self,
        node: int,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] = _NOTHING,
        timeout_s: float = 5.0,
    ) -> Answer:
        """Ask one node once.

        Args:
            node: its number.
            method: of HTTP.
            path: below `/api/v1`, or one of the few beside it.
            body: sent as JSON; bytes as they are; None for none.
            headers: beside the usual ones.
            timeout_s: for all of it, seconds.
        """
        wire = self._idle[node].pop() if self._idle[node] else None
        try:
            with trio.fail_after(timeout_s):
                if wire is None:
                    wire = await _Wire.open(self._places[node])
                answer = await wire.ask(method, _full(path), body, self._named(headers))
        except trio.TooSlowError:
            return self._nothing(wire, "timeout")
        except (OSError, trio.BrokenResourceError, h11.ProtocolError, ValueError) as error:
            return self._nothing(wire, f"{type(error).__name__}: {error}")
        except BaseException:
            self._nothing(wire, "")
            raise
        if wire.reusable and len(self._idle[node]) < _IDLE_MAX:
            self._idle[node].append(wire)
        else:
            wire.close()
        return answer

    def forget(self, node: int) -> None:
        """Close the connections to a node, as after its end."""
        while self._idle[node]:
            self._idle[node].pop().close()

    def close(self) -> None:
        """Close all connections."""
        for node in range(len(self._places)):
            self.forget(node)

    def _named(self, headers: Mapping[str, str]) -> dict[str, str]:
        named = {name.lower(): text for name, text in headers.items()}
        named.setdefault("x-agent-id", self._agent)
        return named

    @staticmethod
    def _nothing(wire: "_Wire | None", why: str) -> Answer:
        if wire is not None:
            wire.close()
        return Answer(0, None, _NOTHING, "info", why)


def _full(path: str) -> str:
    return path if path.startswith(_ROOTS) else f"/api/v1{path}"


class _Wire:
    """One connection of HTTP/1.1 (RFC 9112)."""

    def __init__(self, stream: trio.SocketStream, host: str) -> None:
        self._stream = stream
        self._host = host
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=_READ_BYTES)
        self.reusable = False

    @classmethod
    async def open(cls, place: Place) -> "_Wire":
        made = trio.socket.from_stdlib_socket(place.socket())
        try:
            await made.connect(("127.0.0.1", place.agent_port))
        except BaseException:
            made.close()
            raise
        return cls(trio.SocketStream(made), f"127.0.0.1:{place.agent_port}")

    async def ask(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> Answer:
        data = b"" if body is None else body if isinstance(body, bytes) else _encoded(body)
        named = [("host", self._host), ("content-length", str(len(data))), *headers.items()]
        if data:
            named.append(("content-type", "application/json"))
        # As bytes: h11 takes text in ASCII only, and names may be any.
        lines = [(name.encode(), text.encode()) for name, text in named]
        sent = self._state.send(h11.Request(method=method, target=path, headers=lines)) or b""
        sent += self._state.send(h11.Data(data=data)) or b""
        sent += self._state.send(h11.EndOfMessage()) or b""
        await self._stream.send_all(sent)
        return await self._answer()

    async def _answer(self) -> Answer:
        head, parts = None, []
        while True:
            event = self._state.next_event()
            if event is h11.NEED_DATA:
                self._state.receive_data(await self._stream.receive_some(_READ_BYTES))
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.ConnectionClosed):
                raise OSError("closed before an answer")
        if head is None:
            raise OSError("an end without a beginning")
        self.reusable = self._state.our_state is self._state.their_state is h11.DONE
        if self.reusable:
            self._state.start_next_cycle()
        named = {name.decode(): text.decode("latin-1") for name, text in head.headers}
        decoded = _decoded(b"".join(parts), named.get("content-type", ""))
        return Answer(head.status_code, decoded, named, outcome_of(head.status_code))

    def close(self) -> None:
        self._stream.socket.close()


def _encoded(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _decoded(raw: bytes, kind: str) -> Any:
    if not raw:
        return None
    return json.loads(raw) if "json" in kind else raw.decode("utf-8", "replace")
