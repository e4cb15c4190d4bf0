"""The exchange with foreign peers, composed into a running node.

Law: composition only. The memory opens with the node and closes after everything that writes
to it; exchanges of our own begin once tasks can run.
"""

import functools
import os
import random
import time
from dataclasses import dataclass

from crdt.record import Record
from node.auth.identities import FOLDER, Identities
from node.doctor.facts import ForeignFact
from node.errors import ConfigError
from node.foreign.bridge import Bridge
from node.foreign.exchange import Foreign
from node.foreign.here import Here
from node.foreign.memory import ForeignMemory, Memory
from node.foreign.peers import ForeignPeers, Wish
from node.foreign.problems import PeerAway
from node.foreign.remote import Remote, Voice
from node.foreign.sight import Sight
from node.governing.pending import PendingActions
from node.governing.standards import Standards
from node.ground import Ground
from node.http.services import Services
from node.live import Live, Tasks
from node.mesh_view import MeshView
from node.peers.trust import TrustKeeper
from node.replication.engine import Engine
from node.settings import Settings
from transport.dial import peer_url
from transport.errors import PeerUrlError
from transport.identity import NodeKey
from transport.pinned import ClientTls
from transport.tls import OwnCertificate, Trust

_FOLDER = "foreign"
_NAME_CHARS = 16


@dataclass(slots=True, kw_only=True)
class ForeignSide:
    """What of the exchange has to be opened, kept going and closed.

    Attributes:
        foreign: the face.
        memory: what was exchanged.
        wishes: the peers of the configuration.
    """

    foreign: Foreign
    memory: ForeignMemory
    wishes: list[Wish]

    def watch(self) -> None:
        """Begin what the configuration wants; end what nobody wants any more."""
        peers = self.foreign.peers
        if peers is None:
            return
        while self.wishes:
            peers.add(self.wishes.pop())
        peers.watch()

    def facts(self) -> list[ForeignFact]:
        """What the doctor is told."""
        peers = self.foreign.peers
        return [
            ForeignFact(
                url=str(one["url"]),
                state=str(one["state"]),
                failures=int(one["failures"]),
                error=str(one["error"]),
            )
            for one in (peers.status() if peers is not None else ())
        ]

    def close(self) -> None:
        """Let go of the memory."""
        self.memory.close()


def here_of(services: Services, sight: Sight, memory: Memory) -> Here:
    """This node, as the exchange sees it."""
    memories, governing = services.memories, services.governing
    return Here(
        memories=memories,
        governing=governing,
        standards=Standards(governing=governing, memories=memories, times=services.approval_times),
        pendings=PendingActions(governing=governing, memories=memories, now_ms=services.now_ms),
        sight=sight,
        memory=memory,
        bound=services.requires_signature,
        now_ms=services.now_ms,
    )


def open_foreign(
    ground: Ground, live: Live, tasks: Tasks, engine: Engine, mesh: MeshView, services: Services
) -> ForeignSide:
    """Open the exchange of a node; the caller closes it.

    Raises:
        ConfigError: an address of the configuration cannot be one, or there is no certificate
            to show there.
        node.errors.Unavailable: the memory cannot be opened.
    """
    settings, trust = ground.settings, ground.doors.trust
    wishes = _configured(settings, trust)
    memory = ForeignMemory(settings.paths.data_dir / _FOLDER)

    def read(key: bytes) -> Record | None:
        return engine.replica.read(key)  # another one after a swap of the store

    sight = Sight(read, lambda: engine.replica, engine.shelf)
    here = here_of(services, sight, memory)
    foreign = Foreign(
        here=here,
        mesh=mesh,
        is_own=trust.is_own if trust is not None else _never,
        items_max=settings.limits.bulk_items_max,
        metrics=ground.metrics,
    )
    if trust is not None:
        foreign.peers = ForeignPeers(
            make=functools.partial(_bridge, ground, services, foreign, trust),
            spawn=tasks.spawn,
            log=ground.log,
            metrics=ground.metrics,
            limits=live.settings.limits,
            now_ms=ground.now_ms,
            monotonic=time.monotonic,
            jitter=random.random,
        )
    return ForeignSide(foreign=foreign, memory=memory, wishes=wishes)


def _configured(settings: Settings, trust: TrustKeeper | None) -> list[Wish]:
    urls = settings.federation.foreign_peers
    if urls and trust is None:
        raise ConfigError(
            "federation.foreign_peers needs a certificate",
            why="foreign peers are met over mutual TLS alone",
            fix="Run `mnemesh init`, or give --tls-cert and --tls-key",
        )
    interval = settings.federation.foreign_interval_secs
    try:
        return [Wish(url=peer_url(url), interval_s=interval) for url in urls]
    except PeerUrlError as error:
        raise ConfigError("federation.foreign_peers cannot be read", why=str(error)) from error


def _bridge(
    ground: Ground, services: Services, foreign: Foreign, trust: TrustKeeper, wish: Wish
) -> Bridge:
    def name_of(fingerprint: str) -> str:
        known = services.credentials.enrolments().find(None, fingerprint)
        return known.peer_id if known is not None else f"peer:{fingerprint[:_NAME_CHARS]}"

    own = None
    if wish.certificate is not None and wish.private_key is not None:
        own = OwnCertificate.load(wish.certificate, wish.private_key)

    def voice() -> Voice:
        peer_id, key = _identity(ground, wish.peer_id)
        return Voice(peer_id=peer_id, key=key, tls=_tls(trust, own), met=trust.met)

    return Bridge(
        here=foreign.here,
        intake=foreign.intake,
        remote=Remote(wish.url, voice, entropy=os.urandom),
        is_member=foreign.is_member,
        name_of=name_of,
        ready=foreign.ready,
    )


def _identity(ground: Ground, wanted: str) -> tuple[str, NodeKey]:
    """As whom a peer knows this node, and the key it signs with.

    The identity that was asked for; else the one called as the node; else the only one whose
    private key is here; else the node itself, with its own name and key.
    """
    held = Identities(ground.settings.paths.key_dir / FOLDER)
    name = wanted or ground.settings.identity.name
    own = [one.agent_id for one in held.listed() if one.private]
    if name in own:
        return name, held.key_of(name)
    if wanted:
        raise PeerAway(
            f"there is no private key for {wanted} here",
            fix=f"Make one: mnemesh identity generate --agent-id {wanted}",
        )
    return (own[0], held.key_of(own[0])) if len(own) == 1 else (name, ground.key)


def _tls(trust: TrustKeeper, own: OwnCertificate | None) -> ClientTls:
    """What holds of the allowlist now, under the certificate that is to be shown."""
    if own is None:
        return trust.contexts()[1]
    allowed = trust.admitted
    pins = {one: der for one in allowed if (der := trust.certificate_of(one)) is not None}
    return ClientTls.make(own, Trust(allowed=allowed, pins=pins))


def _never(_fingerprint: str) -> bool:
    return False
