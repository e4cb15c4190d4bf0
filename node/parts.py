"""The parts of a running node and how they are connected.

Law: built once, in the order in which they depend on each other; every part gets what it
needs as an argument and knows nothing of the rest.
"""

import asyncio
import os
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from crdt.dot import new_actor
from crdt.effects import Alarm
from crdt.exchange import ExchangeLimits
from crdt.identity import Self
from crdt.op import record_key
from node import __version__
from node.founding import Founding, leave_join_note, read_join_note
from node.http.hosts import HostRule
from node.http.server import build_server
from node.http.services import Door, Services, key_digest
from node.logs import EventLog
from node.memories import Memories
from node.memory_access import AccessLedger
from node.memory_drafts import DraftRules
from node.metrics import Metrics
from node.peers.greeting import PROTOCOL_VERSION, Greeting
from node.peers.links import PeerLinks
from node.peers.mesh import Mesh
from node.peers.trust import TrustKeeper
from node.replication.engine import Engine, EngineSettings
from node.replication.funnel import LocalFunnel
from node.replication.gauge import Readiness
from node.replication.reader import StoreReader
from node.replication.snapshots import SnapshotWorks
from node.replication.upkeep import Upkeep
from node.settings import Settings
from node.sockets import OpenDoors
from node.store import Store
from transport.dial import DialError
from transport.dialler import Dialler, DialTiming
from transport.identity import NodeKey, verify
from transport.link import Link, LinkLimits
from transport.listener import ListenerTls
from transport.pinned import ClientTls
from transport.websocket import accept_link

_FRAME_TARGET_BYTES = 1024 * 1024
_PEER_PATH = "/api/v1/peer"
_FAILURES_FIRST_LOGGED = 3

_ALARMS = {
    "digest_mismatch": "digest_mismatch",
    "fork": "equivocation_found",
    "future_stamp": "peer_skewed",
    "skewed": "clock_skewed",
    "source_silent": "catchup_failed",
}


