"""What was erased and may still leave bytes: the durable mark of every erasure.

Law: a row is written in the transaction that applies the erasing delete, so no crash forgets
one. It names the last bundle, in order of arrival, that holds an operation on the record: a
bundle that arrives later (a concurrent edit, the seal of a held delete) moves it. A row goes
when nothing can move it any more and the file was rewritten after the log was clear of it.

A row stands under the name of its record and holds, as msgpack: lane, arrival (0: there is
nothing of it here), local time (ms), whether the file was rewritten since the log was clear,
and the dots of the deletes.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgpack

from crdt.clock import Clock
from crdt.dot import DATA, PRIVATE, Dot
from crdt.op import ERASE, Kind, Op, record_key
from crdt.op_codec import OpError, decode_ops
from crdt.state import Batch, LoggedBundle
from node.store.schema import LOG_NAMES, Tables, Transaction, name_of, sealed, unseal

_pack: Final = msgpack.Packer(use_bin_type=True, autoreset=True).pack
_HINT: Final = msgpack.packb({ERASE: True})
"""The fields of an erasing delete as a bundle has them: nothing else is worth decoding for."""

_OPS_PLACE: Final = 5
REWRITTEN_KEY: Final = b"rewritten"
_NOTHING: Final = 2**64 - 1


class Erasure(NamedTuple):
    """One erased record that may still leave bytes here."""

    lane: bytes
    arrival: int
    ms: int
    rewritten: bool
    dots: tuple[Dot, ...]


class Left(NamedTuple):
    """All erasures of a store at one look.

    Attributes:
        total: how many.
        unwritten: how many of them since whose clearance the file was not rewritten.
        oldest_ms: when the first of those arrived here; None when there are none.
        marks: {lane: arrival through which its log must go}.
        dots: {actor: the last erasing delete of its line}; of the shared lane alone.
    """

    total: int
    unwritten: int
    oldest_ms: int | None
    marks: Mapping[bytes, int]
    dots: Clock


Rows = dict[bytes, Erasure]
NOTHING_LEFT: Final = Left(0, 0, None, {}, {})


class Erasures:
    """The erasures of one store, as its table has them. Written by the writer's thread.

    Attributes:
        seen: {actor: the last erasing delete of its line} since the store was opened; what is
            done with stays in it.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = dict(rows)
        self._left = NOTHING_LEFT
        self.seen: Clock = {}
        self._look()

    def __contains__(self, name: bytes) -> bool:
        return name in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, name: bytes) -> Erasure | None:
        """The row of a record."""
        return self._rows.get(name)

    @property
    def rows(self) -> Mapping[bytes, Erasure]:
        """All rows by the name of their record; for the writer's thread."""
        return self._rows

    @property
    def left(self) -> Left:
        """What is left to do; from any thread."""
        return self._left

    def put(self, rows: Mapping[bytes, Erasure], gone: Collection[bytes] = ()) -> None:
        """What a transaction wrote; it is durable."""
        if not rows and not gone:
            return
        before = [self._rows.get(name) for name in rows]
        self._rows.update(rows)
        dropped = [self._rows.pop(name) for name in gone if name in self._rows]
        if dropped or any(row is not None and not row.rewritten for row in before):
            self._look()
        elif rows:
            self._left = self._with(self._left, rows.values())

    def _look(self) -> None:
        self._left = self._with(NOTHING_LEFT, self._rows.values())

    def _with(self, left: Left, rows: Iterable[Erasure]) -> Left:
        """What is left with these rows too; none of them was counted as unwritten before."""
        marks, dots = dict(left.marks), dict(left.dots)
        unwritten, oldest = left.unwritten, left.oldest_ms
        for row in rows:
            marks[row.lane] = max(marks.get(row.lane, 0), row.arrival)
            if not row.rewritten:
                unwritten += 1
                oldest = row.ms if oldest is None else min(oldest, row.ms)
            for actor, seq in row.dots:
                dots[actor] = max(dots.get(actor, 0), seq)
                self.seen[actor] = max(self.seen.get(actor, 0), seq)
        return Left(len(self._rows), unwritten, oldest, marks, dots)


def read_erasures(txn: Transaction, tables: Tables) -> Rows:
    """The table.

    Raises:
        CorruptRecord: a row is damaged.
    """
    return {
        name: decode_erasure(unseal("erasures", name, value))
        for name, value in txn.cursor(db=tables.erasures)
    }


