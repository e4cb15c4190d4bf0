"""The listeners of a node: bound first, served when the rest is there.

Law: what is bound is what the settings say and nothing more. The main listener speaks TLS
when there is a certificate; the agent listener is plain HTTP on loopback. The probe listener is
plain everywhere, knows only whether the node is ready, and says so until the very end.
"""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from node.facts import ListenerFacts
from node.http.probe import Probe
from node.http.server import HttpServer
from node.logs import EventLog
from node.metrics import Metrics
from node.peers.trust import TrustKeeper
from node.replication.engine import Engine
from node.settings import Listeners, Material, Settings, is_wildcard
from node.settings.checks import Address
from transport.listener import Listener, ListenerLimits
from transport.refusals import Refusal

# Probes are few and short; strangers may have no more than that either.
_PROBE_LIMITS: Final = ListenerLimits(
    handshakes_max=64, handshakes_per_address_max=64, connections_max=64
)


@dataclass(slots=True)
class OpenDoors:
    """Bound listeners and the facts about them.

    Attributes:
        main: the listener of --host and --port.
        agent: the plain one on loopback, if there is one.
        trust: TLS material; None without TLS.
        url: the address that peers are told, empty without TLS.
        probe: the one for probes, if there is one; goes on while the node drains.
        ready: what it asks; put in later.
        servers: the HTTP side of each listener, put in later.
    """

    settings: Settings
    material: Material
    main: Listener
    agent: Listener | None
    trust: TrustKeeper | None
    url: str = ""
    servers: dict[str, HttpServer] = field(default_factory=dict)
    probe: Listener | None = None
    ready: Callable[[], bool] = lambda: False

    @property
    def everything(self) -> list[Listener]:
        """Listeners of every kind."""
        return self.listeners if self.probe is None else [*self.listeners, self.probe]

    @property
    def listeners(self) -> list[Listener]:
        """Those that are there."""
        return [self.main] if self.agent is None else [self.main, self.agent]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Everything bound."""
        return [address for listener in self.listeners for address in listener.addresses]

    def close(self) -> None:
        """Stop listening."""
        for listener in self.everything:
            listener.stop_accepting()

    async def shutdown(self, seconds: float) -> None:
        """Let requests finish, then end the connections."""
        await asyncio.gather(*(server.shutdown(seconds) for server in self.servers.values()))

    def facts(self, engine: Engine) -> ListenerFacts:
        """How to reach this process, for the command line."""
        material, settings = self.material, self.settings
        plain = self.agent or (self.main if self.trust is None else None)
        agent_url = (
            f"http://{_dialable(plain.addresses[0])}"
            if plain is not None
            else f"https://{_dialable(self.main.addresses[0])}"
        )
        keyless_tls = self.trust is not None and not material.has_api_key
        return ListenerFacts(
            pid=os.getpid(),
            node_id=engine.me.node_id.hex(),
            name=engine.me.name,
            cluster=engine.replica.genesis.cluster,
            agent_url=agent_url,
            peer_url=self.url,
            fingerprint=self.trust.fingerprint if self.trust else "",
            api_key_file=str(material.api_key_file or ""),
            key_dir=str(settings.paths.key_dir),
            allowlist=str(material.allowlist or settings.paths.allowlist if self.trust else ""),
            config=str(settings.paths.config),
            argv=settings.argv,
            started_at=time.time_ns() // 1_000_000,
            client_cert=str(material.client_cert) if keyless_tls else "",
            client_key=str(material.client_key) if keyless_tls else "",
        )


def _dialable(address: Sequence[object]) -> Address:
    host, port = str(address[0]), int(str(address[1]))
    if is_wildcard(host):
        host = "::1" if ":" in host else "127.0.0.1"
    return Address(host=host, port=port)


async def open_doors(
    settings: Settings,
    material: Material,
    listeners: Listeners,
    *,
    metrics: Metrics,
    log: EventLog,
) -> OpenDoors:
    """Bind every address of a node.

    Raises:
        transport.errors.ListenError: one cannot be used; none stays bound.
        transport.errors.TransportError: certificate, key or allowlist cannot be used.
    """
    limits = ListenerLimits(
        handshake_s=settings.limits.handshake_timeout_ms / 1000,
        handshakes_max=settings.limits.handshakes_max,
        connections_max=settings.limits.connections_max,
        connections_per_address_max=settings.limits.connections_per_address_max,
    )
    trust = _trust(settings, material, log) if listeners.tls else None
    tls = trust.contexts()[0] if trust is not None else None

    def refused(refusal: Refusal, address: str) -> None:
        metrics.counter("handshake_failures_total", refusal.value).inc()
        log("handshake_failed", reason=refusal.value, address=address)

    # The HTTP side comes later, when the node behind it is there.
    servers: dict[str, HttpServer] = {}

    def main_protocol() -> asyncio.Protocol:
        return servers["main"]()

    def agent_protocol() -> asyncio.Protocol:
        return servers["agent"]()

    main = Listener(
        main_protocol,
        [(address.host, address.port) for address in listeners.main],
        tls=tls,
        limits=limits if tls is not None else _plain_limits(limits),
        on_refused=refused,
    )
    await main.bind()
    doors = OpenDoors(settings, material, main, None, trust, servers=servers)
    try:
        if listeners.agent is not None:
            address = [(listeners.agent.host, listeners.agent.port)]
            doors.agent = Listener(
                agent_protocol,
                address,
                tls=None,
                limits=_plain_limits(limits),
                on_refused=refused,
            )
            await doors.agent.bind()
        if listeners.probe is not None:
            doors.probe = _probe_listener(doors, listeners.probe)
            await doors.probe.bind()
    except BaseException:
        doors.close()
        raise
    if trust is not None:
        doors.url = settings.listen.advertise or f"https://{_dialable(main.addresses[0])}"
    return doors


def _trust(settings: Settings, material: Material, log: EventLog) -> TrustKeeper:
    # The own list may not be there yet: the first `node allow` makes it under a running node.
    listed = material.allowlist or settings.paths.allowlist
    return TrustKeeper(
        material=replace(material, allowlist=listed), peers=settings.paths.peers, log=log
    )


def _probe_listener(doors: OpenDoors, address: Address) -> Listener:
    return Listener(
        lambda: Probe(doors.ready),
        [(address.host, address.port)],
        tls=None,
        limits=_PROBE_LIMITS,
        for_anybody=True,
    )


def _plain_limits(limits: ListenerLimits) -> ListenerLimits:
    """Without TLS there is no handshake to bound, only connections."""
    return replace(
        limits,
        handshakes_max=limits.connections_max,
        handshakes_per_address_max=limits.connections_per_address_max,
    )
