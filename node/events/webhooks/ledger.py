"""How far each subscription was delivered here, on disk: a small table of this node's own.

Law: kept aside from the store and never replicated. A place is written after what stands before
it was delivered, so a crash delivers again and leaves nothing out. A table that cannot be opened
is put aside and begun anew, which does the same on a larger scale.

Keys: the id of a subscription. Values: msgpack of `Row`.
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Final

import msgpack

from node.contracts import Place
from node.store.small import SmallTable

FOLDER: Final = "webhooks"
_MAP_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Where one subscription stands.

    Attributes:
        store: id of the store that the place belongs to.
        arrival, index: the last operation that was dealt with.
        part: how many events of the next operation were delivered already.
        dispatched: deliveries that were confirmed.
        failed: tries that were not.
        tries: failed tries of the next event.
        due_ms: not to be tried before, milliseconds since the epoch.
        since_ms: when its first try failed; 0 for none.
    """

    store: str
    arrival: int
    index: int
    part: int = 0
    dispatched: int = 0
    failed: int = 0
    tries: int = 0
    due_ms: int = 0
    since_ms: int = 0

    @property
    def place(self) -> Place:
        """The last operation that was dealt with."""
        return Place(self.arrival, self.index)


class Ledger:
    """The open table; all of it is held in memory.

    Args:
        folder: where; made when absent.
    """

    def __init__(self, folder: Path) -> None:
        self._table = SmallTable(folder, map_bytes=_MAP_BYTES)
        self._rows: dict[str, Row] = {}
        for key, value in self._table.rows():
            row = _read(value)
            if row is not None:
                self._rows[key.decode("utf-8", "replace")] = row

    def row(self, ident: str) -> Row | None:
        """Where a subscription stands."""
        return self._rows.get(ident)

    def counts(self, ident: str) -> tuple[int, int]:
        """(deliveries, failed tries)."""
        row = self._rows.get(ident)
        return (0, 0) if row is None else (row.dispatched, row.failed)

    def known(self) -> list[str]:
        """The subscriptions that have a row."""
        return list(self._rows)

    def note(self, ident: str, row: Row) -> None:
        """Keep where a subscription stands, for `save`."""
        self._rows[ident] = row

    def save(self, rows: Mapping[str, Row | None]) -> None:
        """Put rows on the disk; None drops one.

        Raises:
            OSError, lmdb.Error: the disk does not take it; nothing of it was written.
        """
        self._table.write(
            {
                ident.encode(): None if row is None else msgpack.packb(astuple(row))
                for ident, row in rows.items()
            }
        )

    def forget(self, ident: str) -> None:
        """Drop the row of a subscription that is gone, for `save`."""
        self._rows.pop(ident, None)

    def close(self) -> None:
        """Close it, once a write that is under way is over."""
        self._table.close()


def _read(value: bytes) -> Row | None:
    try:
        parts: Any = msgpack.unpackb(value)
        return Row(**dict(zip((one.name for one in fields(Row)), parts, strict=True)))
    except (ValueError, TypeError, msgpack.UnpackException):
        return None  # it begins anew
