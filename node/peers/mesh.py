"""The mesh as this node sees it, and the two operations on its membership.

Law: members are governance. A newcomer is added only after it proved its key over the very
certificates of the connection; a member is removed by a quorum write of the old membership,
minted only while that quorum is linked, because an operation that misses its quorum still
spreads and counts.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping

from crdt.clock import shared
from crdt.digest import digest_text
from crdt.dot import Dot, actor_text
from crdt.governance import Member
from crdt.op import Kind, Op, Value
from crdt.peer import Peer
from crdt.standing import found
from node import errors
from node.contracts import MemberStatus, MeshStatus, Receipt
from node.logs import EventLog
from node.peers.links import PeerLinks
from node.peers.trust import TrustKeeper
from node.replication.engine import Engine
from node.replication.gauge import Readiness
from node.replication.tokens import encode_token
from transport.certificate import pem_of
from transport.errors import PublicKeyError, TransportError
from transport.identity import check_public_key, verify

_PROOF_TAG = b"mnemesh-join\x00"
_MEMBERS_MAX = 100


class Mesh:
    """Implements `node.contracts.MeshView`.

    Args:
        engine: the replicated side.
        links: live links.
        trust: certificates; None where the node speaks no TLS.
        readiness: whether this node serves.
        timeout_ms: how long a membership operation waits for its quorum.
        log: writes events.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        links: PeerLinks,
        trust: TrustKeeper | None,
        readiness: Readiness,
        timeout_ms: Callable[[], int],
        log: EventLog,
    ) -> None:
        self._engine = engine
        self._links = links
        self._trust = trust
        self._readiness = readiness
        self._timeout_ms = timeout_ms
        self._log = log

    # --- what is ------------------------------------------------------------------

    def status(self) -> MeshStatus:
        """This node, its quorum and every member."""
        engine = self._engine
        exchange, me = engine.exchange, engine.me
        state = engine.replica.governance.now
        linked = {c.greeting.node_id: exchange.peers.get(c.number) for c in self._links.connections}
        members = sorted(state.members.values(), key=lambda member: (member.name, member.node_id))
        rows = [self._member(member, linked.get(member.node_id)) for member in members]
        rows += [self._unbound(url) for url in sorted(state.unbound) if url != me.claim]
        return MeshStatus(
            node_id=me.node_id.hex(),
            name=me.name,
            cluster=engine.replica.genesis.cluster,
            clock={actor_text(a): n for a, n in sorted(shared(exchange.durable).items())},
            digest=digest_text(exchange.durable_digest),
            n=state.n,
            w=state.quorum(exchange.wanted_w),
            members=rows,
        )

    def _member(self, member: Member, peer: Peer | None) -> MemberStatus:
        exchange = self._engine.exchange
        own = member.node_id == self._engine.me.node_id
        row = exchange.durable if own else (peer.row or {} if peer else {})
        lag = 0 if own else _missing(exchange.durable, row)
        if own:
            state = "self" if member.ready else "joining"
        elif peer is None or peer.row is None:
            state = "away"
        else:
            state = "stopped" if peer.stopped else "ready" if member.ready else "joining"
        digest = exchange.durable_digest.to_bytes(16, "big")
        equal = peer is not None and peer.row is not None and shared(exchange.durable) == peer.row
        return MemberStatus(
            node_id=member.node_id.hex(),
            name=member.name,
            peer_url=member.url,
            state=state,
            clock={actor_text(a): n for a, n in sorted(shared(row).items())},
            lag_ops=lag,
            lag_seconds=self._lag_seconds(peer, lag),
            digest_agree=peer.digest == digest if equal and peer and peer.digest else None,
            last_success_at=peer.heard_ms if peer and peer.heard_ms else None,
        )

    def _lag_seconds(self, peer: Peer | None, lag: int) -> float:
        if peer is None or not lag:
            return 0.0
        return max(self._engine.now_ms() - peer.heard_ms, 0) / 1000

    def _unbound(self, url: str) -> MemberStatus:
        return MemberStatus(
            node_id="",
            name="",
            peer_url=url,
            state="awaited",
            clock={},
            lag_ops=0,
            lag_seconds=0.0,
            digest_agree=None,
            last_success_at=None,
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
        """Keep the certificate of an allowlisted newcomer; returns its fingerprint.

        Raises:
            ValueError: it is none, or not on the allowlist.
        """
        if self._trust is None:
            raise ValueError("this node speaks no TLS, so it has no peers")
        try:
            return self._trust.introduce(certificate_pem.encode())
        except TransportError as error:
            self._log("join_refused", reason="introduction")
            raise ValueError(str(error)) from error

    async def admit(self, request: Mapping[str, Value], peer_fingerprint: str) -> dict[str, Value]:
        """Add a newcomer that proved its key to the membership; returns what it must know.

        Raises:
            ValueError: the proof does not hold.
            node.errors.WriteError: this node cannot add members now.
        """
        if self._trust is None:
            raise ValueError("this node speaks no TLS, so it has no peers")
        key = self._proven_key(request, peer_fingerprint, self._trust.fingerprint)
        node_id = hashlib.sha256(key).digest()
        name, url = str(request.get("name", ""))[:64], str(request.get("url", ""))[:512]
        self._readiness.check_writable()
        replica = self._engine.replica
        if not found(replica, self._engine.now_ms()):
            raise errors.Joining("this node has not caught up with its mesh yet")
        state = replica.governance.now
        if node_id not in state.members:
            if len(state.members) >= _MEMBERS_MAX:
                raise ValueError(f"a mesh has at most {_MEMBERS_MAX} members")
            if any(m.name == name for m in state.members.values()):
                raise ValueError(f"a member is called {name!r} already: choose another --name")
            fields: dict[str, Value] = {"node": node_id, "key": key, "name": name, "url": url}
            await self._mint(Kind.ADD, node_id.hex(), fields=fields)
        return {
            "cluster": replica.genesis.cluster,
            "genesis": {
                "cluster": replica.genesis.cluster,
                "founders": list(replica.genesis.founders),
            },
            "members": self._known_members(self._trust),
        }

    def _proven_key(self, request: Mapping[str, Value], theirs: str, ours: str) -> bytes:
        try:
            key = bytes.fromhex(str(request.get("public_key", "")))
            proof = bytes.fromhex(str(request.get("proof", "")))
            check_public_key(key)
        except (ValueError, PublicKeyError) as error:
            self._log("join_refused", reason="key")
            raise ValueError("public_key and proof must be hex of an Ed25519 key") from error
        if not verify(key, _PROOF_TAG + bytes.fromhex(theirs) + bytes.fromhex(ours), proof):
            self._log("join_refused", reason="proof")
            raise ValueError("the proof was not made with this key for this connection")
        return key

    def _known_members(self, trust: TrustKeeper) -> list[dict[str, Value]]:
        """Every member, with its certificate where this node has met it."""
        prints = {
            c.greeting.node_id: c.link.peer_certificate_fingerprint for c in self._links.connections
        }
        prints[self._engine.me.node_id] = trust.fingerprint
        out: list[dict[str, Value]] = []
        for member in self._engine.replica.governance.now.members.values():
            fingerprint = prints.get(member.node_id)
            der = trust.certificate_of(fingerprint) if fingerprint else None
            out.append(
                {
                    "node_id": member.node_id.hex(),
                    "name": member.name,
                    "url": member.url,
                    "fingerprint": fingerprint or "",
                    "certificate": pem_of(der).decode() if der else "",
                }
            )
        return out

    async def remove(self, node: str, *, force: bool) -> dict[str, Value]:
        """Take a member out of the membership, by node id or name.

        Raises:
            LookupError: no member is called so.
            node.errors.WriteError: no quorum is linked, or it did not confirm in time.
        """
        self._readiness.check_writable()
        exchange = self._engine.exchange
        state = self._engine.replica.governance.now
        found_members = [m for m in state.members.values() if node in (m.node_id.hex(), m.name)]
        if len(found_members) != 1:
            raise LookupError(node)
        member = found_members[0]
        needed = state.quorum(exchange.wanted_w)
        if exchange.tally.reachable() < needed and not force:
            raise errors.QuorumNotMet(
                self._no_receipt(needed), reason="unreachable", got=0, needed=needed
            )
        op = await self._mint(
            Kind.REMOVE, member.node_id.hex(), supersedes=member.adds, wait=not force
        )
        return {
            "removed": True,
            "node_id": member.node_id.hex(),
            "name": member.name,
            "dot": f"{actor_text(op.dot.actor)}:{op.dot.seq}",
        }

    async def _mint(
        self,
        kind: Kind,
        subject: str,
        *,
        fields: Mapping[str, Value] | None = None,
        supersedes: frozenset[Dot] = frozenset(),
        wait: bool = True,
    ) -> Op:
        """Mint a membership operation and wait for the quorum below its heads."""
        engine = self._engine

        def make(dot: Dot, heads: tuple[Dot, ...], stamp: int) -> Op:
            return Op(
                dot=dot,
                kind=kind,
                id=subject,
                hlc=stamp,
                heads=heads,
                set=dict(fields or {}),
                supersedes=supersedes,
            )

        op = engine.replica.mint_governance(make, engine.now_ms())
        before = engine.replica.governance.state(op.heads)
        engine.soon()
        if not wait:
            return op
        deadline = asyncio.get_running_loop().time() + self._timeout_ms() / 1000
        if not await engine.waiting.for_governance(op, deadline):
            needed = before.quorum(engine.exchange.wanted_w)
            got = len(engine.exchange.tally.holders(op.dot))
            raise errors.QuorumNotMet(
                self._no_receipt(needed, got), reason="timeout", got=got, needed=needed
            )
        return op

    def _no_receipt(self, needed: int, got: int = 0) -> Receipt:
        none = encode_token({})
        return Receipt(dots=(), local=got > 0, acks=got, needed=needed, peers=(), token=none)


def _missing(durable: Mapping[bytes, int], row: Mapping[bytes, int]) -> int:
    """How many of our operations the other side has not acknowledged."""
    return sum(max(n - row.get(a, 0), 0) for a, n in shared(durable).items())
