"""The HTTP side of a node: its services, and a server for each listener.

Law: both listeners show the same node; they differ in who may come in. Only the TLS listener
takes peers.
"""

import os
import sys
import time
from collections.abc import Iterator

from aiohttp import web

from crdt.dot import DATA, PRIVATE
from crdt.op import record_key
from node import __version__
from node.audit.side import AuditSide
from node.auth.credentials import Credentials
from node.auth.door import bound_key
from node.auth.keys import key_digest
from node.documents.around import EngineSurroundings
from node.documents.documents import Documents
from node.documents.pen import Pen
from node.governing.feed import PendingFeed
from node.graph.opening import open_entities
from node.http.hosts import HostRule
from node.http.request_log import RequestLog
from node.http.server import build_server
from node.http.services import Door, Services
from node.lifecycle.sweeping import SweepRules
from node.links.index import COLLECTION as LINK
from node.links.index import LinkIndex
from node.live import Live
from node.llm.opening import open_model
from node.logs import EventLog
from node.memory.access import AccessLedger
from node.memory.census import PrivateCensus
from node.memory.drafts import COLLECTION as MEMORY
from node.memory.drafts import DraftRules
from node.memory.memories import Memories
from node.oversight import Oversight
from node.peers.dialling import link_limits
from node.peers.greeting import PROTOCOL_VERSION
from node.peers.links import PeerLinks
from node.peers.trust import TrustKeeper
from node.quota.quotas import Quotas
from node.replication.engine import Engine
from node.replication.funnel import LocalFunnel
from node.replication.governing import StoreGoverning
from node.settings.sections import Storage
from node.sockets import OpenDoors
from node.telemetry.tracing import Tracing
from transport.link import LinkClosed
from transport.websocket import accept_link

_LIFE_BYTES = 4


def access_ledger(engine: Engine) -> AccessLedger:
    """Counts of reads, over what was flushed to the store earlier."""
    return AccessLedger(
        stored=lambda ident: engine.store.lists.access(record_key(DATA, "memory", ident))
    )


def link_index(engine: Engine) -> LinkIndex:
    """Which links end where, over the keys of the store."""

    def scan() -> Iterator[bytes]:
        for lane in (DATA, PRIVATE):
            start = record_key(lane, LINK, "")
            yield from engine.store.lists.with_prefix(start, sys.maxsize)

    return LinkIndex(scan, lambda: engine.store.store_id)


def private_census(engine: Engine, funnel: LocalFunnel, *, everywhere: bool) -> PrivateCensus:
    """Which memories the figures of this node do not tell everybody of."""

    def scan() -> Iterator[str]:
        if everywhere:
            yield from (held.id for held in funnel.reader().recent())
            yield from (held.id for held in funnel.reader().archive())
        start = record_key(PRIVATE, MEMORY, "")
        for key in engine.store.lists.with_prefix(start, sys.maxsize):
            yield key[len(start) :].decode()

    return PrivateCensus(funnel.reader, scan, engine.now_ms)


def sweep_rules(storage: Storage) -> SweepRules:
    """What becomes of expired and of archived memories in the end."""
    return SweepRules(
        archive_on_gc=storage.archive_on_gc, archive_max_days=storage.archive_max_days
    )


def pen_over(engine: Engine, funnel: LocalFunnel) -> Pen:
    """What writes into the documents of a node."""
    around = EngineSurroundings(engine, funnel.reader())
    return Pen(engine.shelf, entropy=os.urandom, now_ms=engine.now_ms, around=around)


