"""Who waits for what: writes for their quorum, members for their admission, readers for a clock.

Law: one future a request and no timer a request; all writes have the same deadline, so they
expire in the order in which they came. Nothing here decides who counts: the core does.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from crdt.dot import DATA, GOVERNANCE, PRIVATE, Dot
from crdt.op import Op
from node.replication.pressure import Pressure, Queue

if TYPE_CHECKING:
    from node.replication.engine import Engine


class _Write(NamedTuple):
    seq: int
    deadline: float
    future: asyncio.Future[bool]
    since: float
    minted_bytes: int


class _Held(NamedTuple):
    dot: Dot
    deadline: float
    future: asyncio.Future[bool]


class _Governed(NamedTuple):
    op: Op
    deadline: float
    future: asyncio.Future[bool]


class _Clock(NamedTuple):
    wanted: Mapping[bytes, int]
    deadline: float
    future: asyncio.Future[bool]


class Waiting:
    """Futures by what they wait for; True when it happened, False when time ran out.

    Args:
        engine: what decides.
        pressure: told the pace at which writes are confirmed.
    """

    def __init__(self, engine: "Engine", pressure: Pressure) -> None:
        self._engine = engine
        self.pressure = pressure
        self._loop = asyncio.get_running_loop()
        self._writes: dict[bytes, deque[_Write]] = {
            lane: deque() for lane in (GOVERNANCE, DATA, PRIVATE)
        }
        self._held: list[_Held] = []
        self._governed: list[_Governed] = []
        self._clocks: list[_Clock] = []

    @property
    def writes(self) -> int:
        """How many writes wait."""
        return sum(map(len, self._writes.values()))

    @property
    def any(self) -> bool:
        """Whether anybody waits."""
        return bool(self._held or self._governed or self._clocks) or any(self._writes.values())

    def wait_seconds(self) -> float:
        """How long a write that came now would wait for its quorum."""
        return self.pressure.wait_seconds(self.queue(), self._loop.time())

    def queue(self) -> Queue:
        """What waits for its quorum."""
        writes, since = 0, float("inf")
        minted = oldest = self._engine.replica.minted_bytes
        for queue in self._writes.values():
            if queue:
                first = queue[0]
                writes += len(queue)
                oldest = min(oldest, first.minted_bytes)
                since = min(since, first.since)
        return Queue(writes, minted - oldest, since)

    def for_write(
        self, lane: bytes, seq: int, *, since: float, deadline: float
    ) -> asyncio.Future[bool]:
        """The quorum of this process's own operation `seq` of a lane."""
        future = self._loop.create_future()
        minted = self._engine.replica.minted_bytes
        self._writes[lane].append(_Write(seq, deadline, future, since, minted))
        return future

    def for_holders(self, dot: Dot, deadline: float) -> asyncio.Future[bool]:
        """W members known to hold an operation of whatever node."""
        future = self._loop.create_future()
        self._held.append(_Held(dot, deadline, future))
        return future

    def for_governance(self, op: Op, deadline: float) -> asyncio.Future[bool]:
        """The quorum of a membership operation, by the members below its heads."""
        future = self._loop.create_future()
        self._governed.append(_Governed(op, deadline, future))
        return future

    def for_clock(self, wanted: Mapping[bytes, int], deadline: float) -> asyncio.Future[bool]:
        """This node's state covering the marks of a causal token."""
        future = self._loop.create_future()
        self._clocks.append(_Clock(wanted, deadline, future))
        return future

    async def none_left(self) -> None:
        """Wait until no write waits for its quorum any more."""
        while True:
            last = [queue[-1].future for queue in self._writes.values() if queue]
            if not last:
                return
            await asyncio.wait(last)

    def settle(self) -> None:
        """Answer all whose wait is over."""
        exchange = self._engine.exchange
        for lane, queue in self._writes.items():
            if queue:
                reached = exchange.tally.quorum_seq(lane)
                if queue[0].seq <= reached:
                    self._confirm(queue, reached)
        if self._held:
            self._settle_held()
        if self._governed:
            self._settle_governed()
        if self._clocks:
            self._settle_clocks()

    def _confirm(self, queue: deque[_Write], reached: int) -> None:
        before, since = len(queue), queue[0].since
        while queue and queue[0].seq <= reached:
            _resolve(queue.popleft().future, value=True)
        self.pressure.settled(before - len(queue), since, self._loop.time())

    def _settle_held(self) -> None:
        tally = self._engine.exchange.tally
        kept = []
        for wait in self._held:
            if tally.held_by_quorum(wait.dot):
                _resolve(wait.future, value=True)
            else:
                kept.append(wait)
        self._held = kept

    def _settle_governed(self) -> None:
        exchange = self._engine.exchange
        kept = []
        for wait in self._governed:
            if exchange.tally.governed_by_quorum(wait.op.dot, wait.op.heads):
                _resolve(wait.future, value=True)
            else:
                kept.append(wait)
        self._governed = kept

    def _settle_clocks(self) -> None:
        covers = self._engine.ancestry.covers
        kept = []
        for wait in self._clocks:
            if covers(wait.wanted):
                _resolve(wait.future, value=True)
            else:
                kept.append(wait)
        self._clocks = kept

    def expire(self, now: float) -> None:
        """Give up on all whose deadline is past."""
        for queue in self._writes.values():
            while queue and queue[0].deadline <= now:
                _resolve(queue.popleft().future, value=False)
        self._held = [w for w in self._held if not _expired(w.deadline, w.future, now)]
        self._governed = [w for w in self._governed if not _expired(w.deadline, w.future, now)]
        self._clocks = [w for w in self._clocks if not _expired(w.deadline, w.future, now)]

    def give_up(self) -> None:
        """The disk failed or the node stops: nobody is kept waiting."""
        self.expire(float("inf"))


def _expired(deadline: float, future: asyncio.Future[bool], now: float) -> bool:
    if deadline > now:
        return False
    _resolve(future, value=False)
    return True


def _resolve(future: asyncio.Future[bool], *, value: bool) -> None:
    if not future.done():
        future.set_result(value)
