"""From a request to its answer: the order of checks, in one place.

Law: address, then route, then caller, then whether there is room for a write, then size, then
body, then what its agent signed, then what the route needs of the node, then the handler.
Nothing that is refused early has cost anything later. Every answer is counted under the name of
its route, never under its address.
"""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from aiohttp import web
from multidict import istr
from prometheus_client import Counter, Histogram

from node.auth.door import check_signature
from node.auth.refusals import AuthRefused
from node.documents.warming import warmed
from node.errors import Overloaded
from node.http.answer import Answer
from node.http.call import Call
from node.http.gate import Gate
from node.http.heads import Head
from node.http.problems import Problem, refusal, refused
from node.http.request_log import UNMATCHED
from node.http.routes import Route, Router, Touches
from node.http.services import Door, Services
from node.memory.query import number
from node.replication.pressure import Shed

_TOKEN = istr("X-Causal-Token")
_WAIT = istr("X-Causal-Wait-Ms")

Serve = Callable[[Call, Route | None], Coroutine[Any, Any, Answer | web.StreamResponse]]
"""Answers one request."""


class Dispatcher:
    """Answers every request of one listener.

    Args:
        services: the node.
        door: the listener.
        router: the routes.
    """

    def __init__(self, services: Services, door: Door, router: Router) -> None:
        self._services = services
        self._door = door
        self._router = router
        self._gate = Gate()
        self._counters: dict[tuple[str, int], Counter] = {}
        self._timers: dict[str, Histogram] = {}
        self._away: dict[int, Answer] = {}
        tracing = services.tracing
        self._serve: Serve = self._answer if tracing is None else tracing.around(self._answer)

    async def answer(self, request: web.BaseRequest) -> Answer | web.StreamResponse:
        """The answer to one request; never raises but for a connection that is gone."""
        return await self._serve(Call(request, self._services, self._door), None)

    def direct(
        self, head: Head, body: bytes, connection: Any
    ) -> Coroutine[Any, Any, Answer | web.StreamResponse]:
        """The same for a request that is here as a whole; needs no task to run in.

        Args:
            head: of the request; it names the route.
            body: all of it.
            connection: knows its `transport`.
        """
        return self._serve(Call(connection, self._services, self._door, head, body), head.route)

    async def _answer(self, call: Call, found: Route | None) -> Answer | web.StreamResponse:
        services, gate = self._services, self._gate
        started = services.monotonic()
        route: Route | None = None
        result: Answer | web.StreamResponse
        try:
            gate.check_address(call)
            call.routes = self._router.table
            if found is None:
                route, call.params, allowed = self._router.find(call.method, call.path)
            else:
                route, allowed = found, []
            call.route = route
            gate.check_caller(call, route)
            if route is None:
                raise _nowhere(call, allowed)  # noqa: TRY301 - answered like every refusal
            shed = None
            if route.touches is Touches.WRITES:
                shed = services.pressed(services.intake.line())
            if shed is None:
                result = await self._served(call, route, whole=found is not None)
            else:
                result = self._turned_away(shed)
        except ConnectionError:
            raise
        except AuthRefused as error:
            gate.note(call, error)
            result = refusal(error)
        except Exception as error:  # noqa: BLE001 - the last resort of a server
            result = self._refused(error, route)
        self._count(route.path if route is not None else UNMATCHED, result.status, started)
        if services.requests.wanted:
            services.requests.note(call, result, services.monotonic() - started)
        return result

    async def _served(
        self, call: Call, route: Route, *, whole: bool
    ) -> Answer | web.StreamResponse:
        """The answer of the handler, once everything is as it has to be."""
        call.check_params()
        if whole:
            call.check_size(len(call.body))
        else:
            await call.receive()
        if self._gate.must_verify(call, route):
            await check_signature(call)
        if route.touches is not Touches.NOTHING:
            self._check_state()
        reads = route.touches is Touches.READS and _TOKEN in call.headers
        asked = reads and await self._reached(call)
        result = await self._handled(call, route)
        if asked and isinstance(result, Answer):
            # Taken now: the handler may have shown what came while it was at work.
            shown = self._services.funnel.reader().token()
            result.headers = {**(result.headers or {}), _TOKEN: shown}
        return result

    async def _handled(self, call: Call, route: Route) -> Answer | web.StreamResponse:
        """The answer of the handler; long documents are opened beside the loop."""
        documents = self._services.documents
        if documents is None or route.touches is Touches.NOTHING:
            return await route.handler(call)
        return await warmed(partial(_begun, route, call), documents.shelf)

    def _turned_away(self, shed: Shed) -> Answer:
        """The answer to a write that is refused before its body was looked at."""
        ready = self._away.get(shed.retry_seconds)
        if ready is None:
            ready = self._away[shed.retry_seconds] = refusal(
                Overloaded(
                    "too many writes wait",
                    why="one more would wait for too long",
                    fix="Send fewer at once, or retry with the same idempotency key",
                    seconds=shed.retry_seconds,
                )
            )
        return Answer(ready.status, ready.body, headers=ready.headers)

    def _check_state(self) -> None:
        reason = self._services.mesh.ready()
        if reason == "joining":
            raise Problem(
                503,
                "joining",
                "this node is still learning the state of its mesh",
                headers={"Retry-After": "1"},
            )

    async def _reached(self, call: Call) -> bool:
        """Wait for what the caller has seen before; whether it asks for causality at all.

        Raises:
            Problem: 412 when this node is behind, 400 when the header is no token.
        """
        token = call.headers.get(_TOKEN)
        if token is None:
            return False
        funnel = self._services.funnel
        most = self._services.limits.causal_wait_ms_max
        wait_ms = min(number(_WAIT, call.headers.get(_WAIT), 0), most)
        try:
            behind = bool(token) and not await funnel.reached(token, wait_ms)
        except ValueError as error:
            raise Problem(400, "invalid_field", f"{_TOKEN}: {error}", field=_TOKEN) from error
        if behind:
            own = funnel.reader().token()
            raise Problem(
                412,
                "behind",
                "this node has not seen everything that the token covers",
                headers={_TOKEN: own},
                token=own,
            )
        return True

    def _refused(self, error: Exception, route: Route | None) -> Answer:
        answer = refused(error)
        if answer is not None:
            return answer
        # Its text may quote what somebody wrote, so only its kind and place are logged.
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        self._services.log(
            "request_failed",
            route=UNMATCHED if route is None else f"{route.method} {route.path}",
            error=type(error).__name__,
            file="" if place is None else place.tb_frame.f_code.co_filename,
            line=0 if place is None else place.tb_lineno,
        )
        return Problem(
            500, "internal", "the node failed to serve this request; its log says more"
        ).answer()

    def _count(self, route: str, status: int, started: float) -> None:
        counter = self._counters.get((route, status))
        if counter is None:
            metrics = self._services.metrics
            counter = metrics.counter("http_requests_total", route, str(status))
            self._counters[route, status] = counter
            self._timers[route] = metrics.histogram("http_request_seconds", route)
        counter.inc()
        self._timers[route].observe(self._services.monotonic() - started)


async def _begun(route: Route, call: Call) -> Answer | web.StreamResponse:
    return await route.handler(call)


def _nowhere(call: Call, allowed: list[str]) -> Problem:
    if allowed:
        return Problem(
            405,
            "method_not_allowed",
            f"{call.method[:16]} is not for this address; it takes {', '.join(allowed)}",
            headers={"Allow": ", ".join(allowed)},
        )
    return Problem(404, "not_found", "there is no such address in this API")
