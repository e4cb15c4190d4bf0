"""Requests that a node makes of itself, for a tool that was called at /mcp.

Law: such a request takes the very road that one over the network takes: the same dispatcher,
the same checks of Host, key, certificate and role, the same limits, counters and audit. It
carries what its caller presented and nothing more, and comes from where its caller is.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlencode

import orjson
from multidict import CIMultiDict

from node.client.errors import api_error
from node.http.answer import Answer

if TYPE_CHECKING:
    from aiohttp import web

    from node.http.call import Call
    from node.http.dispatch import Dispatcher

AGENT: Final = "X-Agent-Id"
_CARRIED: Final = (
    "Host",
    "x-api-key",
    "Authorization",
    AGENT,
    "X-Causal-Token",
    "X-Causal-Wait-Ms",
)
_ERRORS: Final = 400


class _Body:
    """A body that is there, as aiohttp's stream shows one."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def is_eof(self) -> bool:
        """Nothing more will come."""
        return True

    def exception(self) -> None:
        """Nothing went wrong."""

    def read_nowait(self) -> bytes:
        """All of it."""
        return self._data


class _Request:
    """What a dispatcher reads of a request."""

    __slots__ = ("content", "headers", "method", "raw_path", "transport")

    def __init__(
        self, outer: "Call", method: str, target: str, headers: CIMultiDict[str], body: bytes
    ) -> None:
        self.method = method
        self.raw_path = target
        self.headers = headers
        self.content = _Body(body)
        self.transport = outer.request.transport


class Inner:
    """An `Api` over the node's own dispatcher.

    Args:
        dispatcher: of the listener through which the caller came.
        outer: the caller's request.
        agent: in whose name, where the caller names nobody; empty for nobody's.
    """

    def __init__(self, dispatcher: "Dispatcher", outer: "Call", agent: str) -> None:
        self._dispatcher = dispatcher
        self._outer = outer
        self._agent = agent

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """See `node.mcp.api.Api`."""
        headers = self._headers(idempotency_key)
        target = f"{path}?{urlencode(params)}" if params else path
        data = b"" if body is None else orjson.dumps(body)
        request = _Request(self._outer, method, target, headers, data)
        answer = await self._dispatcher.answer(cast("web.BaseRequest", request))
        if not isinstance(answer, Answer):
            raise api_error(500, {"error": "internal", "detail": "the answer is a stream"})
        value = orjson.loads(answer.body) if answer.body else {}
        if answer.status >= _ERRORS:
            raise api_error(answer.status, value, retry_after=_retry_after(answer))
        return value if isinstance(value, dict) else {"value": value}

    def _headers(self, idempotency_key: str | None) -> CIMultiDict[str]:
        outer = self._outer
        headers = CIMultiDict(
            (name, outer.headers[name]) for name in _CARRIED if name in outer.headers
        )
        if self._agent and AGENT not in headers and not outer.grant.agent_id:
            headers[AGENT] = self._agent
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        return headers


def _retry_after(answer: Answer) -> float | None:
    text = (answer.headers or {}).get("Retry-After", "")
    return float(text) if text.isdigit() else None
