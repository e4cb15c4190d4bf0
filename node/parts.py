"""The parts of a running node and how they are connected.

Law: built once, in the order in which they depend on each other; every part gets what it
needs as an argument and knows nothing of the rest.
"""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from node.alarms import Alarms
from node.audit.opening import open_audit
from node.audit.side import AuditSide
from node.auth.credentials import Credentials
from node.auth.opening import open_credentials
from node.backup.recovering import Recovery, open_recovery
from node.erasing.opening import ErasingSide, open_erasing
from node.events.side import EventSide, open_events
from node.facts import ListenerFacts
from node.foreign.side import ForeignSide, open_foreign
from node.founding import read_join_note
from node.gate import Gate
from node.ground import Ground, build_engine, build_gate
from node.hooks.side import HookSide, open_hooks
from node.http_side import access_ledger, make_services, open_for_http
from node.integrity.keeping import Keeping
from node.integrity.opening import open_keeping
from node.lifecycle.housekeeping import Housekeeping
from node.lifecycle.opening import open_forgetting, open_housekeeping
from node.live import Live, Tasks
from node.mcp.opening import open_mcp
from node.metrics import Metrics
from node.noted import Noted, open_noted
from node.oversight import Oversight, build_oversight
from node.peers.dialling import Dialling
from node.peers.greeting import Greeting
from node.peers.links import PeerLinks
from node.peers.mesh import Mesh
from node.quota.keeping import QuotaKeeping, open_quotas
from node.quota.quotas import Quotas
from node.recall.opening import RecallSide, recall_of
from node.replication.engine import Engine
from node.replication.gauge import Readiness
from node.replication.observer import Observer
from node.replication.reader import StoreReader
from node.replication.snapshots import SnapshotWorks
from node.replication.upkeep import Upkeep
from node.settings import Settings
from node.sockets import OpenDoors
from node.telemetry.opening import funnel_maker, open_tracing
from node.telemetry.tracing import Tracing
from transport.dialler import Dialler
from transport.listener import ListenerTls
from transport.pinned import ClientTls

_FRAME_TARGET_BYTES = 1024 * 1024
_PROCESS_BYTES = 8


@dataclass(slots=True, kw_only=True)
class Parts:
    """Everything that runs."""

    live: Live
    doors: OpenDoors
    metrics: Metrics
    tasks: Tasks
    engine: Engine
    readiness: Readiness
    snapshots: SnapshotWorks
    upkeep: Upkeep
    observer: Observer
    links: PeerLinks
    mesh: Mesh
    oversight: Oversight
    credentials: Credentials
    quotas: QuotaKeeping
    audit: AuditSide
    recovery: Recovery
    foreign: ForeignSide
    erasing: ErasingSide
    integrity: Keeping
    events: EventSide
    hooks: HookSide
    recall: RecallSide
    housekeeping: Housekeeping
    dialling: Dialling
    noted: Noted
    dialler: Dialler | None
    tracing: Tracing | None
    start_over: Callable[[], None]

    def watch(self) -> None:
        """Look at the allowlist, at who needs dialling, and at what there is to tell."""
        if self.doors.trust is not None:
            self.doors.trust.check()
        self.dialling.watch()
        self.observer.look()
        self.oversight.watch()
        self.audit.watch()
        self.recovery.watch()
        self.foreign.watch()
        self.housekeeping.watch()
        self.erasing.watch()
        self.integrity.watch()
        self.events.watch()
        self.hooks.watch()

    def swap(self, listening: ListenerTls, dialling: ClientTls) -> int:
        """Put new TLS contexts in force everywhere; returns how many connections ended."""
        aborted = self.doors.main.swap(listening) + self.dialling.swap(dialling)
        if self.doors.trust is not None:
            with suppress(OSError):  # it is for the command line; the node goes on without
                facts = self.live.settings.paths.facts
                ListenerFacts.show(facts, self.doors.trust.fingerprint)
        return aborted

    def apply(self, settings: Settings) -> None:
        """Put reloaded settings in force.

        Raises:
            NodeError: a hook among them cannot run; all stays as it was.
        """
        self.hooks.apply(settings)
        self.live.settings = settings
        self.engine.exchange.wanted_w = settings.quorum.writes
        self.oversight.switches.tell(settings)

    def adopt_join_note(self) -> None:
        """A join was made while this node ran: start over with what the sponsor said."""
        note = read_join_note(self.live.settings.paths.join)
        replica = self.engine.replica
        if note is not None and note.genesis != replica.genesis and not len(replica.governance):
            self.start_over()

    def measure(self) -> None:
        """Put the present state into the gauges."""
        members = self.engine.replica.governance.now.members.values()
        names = {m.node_id: m.name for m in members if m.node_id != self.engine.me.node_id}
        self.upkeep.measure(self.metrics, names)
        self.oversight.measure()
        self.metrics.gauge("ready").set(self.mesh.ready() is None)
        self.audit.measure()
        self.recall.measure()
        self.noted.measure()
        if self.doors.trust is not None:
            expires = self.metrics.gauge("certificate_expiry_timestamp_seconds")
            expires.set(self.doors.trust.expires_at)

    def close(self) -> None:
        """Put everything on the disk and let go of it."""
        self.erasing.close()
        self.integrity.close()
        self.snapshots.close()
        self.credentials.close()
        self.foreign.close()
        self.hooks.close()
        self.events.close()
        self.recall.close()
        self.quotas.close()
        self.housekeeping.close()
        self.engine.committer.close(5.0)
        self.engine.store.close()
        self.audit.close()
        if self.tracing is not None:
            self.tracing.close()


