"""The one funnel: gate, operation, quorum.

Law: every change of every lane goes through `write`. Nothing is minted that the gate refuses
or that the node may not take now; what was minted stays and spreads, whatever its quorum.
Retries are known by (agent, key) on every node that has seen the first one.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress

from prometheus_client import Counter

from crdt.dot import DATA, PRIVATE, Dot, dot_text, lane_of
from crdt.mint import MissingRecordError
from crdt.op import Draft, Idempotency, Kind, Op
from crdt.op_codec import check_op
from crdt.policy import Answer, Verdict
from crdt.request import DeniedError
from crdt.standing import found
from node import errors, failpoints
from node.contracts import Caller, GovernanceDraft, Receipt, RetryKey
from node.documents.warming import settled
from node.events.moments import QUORUM_NOT_MET
from node.gate import Decision, Gate, Govern, Write
from node.memory.ids import RecordIds, uuid_text
from node.replication.agreeing import Asked, Rehearsal, Rehearsed
from node.replication.engine import Engine
from node.replication.foretelling import foretold
from node.replication.gauge import Readiness
from node.replication.reader import StoreReader
from node.replication.receipts import Receipts
from node.replication.retries import earlier, mark_of
from node.replication.room import Room
from node.replication.tokens import decode_marks


class LocalFunnel:
    """The funnel of this node; implements `node.contracts.Funnel`.

    Args:
        engine: what mints, commits and replicates.
        gate: what every change passes first.
        reader: reads over the same engine.
        readiness: why writes are refused at present, if they are.
        timeout_ms: how long a write waits for its quorum, asked anew each time.
        in_flight_max: most writes that may wait at once.
        entropy: gives so many random bytes.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        gate: Gate,
        reader: StoreReader,
        readiness: Readiness,
        timeout_ms: Callable[[], int],
        in_flight_max: int,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._engine = engine
        self.gate = gate
        self._reader = reader
        self._readiness = readiness
        self._timeout_ms = timeout_ms
        self._ids = RecordIds(entropy)
        self._loop = asyncio.get_running_loop()
        metrics = engine.metrics
        self._waited = metrics.histogram("quorum_wait_seconds")
        self._outcomes = {
            outcome: metrics.counter("quorum_writes_total", outcome)
            for outcome in ("committed", "short")
        }
        self.room = Room(engine, in_flight_max)
        self._decisions: dict[tuple[str, str], Counter] = {}
        self._receipts = Receipts(engine)
        self._asked = Asked(engine)

    def reader(self) -> StoreReader:
        """Reads that see every write this node has accepted."""
        return self._reader

    # --- retries -----------------------------------------------------------------

    def known(self, retry: RetryKey) -> tuple[Dot, ...] | None:
        """The dots of an earlier request with this key and body; None when it is new.

        Raises:
            node.errors.RetryKeyReused: the key came with another request before.
        """
        return earlier(self._engine.replica.overlay, retry)

    def draw_id(self, retry: RetryKey | None, index: int) -> str:
        """A new record id: random, or the same for every retry of one request."""
        if retry is None:
            return self._ids.draw()
        scope = [self._engine.replica.genesis.cluster, retry.agent, retry.key, str(index)]
        raw = hashlib.sha256("\x00".join(scope).encode()).digest()[:16]
        return uuid_text(
            int.from_bytes(raw, "big") & ~(0xF << 76) & ~(0x3 << 62) | 0x4 << 76 | 0x2 << 62
        )

    # --- writing -----------------------------------------------------------------

    async def write(
        self,
        drafts: Sequence[Draft],
        *,
        caller: Caller,
        action: str,
        retry: RetryKey | None = None,
    ) -> Receipt:
        """Gate the drafts, mint one operation each, and wait for the quorum.

        See `node.contracts.Funnel.write`.
        """
        known, mark = self._known(retry)
        if known is not None:
            return await self._replayed(known)
        self._admit()
        self.gate.check(caller, Write(drafts=drafts))
        if self.gate.hooks is not None:
            known = await self._agreed(drafts, caller, action, retry)
            if known is not None:
                return await self._replayed(known)
        ops, verdicts = self._mint(drafts, caller, action, mark)
        self.gate.quotas.spent(caller.agent, drafts)
        self._engine.soon()
        failpoints.hit("write.minted")
        return await self._confirmed(ops, verdicts)

    async def _agreed(
        self, drafts: Sequence[Draft], caller: Caller, action: str, retry: RetryKey | None
    ) -> tuple[Dot, ...] | None:
        """Ask the hooks, once all else agreed; what a retry made meanwhile, if anything."""
        rehearsal = Rehearsal(len(self._reader.with_ended(drafts)), self.gate.of_key(caller))
        with suppress(Rehearsed):
            self._mint(drafts, caller, action, None, rehearsal)
        ops, hooks = rehearsal.ops, self.gate.hooks
        if not hooks or not await self._asked.write(hooks, ops, drafts, caller, action):
            return None
        known, _ = self._known(retry)
        if known is None:
            self._admit()
            self.gate.check(caller, Write(drafts=drafts))
        return known

    def refusal(self, draft: Draft, *, caller: Caller) -> str | None:
        """Why the gate or governance would refuse this creation now; None when it would not.

        See `node.contracts.Funnel.refusal`.
        """
        return foretold(self._engine.replica, self.gate, draft, caller)

    async def decide(
        self,
        pending: Dot,
        *,
        yes: bool,
        reason: str = "",
        caller: Caller,
        retry: RetryKey | None = None,
    ) -> Receipt:
        """Gate a vote, mint it for all of the held request, and wait for the quorum.

        See `node.contracts.Funnel.decide`.
        """
        known, mark = self._known(retry)
        if known is not None:
            return await self._replayed(known)
        self._admit()
        replica = self._engine.replica
        held = replica.pending.get(pending)
        if held is None:
            raise LookupError("no such pending operation")
        self.gate.check(caller, Decision(pending=held))
        hooks = self.gate.hooks
        if hooks and await self._asked.vote(hooks, pending, caller, yes=yes, reason=reason):
            self._admit()
            self.gate.check(caller, Decision(pending=held))
        now_ms = self._begin()
        ops = [
            replica.mint_decision(
                Kind.VOTE,
                one,
                agent=caller.agent,
                now_ms=now_ms,
                yes=yes,
                reason=reason,
                idempotency=mark,
            )
            for one in replica.held.group(pending)
        ]
        self._engine.soon()
        return await self._confirmed(ops, [])

    async def govern(
        self,
        drafts: Sequence[GovernanceDraft],
        *,
        caller: Caller,
        retry: RetryKey | None = None,
    ) -> Receipt:
        """Gate changes of governance, mint one operation each, and wait for the quorum.

        See `node.contracts.Funnel.govern`.
        """
        known, mark = self._known(retry)
        if known is not None:
            return await self._replayed(known)
        self._admit()
        self.gate.check(caller, Govern(drafts=drafts))
        hooks = self.gate.hooks
        if hooks and await self._asked.govern(hooks, drafts, caller):
            self._admit()
            self.gate.check(caller, Govern(drafts=drafts))
        now_ms = self._begin()
        ops = [self._governing(draft, caller.agent, now_ms, mark) for draft in drafts]
        self._engine.soon()
        return await self._confirmed(ops, [])

    def _governing(
        self, draft: GovernanceDraft, agent: str, now_ms: int, mark: Idempotency | None
    ) -> Op:
        replica = self._engine.replica
        subject = replica.me.node_id.hex() if draft.kind is Kind.MODE else draft.id
        seen = replica.governance.live(draft.kind, namespace=draft.namespace, subject=subject)

        def make(dot: Dot, heads: tuple[Dot, ...], stamp: int) -> Op:
            op = Op(
                dot=dot,
                kind=draft.kind,
                id=subject,
                namespace=draft.namespace,
                agent=agent,
                hlc=stamp,
                set=draft.set,
                supersedes=seen,
                heads=heads,
                idempotency=mark,
            )
            check_op(op)
            return op

        return replica.mint_governance(make, now_ms)

    def _known(self, retry: RetryKey | None) -> tuple[tuple[Dot, ...] | None, Idempotency | None]:
        """What a retry made before, and how this request will be known."""
        if retry is None:
            return None, None
        return self.known(retry), mark_of(retry)

    def _admit(self) -> None:
        """Refuse what this node may not take now; nothing is minted then.

        Raises:
            node.errors.Unavailable: with the reason.
        """
        self._readiness.check_writable()
        shed = self.room.missing()
        if shed is not None:
            raise errors.Overloaded(
                "too many writes wait for their quorum",
                why=shed.detail,
                fix="Send fewer at once, or retry with the same idempotency key",
                seconds=shed.retry_seconds,
            )

    def _begin(self) -> int:
        """The time, once this node serves.

        Raises:
            node.errors.Joining: it does not yet.
        """
        settled()
        now_ms = self._engine.now_ms()
        if not self._engine.replica.joined and not found(self._engine.replica, now_ms):
            raise errors.Joining("this node has not caught up with its mesh yet")
        return now_ms

    def _mint(
        self,
        drafts: Sequence[Draft],
        caller: Caller,
        action: str,
        mark: Idempotency | None,
        rehearsal: Rehearsal | None = None,
    ) -> tuple[list[Op], list[Verdict]]:
        now_ms = self._begin()
        try:
            drafts = self._reader.with_ended(drafts)
            ops, verdicts = self._engine.replica.mint(
                drafts,
                agent=caller.agent,
                now_ms=now_ms,
                idempotency=mark,
                check=rehearsal or self.gate.of_key(caller),
            )
        except DeniedError as error:
            self._counted(action, "deny", 1)
            if error.code == errors.Denied.code:  # else the gate has told of it itself
                self.gate.refused(error.code, caller, action)
            raise errors.Denied(
                str(error),
                fix="Ask whoever governs the namespace, or write elsewhere",
                code=error.code,
            ) from error
        except MissingRecordError as error:
            raise errors.Denied("the record is gone", why=str(error)) from error
        held = [verdict.answer for verdict in verdicts].count(Answer.PENDING)
        self._counted(action, "pending", held)
        self._counted(action, "allow", len(ops) - held)
        return ops, verdicts

    def _counted(self, action: str, effect: str, count: int) -> None:
        if not count:
            return
        counter = self._decisions.get((effect, action))
        if counter is None:
            metrics = self._engine.metrics
            counter = metrics.counter("governance_decisions_total", effect, action)
            self._decisions[effect, action] = counter
        counter.inc(count)

    async def _confirmed(self, ops: list[Op], verdicts: list[Verdict]) -> Receipt:
        dots = tuple([op.dot for op in ops])
        last = dots[-1]
        loop, wait = self._loop, self._engine.waiting.for_write
        began = loop.time()
        deadline = began + self._timeout_ms() / 1000
        if dots[0].actor == last.actor:
            met = await wait(lane_of(last.actor), last.seq, since=began, deadline=deadline)
        else:  # a move between the lanes: both must hold
            both = last, _ = _last_of_each(ops)
            # Both are asked for before the first await: one met meanwhile wakes nobody later.
            waits = [
                wait(lane_of(dot.actor), dot.seq, since=began, deadline=deadline) for dot in both
            ]
            met = all([await one for one in waits])
        self._waited.observe(loop.time() - began)
        held: dict[str, str] = {}
        for op, verdict in zip(ops, verdicts, strict=False):
            if verdict.answer is Answer.PENDING:
                held.setdefault(op.id, dot_text(op.dot))
        receipt = self._receipts.make(dots, last, held=held)
        self._outcomes["committed" if met else "short"].inc()
        if not met:
            self._raise_short(receipt)
        if failpoints.armed is not None:
            await failpoints.armed.reached("answer.before")
        return receipt

    def _raise_short(self, receipt: Receipt) -> None:
        if self._readiness.full:
            raise errors.DiskFull(
                "the disk is full",
                why="the write is held in memory and stored once there is room",
                fix="Free space on the node's disk; retry with the same idempotency key",
            )
        reach = self._engine.exchange.tally.reachable()
        reason = "unreachable" if reach < receipt.needed else "timeout"
        said = {"got": receipt.acks, "needed": receipt.needed, "reason": reason}
        self.gate.tell(QUORUM_NOT_MET, said)
        raise errors.QuorumNotMet(receipt, reason=reason, got=receipt.acks, needed=receipt.needed)

    async def _replayed(self, dots: tuple[Dot, ...]) -> Receipt:
        """A retry: nothing is minted; its durability is measured anew."""
        last = max(dots, key=lambda dot: dot.seq)
        deadline = self._loop.time() + self._timeout_ms() / 1000
        waiting = self._engine.waiting.for_holders(last, deadline)
        self._engine.soon()
        met = lane_of(last.actor) == PRIVATE or await waiting
        receipt = self._receipts.make(dots, last, held=self._receipts.still_held(dots), old=True)
        if not met:
            self._raise_short(receipt)
        return receipt

    # --- causal reads ------------------------------------------------------------

    async def reached(self, token: str, wait_ms: int) -> bool:
        """Whether this node covers a causal token, waiting up to `wait_ms` for it.

        Raises:
            ValueError: the text is no token of this mesh.
        """
        wanted = decode_marks(token)
        if self._engine.ancestry.covers(wanted):
            return True
        if wait_ms <= 0:
            return False
        deadline = self._loop.time() + wait_ms / 1000
        return await self._engine.waiting.for_clock(wanted, deadline)


def _last_of_each(ops: list[Op]) -> tuple[Dot, Dot]:
    """The last operation in the shared lane, and the last in the private one."""
    by_lane = {lane_of(op.dot.actor): op.dot for op in ops}
    return by_lane[DATA], by_lane[PRIVATE]