@dataclass(slots=True)
class Tasks:
    """Tasks that come and go; owned by the node's task group while it serves."""

    group: asyncio.TaskGroup | None = None
    running: set[asyncio.Task[None]] = field(default_factory=set)

    def open(self, group: asyncio.TaskGroup) -> None:
        """From now on tasks run in this group."""
        self.group = group

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine; its end is awaited by the group."""
        if self.group is None:
            work.close()
            return
        task = self.group.create_task(work)
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    def close(self) -> None:
        """No new tasks; cancel those that run."""
        self.group = None
        for task in self.running:
            task.cancel()


@dataclass(slots=True)
class Parts:
    """Everything that runs."""

    settings: Settings
    founding: Founding
    doors: OpenDoors
    metrics: Metrics
    log: EventLog
    tasks: Tasks
    engine: Engine
    readiness: Readiness
    snapshots: SnapshotWorks
    upkeep: Upkeep
    links: PeerLinks
    mesh: Mesh
    trust: TrustKeeper | None
    dialler: Dialler | None
    end: Callable[..., None]
    linked: dict[str, str] = field(default_factory=dict)
    inbound: set[str] = field(default_factory=set)
    own_urls: set[str] = field(default_factory=set)

    # --- whom to dial --------------------------------------------------------------

    def watch(self) -> None:
        """Look at the allowlist; dial every member without a link."""
        if self.trust is not None:
            self.trust.check()
        if self.dialler is None:
            return
        wanted = self._wanted_urls()
        for url in wanted - self.dialler.links.keys():
            self.dialler.add(url)
        for url in self.dialler.links.keys() - wanted:
            self.dialler.remove(url)

    def _wanted_urls(self) -> set[str]:
        me = self.engine.me
        state = self.engine.replica.governance.now
        urls = {m.url for m in state.members.values() if m.node_id != me.node_id and m.url}
        urls |= state.unbound if self.engine.replica.joined else set(self.founding.known_urls)
        urls |= {url for url in self.settings.quorum.peers if not state.members}
        urls -= self.own_urls | {me.url, me.claim} | self.inbound
        return {url for url in urls if url.startswith("https://")}

    def on_link(self, greeting: Greeting, dialled: bool | None) -> None:  # noqa: FBT001 - see OnLink
        """A link is up (dialled by us or not) or down: dial only where none is."""
        if greeting.node_id == self.engine.me.node_id:
            return
        if dialled is None:
            self.inbound.discard(greeting.url)
        elif not dialled:
            self.inbound.add(greeting.url)
            if self.dialler is not None and greeting.url in self.dialler.links:
                self.dialler.remove(greeting.url)

    def on_other_mesh(self, greeting: Greeting) -> None:
        """A listed peer belongs to a mesh, this empty store to none: start over as its joiner."""
        listed = {*self.settings.quorum.peers, *self.founding.known_urls}
        cluster = self.settings.federation.cluster
        empty = not len(self.engine.replica.governance)
        if empty and greeting.url in listed and cluster in (None, greeting.genesis.cluster):
            self.log("mesh_joined", cluster=greeting.genesis.cluster, sponsor=greeting.name)
            leave_join_note(self.settings.paths.join, greeting.genesis, greeting.url)
            self.end(None, again=True)

    def adopt_join_note(self) -> None:
        """A join was made while this node ran: start over with what the sponsor said."""
        note = read_join_note(self.settings.paths.join)
        replica = self.engine.replica
        if note is not None and note.genesis != replica.genesis and not len(replica.governance):
            self.end(None, again=True)

    # --- changes while it runs -----------------------------------------------------

    def swap(self, listening: ListenerTls, dialling: ClientTls) -> int:
        """Put new TLS contexts in force everywhere."""
        aborted = self.doors.main.swap(listening)
        if self.dialler is not None:
            aborted += self.dialler.swap(dialling)
        return aborted

    def apply(self, settings: Settings) -> None:
        """Put reloaded settings in force."""
        self.settings = settings
        self.engine.exchange.wanted_w = settings.quorum.writes

    def measure(self) -> None:
        """Put the present state into the gauges."""
        members = self.engine.replica.governance.now.members.values()
        names = {m.node_id: m.name for m in members if m.node_id != self.engine.me.node_id}
        self.upkeep.measure(self.metrics, names)
        self.metrics.gauge("ready").set(self.mesh.ready() is None)
        if self.trust is not None:
            expires = self.metrics.gauge("certificate_expiry_timestamp_seconds")
            expires.set(self.trust.expires_at)

    def close(self) -> None:
        """Put everything on the disk and let go of it."""
        self.snapshots.close()
        self.engine.committer.close(5.0)
        self.engine.store.close()


def build_parts(  # noqa: PLR0913 - it is composed once, of exactly these parts
    settings: Settings,
    *,
    key: NodeKey,
    founding: Founding,
    doors: OpenDoors,
    store: Store,
    api_key: str | None,
    metrics: Metrics,
    log: EventLog,
    now_ms: Callable[[], int],
    end: Callable[..., None],
) -> Parts:
    """Compose a node over its open store and bound listeners."""
    tasks = Tasks()
    name = settings.identity.name
    me = _self(key, founding, name, doors.url, settings)
    process = os.urandom(8)
    holder: list[Parts] = []

    def on_full(full: bool) -> None:  # noqa: FBT001 - told by the committer
        readiness.full = full
        log("store_full" if full else "store_resumed")

    def on_fatal(error: BaseException) -> None:
        readiness.failed = True
        metrics.counter("store_fsync_errors_total").inc()
        log("store_failed", error=str(error))
        engine.waiting.give_up()
        end(error)

    engine = Engine(
        me=me,
        genesis=founding.genesis,
        store=store,
        settings=_engine_settings(settings),
        now_ms=now_ms,
        metrics=metrics,
        alarm=lambda alarm: _alarm(alarm, log, metrics, links),
        close_link=lambda link, reason: links.close(link, reason),
        on_full=on_full,
        on_fatal=on_fatal,
    )
    readiness = Readiness(engine)
    snapshots = SnapshotWorks(
        engine=engine,
        data_dir=settings.paths.data_dir,
        map_bytes=settings.storage.map_bytes,
        chunk_bytes=settings.limits.snapshot_chunk_bytes_max,
        log=log,
        spawn=tasks.spawn,
    )
    engine.snapshots = snapshots
    links = PeerLinks(
        engine=engine,
        greet=lambda: Greeting(
            genesis=engine.replica.genesis,
            key=me.key,
            name=name,
            url=doors.url,
            claim=me.claim,
            process=process,
            settled=bool(len(engine.replica.governance)),
        ),
        sign=key.sign,
        frame_bytes_max=_FRAME_TARGET_BYTES,
        backlog_bytes_max=settings.limits.committer_queue_bytes_max // 2,
        log=log,
        on_link=lambda greeting, dialled: holder[0].on_link(greeting, dialled),
        on_other_mesh=lambda greeting: holder[0].on_other_mesh(greeting),
    )

    def timeout_ms() -> int:
        return holder[0].settings.quorum.timeout_ms

    mesh = Mesh(
        engine=engine,
        links=links,
        trust=doors.trust,
        readiness=readiness,
        timeout_ms=timeout_ms,
        log=log,
    )
    reader = StoreReader(engine)
    funnel = LocalFunnel(
        engine=engine,
        reader=reader,
        readiness=readiness,
        timeout_ms=timeout_ms,
        in_flight_max=settings.limits.writes_in_flight_max,
        entropy=os.urandom,
        name_of=lambda node: _name_of(engine, node),
    )
    access = AccessLedger(
        stored=lambda ident: engine.store.lists.access(record_key(b"d", "memory", ident))
    )
    services = _services(settings, funnel, mesh, access, metrics, log, now_ms, holder, readiness)
    _serve_http(settings, services, doors, api_key, links)
    parts = Parts(
        settings=settings,
        founding=founding,
        doors=doors,
        metrics=metrics,
        log=log,
        tasks=tasks,
        engine=engine,
        readiness=readiness,
        snapshots=snapshots,
        upkeep=Upkeep(
            engine=engine,
            snapshots=snapshots,
            access=access,
            settings=settings.storage,
            data_dir=settings.paths.data_dir,
            log=log,
            now_ms=now_ms,
        ),
        links=links,
        mesh=mesh,
        trust=doors.trust,
        dialler=_dialler(settings, doors, links, log, metrics),
        end=end,
    )
    holder.append(parts)
    if doors.trust is not None:
        doors.trust.on_change(parts.swap)
    return parts


def _self(key: NodeKey, founding: Founding, name: str, url: str, settings: Settings) -> Self:
    node_id = key.node_id
    return Self(
        node_id=node_id,
        key=key.public,
        claim=founding.claim,
        name=name,
        url=url,
        draw_actor=lambda lane: new_actor(lane, int(time.time()), os.urandom(8), node_id),
        sign=key.sign,
        verify=verify,
        ops_max=settings.limits.bundle_ops_max,
        bundle_bytes_max=settings.limits.bundle_bytes_max * 2 // 3,
    )


def _engine_settings(settings: Settings) -> EngineSettings:
    limits = settings.limits
    return EngineSettings(
        limits=ExchangeLimits(
            page_bytes_max=limits.catchup_page_bytes_max,
            peer_queue_bytes_max=limits.peer_queue_bytes_max,
            relay_ms=limits.relay_ms,
            session_deadline_ms=limits.session_timeout_ms,
            skew_ms_max=limits.clock_skew_ms_max,
        ),
        wanted_w=settings.quorum.writes,
        queue_bytes_max=limits.committer_queue_bytes_max,
    )


def _name_of(engine: Engine, node: bytes) -> str:
    member = engine.replica.governance.now.members.get(node)
    return member.name if member is not None and member.name else node.hex()[:12]


def _alarm(alarm: Alarm, log: EventLog, metrics: Metrics, links: PeerLinks) -> None:
    peers = {c.number: c.greeting.name for c in links.connections}
    peer = peers.get(alarm.link, "")
    if alarm.name == "fork":
        metrics.counter("equivocations_total").inc()
    elif alarm.name not in _ALARMS:
        metrics.counter("frames_rejected_total", alarm.name).inc()
    event = _ALARMS.get(alarm.name, "peer_bundle_refused")
    log(event, peer=peer, reason=alarm.name, detail=alarm.detail)


def _services(  # noqa: PLR0913, PLR0917 - it is composed once, of exactly these parts
    settings: Settings,
    funnel: LocalFunnel,
    mesh: Mesh,
    access: AccessLedger,
    metrics: Metrics,
    log: EventLog,
    now_ms: Callable[[], int],
    holder: list[Parts],
    readiness: Readiness,
) -> Services:
    rules = DraftRules(
        limits=settings.limits,
        default_namespace=settings.storage.default_namespace,
        share_private=settings.federation.share_private,
    )
    return Services(
        memories=Memories(funnel=funnel, rules=rules, now_ms=now_ms, entropy=os.urandom),
        mesh=mesh,
        limits=settings.limits,
        access=access,
        metrics=metrics,
        log=log,
        version=__version__,
        protocol_version=PROTOCOL_VERSION,
        now_ms=now_ms,
        monotonic=time.monotonic,
        administrators=lambda: frozenset(holder[0].settings.admin.agents),
        store_trouble=lambda: "the disk failed" if readiness.failed else None,
        permissions_mode=settings.permissions.mode,
    )


def _serve_http(
    settings: Settings,
    services: Services,
    doors: OpenDoors,
    api_key: str | None,
    links: PeerLinks,
) -> None:
    trust, main = doors.trust, doors.main
    keys = (key_digest(api_key),) if api_key else ()
    limits = _link_limits(settings)

    async def accept_peer(request: web.BaseRequest, fingerprint: str) -> web.StreamResponse:
        del fingerprint  # the link reads it from the connection itself
        own = trust.fingerprint if trust is not None else None
        link = await accept_link(request, own_fingerprint=own, limits=limits)
        await links.run(link, dialled=False)
        return link.response

    names = (*settings.listen.hostnames, *settings.identity.sans, settings.listen.advertise or "")
    bare = [name.removeprefix("https://") for name in names]
    rule = HostRule(bound=[str(host) for host, _ in main.addresses], names=bare)
    doors.servers["main"] = build_server(
        services,
        Door(
            tls=trust is not None,
            hosts=lambda: rule,
            api_keys=lambda: keys,
            peer_allowed=trust.allows if trust is not None else lambda _: False,
            peer_fingerprint=main.peer_of,
            accept_peer=accept_peer if trust is not None else None,
        ),
    )
    if doors.agent is not None:
        local = HostRule(
            bound=[str(host) for host, _ in doors.agent.addresses], names=settings.listen.hostnames
        )
        doors.servers["agent"] = build_server(
            services, Door(tls=False, hosts=lambda: local, api_keys=lambda: keys)
        )


def _link_limits(settings: Settings) -> LinkLimits:
    limits = settings.limits
    return LinkLimits(
        frame_bytes_max=limits.frame_bytes_max,
        message_bytes_max=limits.message_bytes_max,
        messages_max=limits.frame_messages_max,
        heartbeat_s=limits.ping_interval_ms / 1000,
    )


def _dialler(
    settings: Settings, doors: OpenDoors, links: PeerLinks, log: EventLog, metrics: Metrics
) -> Dialler | None:
    trust = doors.trust
    if trust is None:
        return None

    async def serve(url: str, link: Link) -> float:
        del url
        return await links.run(link, dialled=True)

    def failed(url: str, error: DialError, failures: int) -> None:
        metrics.gauge("peer_consecutive_failures", url).set(failures)
        # 3, 6, 12 ...: loud enough to be seen, quiet enough to be read.
        times, rest = divmod(failures, _FAILURES_FIRST_LOGGED)
        if not rest and times & (times - 1) == 0:
            log("peer_unreachable", url=url, reason=error.reason.value, failures=failures)

    limits = settings.limits
    return Dialler(
        tls=trust.contexts()[1],
        path=_PEER_PATH,
        serve=serve,
        jitter=random.random,
        on_failure=failed,
        on_certificate=trust.met,
        limits=_link_limits(settings),
        timing=DialTiming(
            backoff_min_s=limits.backoff_ms_min / 1000,
            backoff_max_s=limits.backoff_ms_max / 1000,
            connect_s=limits.connect_timeout_ms / 1000,
        ),
    )
