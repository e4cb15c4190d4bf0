"""From the log of operations to what hooks are told.

Law: it begins with what comes from now on, and goes on from where it was; a store that another
one replaced begins anew. Nothing is looked at while no hook wants to know.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from crdt.dot import node_of
from node.contracts import Caller, Operations, Place, Reader
from node.events.feed import BATCH_MAX, Bell, neighbours
from node.events.telling import Teller
from node.hooks.telling import Moment, Telling

_EVERYBODY: Final = Caller(agent="")
_UNTOLD: Final = frozenset({"title"})
_NOWHERE: Final = Place(0, -1)


class Following:
    """Reads what happened off the log.

    Args:
        reader: reads the log.
        teller: says what operations mean, whoever may know.
        bell: rings after commits.
        me: node id of this node.
        telling: the hooks, asked anew each time.
    """

    def __init__(
        self,
        *,
        reader: Callable[[], Reader],
        teller: Teller,
        bell: Bell,
        me: bytes,
        telling: Callable[[], Telling],
    ) -> None:
        self._reader = reader
        self._teller = teller
        self._bell = bell
        self._me = me
        self._telling = telling
        self._store = ""
        self._at = _NOWHERE

    async def run(self) -> None:
        """Follow until cancelled."""
        woken = asyncio.Event()
        end = self._bell.follow(woken.set)
        try:
            self.begin()
            while True:
                await woken.wait()
                woken.clear()
                if self.step():
                    woken.set()  # there may be more, and others have their turn in between
                    await asyncio.sleep(0)
        finally:
            end()

    def begin(self) -> None:
        """From now on."""
        reader = self._reader()
        self._store, self._at = reader.store_id, reader.latest_place()

    def step(self) -> bool:
        """Tell of a page of the log; whether there may be more."""
        reader = self._reader()
        if reader.store_id != self._store:
            self.begin()
            return False
        found = reader.operations(self._at, BATCH_MAX)
        self._tell(found)
        return bool(found.rows)

    def _tell(self, found: Operations) -> None:
        telling = self._telling()
        for row, before, after in neighbours(found):
            self._at = row.place
            here = node_of(row.op.dot.actor) == self._me
            for told in self._teller.told(row, before, after, _EVERYBODY):
                if told.name in telling.wanted:
                    about = {key: value for key, value in told.about.items() if key not in _UNTOLD}
                    telling.tell(
                        Moment(event=told.name, about=about, namespace=told.namespace, here=here)
                    )