def make_services(  # noqa: PLR0913 - it is composed once, of exactly these parts
    live: Live,
    *,
    funnel: LocalFunnel,
    oversight: Oversight,
    access: AccessLedger,
    engine: Engine,
    credentials: Credentials,
    quotas: Quotas,
    audit: AuditSide,
    log: EventLog,
    tracing: Tracing | None = None,
) -> Services:
    """Everything the HTTP face is given."""
    settings, now_ms = live.settings, engine.now_ms
    pen = pen_over(engine, funnel)
    rules = DraftRules(
        limits=settings.limits,
        default_namespace=settings.storage.default_namespace,
        share_private=settings.federation.share_private,
        archive_on_delete=settings.storage.archive_on_delete,
        documents=pen,
    )
    governing = StoreGoverning(engine)
    feed = PendingFeed(governing.pendings, now_ms, os.urandom(_LIFE_BYTES).hex())
    engine.on_commit.append(feed.committed)
    index = link_index(engine)
    census = private_census(engine, funnel, everywhere=rules.share_private)
    engine.on_commit += [index.saw, census.saw]
    memories = Memories(
        funnel=funnel,
        rules=rules,
        now_ms=now_ms,
        entropy=os.urandom,
        requires_signature=lambda agent: bound_key(governing, agent) is not None,
    )
    return Services(
        sweep_rules=sweep_rules(settings.storage),
        memories=memories,
        documents=Documents(memories, pen),
        mesh=oversight.mesh,
        doctor=oversight.doctor.examine,
        limits=settings.limits,
        access=access,
        metrics=engine.metrics,
        log=log,
        version=__version__,
        protocol_version=PROTOCOL_VERSION,
        now_ms=now_ms,
        monotonic=time.monotonic,
        administrators=lambda: engine.replica.governance.now.admins,
        store_trouble=lambda: "the disk failed" if engine.readiness.failed else None,
        permissions_mode=lambda: live.settings.permissions.mode,
        governing=governing,
        credentials=credentials,
        approval_times=lambda: live.settings.governance,
        pending_feed=feed,
        link_index=index,
        entity_index=open_entities(engine),
        llm=open_model(settings.llm),
        census=census,
        quotas=quotas,
        audit=audit.record,
        verifier=audit.verifier,
        pressed=funnel.room.pressed,
        requests=RequestLog(log, lambda: live.settings.logging.requests),
        tracing=tracing,
    )


def open_for_http(
    live: Live, services: Services, doors: OpenDoors, api_key: str | None, links: PeerLinks
) -> None:
    """Put a server behind each listener."""
    settings, trust, main = live.settings, doors.trust, doors.main
    live.api_keys = (key_digest(api_key),) if api_key else ()
    limits = link_limits(settings.limits)

    async def accept_peer(request: web.BaseRequest, _fingerprint: str) -> web.StreamResponse:
        # The link reads the fingerprint from the connection itself.
        own = trust.fingerprint if trust is not None else None
        try:
            link = await accept_link(request, own_fingerprint=own, limits=limits)
        except LinkClosed:
            return web.Response(status=400)  # gone before the upgrade was done
        await links.run(link, dialled=False)
        return link.response

    rule = HostRule(bound=[str(host) for host, _ in main.addresses], names=_names(live, trust))
    doors.servers["main"] = build_server(
        services,
        Door(
            tls=trust is not None,
            hosts=lambda: rule,
            api_keys=lambda: live.api_keys,
            key_ring=services.credentials.key_ring,
            newest_key_ring=services.credentials.newest_key_ring,
            peer_allowed=trust.allows if trust is not None else _nobody,
            peer_fingerprint=main.peer_of,
            accept_peer=accept_peer if trust is not None else None,
        ),
    )
    if doors.agent is not None:
        bound = [str(host) for host, _ in doors.agent.addresses]
        local = HostRule(bound=bound, names=settings.listen.hostnames)
        door = Door(
            tls=False,
            hosts=lambda: local,
            api_keys=lambda: live.api_keys,
            key_ring=services.credentials.key_ring,
            newest_key_ring=services.credentials.newest_key_ring,
        )
        doors.servers["agent"] = build_server(services, door)


def _nobody(_fingerprint: str) -> bool:
    return False


def _names(live: Live, trust: TrustKeeper | None) -> list[str]:
    """The names under which the main listener answers, beside its addresses."""
    settings = live.settings
    advertised = (settings.listen.advertise or "").removeprefix("https://")
    certified = trust.names if trust is not None else ()
    return [*settings.listen.hostnames, *settings.identity.sans, advertised, *certified]
