"""Where the node is traced: a request, its write, the push to each peer, the commits.

Law: a span is about work that is done anyway; it decides nothing and delays nothing. What is kept
of writes under way is bounded in number and in time. A write is followed only while somebody
records its trace.
"""

import time
import types
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Generator, Sequence
from typing import Any, Final, Protocol

from aiohttp import web

from crdt.bundle import Bundle
from crdt.dot import PRIVATE, Actor, Dot, NodeId, lane_of
from crdt.exchange import Exchange
from crdt.state import Batch
from node.http.answer import Answer
from node.http.call import Call
from node.telemetry import traceparent
from node.telemetry.crossing import Crossed, decode, encode
from node.telemetry.spans import Span, Spans
from node.telemetry.traceparent import TraceParent

_WRITES_MAX: Final = 1000
_SECONDS_MAX: Final = 30.0
_SERVER_ERROR: Final = 500
_NANO: Final = 1_000_000_000
# Requests that say nothing when traced, or that last as long as their connection.
_UNTRACED: Final = frozenset({"/livez", "/readyz", "/metrics", "/api/v1/metrics", "/api/v1/peer"})

Answering = Callable[[Call, Any], Coroutine[Any, Any, Answer | web.StreamResponse]]


class Asides(Protocol):
    """Says something to the process around one peer."""

    def __call__(self, topic: str, data: bytes, link: int | None = None) -> None:
        """Say it."""
        ...


