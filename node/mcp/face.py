"""The tools at /mcp: streamable HTTP on the listeners of the node.

Law: who comes in was let in by the node's own door, and everything a tool does goes through
that door again, so a session widens nothing. A session belongs to the key, certificate and
agent that opened it; to all others it does not exist. Sessions are bounded in number and end
after a silence. The SDK is read when somebody comes for the first time, off the loop.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from node.http.answer import json_answer
from node.http.dispatch import Dispatcher
from node.http.problems import Problem
from node.http.strict_json import BadJsonError, unambiguous
from node.mcp.asgi import asked
from node.mcp.callers import agent_of
from node.mcp.inner import AGENT, Inner
from node.mcp.profiles import PROFILES

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    from node.http.answer import Answer
    from node.http.call import Call
    from node.http.routes import Router
    from node.http.services import Door
    from node.mcp.api import Api
    from node.mcp.server import Context
    from node.settings.sections import Mcp

_SDK: Final = ("mcp.server.streamable_http_manager", "node.mcp.server")
_CALL: Final = "mnemesh.call"
_START_SECONDS: Final = 5.0
_PARSE_ERROR: Final = -32700
"""JSON-RPC 2.0, section 5.1."""


@dataclass(slots=True)
class _Open:
    """The sessions of one profile.

    Attributes:
        ready: set when requests are taken.
        over: set when the node closes.
    """

    sessions: "StreamableHTTPSessionManager"
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False


class McpFace:
    """Answers requests at /mcp.

    Args:
        settings: of the section, asked anew each time.
        router: all routes of the API.
        spawn: runs a task that the node owns.
        anonymous: whether programs that name nobody stay nameless, asked anew each time.
    """

    def __init__(
        self,
        settings: "Callable[[], Mcp]",
        router: "Router",
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        anonymous: Callable[[], bool] = lambda: False,
    ) -> None:
        self._settings = settings
        self._router = router
        self._spawn = spawn
        self._anonymous = anonymous
        self._opening = asyncio.Lock()
        self._open: dict[str, _Open] = {}
        self._dispatchers: dict[int, tuple[Door, Dispatcher]] = {}

    async def answer(self, call: "Call") -> "Answer":
        """The answer to one request.

        Raises:
            Problem: 400, there is no such profile; 503, the node is closing.
        """
        profile = call.query.get("profile") or self._settings().profile
        if profile not in PROFILES:
            names = ", ".join(PROFILES)
            raise Problem(
                400, "invalid_field", f"profile: expected one of {names}", field="profile"
            )
        refused = _no_message(call)
        if refused is not None:
            return refused
        opened = await self._opened(profile)
        if opened.over:
            raise Problem(503, "draining", "this node is shutting down")
        extra = {_CALL: call, "user": _principal(call)}
        return await asked(opened.sessions.asgi_app, call, extra)

    async def _opened(self, profile: str) -> _Open:
        async with self._opening:
            opened = self._open.get(profile)
            if opened is None:
                opened = await self._start(profile)
                self._open[profile] = opened
        return opened

    async def _start(self, profile: str) -> _Open:
        # Half a second of imports, which writes must not wait for.
        for name in _SDK:
            await asyncio.to_thread(import_module, name)
        opened = _Open(self._sessions(profile))
        self._spawn(self._keep(opened))
        # Without an owner for the task nothing would ever set it.
        try:
            async with asyncio.timeout(_START_SECONDS):
                await opened.ready.wait()
        except TimeoutError as error:
            raise Problem(503, "draining", "this node is shutting down") from error
        return opened

    def _sessions(self, profile: str) -> "StreamableHTTPSessionManager":
        from mcp.server.streamable_http_manager import (  # noqa: PLC0415 -- see `_start`
            StreamableHTTPSessionManager,
        )

        from node.mcp.server import build_server  # noqa: PLC0415 -- see `_start`

        settings = self._settings()
        return StreamableHTTPSessionManager(
            app=build_server(profile, self._api_of),
            json_response=True,  # one request, one whole answer
            session_idle_timeout=settings.session_idle_secs,
            max_sessions=settings.sessions_max,
        )

    async def _keep(self, opened: _Open) -> None:
        """Own the tasks of the sessions until the node closes."""
        try:
            async with opened.sessions.run():
                opened.ready.set()
                await asyncio.Event().wait()
        finally:
            opened.over = True

    def _api_of(self, context: "Context") -> "Api":
        from node.mcp.server import client_name  # noqa: PLC0415 -- see `_start`

        call: Call = context.request.scope[_CALL]  # type: ignore[union-attr]  # HTTP brings one
        agent = agent_of(client_name(context), anonymous=self._anonymous())
        return Inner(self._dispatcher(call), call, agent)

    def _dispatcher(self, call: "Call") -> Dispatcher:
        """That of the listener through which a call came."""
        held = self._dispatchers.get(id(call.door))
        if held is None:
            held = (call.door, Dispatcher(call.services, call.door, self._router))
            self._dispatchers[id(call.door)] = held
        return held[1]


def _no_message(call: "Call") -> "Answer | None":
    """The refusal of a body that the SDK would read more loosely than this API does.

    What its texts may not hold is told by the tool, to a model that can act on it.
    """
    if call.method != "POST":
        return None
    try:
        unambiguous(call.body)
    except BadJsonError as error:
        said = {"code": _PARSE_ERROR, "message": f"Parse error: {error}"}
        return json_answer({"jsonrpc": "2.0", "id": None, "error": said}, 400)
    return None


def _principal(call: "Call") -> Any:
    """To whom a session belongs, in the SDK's form."""
    from mcp.server.auth.middleware.bearer_auth import (  # noqa: PLC0415 -- see `_start`
        AuthenticatedUser,
    )
    from mcp.server.auth.provider import AccessToken  # noqa: PLC0415 -- see `_start`

    owner = f"{call.grant.digest}|{call.peer or ''}|{call.headers.get(AGENT, '')}"
    return AuthenticatedUser(AccessToken(token="", client_id=owner, scopes=[]))
