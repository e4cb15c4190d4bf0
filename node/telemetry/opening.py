"""Traces on request: opened when the settings name a collector, else nothing.

Law: nothing of OpenTelemetry is loaded before that is known.
"""

import functools
import os
from collections.abc import Callable

from node.replication.engine import Engine
from node.replication.funnel import LocalFunnel
from node.settings import Settings
from node.settings.endpoint import check_collector, read_key
from node.telemetry.crossing import TOPIC
from node.telemetry.tracing import Tracing


def open_tracing(settings: Settings, engine: Engine) -> Tracing | None:
    """Begin to trace, and follow what the engine does; None when nobody asked for it.

    Raises:
        ConfigError: the collector, or the file with its key, cannot be used.
    """
    section = settings.telemetry
    if not section.otlp_endpoint:
        return None
    check_collector(section)
    from node.telemetry.exporting import OtelSpans  # noqa: PLC0415 - see the law

    tracing = Tracing(
        OtelSpans(
            endpoint=section.otlp_endpoint,
            token=read_key("telemetry", section, os.environ),
            ratio=section.sample_ratio,
            node=settings.identity.name,
            node_id=engine.me.node_id.hex(),
        )
    )
    engine.asides[TOPIC] = tracing.crossed
    engine.on_sealed = lambda bundles: tracing.sealed(bundles, engine.exchange, engine.send_aside)
    engine.on_told = tracing.committed
    engine.on_pump = lambda: tracing.heard(engine.exchange)
    return tracing


def funnel_maker(tracing: Tracing | None) -> Callable[..., LocalFunnel]:
    """What makes the funnel of this node."""
    if tracing is None:
        return LocalFunnel
    from node.telemetry.funnel import TracedFunnel  # noqa: PLC0415 - as above

    return functools.partial(TracedFunnel, tracing)
