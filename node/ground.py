"""What a node is built on, and the two parts that everything else hangs on.

Law: the engine owns the state, the gate guards it; both are built before anything can ask.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from crdt.document.model import DocumentLimits
from crdt.dot import new_actor
from crdt.exchange import ExchangeLimits
from crdt.identity import Self
from node.alarms import Alarms
from node.clock import Clock
from node.contracts import Caller
from node.founding import Founding
from node.gate import Gate, Unlimited
from node.live import Live
from node.logs import EventLog
from node.metrics import Metrics
from node.replication.engine import Engine, EngineSettings
from node.settings import Settings
from node.sockets import OpenDoors
from node.store import Store
from transport.identity import NodeKey, verify

# What a node takes of a page at once: about two milliseconds of its event loop.
_SLICE_BYTES: Final = 64 * 1024
# What stands around the bundles in a message of the wire, and more.
_PAGE_BYTES: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a node is built on: opened before any part exists."""

    settings: Settings
    key: NodeKey
    founding: Founding
    doors: OpenDoors
    store: Store
    api_key: str | None
    metrics: Metrics
    log: EventLog
    now_ms: Clock


def build_engine(ground: Ground, alarms: Alarms, failed: Callable[[BaseException], None]) -> Engine:
    """The replicated side over the open store."""
    limits = ground.settings.limits
    exchange = ExchangeLimits(
        page_bytes_max=limits.catchup_page_bytes_max,
        page_slice_bytes_max=_SLICE_BYTES,
        peer_queue_bytes_max=limits.peer_queue_bytes_max,
        relay_ms=limits.relay_ms,
        session_deadline_ms=limits.session_timeout_ms,
        skew_ms_max=limits.clock_skew_ms_max,
        full_fanout_max=ground.settings.federation.full_fanout_max,
        relay_extra=ground.settings.federation.relay_extra,
    )
    engine = Engine(
        me=_self(ground),
        genesis=ground.founding.genesis,
        store=ground.store,
        settings=EngineSettings(
            limits=exchange,
            wanted_w=ground.settings.quorum.writes,
            queue_bytes_max=limits.committer_queue_bytes_max,
            writes_wait_ms_max=limits.writes_wait_ms_max,
            writes_bytes_max=limits.writes_in_flight_bytes_max,
            document=DocumentLimits(
                change_bytes_max=limits.document_change_bytes_max,
                change_ops_max=limits.document_change_ops_max,
                changes_max=limits.document_changes_max,
                ops_max=limits.document_ops_max,
                stored_bytes_max=limits.document_stored_bytes_max,
            ),
            shelf_bytes_max=limits.document_shelf_bytes_max,
        ),
        now_ms=ground.now_ms,
        metrics=ground.metrics,
        log=ground.log,
        alarm=alarms,
        failed=failed,
    )

    def followed(jump_ms: int) -> None:
        engine.exchange.heartbeat.jumped(jump_ms)
        ground.log("clock_jump_followed", by_ms=jump_ms)

    ground.now_ms.agrees = engine.exchange.heartbeat.agrees
    ground.now_ms.followed = followed
    return engine


def _self(ground: Ground) -> Self:
    key, limits, now_ms = ground.key, ground.settings.limits, ground.now_ms
    node_id = key.node_id
    return Self(
        node_id=node_id,
        key=key.public,
        claim=ground.founding.claim,
        name=ground.settings.identity.name,
        url=ground.doors.url,
        draw_actor=lambda lane: new_actor(lane, now_ms() // 1000, os.urandom(8), node_id),
        sign=key.sign,
        verify=verify,
        admins=ground.settings.admin.agent_ids,
        joins=ground.founding.joins,
        ops_max=limits.bundle_ops_max,
        bundle_bytes_max=limits.bundle_bytes_max * 2 // 3,
        taken_bytes_max=limits.message_bytes_max - _PAGE_BYTES,
    )


def build_gate(ground: Ground, live: Live, engine: Engine, record: Callable[..., None]) -> Gate:
    """The gate of every change; told of what it refuses, log, counters and audit chain know."""

    def refused(code: str, caller: Caller, what: str) -> None:
        engine.metrics.counter("gate_refused_total", code).inc()
        ground.log("gate_refused", code=code, agent=caller.agent, what=what)
        record("gate_denied", code=code, agent=caller.agent, what=what)

    return Gate(
        state=lambda: engine.replica.governance.now,
        quotas=Unlimited(),
        fail_open=lambda: live.settings.governance.fail_open_on_error,
        refused=refused,
    )
