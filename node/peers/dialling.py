"""Whom to dial: every member without a link, and the addresses an empty store was given.

Law: governance says who the members are; addresses from settings or from a join only help
until it does. Where a peer's own link stands, it is not dialled.
"""

import random
from collections.abc import Callable, Mapping

from crdt.governance_state import Member
from node.founding import Founding, leave_join_note
from node.logs import EventLog
from node.metrics import Metrics
from node.peers.greeting import Greeting
from node.peers.links import PeerLinks
from node.peers.trust import TrustKeeper
from node.replication.engine import Engine
from node.settings import Limits, Settings
from node.settings.checks import reach_of
from transport.dial import DialError
from transport.dialler import Dialler, DialTiming
from transport.link import Link, LinkLimits
from transport.pinned import ClientTls

PEER_PATH = "/api/v1/peer"
_FAILURES_FIRST_LOGGED = 3


def link_limits(limits: Limits) -> LinkLimits:
    """The bounds of a link, from the table of limits."""
    return LinkLimits(
        frame_bytes_max=limits.frame_bytes_max,
        message_bytes_max=limits.message_bytes_max,
        messages_max=limits.frame_messages_max,
        heartbeat_s=limits.ping_interval_ms / 1000,
    )


class Dialling:
    """Keeps outgoing links to all who need one.

    Args:
        engine: whose governance tells the members.
        settings: peers as the operator named them, and how hard to try.
        founding: addresses known before governance is.
        log: writes events.
        metrics: the table of metrics.
        start_over: ends this life of the node and begins the next.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        settings: Settings,
        founding: Founding,
        log: EventLog,
        metrics: Metrics,
        start_over: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._founding = founding
        self._log = log
        self._metrics = metrics
        self._start_over = start_over
        self._inbound: set[str] = set()
        self._failing: dict[str, str] = {}
        self.troubles: dict[str, str] = {}  # address -> why the last dial to it failed
        self._dialler: Dialler | None = None
        self._noted: Mapping[bytes, Member] = {}

    def attach(self, links: PeerLinks, trust: TrustKeeper) -> Dialler:
        """Make the dialler whose links run here."""

        async def serve(_url: str, link: Link) -> float:
            return await links.run(link, dialled=True)

        limits, ways = self._settings.limits, reach_of(self._settings)
        self._dialler = Dialler(
            tls=trust.contexts()[1],
            place=lambda url: f"{ways.get(url, url)}{PEER_PATH}",
            serve=serve,
            jitter=random.random,
            on_failure=self._failed,
            on_certificate=trust.met,
            limits=link_limits(limits),
            timing=DialTiming(
                backoff_min_s=limits.backoff_ms_min / 1000,
                backoff_max_s=limits.backoff_ms_max / 1000,
                connect_s=limits.connect_timeout_ms / 1000,
            ),
        )
        return self._dialler

    def _failed(self, url: str, error: DialError, failures: int) -> None:
        name = self._failing[url] = self._named(url)
        self.troubles[url] = error.reason.value
        self._metrics.gauge("peer_consecutive_failures", name).set(failures)
        # 3, 6, 12 ...: loud enough to be seen, quiet enough to be read.
        times, rest = divmod(failures, _FAILURES_FIRST_LOGGED)
        if not rest and times & (times - 1) == 0:
            self._log("peer_unreachable", url=url, reason=error.reason.value, failures=failures)

    def _named(self, url: str) -> str:
        """What the member at an address is called; the address of somebody unknown."""
        members = self._engine.replica.governance.now.members.values()
        return next((member.name for member in members if member.url == url), url)

    def _note_members(self) -> None:
        """Keep the note beside the store true, for the day that the store is lost."""
        replica = self._engine.replica
        state = replica.governance.now
        if not replica.joined or len(state.members) <= 1 or state.members == self._noted:
            return
        members = [
            {"node_id": m.node_id.hex(), "name": m.name, "url": m.url}
            for m in state.members.values()
            if m.node_id != replica.me.node_id
        ]
        leave_join_note(self._settings.paths.join, replica.genesis, members)
        self._noted = state.members

    def watch(self) -> None:
        """Dial who has no link; give up on who is no member any more."""
        self._note_members()
        dialler = self._dialler
        if dialler is None:
            return
        wanted = self._wanted()
        for url in wanted - dialler.links.keys():
            dialler.add(url)
        for url in dialler.links.keys() - wanted:
            dialler.remove(url)
            self.troubles.pop(url, None)

    def _wanted(self) -> set[str]:
        replica = self._engine.replica
        me, state = replica.me, replica.governance.now
        urls = {m.url for m in state.members.values() if m.node_id != me.node_id}
        if replica.joined:
            urls |= state.unbound
        else:
            urls |= set(self._founding.known_urls)
        urls -= {me.url, me.claim} | self._inbound
        return {url for url in urls if url.startswith("https://")}

    def swap(self, tls: ClientTls) -> int:
        """Dial under other TLS facts; returns how many links were aborted."""
        return self._dialler.swap(tls) if self._dialler is not None else 0

    # --- told by the links -----------------------------------------------------------

    def on_link(self, greeting: Greeting, *, dialled: bool | None) -> None:
        """A link is up (dialled by us or not) or down (None)."""
        if dialled is None:
            self._inbound.discard(greeting.url)
            return
        self.troubles.pop(greeting.url, None)
        named = self._failing.pop(greeting.url, greeting.name)
        if named != greeting.name:  # the failures were counted under its address
            self._metrics.forget_peer(named)
        self._metrics.gauge("peer_consecutive_failures", greeting.name).set(0)
        if not dialled:
            self._inbound.add(greeting.url)
            if self._dialler is not None and greeting.url in self._dialler.links:
                self._dialler.remove(greeting.url)

    def on_other_mesh(self, greeting: Greeting) -> None:
        """A listed peer belongs to a mesh, this empty store to none: start over as its joiner."""
        listed = {*self._settings.quorum.peers, *self._founding.known_urls}
        cluster = self._settings.federation.cluster
        empty = not len(self._engine.replica.governance)
        if empty and greeting.url in listed and cluster in (None, greeting.genesis.cluster):
            self._log("mesh_joined", cluster=greeting.genesis.cluster, sponsor=greeting.name)
            member = {"name": greeting.name, "url": greeting.url}
            leave_join_note(self._settings.paths.join, greeting.genesis, [member])
            self._start_over()
