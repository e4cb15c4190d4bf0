"""What a step works on: one write transaction, and tables by name.

Law: nothing here knows a schema. A name leads to whatever table the file has under it, and a
table that a step needs for itself is gone when the step ends.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, TypeAlias

import lmdb

from node.store.errors import StoreDamaged
from node.store.schema import Handle, Transaction

ROWS_AT_ONCE: Final = 4096
Rows: TypeAlias = Iterator[tuple[bytes, bytes]]
Change: TypeAlias = Callable[[Rows], Rows]
_SPARE: Final = b"migration"


class Stage:
    """One transaction over one file.

    Args:
        env: the open file.
        txn: a transaction in it; a write transaction for a step, any for a look.
    """

    def __init__(self, env: lmdb.Environment, txn: Transaction) -> None:
        self.txn = txn
        self._env = env

    def table(self, name: str) -> Handle:
        """A table that the schema has.

        Raises:
            StoreDamaged: it is not there.
        """
        try:
            return self._env.open_db(name.encode(), txn=self.txn, create=False)
        except lmdb.NotFoundError as error:
            raise StoreDamaged(f"the store has no table {name}") from error

    def rows(self, name: str) -> Rows:
        """Every row of a table, in order of key. The table must not change meanwhile."""
        with self.txn.cursor(db=self.table(name)) as cursor:
            yield from cursor

    def rewrite(self, name: str, change: Change, *, kept: str) -> int:
        """Put other rows in the place of all that a table has, made from them.

        The rows are appended, so that pages are as full as those of a copy. Meanwhile either
        the old or the new ones are kept in a table of their own: whichever are the smaller.

        Args:
            name: the table.
            change: makes the new rows from the old ones, in order of key, as it is read.
            kept: `old` or `new`.

        Returns:
            How many there are now.
        """
        early, late = (change, iter) if kept == "new" else (iter, change)
        spare = self._env.open_db(_SPARE, txn=self.txn, create=True)
        self._append(spare, early(self.rows(name)))
        table = self.table(name)
        self.txn.drop(table, delete=False)
        done = self._append(table, late(self.rows(_SPARE.decode())))
        self.txn.drop(spare, delete=True)
        return done

    def _append(self, table: Handle, rows: Iterable[tuple[bytes, bytes]]) -> int:
        done, left = 0, iter(rows)
        while some := list(islice(left, ROWS_AT_ONCE)):
            with self.txn.cursor(db=table) as cursor:
                cursor.putmulti(some, append=True)
            done += len(some)
        return done
