"""The mesh as this node sees it.

Law: members are those of governance; who is allowed is what the allowlist says here; the two
are shown side by side and neither is taken for the other. How far a member is behind is
measured in one place, for this view and for the metrics alike.
"""

from collections.abc import Iterator, Mapping

from crdt.clock import Clock, shared
from crdt.digest import digest_text
from crdt.dot import NodeId, actor_text
from crdt.governance_state import Member
from crdt.op import Value
from crdt.peer import Peer
from node.contracts import Caller, RetryKey
from node.mesh_view import Clocks, MemberStatus, MeshStatus, OutsiderStatus, Removal
from node.peers.faces import Faces
from node.peers.links import PeerLinks
from node.peers.membership import Membership
from node.peers.trust import TrustKeeper
from node.replication.engine import Engine
from node.replication.gauge import Readiness
from node.replication.lag import Lag, Lags

_NO_LAG = Lag(ops=0, seconds=0.0)


class Mesh:
    """Implements `node.contracts.MeshView`.

    Args:
        engine: the replicated side.
        links: live links.
        trust: certificates; None where the node speaks no TLS.
        readiness: whether this node serves.
        membership: the operations on who belongs.
        lags: how far members are behind.
        faces: which certificate each node last showed.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        links: PeerLinks,
        trust: TrustKeeper | None,
        readiness: Readiness,
        membership: Membership,
        lags: Lags,
        faces: Faces,
    ) -> None:
        self._engine = engine
        self._links = links
        self._trust = trust
        self._readiness = readiness
        self._membership = membership
        self._lags = lags
        self._faces = faces

    def note_faces(self) -> None:
        """Write down which certificates the linked nodes show; cheap when nothing is new."""
        if self._trust is not None:
            self._faces.look(self._links.fingerprints().items(), self._trust.allowlist.pins)

    # --- what is ------------------------------------------------------------------

    def status(self, clocks: Clocks = Clocks.NONE) -> MeshStatus:
        """This node, its quorum, every member, and who else is allowed or was removed."""
        told = clocks is Clocks.ALL
        engine = self._engine
        exchange, me = engine.exchange, engine.me
        state = engine.replica.governance.now
        linked = {c.greeting.node_id: exchange.peers.get(c.number) for c in self._links.connections}
        lags, prints, held = self._lags.look(), self._prints(), shared(exchange.durable)
        members = sorted(state.members.values(), key=lambda member: (member.name, member.node_id))
        rows = [
            self._member(
                m, linked.get(m.node_id), lags.get(m.node_id, _NO_LAG), prints, held, told=told
            )
            for m in members
        ]
        rows += [_unbound(url, told=told) for url in sorted(state.unbound) if url != me.claim]
        return MeshStatus(
            node_id=me.node_id.hex(),
            name=me.name,
            cluster=engine.replica.genesis.cluster,
            clock=None if clocks is Clocks.NONE else _told(held),
            digest=digest_text(exchange.durable_digest),
            n=state.n,
            w=state.quorum(exchange.wanted_w),
            members=rows,
            reach=exchange.tally.reachable() if engine.replica.joined else 0,
            others=[*self._retired(prints), *self._allowed(state.members, prints)],
        )

    def _prints(self) -> dict[NodeId, str]:
        """The certificate of every node that is or was a member, where it has been seen."""
        governance = self._engine.replica.governance
        nodes = [*governance.now.members, *self._membership.leavers.of(governance)]
        linked = self._links.fingerprints()
        if self._trust is not None:
            linked[self._engine.me.node_id] = self._trust.fingerprint
        return {node: linked.get(node) or self._faces.of(node) for node in nodes}

    def _member(
        self,
        member: Member,
        peer: Peer | None,
        lag: Lag,
        prints: Mapping[NodeId, str],
        held: Clock,
        *,
        told: bool,
    ) -> MemberStatus:
        exchange = self._engine.exchange
        own = member.node_id == self._engine.me.node_id
        row = held if own else (peer.row or {} if peer else {})
        digest = exchange.durable_digest.to_bytes(16, "big")
        equal = peer is not None and peer.row == held
        return MemberStatus(
            node_id=member.node_id.hex(),
            name=member.name,
            peer_url=member.url,
            state=self._state(member, peer),
            clock=_told(row) if told else None,
            lag_ops=lag.ops,
            lag_seconds=lag.seconds,
            digest_agree=peer.digest == digest if equal and peer and peer.digest else None,
            last_success_at=peer.heard_ms if peer and peer.heard_ms else None,
            standing="revoked" if self._is_revoked(member, prints) else "member",
            fingerprint=prints[member.node_id],
            skew_ms=peer.skew_ms if peer else 0,
        )

    def _state(self, member: Member, peer: Peer | None) -> str:
        if member.node_id == self._engine.me.node_id:
            return "self" if member.ready else "joining"
        if peer is None or peer.row is None:
            return "away"
        if peer.stopped:
            return "stopped"
        return "ready" if member.ready else "joining"

    def _is_revoked(self, member: Member, prints: Mapping[NodeId, str]) -> bool:
        """Whether a member may not connect here.

        One that was never seen is taken for any entry of the list that is nobody else's.
        """
        trust = self._trust
        if trust is None or member.node_id == self._engine.me.node_id:
            return False
        if prints[member.node_id]:
            return not trust.allows(prints[member.node_id])
        return not trust.allowlist.pins - set(prints.values())

    def _retired(self, prints: Mapping[NodeId, str]) -> Iterator[OutsiderStatus]:
        left = self._membership.leavers.of(self._engine.replica.governance)
        for leaver in sorted(left.values(), key=lambda leaver: (leaver.name, leaver.node_id)):
            fingerprint = prints[leaver.node_id]
            yield OutsiderStatus(
                standing="retired",
                node_id=leaver.node_id.hex(),
                name=leaver.name,
                peer_url=leaver.url,
                fingerprint=fingerprint,
                allowed=bool(fingerprint and self._trust and self._trust.allows(fingerprint)),
                by_node=leaver.by_node,
                by_agent=leaver.by_agent,
                at_ms=leaver.at_ms,
            )

    def _allowed(
        self, members: Mapping[NodeId, Member], prints: Mapping[NodeId, str]
    ) -> Iterator[OutsiderStatus]:
        """Who is on the allowlist and neither is nor was a member, as far as is known."""
        trust = self._trust
        if trust is None:
            return
        known = set(prints.values())
        # One that has not been met yet is known by the name that the list gives it.
        left = self._membership.leavers.of(self._engine.replica.governance)
        named = [(node, member.name) for node, member in members.items()]
        named += [(node, leaver.name) for node, leaver in left.items()]
        unmet = {name for node, name in named if not prints[node]}
        for fingerprint, name in sorted(trust.allowlist.entries.items()):
            if trust.is_own(fingerprint) or fingerprint in known or (name and name in unmet):
                continue
            yield OutsiderStatus(
                standing="allowed",
                node_id=self._faces.owner(fingerprint),
                name=name,
                peer_url="",
                fingerprint=fingerprint,
                allowed=True,
            )

    def ready(self) -> str | None:
        """None when reads and writes are served, else the reason."""
        return self._readiness.reason()

    def quorum_in_reach(self) -> bool:
        """Whether W members are on present links right now."""
        exchange = self._engine.exchange
        state = self._engine.replica.governance.now
        needed = state.quorum(exchange.wanted_w)
        alone = not len(self._engine.replica.governance) and state.n == 1
        return alone or exchange.tally.reachable() >= needed

    # --- membership ---------------------------------------------------------------

    def introduce(self, certificate_pem: str) -> str:
        """Keep the certificate of an allowlisted newcomer; returns its fingerprint."""
        return self._membership.introduce(certificate_pem)

    async def admit(
        self, request: Mapping[str, Value], peer_fingerprint: str, *, caller: Caller
    ) -> dict[str, Value]:
        """Add a newcomer that proved its key; see `Membership.admit`."""
        return await self._membership.admit(request, peer_fingerprint, caller=caller)

    async def remove(
        self, node: str, *, force: bool, caller: Caller, retry: RetryKey | None = None
    ) -> Removal:
        """Take a member out; see `Membership.remove`."""
        return await self._membership.remove(node, force=force, caller=caller, retry=retry)


def _told(clock: Clock) -> dict[str, int]:
    return {actor_text(a): n for a, n in sorted(shared(clock).items())}


def _unbound(url: str, *, told: bool) -> MemberStatus:
    return MemberStatus(
        node_id="",
        name="",
        peer_url=url,
        state="awaited",
        clock={} if told else None,
        lag_ops=0,
        lag_seconds=0.0,
        digest_agree=None,
        last_success_at=None,
    )
