"""What agents have used up, on disk: a small table of this node's own.

Law: kept aside from the store, never replicated, and worth less than any memory: a book that
cannot be opened is put aside and begun anew, a crash loses what was counted since the last
flush. One transaction a flush; it begins and commits on one thread.

Keys: `d`, the day as 4 bytes, the agent: counts of that day. `b`, the agent: bytes held.
`m`: the names of states, as whether the bytes are complete.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from node.store.schema import Transaction
from node.store.small import SmallTable

FOLDER: Final = "quota"
_MAP_BYTES: Final = 256 * 1024 * 1024
_COUNTS: Final = struct.Struct(">QQ")
_NUMBER: Final = struct.Struct(">q")
_DAY: Final = struct.Struct(">I")
_AGENT_BYTES_MAX: Final = 500
_COMPLETE: Final = b"mcomplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What is written in one step, or was read.

    Attributes:
        day: days since the epoch (UTC).
        counts: (memories, links) of that day, by agent.
        held: bytes held, by agent.
        complete: whether `held` covers everything; False while nobody counts bytes.
        anew: whether `held` takes the place of every earlier row.
    """

    day: int
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    held: Mapping[str, int] = field(default_factory=dict)
    complete: bool = False
    anew: bool = False


class QuotaBook:
    """The open table.

    Args:
        folder: where; made when absent.
    """

    def __init__(self, folder: Path) -> None:
        self._table = SmallTable(folder, map_bytes=_MAP_BYTES)

    def load(self, day: int) -> Page:
        """What is known of a day; rows of other days are passed over."""
        counts: dict[str, tuple[int, int]] = {}
        held: dict[str, int] = {}
        start = b"d" + _DAY.pack(day)
        complete = False
        for key, value in self._table.rows():
            if key.startswith(start) and len(value) == _COUNTS.size:
                memories, links = _COUNTS.unpack(value)
                counts[_name(key[len(start) :])] = (memories, links)
            elif key[:1] == b"b" and len(value) == _NUMBER.size:
                held[_name(key[1:])] = _NUMBER.unpack(value)[0]
            complete |= key == _COMPLETE
        return Page(day=day, counts=counts, held=held, complete=complete)

    def save(self, page: Page) -> None:
        """Put rows on the disk, and forget days before that of the page.

        Raises:
            OSError, lmdb.Error: the disk does not take it; nothing of it was written.
        """
        start = b"d" + _DAY.pack(page.day)
        with self._table.change() as txn:
            _drop(txn, b"d", start)
            if page.anew:
                _drop(txn, b"b", b"c")
            for agent, (memories, links) in page.counts.items():
                txn.put(start + _key(agent), _COUNTS.pack(memories, links))
            for agent, size in page.held.items():
                txn.put(b"b" + _key(agent), _NUMBER.pack(size))
            if page.complete:
                txn.put(_COMPLETE, b"1")
            else:
                txn.delete(_COMPLETE)

    def close(self) -> None:
        """Close it, once a write that is under way is over."""
        self._table.close()


def _drop(txn: Transaction, first: bytes, end: bytes) -> None:
    """Delete the rows from one key up to another."""
    with txn.cursor() as cursor:
        there = cursor.set_range(first)
        while there and bytes(cursor.key()) < end:
            there = cursor.delete()


def _key(agent: str) -> bytes:
    return agent.encode("utf-8", "surrogatepass")[:_AGENT_BYTES_MAX]


def _name(key: bytes) -> str:
    return key.decode("utf-8", "replace")
