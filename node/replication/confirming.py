"""Asks another member what it has in place of the rows of a snapshot.

Law: all kinds of rows that the digest or an approval rests on are compared, those that the snapshot
lacks as well: a range is the same only when both sides have the same rows in it. What differs must
have changed at the witness beyond the snapshot's clock, by its own account; one row that did not
is enough against the snapshot. A witness that never answers is told apart from one that began to,
and one that takes for ever is given up.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final

from crdt.clock import Clock
from crdt.digest import CHECKSUM_BYTES
from crdt.pending import decode_pending
from crdt.weighing import Word
from node.replication.comparing import (
    ASK_TOPIC,
    BUDGET_BYTES,
    PART_ENTRIES,
    PARTS_MAX,
    SAY_TOPIC,
    Answer,
    Heard,
    Keys,
    Opened,
    Question,
    Range,
    Rows,
    clock_parts,
    decode_answer,
    encode,
)
from node.replication.engine import Engine
from node.store.incoming import Incoming
from node.store.roster import KINDS, MOVED, SEALED, Entry, page, sum_of
from node.store.snapshot import PENDING, RECORDS

SEGMENT_ROWS: Final = 512
SILENT_S: Final = 5.0
ANSWER_S: Final = 10.0
PATIENCE_S: Final = 60.0
ROW_S: Final = 0.001
"""So long, and so much longer for each row, a witness may take for all of its answers together."""
_AHEAD: Final = 8
_ALL: Final = b""


class _UnlikeError(Exception):
    """A row differs, and nothing at the witness says why it may."""


class _UnableError(Exception):
    """The witness stopped answering, or makes no sense."""


@dataclass(slots=True)
class Compared:
    """What came of asking one witness.

    Attributes:
        word: for or against the snapshot.
        rows: how many were compared.
        moved: of them, those that changed at the witness since.
        seconds: how long it took.
    """

    word: Word = Word.UNABLE
    rows: int = 0
    moved: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class _Task:
    """A range to ask about: its rows here."""

    kind: bytes
    after: bytes
    upto: bytes
    rows: list[Entry] = field(default_factory=list)


class Confirming:
    """The asking side.

    Args:
        engine: whose links are used.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._number = time.time_ns() // 1_000_000  # a later process asks under later numbers
        self._heard = asyncio.Event()
        self._open: dict[tuple[int, int], asyncio.Future[Answer]] = {}
        engine.asides[SAY_TOPIC] = self.on_say

    def on_say(self, _node: bytes, link: int, data: bytes) -> None:
        """An answer of a linked node."""
        answer = decode_answer(data)
        if answer is None or answer.number != self._number:
            return
        if isinstance(answer, Heard):
            if (link, 0) in self._open:
                self._heard.set()
            return
        future = self._open.pop((link, answer.place), None)
        if future is not None and not future.done():
            future.set_result(answer)

    async def compare(
        self, link: int, clock: Clock, incoming: Incoming, worker: Executor | None
    ) -> Compared:
        """Hold a complete snapshot against what one member has.

        Args:
            link: the witness's.
            clock: what the snapshot covers.
            incoming: the snapshot.
            worker: where it is read; the loop's own threads when None.

        Raises:
            JoinRefused, CorruptRecord, DiskError: it cannot be read.
        """
        self._number += 1
        self._open.clear()
        out, began = Compared(), asyncio.get_running_loop().time()
        if len(clock) <= PARTS_MAX * PART_ENTRIES:
            try:
                out.word = await self._opened(link, clock)
                if out.word is Word.SAME:
                    await _Comparison(self, link, incoming, worker, out).run()
            except _UnlikeError:
                out.word = Word.OTHER
            except (_UnableError, TimeoutError):
                out.word = Word.UNABLE
        out.seconds = asyncio.get_running_loop().time() - began
        return out

    async def _opened(self, link: int, clock: Clock) -> Word:
        future = self._expect(link, 0)
        self._heard.clear()
        for part in clock_parts(self._number, clock):
            self._send(link, part)
        try:
            async with asyncio.timeout(SILENT_S):
                await self._heard.wait()
        except TimeoutError:
            return Word.SILENT
        async with asyncio.timeout(ANSWER_S):
            answer = await future
        return Word.SAME if isinstance(answer, Opened) and answer.fits else Word.UNABLE

    def _expect(self, link: int, place: int) -> "asyncio.Future[Answer]":
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._open[link, place] = future
        return future

    def _send(self, link: int, question: Question) -> None:
        self._engine.send_aside(ASK_TOPIC, encode(question), link)
        self._engine.flush()

    def range(self, link: int, place: int, task: _Task) -> "asyncio.Future[Answer]":
        """Ask about a range."""
        future, total = self._expect(link, place), sum_of(task.rows)
        number, after, upto = self._number, task.after, task.upto
        asked = Range(number=number, place=place, kind=task.kind, after=after, upto=upto, sum=total)
        self._send(link, asked)
        return future

    def keys(self, link: int, place: int, keys: tuple[bytes, ...]) -> "asyncio.Future[Answer]":
        """Ask about single records."""
        future = self._expect(link, place)
        self._send(link, Keys(number=self._number, place=place, keys=keys))
        return future


