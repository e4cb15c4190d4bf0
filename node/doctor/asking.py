"""Asking the linked members how they see this node, and answering them.

Law: a question waits a second and no longer; who does not answer is told as silent. An answer
holds nothing that a member may not know: no content, no path, no name of an agent.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from crdt.dot import NodeId
from node.doctor.telling import TOPIC, Told, answer, question, read
from node.replication.engine import Engine

_ANSWER_SECONDS: Final = 1.0
_NUMBERS: Final = 2**32
# Who asks without end is answered with what was true a moment ago.
_FRESH_SECONDS: Final = 0.2


class Asking:
    """The doctor's side of the links.

    Args:
        engine: whose links.
        own: what this node says of itself, asked anew each time.
    """

    def __init__(self, engine: Engine, own: Callable[[], Told]) -> None:
        self._engine = engine
        self._own = own
        self._number = 0
        self._waiting: dict[int, dict[NodeId, Told | None]] = {}
        self._heard = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._said: tuple[float, Told] | None = None
        engine.asides[TOPIC] = self._on_aside

    async def ask(self) -> dict[NodeId, Told]:
        """What the linked members say; waits up to a second for those that are silent."""
        self._number = number = (self._number + 1) % _NUMBERS
        asked: dict[NodeId, Told | None] = {
            peer.node_id: None
            for peer in self._engine.exchange.peers.values()
            if peer.row is not None
        }
        if not asked:
            return {}
        self._waiting[number] = asked
        self._engine.send_aside(TOPIC, question(number))
        self._engine.soon()
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                while None in asked.values():
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            pass
        finally:
            del self._waiting[number]
        return {node: told for node, told in asked.items() if told is not None}

    def _on_aside(self, node: NodeId, link: int, data: bytes) -> None:
        message = read(data)
        if message is None:
            return
        number, told = message
        if told is None:
            self._engine.send_aside(TOPIC, answer(number, self._fresh()), link)
            self._engine.soon()
        elif node in (asked := self._waiting.get(number, {})):
            asked[node] = told
            self._heard.set()

    def _fresh(self) -> Told:
        now = self._loop.time()
        if self._said is None or now - self._said[0] > _FRESH_SECONDS:
            self._said = (now, self._own())
        return self._said[1]
