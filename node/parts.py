"""The parts of a running node and how they are connected.

Law: built once, in the order in which they depend on each other; every part gets what it
needs as an argument and knows nothing of the rest.
"""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from node.agents_side import Core, open_agents_side
from node.alarms import Alarms
from node.audit.opening import open_audit
from node.audit.side import AuditSide
from node.auth.credentials import Credentials
from node.auth.opening import open_credentials
from node.backup.recovering import Recovery, open_recovery
from node.erasing.opening import ErasingSide, open_erasing
from node.events.side import EventSide
from node.facts import ListenerFacts
from node.foreign.side import ForeignSide
from node.founding import read_join_note
from node.ground import Ground, build_engine, build_gate
from node.hooks.side import HookSide
from node.integrity.keeping import Keeping
from node.integrity.opening import open_keeping
from node.lifecycle.housekeeping import Housekeeping
from node.live import Live, Tasks
from node.metrics import Metrics
from node.noted import Noted, open_noted
from node.oversight import Oversight, build_oversight
from node.peers.dialling import Dialling
from node.peers.greeting import Greeting
from node.peers.knowing import Knowing
from node.peers.links import PeerLinks
from node.peers.mesh import Mesh
from node.quota.keeping import QuotaKeeping, open_quotas
from node.recall.opening import RecallSide
from node.replication.engine import Engine
from node.replication.gauge import Readiness
from node.replication.observer import Observer
from node.replication.snapshots import SnapshotWorks
from node.replication.upkeep import Upkeep
from node.settings import Settings
from node.sockets import OpenDoors
from node.telemetry.opening import open_tracing
from node.telemetry.tracing import Tracing
from transport.dialler import Dialler
from transport.listener import ListenerTls
from transport.pinned import ClientTls

_FRAME_TARGET_BYTES = 1024 * 1024
_PROCESS_BYTES = 8
_KNOWING = "programs.json"


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
    settings, log = ground.settings, ground.log
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
    oversight.doctor.integrity = integrity.facts
    credentials = _credentials(ground, live, engine)
    audit.looks_at(credentials)
    core = Core(
        ground=ground,
        live=live,
        tasks=tasks,
        engine=engine,
        links=links,
        snapshots=snapshots,
        gate=gate,
        credentials=credentials,
        quotas=quotas,
        oversight=oversight,
        audit=audit,
        erasing=erasing,
        integrity=integrity,
        tracing=tracing,
    )
    return _assembled(core, dialling, start_over)


def _assembled(core: Core, dialling: Dialling, start_over: Callable[[], None]) -> Parts:
    """Everything that runs, once the agents' side stands on the core."""
    ground, engine, side = core.ground, core.engine, open_agents_side(core)
    doors = ground.doors
    parts = Parts(
        live=core.live,
        doors=doors,
        metrics=ground.metrics,
        tasks=core.tasks,
        engine=engine,
        readiness=engine.readiness,
        snapshots=core.snapshots,
        upkeep=side.upkeep,
        observer=Observer(engine, ground.log, ground.now_ms),
        links=core.links,
        mesh=core.oversight.mesh,
        oversight=core.oversight,
        credentials=core.credentials,
        quotas=QuotaKeeping(core.quotas, spawn=core.tasks.spawn, log=ground.log),
        audit=core.audit,
        recovery=open_recovery(ground, engine, core.audit.record),
        foreign=side.foreign,
        erasing=core.erasing,
        integrity=core.integrity,
        events=side.events,
        hooks=side.hooks,
        recall=side.recall,
        housekeeping=side.housekeeping,
        dialling=dialling,
        noted=open_noted(ground.settings.paths.data_dir, ground.metrics, core.tasks, engine),
        dialler=dialling.attach(core.links, doors.trust) if doors.trust is not None else None,
        tracing=core.tracing,
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


def _links(ground: Ground, engine: Engine, dialling: Dialling, alarms: Alarms) -> PeerLinks:
    me, process = engine.me, os.urandom(_PROCESS_BYTES)
    others = engine.replica.governance.now.members.keys() - {me.node_id}
    knowing = Knowing(ground.settings.paths.data_dir / _KNOWING, others)

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

    def on_link(greeting: Greeting, *, dialled: bool | None) -> None:
        if dialled is not None:
            knowing.greeted(greeting)
        dialling.on_link(greeting, dialled=dialled)

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
        on_link=on_link,
        on_other_mesh=dialling.on_other_mesh,
    )
    engine.close_link, engine.flush = links.close, links.flush
    engine.without_documents = lambda: knowing.without(engine.replica.governance.now.members)
    return links
