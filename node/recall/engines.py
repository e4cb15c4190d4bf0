"""The engines of one generation, fed together.

Law: all of them see the same changes in the same order, and none counts as having seen them
before all are flushed. The lexical index and the order of neighbours are always there; others
stand beside them. Engines are closed when nobody asks them any more, and not before.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from node.recall.lexical import Lexical
from node.recall.neighbours import Neighbours
from node.recall.values import Change, Engine

LEXICAL_FOLDER: Final = "lexical"
ORDER_FOLDER: Final = "order"


class Kept(Engine, Protocol):
    """An engine that keeps something open."""

    def close(self) -> None:
        """Let go of it."""
        ...


class Engines:
    """What finds documents, of one generation.

    Args:
        lexical: by their words.
        neighbours: who stands beside whom.
        others: further engines, each with its weight in the fusion.
    """

    def __init__(
        self,
        lexical: Lexical,
        neighbours: Neighbours,
        others: tuple[tuple[Kept, float], ...] = (),
    ) -> None:
        self.lexical = lexical
        self.neighbours = neighbours
        self.others = others
        self._all: tuple[Lexical | Neighbours | Kept, ...] = (
            lexical,
            neighbours,
            *(engine for engine, _ in others),
        )
        self._users = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def whole(self) -> bool:
        """Whether no part lost its folder while another one kept it."""
        return not (self.neighbours.fresh and self.lexical.documents)

    def take(self, changes: Sequence[Change]) -> None:
        """Learn of changes; in the thread that writes."""
        for engine in self._all:
            engine.take(changes)

    def drop_ended(self, now_ms: int) -> bool:
        """Forget what has ended, if there is any; in the thread that writes."""
        return self.lexical.drop_ended(now_ms)

    def flush(self, *, urgent: bool = False) -> None:
        """Put what was taken on the disk and where it shows; in the thread that writes.

        Args:
            urgent: whether it may cost others their turn.
        """
        self.lexical.urgent = urgent
        for engine in self._all:
            engine.flush()

    def settle(self) -> None:
        """Nothing was written for a while; in the thread that writes."""
        self.lexical.settle()

    @contextmanager
    def used(self) -> Iterator[None]:
        """While something is asked of them."""
        self._users += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._idle.set()

    async def unused(self) -> None:
        """Wait until nobody asks any more."""
        await self._idle.wait()

    def close(self) -> None:
        """Let go of everything; what was not flushed is forgotten. Nobody may be asking."""
        for engine in self._all:
            engine.close()


Opener = Callable[[Path], Engines]
"""Opens the engines of a generation in its folder, which may be empty.

Raises ValueError or OSError: what lies there cannot be read.
"""


def open_engines(folder: Path) -> Engines:
    """The engines that need nothing but this node.

    Raises:
        ValueError, OSError: what lies there cannot be read.
    """
    lexical = Lexical(folder / LEXICAL_FOLDER)
    return Engines(lexical, Neighbours(folder / ORDER_FOLDER))
