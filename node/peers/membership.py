"""Coming in and leaving: the two operations on the membership of a mesh.

Law: members are governance. A newcomer is added only after it proved its key over the very
certificates of the connection; a member is removed by a quorum write of the old membership,
minted only while that quorum is linked, because an operation that misses its quorum still
spreads and counts. Both pass the one gate before anything is minted, and a removal that is
asked for again under its retry key is answered, not done twice.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from typing import Final

from crdt.dot import Dot
from crdt.governance_state import Member
from crdt.op import Kind, Op, Value
from crdt.standing import found
from node import errors
from node.contracts import Caller, Receipt, RetryKey
from node.events.moments import BEFORE_MEMBER_ADD, BEFORE_MEMBER_REMOVE
from node.gate import Gate
from node.gate import Membership as Change
from node.logs import EventLog
from node.mesh_view import Removal
from node.peers.leavers import Leavers
from node.peers.links import PeerLinks
from node.peers.trust import TrustKeeper
from node.replication.engine import Engine
from node.replication.gauge import Readiness
from node.replication.retries import earlier, mark_of
from node.replication.tokens import encode_token
from transport.certificate import pem_of
from transport.errors import PublicKeyError, TransportError
from transport.identity import check_public_key, verify

_PROOF_TAG: Final = b"mnemesh-join\x00"
_MEMBERS_MAX: Final = 100
_NAME_CHARS_MAX: Final = 64
_URL_CHARS_MAX: Final = 512
NO_TLS: Final = "this node speaks no TLS, so it has no peers"


class Membership:
    """Admits and removes members of an engine's mesh.

    Args:
        engine: the replicated side.
        links: live links, which show certificates.
        trust: certificates; None where the node speaks no TLS.
        readiness: whether this node takes writes.
        timeout_ms: how long an operation waits for its quorum.
        log: writes events.
        gate: says who may change the membership.
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
        gate: Gate,
    ) -> None:
        self._engine = engine
        self._links = links
        self._trust = trust
        self._readiness = readiness
        self._timeout_ms = timeout_ms
        self._log = log
        self._gate = gate
        self._audit: Callable[..., None] | None = None
        self.leavers = Leavers()

    def audited_by(self, record: Callable[..., None]) -> None:
        """Tell the audit chain who was turned away: the event, then facts."""
        self._audit = record

    def introduce(self, certificate_pem: str) -> str:
        """Keep the certificate of an allowlisted newcomer; returns its fingerprint.

        Raises:
            ValueError: it is none, or not on the allowlist.
        """
        if self._trust is None:
            raise ValueError(NO_TLS)
        try:
            return self._trust.introduce(certificate_pem.encode())
        except TransportError as error:
            self._refused("introduction")
            raise ValueError(str(error)) from error

    def _refused(self, reason: str, fingerprint: str = "") -> None:
        self._log("join_refused", reason=reason)
        # Anybody can send an introduction; only who is allowed to connect gets an entry.
        if self._audit is not None and fingerprint:
            self._audit("gate_denied", code=f"join_{reason}", fingerprint=fingerprint)

    # --- coming in ----------------------------------------------------------------

    async def admit(
        self, request: Mapping[str, Value], peer_fingerprint: str, *, caller: Caller
    ) -> dict[str, Value]:
        """Add a newcomer that proved its key to the membership; returns what it must know.

        Asked again by the same node it adds nothing and tells the same.

        Raises:
            ValueError: the proof does not hold.
            node.errors.Refused: it brings a store of another mesh.
            node.errors.WriteError: this node cannot add members now, or the gate refuses.
        """
        if self._trust is None:
            raise ValueError(NO_TLS)
        key = self._proven_key(request, peer_fingerprint, self._trust.fingerprint)
        node_id = hashlib.sha256(key).digest()
        name = str(request.get("name", ""))[:_NAME_CHARS_MAX]
        url = str(request.get("url", ""))[:_URL_CHARS_MAX]
        self._readiness.check_writable()
        replica = self._engine.replica
        if not found(replica, self._engine.now_ms()):
            raise errors.Joining("this node has not caught up with its mesh yet")
        if request.get("mesh", replica.genesis.id.hex()) != replica.genesis.id.hex():
            self._refused("mesh", peer_fingerprint)
            raise errors.Refused(
                "the store of the newcomer belongs to another mesh",
                fix="Join with an empty folder, or ask a member of that mesh",
            )
        if node_id not in replica.governance.now.members:
            self._gate.check(caller, Change(action="admit", subject=name))
            if await self._agreed(BEFORE_MEMBER_ADD, name, node_id, caller):
                self._readiness.check_writable()
            if node_id in replica.governance.now.members:  # it asked twice, and was let in
                return self._introduction(self._trust)
            self._check_room(name)
            fields: dict[str, Value] = {"node": node_id, "key": key, "name": name, "url": url}
            await self._mint(Kind.ADD, node_id.hex(), caller=caller, fields=fields)
        return self._introduction(self._trust)

    def _introduction(self, trust: TrustKeeper) -> dict[str, Value]:
        """What a newcomer must know."""
        genesis = self._engine.replica.genesis
        return {
            "cluster": genesis.cluster,
            "genesis": {"cluster": genesis.cluster, "founders": list(genesis.founders)},
            "members": self._known_members(trust),
        }

    def _check_room(self, name: str) -> None:
        members = self._engine.replica.governance.now.members
        if len(members) >= _MEMBERS_MAX:
            raise ValueError(f"a mesh has at most {_MEMBERS_MAX} members")
        if any(m.name == name for m in members.values()):
            raise ValueError(f"a member is called {name!r} already: choose another --name")

    def _proven_key(self, request: Mapping[str, Value], theirs: str, ours: str) -> bytes:
        try:
            key = bytes.fromhex(str(request.get("public_key", "")))
            proof = bytes.fromhex(str(request.get("proof", "")))
            check_public_key(key)
        except (ValueError, PublicKeyError) as error:
            self._refused("key", theirs)
            raise ValueError("public_key and proof must be hex of an Ed25519 key") from error
        if not verify(key, _PROOF_TAG + bytes.fromhex(theirs) + bytes.fromhex(ours), proof):
            self._refused("proof", theirs)
            raise ValueError("the proof was not made with this key for this connection")
        return key

    def _known_members(self, trust: TrustKeeper) -> list[dict[str, Value]]:
        """Every member, with its certificate where this node has met it."""
        prints = self._links.fingerprints()
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

    # --- leaving ------------------------------------------------------------------

    async def remove(
        self, node: str, *, force: bool, caller: Caller, retry: RetryKey | None = None
    ) -> Removal:
        """Take a member out of the membership, by node id or name.

        Raises:
            LookupError: no member is called so.
            node.errors.WriteError: the gate refuses, no quorum is linked, or it did not
                confirm in time.
            node.errors.Refused: it is the only one, and a mesh of nobody takes no write ever.
        """
        if retry is not None:
            before = earlier(self._engine.replica.overlay, retry)
            if before is not None:
                return await self._again(node, before[-1], wait=not force)
        self._readiness.check_writable()
        exchange = self._engine.exchange
        state = self._engine.replica.governance.now
        member = _only(node, [*state.members.values()])
        self._gate.check(caller, Change(action="remove", subject=member.name))
        if await self._agreed(BEFORE_MEMBER_REMOVE, member.name, member.node_id, caller):
            self._readiness.check_writable()
            state = self._engine.replica.governance.now
            member = _only(member.node_id.hex(), [*state.members.values()])
        if len(state.members) == 1:
            raise errors.Refused(
                f"{member.name} is the only member of the mesh",
                why="without a member nothing can be confirmed any more",
                fix="Stop the node to end it; to move it, start it with an empty store and join",
            )
        needed = state.quorum(exchange.wanted_w)
        reach = exchange.tally.reachable()
        if reach < needed and not force:
            # Nothing was minted, so nothing is held anywhere.
            raise errors.QuorumNotMet(_nowhere(needed), reason="unreachable", got=0, needed=needed)
        op = await self._mint(
            Kind.REMOVE,
            member.node_id.hex(),
            caller=caller,
            supersedes=member.adds,
            wait=not force,
            retry=retry,
        )
        return Removal(
            node_id=member.node_id.hex(), name=member.name, receipt=self._receipt(op.dot, op.heads)
        )

    async def _again(self, node: str, dot: Dot, *, wait: bool) -> Removal:
        """A retry: nothing is minted; its durability is measured anew."""
        left = self.leavers.of(self._engine.replica.governance)
        removed = next((leaver for leaver in left.values() if leaver.dot == dot), None)
        if removed is None:  # it came back since, or another removal of it won
            raise LookupError(node)
        if wait:
            held = self._engine.waiting.for_holders(dot, self._deadline())
            self._engine.soon()
            await held
        receipt = self._receipt(dot, removed.heads, replayed=True)
        if wait and receipt.acks < receipt.needed:
            raise errors.QuorumNotMet(
                receipt, reason="timeout", got=receipt.acks, needed=receipt.needed
            )
        return Removal(node_id=removed.node_id.hex(), name=removed.name, receipt=receipt)

    # --- minting ------------------------------------------------------------------

    async def _agreed(self, event: str, name: str, node_id: bytes, caller: Caller) -> bool:
        """Ask the hooks of this node; whether anybody was asked, which takes time."""
        hooks = self._gate.hooks
        asked = None if hooks is None else hooks.member(event, name, node_id.hex(), caller=caller)
        if asked is None:
            return False
        await asked
        return True

    async def _mint(
        self,
        kind: Kind,
        subject: str,
        *,
        caller: Caller,
        fields: Mapping[str, Value] | None = None,
        supersedes: frozenset[Dot] = frozenset(),
        wait: bool = True,
        retry: RetryKey | None = None,
    ) -> Op:
        """Mint a membership operation and wait for the quorum below its heads."""
        engine = self._engine

        def make(dot: Dot, heads: tuple[Dot, ...], stamp: int) -> Op:
            return Op(
                dot=dot,
                kind=kind,
                id=subject,
                # A name drawn for one request says nothing to whoever reads the history.
                agent="" if caller.nameless else caller.agent,
                hlc=stamp,
                heads=heads,
                set=dict(fields or {}),
                supersedes=supersedes,
                idempotency=None if retry is None else mark_of(retry),
            )

        op = engine.replica.mint_governance(make, engine.now_ms())
        engine.soon()
        if not wait:
            await self._on_disk(op)
        elif not await engine.waiting.for_governance(op, self._deadline()):
            receipt = self._receipt(op.dot, op.heads)
            raise errors.QuorumNotMet(
                receipt, reason="timeout", got=receipt.acks, needed=receipt.needed
            )
        return op

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._timeout_ms() / 1000

    async def _on_disk(self, op: Op) -> None:
        """Wait for this node's own disk, as long as a quorum would be waited for."""
        engine = self._engine
        try:
            async with asyncio.timeout_at(self._deadline()):
                while engine.exchange.durable.get(op.dot.actor, 0) < op.dot.seq:
                    await engine.disk_moved()
        except TimeoutError:
            return  # the receipt says that it is not there

    def _receipt(self, dot: Dot, heads: tuple[Dot, ...], *, replayed: bool = False) -> Receipt:
        """Who holds an operation, counted by the members below its heads."""
        engine = self._engine
        before = engine.replica.governance.state(heads)
        exchange = engine.exchange
        local = exchange.durable.get(dot.actor, 0) >= dot.seq
        others = {
            peer.node_id
            for peer in exchange.peers.values()
            if peer.row and peer.row.get(dot.actor, 0) >= dot.seq
        } & before.ready
        return Receipt(
            dots=(dot,),
            local=local,
            acks=len(others) + (local and engine.me.node_id in before.ready),
            needed=before.quorum(exchange.wanted_w),
            peers=tuple(sorted(before.members[node].name for node in others)),
            token=encode_token({dot.actor: dot.seq}),
            replayed=replayed,
        )


def _only(node: str, members: list[Member]) -> Member:
    """The one member of that id or name.

    Raises:
        LookupError: none, or several.
    """
    named = [member for member in members if node in (member.node_id.hex(), member.name)]
    if len(named) != 1:
        raise LookupError(node)
    return named[0]


def _nowhere(needed: int) -> Receipt:
    """Nothing was minted."""
    none = encode_token({})
    return Receipt(dots=(), local=False, acks=0, needed=needed, peers=(), token=none)