def encode_erasure(row: Erasure) -> bytes:
    """The stored form."""
    flat = [part for dot in row.dots for part in dot]
    packed: bytes = _pack([row.lane, row.arrival, row.ms, row.rewritten, flat])
    return packed


def decode_erasure(body: bytes) -> Erasure:
    """A row as stored."""
    lane, arrival, ms, rewritten, flat = msgpack.unpackb(body)
    dots = tuple(Dot(a, n) for a, n in zip(flat[::2], flat[1::2], strict=True))
    return Erasure(lane, arrival, ms, rewritten, dots)


def put_erasures(txn: Transaction, tables: Tables, rows: Mapping[bytes, Erasure]) -> None:
    """Store rows."""
    for name, row in rows.items():
        txn.put(name, sealed(name, encode_erasure(row)), db=tables.erasures)


def erasing(bundle: LoggedBundle) -> Sequence[Op]:
    """The erasing deletes in a bundle. Costs one search through its bytes when there are none."""
    if _HINT not in bundle.data or bundle.actor[:1] not in {DATA, PRIVATE}:
        return ()
    try:
        body = msgpack.unpackb(bundle.data)[_OPS_PLACE]
        ops = decode_ops(body, bundle.actor, bundle.first)
    except (OpError, ValueError, TypeError, IndexError):
        return ()  # not written by the core: what it takes was decoded before
    return [op for op in ops if op.kind is Kind.DELETE and op.set.get(ERASE)]


def mark_erasures(
    txn: Transaction, tables: Tables, batches: Sequence[Batch], arrivals: int, held: Erasures
) -> Rows:
    """Put and move the marks for what batches bring; returns the rows that changed.

    Args:
        txn: the transaction that writes the batches.
        tables: handles.
        batches: in their order.
        arrivals: how many bundles had arrived before them.
        held: the rows before.
    """
    changed: Rows = {}
    for batch in batches:
        for bundle in batch.bundles:
            arrivals += 1
            for op in erasing(bundle):
                lane = bundle.actor[:1]
                key = record_key(lane, op.collection, op.id)
                txn.delete(key, db=tables.access)  # else its id would stay there
                name = name_of(key)
                before = changed.get(name) or held.get(name)
                dots = (op.dot,) if lane == DATA else ()
                kept = before.dots if before is not None else ()
                changed[name] = Erasure(lane, arrivals, batch.now_ms, False, (*kept, *dots))
            if changed or len(held):
                _move(changed, held, map(name_of, bundle.keys), arrivals)
        if changed or len(held):
            # What changed without an operation of its own: a held delete that is approved now.
            _move(changed, held, map(name_of, batch.records), arrivals)
    put_erasures(txn, tables, changed)
    return changed


def _move(changed: Rows, held: Erasures, names: Iterable[bytes], arrival: int) -> None:
    for name in names:
        row = changed.get(name) or held.get(name)
        if row is not None and row.arrival < arrival:
            changed[name] = row._replace(arrival=arrival, rewritten=False)


def log_begins(txn: Transaction, tables: Tables) -> dict[bytes, int]:
    """The arrival of the first bundle that each lane's log still has."""
    out = {}
    for lane in (DATA, PRIVATE):
        with txn.cursor(db=getattr(tables, LOG_NAMES[lane])) as cursor:
            there = cursor.first()
            out[lane] = int.from_bytes(cursor.key(), "big") if there else _NOTHING
    return out


def is_clear(row: Erasure, begins: Mapping[bytes, int]) -> bool:
    """Whether the log holds nothing of an erased record any more."""
    return row.arrival < begins[row.lane]


def settled(
    rows: Mapping[bytes, Erasure], covered: Clock, held: Collection[Dot] = ()
) -> list[bytes]:
    """Names of rows that are done with: rewritten, and nothing can come that moves them.

    Args:
        rows: all.
        covered: erasing deletes up to which no concurrent operation is under way any more.
        held: operations that wait for approval: what they delete lives until they are sealed.
    """
    return [
        name
        for name, row in rows.items()
        if row.rewritten
        and all(covered.get(dot.actor, 0) >= dot.seq and dot not in held for dot in row.dots)
    ]
