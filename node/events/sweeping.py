"""Ends messages whose life is over.

Law: expiry hides a message at once, everywhere; this only makes the bytes go. The node of the
oldest birth does it, another one only when that node is no member any more, so that one node
does. A sweep gives way to everything else.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from crdt.dot import DATA, NodeId, node_of
from crdt.mint import MissingRecordError
from crdt.op import Draft, Kind, record_key
from crdt.record import Record
from crdt.request import DeniedError
from crdt.view import View
from node.events.names import MESSAGE

_STRIDE: Final = 64
_ENDED_MAX: Final = 256
START: Final = record_key(DATA, MESSAGE, "")


def is_over(seen: View | None, before_ms: int) -> bool:
    """Whether the life of a message ended before a millisecond."""
    expires = None if seen is None else seen.values.get("expires_at")
    return isinstance(expires, int) and expires < before_ms


def author_node(record: Record) -> NodeId:
    """The node that made the oldest birth."""
    eldest = min(record.births.items(), key=lambda item: (item[1].hlc, item[0]))[0]
    return node_of(eldest.actor)


class Sweep:
    """Sweeps the messages of one node.

    Args:
        keys: of all messages; may take its time, on another thread.
        read: the record and the view under a key.
        is_mine: whether this node ends what a node made.
        end: ends one message, in the name of its sender.
    """

    def __init__(
        self,
        *,
        keys: Callable[[], Sequence[bytes]],
        read: Callable[[bytes], tuple[Record | None, View | None]],
        is_mine: Callable[[NodeId], bool],
        end: Callable[[Draft, str], None],
    ) -> None:
        self._keys = keys
        self._read = read
        self._is_mine = is_mine
        self._end = end

    async def round(self, before_ms: int) -> int:
        """End what was over before a millisecond; returns how many, at most some."""
        ended = 0
        for step, key in enumerate(await asyncio.to_thread(self._keys), start=1):
            ended += self._look(key, before_ms)
            if ended >= _ENDED_MAX:
                break
            if step % _STRIDE == 0:
                await asyncio.sleep(0)
        return ended

    def _look(self, key: bytes, before_ms: int) -> bool:
        """End one message if it is time; whether it was ended."""
        record, seen = self._read(key)
        if record is None or seen is None or not is_over(seen, before_ms):
            return False
        if not self._is_mine(author_node(record)):
            return False
        draft = Draft(kind=Kind.DELETE, collection=MESSAGE, id=key[len(START) :].decode())
        with suppress(DeniedError, MissingRecordError):
            self._end(draft, seen.owner)
            return True
        return False
