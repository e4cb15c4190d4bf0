"""Answers members that ask whether a snapshot of another one is what this node holds.

Law: it tells checksums to members, never content and nothing of the private lane, and keeps one
inquiry a link and few questions, whatever number they have. It reads on a thread of its own, of the
disk alone. What it cannot tell for certain it says so; what is asked
beyond bounds is not answered.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from crdt.clock import Clock
from crdt.dot import NodeId
from node.replication.comparing import (
    ASK_TOPIC,
    PARTS_MAX,
    SAY_TOPIC,
    Answer,
    ClockPart,
    Heard,
    Keys,
    Opened,
    Question,
    Range,
    Rows,
    decode_question,
    encode,
    fitting,
)
from node.replication.engine import Engine
from node.store.roster import Entry, Horizon, page, sum_of

RANGE_ROWS_MAX: Final = 2_048
_WAITING_MAX: Final = 64


@dataclass(slots=True)
class _Inquiry:
    """What one link is asking about."""

    number: int
    parts: dict[int, Clock] = field(default_factory=dict)
    horizon: Horizon | None = None


class Witness:
    """Answers the questions of `node.replication.confirming`.

    Args:
        engine: whose store is asked about.
        spawn: runs a coroutine as a task of the node.
    """

    def __init__(
        self,
        engine: Engine,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._engine = engine
        # Of its own: whoever asks must not have to wait while a copy for somebody is frozen.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="witness")
        self._spawn = spawn
        self._asked: dict[int, _Inquiry] = {}
        self._waiting = Counter[int]()
        """Questions of a link that have no answer yet, of whatever inquiry."""
        engine.asides[ASK_TOPIC] = self.on_ask

    def close(self) -> None:
        """Answer nobody any more."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def on_ask(self, node: NodeId, link: int, data: bytes) -> None:
        """A question of a linked node."""
        question = decode_question(data)
        if question is None or node not in self._engine.replica.governance.now.members:
            return
        for gone in self._asked.keys() - self._engine.exchange.peers.keys():
            del self._asked[gone]
        held = self._asked.get(link)
        if held is None or held.number < question.number:
            held = self._asked[link] = _Inquiry(question.number)
        if held.number != question.number or self._waiting[link] >= _WAITING_MAX:
            return
        if isinstance(question, ClockPart):
            if not held.parts:
                heard = Heard(number=question.number, place=question.place)
                self._engine.send_aside(SAY_TOPIC, encode(heard), link)
            if len(held.parts) < PARTS_MAX:
                held.parts[question.part] = question.clock
            if len(held.parts) < question.parts or held.horizon is not None:
                return
        elif held.horizon is None:
            return
        self._waiting[link] += 1
        self._spawn(self._answer(link, held, question))

    async def _answer(self, link: int, held: _Inquiry, question: Question) -> None:
        loop = asyncio.get_running_loop()
        try:
            answer = await loop.run_in_executor(self._worker, self._found, held, question)
        except Exception:  # noqa: BLE001 - a store that was swapped meanwhile, a damaged row
            self._asked.pop(link, None)  # who asked hears nothing more, and asks another one
            return
        finally:
            self._waiting[link] -= 1
            if not self._waiting[link]:
                del self._waiting[link]
        if answer is not None:
            self._engine.send_aside(SAY_TOPIC, encode(answer), link)
            self._engine.flush()

    def _found(self, held: _Inquiry, question: Question) -> Answer | None:
        number, place = question.number, question.place
        env = self._engine.store.environment
        if isinstance(question, ClockPart):
            clock = {a: n for part in held.parts.values() for a, n in part.items()}
            horizon = Horizon(env, clock)
            if horizon.fits:
                held.horizon = horizon
            return Opened(number=number, place=place, fits=horizon.fits)
        if held.horizon is None:
            return None
        if isinstance(question, Keys):
            rows = tuple(fitting(held.horizon.asked(question.keys)))
            return Rows(number=number, place=place, same=False, reached=b"", rows=rows)
        return self._range(held.horizon, question)

    def _range(self, horizon: Horizon, asked: Range) -> Rows:
        env = self._engine.store.environment
        found = page(env, asked.kind, asked.after, RANGE_ROWS_MAX + 1)
        within = [row for row in found if not asked.upto or row.key <= asked.upto]
        whole = len(within) < len(found) or len(found) <= RANGE_ROWS_MAX
        number, place = asked.number, asked.place
        if whole and sum_of(within) == asked.sum:
            return Rows(number=number, place=place, same=True, reached=asked.upto, rows=())
        some = list(islice(within, RANGE_ROWS_MAX))
        told = tuple(fitting(horizon.said(asked.kind, some)))
        ended = whole and len(told) == len(some)
        reached = asked.upto if ended else _last(some, len(told))
        return Rows(number=number, place=place, same=False, reached=reached, rows=told)


def _last(rows: list[Entry], count: int) -> bytes:
    return rows[count - 1].key if count else b""
