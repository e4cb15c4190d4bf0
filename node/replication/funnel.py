"""The one funnel: gate, operation, quorum.

Law: every change of every lane goes through `write`. Nothing is minted that the gate refuses
or that the node may not take now; what was minted stays and spreads, whatever its quorum.
Retries are known by (agent, key) on every node that has seen the first one.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence

from crdt.dot import DATA, PRIVATE, Dot, actor_text, lane_of
from crdt.mint import MissingRecordError
from crdt.op import Draft, Idempotency, Op
from crdt.policy import Answer, Verdict
from crdt.replica import DeniedError
from crdt.standing import found
from node import errors
from node.contracts import Caller, Receipt, RetryKey
from node.record_ids import RecordIds, uuid_text
from node.replication.engine import Engine
from node.replication.gauge import Readiness
from node.replication.reader import StoreReader
from node.replication.tokens import decode_token

_MARK_BYTES = 16


class LocalFunnel:
    """The funnel of this node; implements `node.contracts.Funnel`.

    Args:
        engine: what mints, commits and replicates.
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
        reader: StoreReader,
        readiness: Readiness,
        timeout_ms: Callable[[], int],
        in_flight_max: int,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._readiness = readiness
        self._timeout_ms = timeout_ms
        self._in_flight_max = in_flight_max
        self._ids = RecordIds(entropy)
        self._loop = asyncio.get_running_loop()
        metrics = engine.metrics
        self._waited = metrics.histogram("quorum_wait_seconds")
        self._outcomes = {
            outcome: metrics.counter("quorum_writes_total", outcome)
            for outcome in ("committed", "short")
        }
        self._allowed = metrics.counter("governance_decisions_total", "allow", "any")
        self._texts: dict[bytes, str] = {}

    def reader(self) -> StoreReader:
        """Reads that see every write this node has accepted."""
        return self._reader

    # --- retries -----------------------------------------------------------------

    def known(self, retry: RetryKey) -> tuple[Dot, ...] | None:
        """The dots of an earlier request with this key and body; None when it is new.

        Raises:
            node.errors.RetryKeyReused: the key came with another request before.
        """
        mark = _mark(retry)
        row = self._engine.replica.overlay.remembered(mark.scope)
        if row is None:
            return None
        if row.body != mark.body:
            raise errors.RetryKeyReused(
                "this Idempotency-Key came with another request before",
                fix="Use a new key for a new request",
            )
        return row.dots

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
        mark = None
        if retry is not None:
            earlier = self.known(retry)
            if earlier is not None:
                return await self._replayed(earlier)
            mark = _mark(retry)
        self._admit()
        ops, verdicts = self._mint(drafts, caller.agent, mark)
        self._allowed.inc(len(ops))
        self._engine.soon()
        del action
        return await self._confirmed(ops, verdicts)

    def _admit(self) -> None:
        """Refuse what this node may not take now; nothing is minted then.

        Raises:
            node.errors.Unavailable: with the reason.
        """
        self._readiness.check_writable()
        if self._engine.waiting.writes >= self._in_flight_max:
            raise errors.Overloaded(
                "too many writes wait for their quorum",
                why=f"{self._in_flight_max} are in flight",
                fix="Send fewer at once, or retry with the same idempotency key",
            )

    def _mint(
        self, drafts: Sequence[Draft], agent: str, mark: Idempotency | None
    ) -> tuple[list[Op], list[Verdict]]:
        engine = self._engine
        now_ms = engine.now_ms()
        if not engine.replica.joined and not found(engine.replica, now_ms):
            raise errors.Joining("this node has not caught up with its mesh yet")
        try:
            drafts = self._reader.with_ended(drafts)
            return engine.replica.mint(drafts, agent=agent, now_ms=now_ms, idempotency=mark)
        except DeniedError as error:
            engine.metrics.counter("governance_decisions_total", "deny", "any").inc()
            raise errors.Denied(
                str(error), fix="Ask whoever governs the namespace, or write elsewhere"
            ) from error
        except MissingRecordError as error:
            raise errors.Denied("the record is gone", why=str(error)) from error

    async def _confirmed(self, ops: list[Op], verdicts: list[Verdict]) -> Receipt:
        last = ops[-1].dot
        began = self._loop.time()
        deadline = began + self._timeout_ms() / 1000
        lane = lane_of(last.actor)
        if ops[0].dot.actor != last.actor:  # a move between the lanes: both must hold
            last, other = _last_of_each(ops)
            lane = lane_of(last.actor)
            await self._engine.waiting.for_write(lane_of(other.actor), other.seq, deadline)
        met = await self._engine.waiting.for_write(lane, last.seq, deadline)
        self._waited.observe(self._loop.time() - began)
        held = [op.dot for op, v in zip(ops, verdicts, strict=True) if v.answer is Answer.PENDING]
        pending = f"{actor_text(held[0].actor)}:{held[0].seq}" if held else None
        receipt = self._receipt(tuple(op.dot for op in ops), last, pending_id=pending)
        self._outcomes["committed" if met else "short"].inc()
        if not met:
            self._raise_short(receipt)
        return receipt

    def _receipt(
        self, dots: tuple[Dot, ...], last: Dot, *, pending_id: str | None = None, old: bool = False
    ) -> Receipt:
        exchange = self._engine.exchange
        local = exchange.durable.get(last.actor, 0) >= last.seq
        if lane_of(last.actor) == PRIVATE:
            names, needed = [], 1
        else:
            state = exchange.replica.governance.now
            needed = state.quorum(exchange.wanted_w)
            names = sorted(
                [
                    state.members[p.node_id].name
                    for p in exchange.peers.values()
                    if p.row and p.row.get(last.actor, 0) >= last.seq and p.node_id in state.ready
                ]
            )
        return Receipt(
            dots=dots,
            local=local,
            acks=len(names) + local,
            needed=needed,
            peers=tuple(names),
            token=f"{self._text(last.actor)}.{last.seq}",
            replayed=old,
            pending_id=pending_id,
        )

    def _text(self, actor: bytes) -> str:
        text = self._texts.get(actor)
        if text is None:
            text = self._texts[actor] = actor_text(actor)
        return text

    def _raise_short(self, receipt: Receipt) -> None:
        if self._readiness.full:
            raise errors.DiskFull(
                "the disk is full",
                why="the write is held in memory and stored once there is room",
                fix="Free space on the node's disk; retry with the same idempotency key",
            )
        reach = self._engine.exchange.tally.reachable()
        reason = "unreachable" if reach < receipt.needed else "timeout"
        raise errors.QuorumNotMet(receipt, reason=reason, got=receipt.acks, needed=receipt.needed)

    async def _replayed(self, dots: tuple[Dot, ...]) -> Receipt:
        """A retry: nothing is minted; its durability is measured anew."""
        last = max(dots, key=lambda dot: dot.seq)
        deadline = self._loop.time() + self._timeout_ms() / 1000
        waiting = self._engine.waiting.for_holders(last, deadline)
        self._engine.soon()
        met = lane_of(last.actor) == PRIVATE or await waiting
        receipt = self._receipt(dots, last, old=True)
        if not met:
            self._raise_short(receipt)
        return receipt

    # --- causal reads ------------------------------------------------------------

    async def reached(self, token: str, wait_ms: int) -> bool:
        """Whether this node covers a causal token, waiting up to `wait_ms` for it.

        Raises:
            ValueError: the text is no token of this mesh.
        """
        wanted = decode_token(token)
        get = self._engine.replica.clock.get
        if all(get(actor, 0) >= seq for actor, seq in wanted.items()):
            return True
        if wait_ms <= 0:
            return False
        deadline = self._loop.time() + wait_ms / 1000
        return await self._engine.waiting.for_clock(wanted, deadline)


def _last_of_each(ops: list[Op]) -> tuple[Dot, Dot]:
    """The last operation in the shared lane, and the last in the private one."""
    by_lane = {lane_of(op.dot.actor): op.dot for op in ops}
    return by_lane[DATA], by_lane[PRIVATE]


def _mark(retry: RetryKey) -> Idempotency:
    scope = hashlib.sha256(f"{retry.agent}\x00{retry.key}".encode()).digest()
    return Idempotency(scope=scope[:_MARK_BYTES], body=retry.body[:_MARK_BYTES])
