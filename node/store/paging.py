"""Bundles that somebody lacks, read from the log.

Law: the cost follows the difference, not the log: one seek per actor that differs, then a
merge by arrival, so a page is a causal order and any prefix of it is a valid state. What was
truncated is never papered over: a line that does not reach back far enough is `BelowFloor`.
"""

import heapq
from collections.abc import Mapping, Sequence

from crdt.dot import ACTOR_BYTES, GOVERNANCE, PRIVATE, Actor
from crdt.state import Page
from node.store.errors import BelowFloor, CorruptRecord
from node.store.rows import LogEntry, decode_entry
from node.store.schema import LOG_NAMES, Cursor, Handle, Tables, Transaction, number


def read_page(
    txn: Transaction,
    tables: Tables,
    held: Mapping[Actor, int],
    clock: Mapping[Actor, int],
    limit_bytes: int,
) -> Page:
    """The next bundles for a peer: governance first, then in order of arrival, never private.

    Args:
        txn: a read transaction, not older than `held`.
        tables: handles.
        held: the clock of this store.
        clock: what the peer has.
        limit_bytes: the page ends with the bundle that reaches this size.

    Raises:
        BelowFloor: the log does not reach back to the peer's clock.
        CorruptRecord: the log is damaged.
    """
    get = clock.get
    lacking = [(a, get(a, 0)) for a, seq in held.items() if seq > get(a, 0) and a[:1] != PRIVATE]
    bundles: list[bytes] = []
    size = 0
    for governance in (True, False):
        lines = [pair for pair in lacking if (pair[0][:1] == GOVERNANCE) is governance]
        merge = _Merge(txn, tables, lines)
        while size < limit_bytes or not bundles:
            try:
                data = merge.next()
            except CorruptRecord:
                if bundles:
                    return Page(bundles, complete=False)  # what is whole before it goes first
                raise
            if data is None:
                break
            bundles.append(data)
            size += len(data)
        if merge.more():
            return Page(bundles, complete=False)
    return Page(bundles, complete=True)


class _Merge:
    """Several actors' lines, merged by arrival."""

    def __init__(
        self, txn: Transaction, tables: Tables, lines: Sequence[tuple[Actor, int]]
    ) -> None:
        self._txn = txn
        self._tables = tables
        self._after = dict(lines)
        self._heap: list[tuple[bytes, Actor, int]] = []
        self._index = txn.cursor(db=tables.log_index)
        for actor, after in lines:
            step = _step(self._index, actor, after)
            if step is None:
                raise BelowFloor(actor, after)
            heapq.heappush(self._heap, step)

    def more(self) -> bool:
        return bool(self._heap)

    def next(self) -> bytes | None:
        if not self._heap:
            return None
        at, actor, last = self._heap[0]
        entry = read_entry(self._txn, self._tables, at, actor, last)
        if entry.first > self._after[actor] + 1:
            raise BelowFloor(actor, self._after[actor])
        self._after[actor] = last
        step = _step(self._index, actor, last)
        if step is None:
            heapq.heappop(self._heap)
        else:
            heapq.heapreplace(self._heap, step)
        return entry.data


def _step(index: Cursor, actor: Actor, after: int) -> tuple[bytes, Actor, int] | None:
    """The arrival of an actor's first bundle that ends after a sequence number."""
    if not index.set_range(actor + number(after + 1)):
        return None
    key, at = index.item()
    if key[:ACTOR_BYTES] != actor:
        return None
    return at, actor, int.from_bytes(key[ACTOR_BYTES:], "big")


def read_entry(txn: Transaction, tables: Tables, at: bytes, actor: Actor, last: int) -> LogEntry:
    """The log entry that an index row points to, both verified.

    Raises:
        CorruptRecord: the entry is damaged, absent, or not the one that the row means.
    """
    lane = actor[:1]
    value = txn.get(at, db=tables.log_of(lane))
    if value is None:
        raise CorruptRecord("log_index", actor + number(last), "it points to nothing")
    entry = decode_entry(LOG_NAMES[lane], at, value)
    if entry.actor != actor or entry.last != last:
        raise CorruptRecord("log_index", actor + number(last), "it points to another bundle")
    return entry


def read_tail(
    txn: Transaction, tables: Tables, actor: Actor, after: int, limit_bytes: int
) -> list[bytes]:
    """Bundles of one actor after a sequence number, in order; at least one when there is any.

    Raises:
        BelowFloor: the log does not reach back that far.
        CorruptRecord: the log is damaged.
    """
    out: list[bytes] = []
    size = 0
    index = txn.cursor(db=tables.log_index)
    while size < limit_bytes or not out:
        step = _step(index, actor, after)
        if step is None:
            break
        at, _, last = step
        entry = read_entry(txn, tables, at, actor, last)
        if entry.first > after + 1:
            raise BelowFloor(actor, after)
        after = last
        out.append(entry.data)
        size += len(entry.data)
    return out


def read_all(txn: Transaction, log: Handle, name: str) -> list[bytes]:
    """Every bundle of one lane's log, in order of arrival.

    Raises:
        CorruptRecord: the log is damaged.
    """
    return [decode_entry(name, key, value).data for key, value in txn.cursor(db=log)]