class Tracing:
    """Follows requests and writes.

    Args:
        spans: records them.
        now: monotonic seconds.

    Attributes:
        current: the span of the request that runs in this step of the loop; None for none.
    """

    def __init__(self, spans: Spans, now: Callable[[], float] = time.monotonic) -> None:
        self._spans = spans
        self._now = now
        self.current: Span | None = None
        # By dot: writes that are not committed here yet, and where their trace stands.
        self._writes: OrderedDict[Dot, tuple[float, TraceParent]] = OrderedDict()
        # By link and dot: pushes that were not acknowledged yet.
        self._pushes: OrderedDict[tuple[int, Dot], tuple[float, Span]] = OrderedDict()

    def close(self) -> None:
        """Send what is left, for a bounded time."""
        for _, span in self._pushes.values():
            span.end()
        self._pushes.clear()
        self._spans.close()

    # --- requests --------------------------------------------------------------------

    def around(self, answer: Answering) -> Answering:
        """The same answers, each in a span of its own."""

        async def traced(call: Call, found: Any) -> Answer | web.StreamResponse:
            if call.path in _UNTRACED:
                return await answer(call, found)
            above = traceparent.read(call.headers.get(traceparent.HEADER))
            span = self._spans.start("http", above, "server")
            if span is None:
                return await answer(call, found)
            try:
                result = await self._in_steps(answer(call, found), span)
                self._describe(span, call, result)
            finally:
                span.end()
            return result

        return traced

    @staticmethod
    def _describe(span: Span, call: Call, result: Answer | web.StreamResponse) -> None:
        span.say("http.request.method", call.method[:16])
        span.say("http.response.status_code", result.status)
        if call.route is not None:
            span.say("http.route", call.route.path)
        if result.status >= _SERVER_ERROR:
            span.fail(str(result.status))
        if isinstance(result, Answer):
            told = {traceparent.HEADER: span.place.text()}
            result.headers = {**(result.headers or {}), **told}

    @types.coroutine
    def _in_steps(
        self, work: Coroutine[Any, Any, Answer | web.StreamResponse], span: Span
    ) -> Generator[Any, Any, Answer | web.StreamResponse]:
        """Run a request with its span at hand in each step; a request needs no task to run in."""
        step: Callable[[Any], Any] = work.send
        value: Any = None
        try:
            while True:
                self.current = span
                try:
                    awaited = step(value)
                except StopIteration as over:
                    answered: Answer | web.StreamResponse = over.value
                    return answered
                finally:
                    self.current = None
                try:
                    value = yield awaited
                    step = work.send
                except GeneratorExit:
                    raise  # nobody goes on with it: it is closed below
                except BaseException as error:  # noqa: BLE001 - a cancellation belongs inside, too
                    step, value = work.throw, error
        finally:
            work.close()

    # --- writes ----------------------------------------------------------------------

    def begin_write(self, dots: Sequence[Dot]) -> Span | None:
        """A write was minted; its span, or None when nobody records this trace."""
        if self.current is None:
            return None
        span = self._spans.start("quorum.write", self.current.place, "internal")
        if span is not None:
            span.say("mnemesh.ops", len(dots))
            self._remember(dots[-1], span.place)
        return span

    def _remember(self, dot: Dot, place: TraceParent) -> None:
        now = self._now()
        self._writes[dot] = (now, place)
        while len(self._writes) > _WRITES_MAX or self._oldest(self._writes, now):
            self._writes.popitem(last=False)

    @staticmethod
    def _oldest(held: OrderedDict[Any, tuple[float, Any]], now: float) -> bool:
        """Whether the oldest has been there for too long."""
        return bool(held) and now - next(iter(held.values()))[0] > _SECONDS_MAX

    def sealed(self, bundles: Sequence[Bundle], exchange: Exchange, tell: Asides) -> None:
        """Bundles of this node leave: follow each to each peer, and tell it of the trace."""
        if not self._writes:
            return
        traced = [
            (dot, place)
            for bundle in bundles
            if lane_of(bundle.actor) != PRIVATE
            for dot, (_, place) in self._within(bundle.actor, bundle.first, bundle.last)
        ]
        for number, peer in exchange.peers.items() if traced else ():
            if peer.row is None:
                continue
            crossed = [self._push(dot, place, number, peer.node_id) for dot, place in traced]
            tell("trace", encode([entry for entry in crossed if entry is not None]), number)

    def _push(self, dot: Dot, place: TraceParent, link: int, node: NodeId) -> Crossed | None:
        span = self._spans.start("peer.push", place, "producer")
        if span is None:
            return None
        span.say("mnemesh.peer", node.hex())
        self._pushes[link, dot] = (self._now(), span)
        if len(self._pushes) > _WRITES_MAX:
            self._pushes.popitem(last=False)[1][1].end()
        return Crossed(dot.actor, dot.seq, span.place)

    def heard(self, exchange: Exchange) -> None:
        """Acknowledgements may have come: end the pushes that they cover."""
        if not self._pushes:
            return
        for (link, dot), (_, span) in list(self._pushes.items()):
            peer = exchange.peers.get(link)
            if peer is None:
                span.fail("link lost")
            elif not peer.row or peer.row.get(dot.actor, 0) < dot.seq:
                continue
            span.end()
            del self._pushes[link, dot]
        while self._oldest(self._pushes, self._now()):
            _, span = self._pushes.popitem(last=False)[1]
            span.fail("not acknowledged")
            span.end()

    def crossed(self, node: NodeId, _link: int, data: bytes) -> None:
        """A peer tells of the traces in what it pushes."""
        for entry in decode(data, node):
            self._remember(Dot(entry.actor, entry.seq), entry.parent)

    def committed(self, batch: Batch, seconds: float) -> None:
        """A batch is on this disk since now; the commit took so long."""
        if not self._writes:
            return
        end = time.time_ns()
        begin = end - int(seconds * _NANO)
        for bundle in batch.bundles:
            for dot, (_, place) in self._within(bundle.actor, bundle.first, bundle.last):
                span = self._spans.start("store.commit", place, "internal", begin)
                if span is not None:
                    span.say("mnemesh.bundles", len(batch.bundles))
                    span.end(end)
                del self._writes[dot]

    def _within(
        self, actor: Actor, first: int, last: int
    ) -> list[tuple[Dot, tuple[float, TraceParent]]]:
        held = self._writes.items()
        return [(d, v) for d, v in held if d.actor == actor and first <= d.seq <= last]
