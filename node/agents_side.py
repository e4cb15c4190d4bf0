"""What agents use, over the core of a node: funnel, reader, HTTP servers, and what they fill.

Law: built once, when the core stands; what is opened later gets what was opened before it, so that
nothing here knows of what comes after.
"""

import os
from dataclasses import dataclass, replace

from node.audit.side import AuditSide
from node.auth.credentials import Credentials
from node.erasing.opening import ErasingSide
from node.events.side import EventSide, open_events
from node.foreign.side import ForeignSide, open_foreign
from node.gate import Gate
from node.ground import Ground
from node.hooks.side import HookSide, open_hooks
from node.http_side import access_ledger, make_services, open_for_http
from node.integrity.keeping import Keeping
from node.lifecycle.housekeeping import Housekeeping
from node.lifecycle.opening import open_forgetting, open_housekeeping
from node.live import Live, Tasks
from node.mcp.opening import open_mcp
from node.memory.access import AccessLedger
from node.oversight import Oversight
from node.peers.links import PeerLinks
from node.quota.quotas import Quotas
from node.recall.opening import RecallSide, recall_of
from node.replication.engine import Engine
from node.replication.reader import StoreReader
from node.replication.snapshots import SnapshotWorks
from node.replication.upkeep import Upkeep
from node.telemetry.opening import funnel_maker
from node.telemetry.tracing import Tracing


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """The parts that stand without an agent."""

    ground: Ground
    live: Live
    tasks: Tasks
    engine: Engine
    links: PeerLinks
    snapshots: SnapshotWorks
    gate: Gate
    credentials: Credentials
    quotas: Quotas
    oversight: Oversight
    audit: AuditSide
    erasing: ErasingSide
    integrity: Keeping
    tracing: Tracing | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentsSide:
    """What agents use, and what is derived from what they do."""

    upkeep: Upkeep
    foreign: ForeignSide
    events: EventSide
    hooks: HookSide
    recall: RecallSide
    housekeeping: Housekeeping


def open_agents_side(core: Core) -> AgentsSide:
    """Funnel, reader and HTTP servers; the upkeep of what they fill, and the foreign peers."""
    ground, live, tasks, engine = core.ground, core.live, core.tasks, core.engine
    reader = StoreReader(engine)
    funnel = funnel_maker(core.tracing)(
        engine=engine,
        gate=core.gate,
        reader=reader,
        readiness=engine.readiness,
        timeout_ms=live.quorum_timeout_ms,
        in_flight_max=ground.settings.limits.writes_in_flight_max,
        entropy=os.urandom,
    )
    core.oversight.govern_through(funnel)
    core.quotas.reads(funnel.reader)
    access = access_ledger(engine)
    services = make_services(
        live,
        funnel=funnel,
        oversight=core.oversight,
        access=access,
        engine=engine,
        credentials=core.credentials,
        quotas=core.quotas,
        audit=core.audit,
        log=ground.log,
        tracing=core.tracing,
    )
    foreign = open_foreign(ground, live, tasks, engine, core.oversight.mesh, services)
    core.oversight.doctor.foreign = foreign.facts
    events = open_events(ground, live, tasks, engine, funnel.reader, services.governing)
    services = replace(
        services,
        foreign=foreign.foreign,
        events=events.events,
        erasing=core.erasing.erasing,
        integrity=core.integrity,
    )
    hooks = open_hooks(ground, live, tasks, engine, funnel, services.governing, events.events.bell)
    services = replace(services, hooks=hooks.hooks)
    ledger = open_forgetting(ground.settings.paths.data_dir, engine)
    services = replace(services, mcp=open_mcp(live, tasks), forgetting=ledger)
    recall = recall_of(ground, engine, core.erasing, funnel.reader)
    services = replace(services, recall=recall.recall, alike=recall.recall.alike)
    open_for_http(live, services, ground.doors, ground.api_key, core.links)
    return AgentsSide(
        upkeep=_upkeep(core, access, reader),
        foreign=foreign,
        events=events,
        hooks=hooks,
        recall=recall,
        housekeeping=open_housekeeping(
            ground.settings.paths.data_dir, live, tasks, engine, services
        ),
    )


def _upkeep(core: Core, access: AccessLedger, reader: StoreReader) -> Upkeep:
    return Upkeep(
        engine=core.engine,
        lags=core.oversight.lags,
        cutter=core.erasing.cutter,
        snapshots=core.snapshots,
        access=access,
        reader=reader,
        settings=core.ground.settings.storage,
        data_dir=core.ground.settings.paths.data_dir,
        log=core.ground.log,
        now_ms=core.ground.now_ms,
    )
