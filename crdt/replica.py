"""One node's replica: what it has applied, and what it is about to write.

Law: visible state is a function of the clock. A bundle is applied only when it is the next
of its actor, chains to the last, and everything it refers to is known; then its effect does
not depend on the order of arrival. Changes collect in an overlay and leave as a `Batch`; the
overlay answers reads until the batch is on disk.

A machine without I/O: durable state is read through `State`, time and entropy are arguments.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from crdt.admission import Fit, fit
from crdt.applying import Applying
from crdt.bundle import NO_PREV, Bundle, BundleError, cluster_hash, read_bundle, seal_bundle
from crdt.clock import Clock
from crdt.dot import DATA, GOVERNANCE, PRIVATE, Actor, Dot, lane_of
from crdt.genesis import Standing, decode_standing, encode_standing
from crdt.governance import Genesis, Governance
from crdt.hlc import HybridClock
from crdt.identity import Self
from crdt.mint import Author, operation
from crdt.minting import minted
from crdt.notes import Note
from crdt.op import Draft, Idempotency, Kind, Op, Value, record_key
from crdt.op_codec import OpError, check_op, weight, weight_of_heads
from crdt.overlay import Overlay
from crdt.pending import Pending, decode_pending
from crdt.pending_table import PendingTable
from crdt.policy import Answer, Verdict
from crdt.record import Record, apply
from crdt.request import permit
from crdt.state import ActorRow, Batch, BelowFloorError, Loaded, LoggedBundle, State
from crdt.whole import Whole


class Replica:
    """The state machine. One per store; never shared. `changing` guards whatever changes it."""

    def __init__(
        self, *, me: Self, genesis: Genesis, state: State, loaded: Loaded, skew_max_ms: int
    ) -> None:
        self.me = me
        self.state = state
        self.hlc = HybridClock(skew_max_ms=skew_max_ms)
        standing = decode_standing(loaded.genesis)
        self.genesis = standing.genesis if standing else genesis
        self.joined = standing.joined if standing else False
        self.cluster = cluster_hash(self.genesis.cluster)
        self.governance = Governance(self.genesis)
        self.actors: dict[Actor, ActorRow] = dict(loaded.actors)
        self.clock: Clock = {actor: row.seq for actor, row in loaded.actors.items()}
        self.held = PendingTable({d: decode_pending(data) for d, data in loaded.pending.items()})
        self.overlay = Overlay(state, loaded.digest, self.held.approved)
        self.applying = Applying(self.governance, self.held, self.overlay)
        self.unreadable: Callable[[Bundle], bool] = lambda _: False  # it waits for a repair
        self.own: dict[bytes, Actor] = {}
        self.uncommitted: list[Bundle] = []
        self.changing = Whole()
        self.taken = 0
        self.minted_bytes = 0
        self._open: dict[bytes, tuple[list[Op], list[bytes | None]]] = {}
        self._open_bytes = 0
        self._open_heads: tuple[Dot, ...] | None = None
        self._sealed: list[Bundle] = []
        self._standing_unsaved = standing is None
        self._joined_unsaved = False
        for data in loaded.governance:
            for op in read_bundle(data, cluster=self.cluster, ops_max=me.ops_max).ops:
                self.governance.apply(op)

    # --- reading -----------------------------------------------------------------

    def read(self, key: bytes) -> Record | None:
        """The newest local record under a key, committed or not."""
        return self.overlay.read(key)

    @property
    def must_join(self) -> bool:
        """Whether others founded this mesh, or know it better: this node can only join it."""
        return self.me.joins or self.me.claim not in self.genesis.founders

    @property
    def pending(self) -> dict[Dot, Pending]:
        """Every operation that was ever held for approval."""
        return self.held.ops

    def shown(self, dot: Dot) -> bool:
        """Whether a pending operation is approved at this clock."""
        return self.held.shown(dot)

    def stamp(self, dot: Dot) -> int:
        """The stamp that orders a pending operation."""
        return self.held.stamp(dot)

    @property
    def refused(self) -> int:
        """How many operations had no effect, by governance."""
        return self.applying.refused

    def verdict(self, op: Op) -> Verdict:
        """What governance below its heads says of an operation on a record."""
        return self.applying.verdict(op)

    def take_notes(self) -> list[Note]:
        """What happened since the last call."""
        notes, self.applying.notes = self.applying.notes, []
        return notes

    @property
    def digest(self) -> int:
        """Of everything handed to the disk so far."""
        return self.overlay.digest

    # --- bundles from elsewhere --------------------------------------------------

    def read_bundle(self, data: bytes) -> Bundle:
        """Strictly decode a bundle of this cluster.

        Raises:
            crdt.bundle.BundleError: the bytes are no bundle, or break a limit.
        """
        if len(data) > self.me.taken_bytes_max:
            raise BundleError("too_large", f"{len(data)} bytes could not be passed on")
        return read_bundle(data, cluster=self.cluster, ops_max=self.me.ops_max)

    def fit(self, bundle: Bundle) -> Fit:
        """Whether a bundle is the next to apply, and can be. Its signature is checked last."""
        fits = fit(bundle, self.actors, self.clock, self.governance, self.me.verify)
        return Fit.BAD if fits is Fit.NEXT and self.unreadable(bundle) else fits

    def take(self, bundle: Bundle, now_ms: int) -> None:
        """Apply a bundle that fits."""
        with self.changing:
            self.applying.bundle_first = bundle.first
            keys = [self.applying.take(op) for op in bundle.ops]
            self.applying.bundle_first = 0
            self.taken += len(keys)
            self.hlc.observe(max([op.hlc for op in bundle.ops]), now_ms)
            self._log(bundle, keys)

    def _log(self, bundle: Bundle, keys: Iterable[bytes | None]) -> None:
        actor = bundle.actor
        row = self.actors.get(actor)
        floor = row.floor if row else 0
        fresh = ActorRow(bundle.last, bundle.hash, bundle.ops[-1].heads, floor)
        self.actors[actor] = fresh
        self.clock[actor] = bundle.last
        once = tuple([key for key in dict.fromkeys(keys) if key is not None])
        logged = LoggedBundle(actor, bundle.first, bundle.last, bundle.data, once)
        self.overlay.log(logged, fresh)

    # --- minting -----------------------------------------------------------------

    def mint(
        self,
        drafts: Sequence[Draft],
        *,
        agent: str,
        now_ms: int,
        idempotency: Idempotency | None = None,
        check: Callable[[Op], None] | None = None,
    ) -> tuple[list[Op], list[Verdict]]:
        """Turn drafts into operations, all or none, and show their effect at once.

        Args:
            drafts: what is wanted.
            agent: who wants it.
            now_ms: the time.
            idempotency: how a retry is known.
            check: asked about every operation; raises `DeniedError` to refuse them all.

        Raises:
            DeniedError: governance refuses one of them, or holds only a part of what belongs
                together.
            crdt.mint.MissingRecordError: one edits or deletes what is not there.
            crdt.op_codec.OpError: one is beyond what the format can say, or all are together.
        """
        author = Author(agent, self.governance.heads, idempotency)
        if len(drafts) == 1:
            return self._mint_one(drafts[0], author, now_ms, check)
        request = minted(self, drafts, author, now_ms)
        if check is not None:
            for op in request.ops:
                check(op)
        size = self._size(request.ops)
        with self.changing:
            self.applying.tolerate(request.ops, self.me.node_id)
            self._roll(request.ops, size)
            for op, key, verdict in zip(request.ops, request.keys, request.verdicts, strict=True):
                self._append(op, key)
                self.applying.begin(op, verdict)
            for key, (before, after) in request.scratch.items():
                self.overlay.put(key, before, after)
        return request.ops, request.verdicts

    def _mint_one(
        self, draft: Draft, author: Author, now_ms: int, check: Callable[[Op], None] | None
    ) -> tuple[list[Op], list[Verdict]]:
        """A request of one draft: nothing in it belongs together with anything."""
        lane = PRIVATE if draft.private else DATA
        key = record_key(lane, draft.collection, draft.id)
        before = None if draft.fresh else self.overlay.read(key)
        op = operation(draft, before, self, self.next_dot(lane), self.hlc.tick(now_ms), author)
        check_op(op)
        verdict = self.applying.verdict(op)
        permit(op, verdict)
        after = apply(before, op, pending=verdict.answer is Answer.PENDING)
        if check is not None:
            check(op)
        ops = [op]
        size = self._size(ops)
        with self.changing:
            self.applying.tolerate(ops, self.me.node_id)
            self._roll(ops, size)
            self._append(op, key)
            self.applying.begin(op, verdict)
            self.overlay.put(key, before, after)
        return ops, [verdict]

    def _size(self, ops: Sequence[Op]) -> int:
        """What operations weigh without the heads that they share; `OpError` if too much."""
        size, shared = sum([weight(op) for op in ops]), weight_of_heads(ops[0].heads)
        if len(ops) > self.me.ops_max or size + shared > self.me.bundle_bytes_max * 3 // 2:
            raise OpError("the request is larger than a bundle; send it in parts")
        return size

    def _roll(self, ops: Sequence[Op], size: int) -> None:
        """Close what is open when one request more would not fit into the same bundle."""
        heads = ops[0].heads
        if self._open:
            count = sum([len(opened) for opened, _ in self._open.values()]) + len(ops)
            if count > self.me.ops_max or self._open_bytes + size > self.me.bundle_bytes_max:
                self._seal_all()
        if heads is not self._open_heads:  # operations that saw the same share it
            self._open_heads = heads
            size += weight_of_heads(heads)
        self._open_bytes += size
        self.minted_bytes += size

    def _append(self, op: Op, key: bytes | None) -> None:
        """Put a minted operation into the open bundle of its lane."""
        ops, keys = self._open.setdefault(lane_of(op.dot.actor), ([], []))
        ops.append(op)
        keys.append(key)

    def mint_decision(
        self,
        kind: Kind,
        target: Dot,
        *,
        agent: str,
        now_ms: int,
        yes: bool = True,
        reason: str = "",
        idempotency: Idempotency | None = None,
    ) -> Op:
        """Mint a vote about a pending operation, or the seal that ends it.

        Raises:
            LookupError: no such pending operation.
        """
        held = self.pending.get(target)
        if held is None:
            raise LookupError("no such pending operation")
        fields: dict[str, Value] = {"hash": held.hash, "yes": yes} if kind is Kind.VOTE else {}
        if reason:
            fields["reason"] = reason
        return self._stage(
            Op(
                dot=self.next_dot(DATA),
                kind=kind,
                agent=agent,
                hlc=self.hlc.tick(now_ms),
                set=fields,
                supersedes=frozenset(held.votes),
                heads=self.governance.heads,
                target=target,
                idempotency=idempotency,
            )
        )

    def mint_governance(self, make: Callable[[Dot, tuple[Dot, ...], int], Op], now_ms: int) -> Op:
        """Mint an operation of the governance lane from (dot, heads, stamp)."""
        dot = self.next_dot(GOVERNANCE)
        return self._stage(make(dot, self.governance.heads, self.hlc.tick(now_ms)))

    def _stage(self, op: Op) -> Op:
        size = self._size([op])
        with self.changing:
            self._roll([op], size)
            self._append(op, None)
            self.applying.take(op)
        return op

    def _actor(self, lane: bytes) -> Actor:
        actor = self.own.get(lane)
        if actor is None:
            actor = self.own[lane] = self.me.draw_actor(lane)
        return actor

    def next_dot(self, lane: bytes, place: int = 1) -> Dot:
        """The dot of the operation that comes next in a lane, or that many places on."""
        actor = self._actor(lane)
        opened = self._open.get(lane)
        minted = len(opened[0]) if opened is not None else 0
        return Dot(actor, self.clock.get(actor, 0) + minted + place)

    # --- leaving for the disk ----------------------------------------------------

    @property
    def has_open(self) -> bool:
        """Whether operations are minted that no sealed bundle holds yet."""
        return bool(self._open)

    @property
    def dirty(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self._open) or self._joined_unsaved or not self.overlay.empty

    def set_joined(self) -> None:
        """From now on this store serves: it has caught up, or it founded the mesh."""
        self._joined_unsaved = self._joined_unsaved or not self.joined
        self.joined = True

    def _seal_all(self) -> None:
        """Seal what is open: one bundle a lane, governance first since data refers to it."""
        for lane in (GOVERNANCE, DATA, PRIVATE):
            opened = self._open.pop(lane, None)
            if opened is not None:
                self._sealed.append(self._seal_open(lane, *opened))
        self._open_bytes, self._open_heads = 0, None

    def _seal_open(self, lane: bytes, ops: list[Op], keys: list[bytes | None]) -> Bundle:
        actor = self.own[lane]
        row = self.actors.get(actor)
        bundle = seal_bundle(
            cluster=self.cluster,
            actor=actor,
            first=ops[0].dot.seq,
            prev=row.hash if row else NO_PREV,
            ops=tuple(ops),
            sign=self.me.sign,
        )
        self._log(bundle, keys)
        if lane != PRIVATE:
            self.uncommitted.append(bundle)
        return bundle

    def take_batch(self, now_ms: int) -> tuple[Batch, list[Bundle]]:
        """Close the open bundles: what is not yet on its way to disk, and what is for the peers.

        Among the freshly sealed bundles are the private lane's too.
        """
        with self.changing:
            self._seal_all()
            sealed, self._sealed = self._sealed, []
            genesis = None
            if self._standing_unsaved or self._joined_unsaved:
                # Not before there is something to keep: an empty store belongs to no mesh yet.
                genesis = encode_standing(Standing(genesis=self.genesis, joined=self.joined))
                self._standing_unsaved = self._joined_unsaved = False
            return self.overlay.take(now_ms, genesis), sealed

    def own_tail(self, actor: Actor, after: int, limit_bytes: int) -> list[bytes] | None:
        """Own bundles after a sequence number, on disk or not; None when there is too much."""
        try:
            tail = list(self.state.tail(actor, after, limit_bytes))
        except BelowFloorError:
            return None
        reached = self.read_bundle(tail[-1]).last if tail else after
        for bundle in self.uncommitted:
            if bundle.actor == actor and bundle.first == reached + 1:
                tail.append(bundle.data)
                reached = bundle.last
        complete = reached == self.clock.get(actor, 0)
        return tail if complete and sum(map(len, tail)) <= limit_bytes else None

    def truncated(self, floors: Mapping[Actor, int]) -> None:
        """The log was cut: bundles up to these places may be gone."""
        for actor, floor in floors.items():
            row = self.actors[actor]
            self.actors[actor] = replace(row, floor=max(row.floor, floor))

    def adopt(self, before: "Replica") -> None:
        """Go on as the same process after its store was swapped: same actors, same clock."""
        self.own = before.own
        if self.joined and not before.joined:
            # The snapshot came with the standing of its source, which had caught up.
            self.joined, self._standing_unsaved = False, True
        self.hlc = before.hlc
        self.applying.refused, self.taken = before.refused, before.taken
        self.applying.notes = before.applying.notes

    def committed(self, batch: Batch) -> None:
        """The batch is on disk: reads may go there."""
        self.overlay.committed(batch)
        on_disk = {(b.actor, b.last) for b in batch.bundles}
        self.uncommitted = [b for b in self.uncommitted if (b.actor, b.last) not in on_disk]
