"""How many private memories the figures of this node must not tell a caller of.

Law: derived and local. The counts of the store know no callers; what is taken off them here is
kept in memory, one small row for each private memory this node holds, follows the commits, and
is read once, giving way, when figures are first asked for. Where private memories travel in
the shared lane (`federation.share_private`), the first look goes over all memories; a node
that does not share its own takes no count of what others share so.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from crdt.dot import PRIVATE
from crdt.op import record_key
from crdt.record import Record
from crdt.state import Batch
from node.contracts import Caller, Held, Reader
from node.memory.drafts import COLLECTION
from node.memory.record import GRANTS, PRIVATE_SCOPE, is_archived
from node.store.projection import ARCHIVED

_START: Final = record_key(PRIVATE, COLLECTION, "")
_NAME: Final = slice(1, len(_START))
_STRIDE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What must be known of one private memory to take it off the counts."""

    namespace: str
    tier: str
    expires: int | None
    parties: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """What a caller must not be told of.

    Attributes:
        counts: memories by (namespace, tier).
        expiring: those of them that expire soon.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    expiring: int = 0


class PrivateCensus:
    """Private memories of this node, as far as its figures need them.

    Args:
        reader: reads the newest state; None knows of nothing private.
        scan: ids of the memories that may be private.
        now_ms: wall clock, milliseconds since the epoch.
    """

    def __init__(
        self,
        reader: Callable[[], Reader] | None = None,
        scan: Callable[[], Iterator[str]] = lambda: iter(()),
        now_ms: Callable[[], int] = int,
    ) -> None:
        self._reader = reader
        self._scan = scan
        self._now_ms = now_ms
        self._rows: dict[str, _Row] = {}
        self._store: str | None = None
        self._loading = asyncio.Lock()

    def saw(self, batch: Batch) -> None:
        """Follow a commit."""
        for key, change in batch.records.items():
            if key[_NAME] == _START[1:] and (key[:1] == PRIVATE or _speaks(change.after)):
                self._take(key[len(_START) :].decode())

    async def hidden(self, viewer: Caller, soon_ms: int) -> Hidden:
        """What is private to others.

        Args:
            viewer: who asks for figures.
            soon_ms: what expires before that counts as expiring.
        """
        await self._load()
        now = self._now_ms()
        counts: Counter[tuple[str, str]] = Counter()
        expiring = 0
        for row in self._rows.values():
            over = row.expires is not None and row.expires <= now
            if over or (viewer.agent and viewer.agent in row.parties):
                continue
            counts[row.namespace, row.tier] += 1
            expiring += row.expires is not None and row.expires < soon_ms
        return Hidden(counts=counts, expiring=expiring)

    async def _load(self) -> None:
        if self._reader is None:
            return
        async with self._loading:
            store = self._reader().store_id
            if store == self._store:
                return
            self._rows.clear()
            for step, ident in enumerate(self._scan(), start=1):
                self._take(ident)
                if step % _STRIDE == 0:
                    await asyncio.sleep(0)
            self._store = store

    def _take(self, ident: str) -> None:
        held = None
        if self._reader is not None:
            reader = self._reader()
            held = reader.get(COLLECTION, ident) or reader.archived(COLLECTION, ident)
        if held is None or held.view.values.get("scope") != PRIVATE_SCOPE:
            self._rows.pop(ident, None)
        else:
            self._rows[ident] = _row(held)


def _speaks(record: Record | None) -> bool:
    """Whether a record says anything about its scope; most never do."""
    return record is None or record.says("scope")


def _row(held: Held) -> _Row:
    values = held.view.values
    archived = is_archived(held)
    expires = None if archived else values.get("expires_at")
    return _Row(
        namespace=held.view.namespace,
        tier=ARCHIVED if archived else str(values.get("tier", "")),
        expires=expires if isinstance(expires, int) else None,
        parties=frozenset((held.view.owner, *values.get(GRANTS, ()))),
    )