class _Comparison:
    """One snapshot against one witness."""

    def __init__(
        self,
        confirming: Confirming,
        link: int,
        incoming: Incoming,
        worker: Executor | None,
        out: Compared,
    ) -> None:
        self._confirming = confirming
        self._worker = worker
        self._link = link
        self._incoming = incoming
        self._out = out
        self._place = 0
        self._began = asyncio.get_running_loop().time()
        self._sealing: set[bytes] = set()
        self._missing: list[Entry] = []

    async def run(self) -> None:
        """Compare everything; returns when nothing speaks against it.

        Raises:
            _UnlikeError: something does.
            _UnableError, TimeoutError: it cannot be told.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._worker, self._incoming.index)
        for kind in KINDS:
            await self._kind(kind)
        await self._ask_missing()

    async def _kind(self, kind: bytes) -> None:
        """All rows of a kind, some ranges at a time."""
        loop = asyncio.get_running_loop()
        flying: deque[tuple[_Task, asyncio.Future[Answer]]] = deque()
        after, ended = _ALL, False
        while not ended or flying:
            while not ended and len(flying) < _AHEAD:
                task = await loop.run_in_executor(self._worker, self._segment, kind, after)
                after, ended = task.upto, task.upto == _ALL
                flying.append((task, self._ask(task)))
            task, future = flying.popleft()
            more = self._weigh(task, await self._answer(future))
            if more is not None:
                flying.appendleft((more, self._ask(more)))

    def _segment(self, kind: bytes, after: bytes) -> _Task:
        rows = page(self._incoming.environment, kind, after, SEGMENT_ROWS)
        upto = rows[-1].key if len(rows) == SEGMENT_ROWS else _ALL
        self._out.rows += len(rows)
        return _Task(kind, after, upto, rows)

    def _ask(self, task: _Task) -> "asyncio.Future[Answer]":
        self._place += 1
        return self._confirming.range(self._link, self._place, task)

    async def _answer(self, future: "asyncio.Future[Answer]") -> Rows:
        # Who answers each question at the last moment, and row by row, would be asked for days.
        spent = asyncio.get_running_loop().time() - self._began
        left = PATIENCE_S + ROW_S * (self._out.rows + self._out.moved) - spent
        async with asyncio.timeout(max(min(ANSWER_S, left), 0.0)):
            answer = await future
        if not isinstance(answer, Rows):
            raise _UnableError
        return answer

    def _weigh(self, task: _Task, answer: Rows) -> _Task | None:
        """Judge an answer; returns what of the range is still to be asked about."""
        if answer.same:
            return None
        end = answer.reached
        if end != task.upto and not task.after < end:
            raise _UnableError  # it would be asked for ever
        mine = {row.key: row for row in task.rows if end == task.upto or row.key <= end}
        for said in answer.rows:
            held = mine.pop(said.key, None)
            if held is None or held.weight != said.weight:
                self._differs(task.kind, said.key, said.marks)
        if task.kind == RECORDS:
            self._missing += mine.values()
        elif mine:
            raise _UnlikeError
        if end == task.upto:
            return None
        return _Task(task.kind, end, task.upto, [row for row in task.rows if row.key > end])

    def _differs(self, kind: bytes, key: bytes, marks: int) -> None:
        self._out.moved += 1
        moved = bool(marks & MOVED)
        if kind == PENDING and marks & SEALED:
            moved = self._sealed_there(key) or moved
        if not moved and key not in self._sealing:
            raise _UnlikeError

    def _sealed_there(self, key: bytes) -> bool:
        """A seal leaves no trace of when: what it sealed may differ where it was not sealed yet."""
        env = self._incoming.environment
        value = env.read(lambda txn: txn.get(key, db=env.tables.pending))
        if value is None:
            return False
        pending = decode_pending(value[CHECKSUM_BYTES:])
        self._sealing.add(pending.key)
        return not pending.sealed

    async def _ask_missing(self) -> None:
        """What the witness does not have: did it have it beyond the snapshot's clock?"""
        for some in _batches(self._missing):
            mine = {row.key: row.weight for row in some}
            self._place += 1
            future = self._confirming.keys(self._link, self._place, tuple(mine))
            answer = await self._answer(future)
            for said in answer.rows:
                weight = mine.pop(said.key, None)
                if weight is not None and weight != said.weight:
                    self._differs(RECORDS, said.key, said.marks)
            if mine:
                raise _UnableError


def _batches(rows: list[Entry]) -> Iterator[list[Entry]]:
    """Rows whose keys fit into one question."""
    batch: list[Entry] = []
    size = 0
    for row in rows:
        size += len(row.key) + 32
        if size > BUDGET_BYTES:
            yield batch
            batch, size = [], len(row.key) + 32
        batch.append(row)
    if batch:
        yield batch
