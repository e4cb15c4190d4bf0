"""A write transaction that remembers which rows it touched.

Law: a row that is put or deleted through it is in the notes before the call returns; a note
too many costs one look-up, a note too few would lose a write. Everything else is passed on.
"""

from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final, Self, cast

from node.store.schema import TABLE_NAMES, Cursor, Handle, Tables, Transaction

Note = tuple[str, bytes]
"""A table and a key in it."""


class Notes:
    """The rows touched since noting began; belongs to the writer's thread."""

    def __init__(self, tables: Tables) -> None:
        self._names: Final = {id(getattr(tables, name)): name for name in TABLE_NAMES}
        self._rows: set[Note] = set()

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, db: Handle, key: bytes) -> None:
        """A row is touched."""
        self._rows.add((self._names[id(db)], bytes(key)))

    def take(self) -> set[Note]:
        """All notes so far; later ones go into a new set. Not while a transaction is open."""
        rows, self._rows = self._rows, set()
        return rows


class NotingTransaction:
    """Stands for a write transaction; see `lmdb.Transaction` for the calls."""

    def __init__(self, txn: Transaction, notes: Notes) -> None:
        self._txn = txn
        self._notes = notes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._txn, name)

    def put(self, key: bytes, value: bytes, *, db: Handle, **options: Any) -> bool:
        """Store a row."""
        self._notes.add(db, key)
        return self._txn.put(key, value, db=db, **options)

    def delete(self, key: bytes, *, db: Handle) -> bool:
        """Drop a row."""
        self._notes.add(db, key)
        return self._txn.delete(key, db=db)

    def pop(self, key: bytes, *, db: Handle) -> bytes | None:
        """Drop a row and return what it held."""
        self._notes.add(db, key)
        return self._txn.pop(key, db=db)

    def replace(self, key: bytes, value: bytes, *, db: Handle) -> bytes | None:
        """Store a row and return what it held."""
        self._notes.add(db, key)
        return self._txn.replace(key, value, db=db)

    def drop(self, db: Handle, **options: Any) -> None:
        """Would empty a table without naming a row."""
        raise NotImplementedError("a table is emptied row by row, so that each is noted")

    def cursor(self, *, db: Handle) -> Cursor:
        """Walk over a table."""
        return cast("Cursor", _NotingCursor(self._txn.cursor(db=db), db, self._notes))


class _NotingCursor:
    def __init__(self, cursor: Cursor, db: Handle, notes: Notes) -> None:
        self._cursor = cursor
        self._db = db
        self._notes = notes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cursor.close()

    def __iter__(self) -> Any:
        return iter(self._cursor)

    def put(self, key: bytes, value: bytes, **options: Any) -> bool:
        self._notes.add(self._db, key)
        return self._cursor.put(key, value, **options)

    def putmulti(self, items: Iterable[tuple[bytes, bytes]], **options: Any) -> tuple[int, int]:
        rows = list(items)
        for key, _ in rows:
            self._notes.add(self._db, key)
        return self._cursor.putmulti(rows, **options)

    def delete(self, **options: Any) -> bool:
        self._notes.add(self._db, self._cursor.key())
        return self._cursor.delete(**options)


def noting(txn: Transaction, notes: Notes | None) -> Transaction:
    """The transaction itself, or one that notes what it touches."""
    return txn if notes is None else cast("Transaction", NotingTransaction(txn, notes))