def build_parts(
    ground: Ground,
    *,
    failed: Callable[[BaseException], None],
    start_over: Callable[[], None],
) -> Parts:
    """Compose a node over its open store and bound listeners.

    Args:
        ground: what is open already.
        failed: told once when the disk failed; the node ends.
        start_over: ends this life of the node and begins the next.
    """
    settings, doors, log = ground.settings, ground.doors, ground.log
    live, tasks, alarms = Live(settings), Tasks(), Alarms(log, ground.metrics)
    engine = build_engine(ground, alarms, failed)
    tracing = open_tracing(settings, engine)
    audit = open_audit(ground, engine, failed)
    snapshots = _snapshots(ground, engine, tasks)
    erasing = open_erasing(ground, live, tasks, engine, snapshots)
    integrity = open_keeping(ground, live, tasks, engine, failed)
    dialling = _dialling(ground, engine, start_over)
    links = _links(ground, engine, dialling, alarms)
    gate = build_gate(ground, live, engine, audit.record)
    gate.quotas = quotas = open_quotas(settings.paths.data_dir, live, ground.now_ms)
    oversight = build_oversight(ground, live, tasks, engine, links, gate)
    oversight.audited_by(audit.record, audit.facts)
    oversight.doctor.dials = dialling.troubles
    credentials = _credentials(ground, live, engine)
    audit.looks_at(credentials)
    upkeep, foreign, events, hooks, recall, keeping = _agents_side(
        ground,
        live,
        tasks,
        engine,
        links,
        snapshots,
        gate,
        credentials=credentials,
        quotas=quotas,
        oversight=oversight,
        audit=audit,
        erasing=erasing,
        integrity=integrity,
        tracing=tracing,
    )
    parts = Parts(
        live=live,
        doors=doors,
        metrics=ground.metrics,
        tasks=tasks,
        engine=engine,
        readiness=engine.readiness,
        snapshots=snapshots,
        upkeep=upkeep,
        observer=Observer(engine, log, ground.now_ms),
        links=links,
        mesh=oversight.mesh,
        oversight=oversight,
        credentials=credentials,
        quotas=QuotaKeeping(quotas, spawn=tasks.spawn, log=log),
        audit=audit,
        recovery=open_recovery(ground, engine, audit.record),
        foreign=foreign,
        erasing=erasing,
        integrity=integrity,
        events=events,
        hooks=hooks,
        recall=recall,
        housekeeping=keeping,
        dialling=dialling,
        noted=open_noted(settings.paths.data_dir, ground.metrics, tasks, engine),
        dialler=dialling.attach(links, doors.trust) if doors.trust is not None else None,
        tracing=tracing,
        start_over=start_over,
    )
    doors.ready = lambda: parts.mesh.ready() is None
    if doors.trust is not None:
        doors.trust.on_change(parts.swap)
    return parts


def _dialling(ground: Ground, engine: Engine, start_over: Callable[[], None]) -> Dialling:
    return Dialling(
        engine=engine,
        settings=ground.settings,
        founding=ground.founding,
        log=ground.log,
        metrics=ground.metrics,
        start_over=start_over,
    )


def _credentials(ground: Ground, live: Live, engine: Engine) -> Credentials:
    return open_credentials(
        live,
        log=ground.log,
        now_ms=ground.now_ms,
        monotonic=time.monotonic,
        post=asyncio.get_running_loop().call_soon_threadsafe,
        tell=engine.send_aside,
        hear=engine.asides.__setitem__,
    )


