"""When the bytes of what was erased are gone: watched here, and told.

Law: an erasure is done with on this node when the log is clear of it and the file was
rewritten after that. It is done with in the mesh when every member says so of itself, asked
after its row covered the erasing delete. A row of the store is dropped only when nothing can
bring the record back into the log: all members cover the delete, and this node covers what
they had written by then.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final

from crdt.clock import Clock
from crdt.dot import NodeId
from crdt.log_rule import rows_of
from node.erasing.compacting import Compactor
from node.erasing.telling import TOPIC, Question, State, decode, encode
from node.errors import NodeError
from node.replication.cutting import LogCutter
from node.replication.engine import Engine
from node.store.erasures import Left
from node.store.rewriting import Rewritten

_MS_PER_HOUR: Final = 3_600_000
_ANSWER_SECONDS: Final = 1.0
_CUT_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.02
_RETRY_MS: Final = 10 * 60 * 1000
_QUESTIONS_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far one member is with what was erased.

    Attributes:
        reached: whether it is linked and has answered; this node always.
        covered: whether it holds every erasing delete.
        log_clear: whether its log holds nothing of what they erased.
        rewritten: whether its file was rewritten since.
        rewritten_ms: when its file was last rewritten; None for never or unknown.
    """

    node_id: str
    name: str
    reached: bool
    covered: bool
    log_clear: bool
    rewritten: bool
    rewritten_ms: int | None

    @property
    def gone(self) -> bool:
        """Whether nothing is left there."""
        return self.covered and self.log_clear and self.rewritten


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What is left of what was erased; `members` begins with this node."""

    outstanding: int
    rewriting: bool
    members: tuple[Standing, ...]


@dataclass(frozen=True, slots=True)
class _Told:
    """What a member answered, and what it covered when it was asked."""

    covered: Clock
    state: State


class Erasing:
    """Watches the erasures of one node.

    Args:
        engine: whose store.
        cutter: cuts its log.
        compactor: rewrites its file.
        after_hours: after how long the file is rewritten by itself, asked anew each time.
        spawn: runs a coroutine as a task of the node.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        cutter: LogCutter,
        compactor: Compactor,
        after_hours: Callable[[], float],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._engine = engine
        self._cutter = cutter
        self.compactor = compactor
        self._after_hours = after_hours
        self._spawn = spawn
        self._wanted: Clock | None = None
        self._horizon: Clock | None = None
        self._not_before_ms = 0
        self._number = 0
        self._asked: dict[int, dict[NodeId, Clock]] = {}
        self._told: dict[NodeId, _Told] = {}
        self._answers = asyncio.Event()
        engine.asides[TOPIC] = self.on_aside

    # --- doing -------------------------------------------------------------------

    def watch(self) -> None:
        """Cut the log, forget what is done with, rewrite what is due. Cheap; every half second."""
        left = self._engine.store.erasures.left
        self._engine.metrics.gauge("erasures_outstanding").set(left.total)
        if not left.total or self._engine.exchange.catchup.joining:
            self._wanted = self._horizon = None
            return
        clear = self._log_clear(left)
        if not clear:
            self._cutter.cut()
        self._settle(left)
        if clear and left.oldest_ms is not None:
            self._rewrite_if_due(left.oldest_ms)

    def _log_clear(self, left: Left) -> bool:
        if not left.marks:
            return True
        begins = self._engine.store.log_begins()
        return all(begins[lane] > mark for lane, mark in left.marks.items())

    def _settle(self, left: Left) -> None:
        """Find out what nothing can move any more, in two steps, each of which may take long."""
        rows = rows_of(self._engine.exchange)
        if self._wanted is None:
            self._wanted = dict(left.dots)
        if self._horizon is None:
            if not all(_covers(row, self._wanted) for row in rows):
                return
            self._horizon = {}
            for row in rows:
                for actor, seq in row.items():
                    self._horizon[actor] = max(self._horizon.get(actor, 0), seq)
        if not _covers(self._engine.exchange.durable, self._horizon):
            return
        covered, store = self._wanted, self._engine.store
        self._wanted = self._horizon = None
        if left.unwritten < left.total:
            held = frozenset(
                dot
                for dot, one in self._engine.replica.pending.items()
                if not one.sealed and not one.rejected()
            )
            self._run(lambda: store.settle_erasures(covered, held))

    def _run(self, work: Callable[[], object]) -> None:
        try:
            self._engine.committer.run(work, lambda _result, _error: None)
        except NodeError:
            return  # it is being closed; the next one goes on

    def _rewrite_if_due(self, oldest_ms: int) -> None:
        now = self._engine.now_ms()
        if now - oldest_ms >= self._after_hours() * _MS_PER_HOUR and now >= self._not_before_ms:
            self._rewrite_soon()

    def _rewrite_soon(self) -> None:
        if not self.compactor.running:
            self._not_before_ms = self._engine.now_ms() + _RETRY_MS
            self._spawn(self._rewrite())

    async def _rewrite(self) -> None:
        try:
            await self._cut_first()
            await self.compactor.compact()
        except NodeError:
            return  # told by the compactor; tried again later

    async def compact(self, *, mesh: bool) -> Rewritten:
        """Rewrite the file now; with `mesh`, ask the others to do the same where it is due.

        What was erased a moment ago is still in the log: it is cut first, as far as that goes
        within two seconds.

        Raises:
            NodeError: as `Compactor.compact`.
        """
        if mesh:
            self._ask(compact=True)
        await self._cut_first()
        return await self.compactor.compact()

    async def _cut_first(self) -> None:
        try:
            async with asyncio.timeout(_CUT_SECONDS):
                while not self._log_clear(self._engine.store.erasures.left):
                    self._cutter.cut()
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            pass  # a member lacks something; what is clear of the log goes all the same

    # --- telling -----------------------------------------------------------------

    async def status(self) -> Status:
        """Ask the members that are linked, and say what is left; waits up to a second."""
        number = self._ask(compact=False)
        waiting = self._asked[number]
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                while waiting:
                    self._answers.clear()
                    await self._answers.wait()
        except TimeoutError:
            pass
        return self._status(unanswered=waiting)

    def _ask(self, *, compact: bool) -> int:
        self._number += 1
        self._asked[self._number] = {
            peer.node_id: dict(peer.row)
            for peer in self._engine.exchange.peers.values()
            if peer.known and peer.row is not None
        }
        self._asked.pop(self._number - _QUESTIONS_MAX, None)
        self._engine.send_aside(TOPIC, encode(Question(self._number, compact)))
        self._engine.soon()
        return self._number

    def on_aside(self, node: NodeId, link: int, data: bytes) -> None:
        """A member asks, or answers."""
        message = decode(data)
        if isinstance(message, Question):
            self._answer(link, message)
        elif isinstance(message, State):
            covered = self._asked.get(message.number, {}).pop(node, None)
            if covered is not None:
                self._told[node] = _Told(covered, message)
                self._answers.set()

    def _answer(self, link: int, question: Question) -> None:
        left = self._engine.store.erasures.left
        clear = self._log_clear(left)
        if question.compact and left.unwritten:
            self._rewrite_soon()
        state = State(
            question.number, clear, not left.unwritten, self._engine.store.rewritten_ms() or 0
        )
        self._engine.send_aside(TOPIC, encode(state), link)
        self._engine.soon()

    def _status(self, *, unanswered: Mapping[NodeId, Clock]) -> Status:
        engine = self._engine
        store = engine.store
        left, wanted = store.erasures.left, store.erasures.seen
        members = engine.replica.governance.now.members
        linked = {p.node_id for p in engine.exchange.peers.values() if p.row is not None}
        mine = Standing(
            node_id=engine.me.node_id.hex(),
            name=engine.me.name,
            reached=True,
            covered=True,
            log_clear=self._log_clear(left),
            rewritten=not left.unwritten,
            rewritten_ms=store.rewritten_ms(),
        )
        others = [
            self._standing(node, member.name, wanted, here=node in linked - unanswered.keys())
            for node, member in members.items()
            if node != engine.me.node_id
        ]
        return Status(
            outstanding=left.total,
            rewriting=self.compactor.running,
            members=(mine, *others),
        )

    def _standing(self, node: NodeId, name: str, wanted: Clock, *, here: bool) -> Standing:
        told = self._told.get(node)
        covered = told is not None and _covers(told.covered, wanted)
        known = told is not None and covered
        return Standing(
            node_id=node.hex(),
            name=name,
            reached=here,
            covered=covered,
            log_clear=known and told is not None and told.state.log_clear,
            rewritten=known and told is not None and told.state.rewritten,
            rewritten_ms=(told.state.rewritten_ms or None) if told is not None else None,
        )


def _covers(clock: Clock, wanted: Clock) -> bool:
    return all(clock.get(actor, 0) >= seq for actor, seq in wanted.items())
