"""Spans by OpenTelemetry, sent to one collector over OTLP/HTTP.

Law: this module alone loads OpenTelemetry, and is loaded only when the settings name a collector.
Spans go there and nowhere else: no proxy and no redirect is followed, and no variable of the
environment names another place. A collector that does not answer costs a bounded queue and a
bounded time at the end, never a request.
"""

import threading
from collections.abc import Mapping
from typing import Final

import requests
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from node import __version__
from node.telemetry.spans import Kind, Span
from node.telemetry.traceparent import TraceParent

_QUEUE_MAX: Final = 4096
_BATCH_MAX: Final = 512
_DELAY_MS: Final = 1000
_SEND_SECONDS: Final = 2.0
_CLOSE_SECONDS: Final = 2.0
_KINDS: Final[Mapping[Kind, SpanKind]] = {
    "server": SpanKind.SERVER,
    "internal": SpanKind.INTERNAL,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}


class OtelSpan:
    """One span of OpenTelemetry."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def place(self) -> TraceParent:
        """Where it stands."""
        held = self._span.get_span_context()
        return TraceParent(trace_id=held.trace_id, span_id=held.span_id, sampled=True)

    def say(self, key: str, value: str | int) -> None:
        """Put a fact into it."""
        self._span.set_attribute(key, value)

    def fail(self, why: str) -> None:
        """It did not come to what it was for."""
        self._span.set_status(Status(StatusCode.ERROR, why))

    def end(self, at_ns: int | None = None) -> None:
        """It is over."""
        self._span.end(at_ns)


class OtelSpans:
    """Records spans and sends them.

    Args:
        endpoint: where traces are taken, as `https://collector:4318/v1/traces`.
        token: sent as a bearer; empty for none.
        ratio: part of the traces begun here that is recorded, 0 to 1.
        node: name of this node.
        node_id: its id, hex.
    """

    def __init__(self, *, endpoint: str, token: str, ratio: float, node: str, node_id: str) -> None:
        session = requests.Session()
        session.trust_env = False  # no proxy and no .netrc of the environment
        session.max_redirects = 0
        exporter = OTLPSpanExporter(
            endpoint=endpoint,
            headers={"Authorization": f"Bearer {token}"} if token else {"User-Agent": "mnemesh"},
            timeout=_SEND_SECONDS,
            session=session,
        )
        self._processor = BatchSpanProcessor(
            exporter,
            max_queue_size=_QUEUE_MAX,
            schedule_delay_millis=_DELAY_MS,
            max_export_batch_size=_BATCH_MAX,
        )
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(ratio)),
            resource=Resource(
                {
                    "service.name": "mnemesh",
                    "service.version": __version__,
                    "service.instance.id": node_id,
                    "mnemesh.node": node,
                }
            ),
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_attributes=32, max_events=0, max_links=0),
        )
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("mnemesh", __version__)

    def start(
        self, name: str, parent: TraceParent | None, kind: Kind, at_ns: int | None = None
    ) -> Span | None:
        """Begin a span; see `node.telemetry.spans.Spans`."""
        # An empty context, or the library takes for a parent what it finds about.
        context = trace.set_span_in_context(_above(parent))
        span = self._tracer.start_span(name, context, _KINDS[kind], start_time=at_ns)
        return OtelSpan(span) if span.is_recording() else None

    def close(self) -> None:
        """Send what is left, for a bounded time."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)


def _above(parent: TraceParent | None) -> trace.Span:
    if parent is None:
        return trace.INVALID_SPAN
    flags = TraceFlags(TraceFlags.SAMPLED if parent.sampled else TraceFlags.DEFAULT)
    held = SpanContext(parent.trace_id, parent.span_id, is_remote=True, trace_flags=flags)
    return NonRecordingSpan(held)