def _snapshots(ground: Ground, engine: Engine, tasks: Tasks) -> SnapshotWorks:
    snapshots = SnapshotWorks(
        engine=engine,
        data_dir=ground.settings.paths.data_dir,
        map_bytes=ground.settings.storage.map_bytes,
        chunk_bytes=ground.settings.limits.snapshot_chunk_bytes_max,
        log=ground.log,
        spawn=tasks.spawn,
    )
    engine.snapshots = snapshots
    snapshots.resume()
    return snapshots


def _agents_side(  # noqa: PLR0913 - it is composed once, of exactly these parts
    ground: Ground,
    live: Live,
    tasks: Tasks,
    engine: Engine,
    links: PeerLinks,
    snapshots: SnapshotWorks,
    gate: Gate,
    *,
    credentials: Credentials,
    quotas: Quotas,
    oversight: Oversight,
    audit: AuditSide,
    erasing: ErasingSide,
    integrity: Keeping,
    tracing: Tracing | None,
) -> tuple[Upkeep, ForeignSide, EventSide, HookSide, RecallSide, Housekeeping]:
    """Funnel, reader and HTTP servers; the upkeep of what they fill, and the foreign peers."""
    reader = StoreReader(engine)
    funnel = funnel_maker(tracing)(
        engine=engine,
        gate=gate,
        reader=reader,
        readiness=engine.readiness,
        timeout_ms=live.quorum_timeout_ms,
        in_flight_max=ground.settings.limits.writes_in_flight_max,
        entropy=os.urandom,
    )
    oversight.govern_through(funnel)
    quotas.reads(funnel.reader)
    access = access_ledger(engine)
    services = make_services(
        live,
        funnel=funnel,
        oversight=oversight,
        access=access,
        engine=engine,
        credentials=credentials,
        quotas=quotas,
        audit=audit,
        log=ground.log,
        tracing=tracing,
    )
    foreign = open_foreign(ground, live, tasks, engine, oversight.mesh, services)
    oversight.doctor.foreign = foreign.facts
    events = open_events(ground, live, tasks, engine, funnel.reader, services.governing)
    services = replace(
        services,
        foreign=foreign.foreign,
        events=events.events,
        erasing=erasing.erasing,
        integrity=integrity,
    )
    hooks = open_hooks(ground, live, tasks, engine, funnel, services.governing, events.events.bell)
    services = replace(services, hooks=hooks.hooks)
    ledger = open_forgetting(ground.settings.paths.data_dir, engine)
    services = replace(services, mcp=open_mcp(live, tasks), forgetting=ledger)
    recall = recall_of(ground, engine, erasing, funnel.reader)
    services = replace(services, recall=recall.recall, alike=recall.recall.alike)
    open_for_http(live, services, ground.doors, ground.api_key, links)
    upkeep = Upkeep(
        engine=engine,
        lags=oversight.lags,
        cutter=erasing.cutter,
        snapshots=snapshots,
        access=access,
        reader=reader,
        settings=ground.settings.storage,
        data_dir=ground.settings.paths.data_dir,
        log=ground.log,
        now_ms=ground.now_ms,
    )
    keeping = open_housekeeping(live, tasks, engine, services)
    return upkeep, foreign, events, hooks, recall, keeping


def _links(ground: Ground, engine: Engine, dialling: Dialling, alarms: Alarms) -> PeerLinks:
    me, process = engine.me, os.urandom(_PROCESS_BYTES)

    def greet() -> Greeting:
        return Greeting(
            genesis=engine.replica.genesis,
            key=me.key,
            name=me.name,
            url=me.url,
            claim=me.claim,
            process=process,
            settled=bool(len(engine.replica.governance)),
        )

    links = PeerLinks(
        engine=engine,
        greet=greet,
        sign=ground.key.sign,
        frame_bytes_max=_FRAME_TARGET_BYTES,
        backlog_bytes_max=ground.settings.limits.committer_queue_bytes_max // 2,
        # Pushes have the first half for themselves; the answers to what a peer asks come besides.
        outbox_bytes_max=2 * ground.settings.limits.peer_queue_bytes_max,
        log=ground.log,
        names=alarms.names,
        on_link=dialling.on_link,
        on_other_mesh=dialling.on_other_mesh,
    )
    engine.close_link, engine.flush = links.close, links.flush
    return links
