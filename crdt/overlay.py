"""What is applied but not yet on disk.

Law: a read sees the overlay before the disk, so a node sees its own writes at once; an entry
leaves only when the batch that holds it is durable. Values that changed since the last batch
are remembered as they were, so the digest and the indexes move by the difference. Every change
of a record passes `put`, so what readers made of its last form is forgotten there. A record of
many fields, which takes long to read, stays at hand as it stands on the disk until it changes.
"""

from collections.abc import Callable, KeysView
from typing import Final

from crdt.digest import move, weight
from crdt.dot import PRIVATE, Actor, Dot
from crdt.memo import UNKNOWN, Memo
from crdt.op import Idempotency
from crdt.pending import Pending, encode_pending
from crdt.record import Record
from crdt.record_codec import decode, encode
from crdt.state import ActorRow, Batch, Change, IdempotencyRow, LoggedBundle, State
from crdt.view import Approved

_LARGE_FIELDS_MIN: Final = 24
"""Records with so many fields are kept at hand; most memories have fewer."""

_LARGE_BYTES_MAX: Final = 32 * 2**20
_FIELD_BYTES: Final = 600
"""What a field of a record takes in memory at most, besides its value."""


class Overlay:
    """Uncommitted values over a `State`, gathered into batches.

    Attributes:
        memo: what readers made of records that are on disk.
    """

    def __init__(self, state: State, digest: int, approved: Callable[[bytes], Approved]) -> None:
        self.state = state
        self._approved = approved
        self.digest = digest
        self.number = 0
        self.memo = Memo()
        self._large = Memo(_LARGE_BYTES_MAX)
        self._records: dict[bytes, tuple[int, Record | None]] = {}
        self._retries: dict[bytes, tuple[int, IdempotencyRow]] = {}
        self._before: dict[bytes, tuple[Record | None, Approved]] = {}
        self._bundles: list[LoggedBundle] = []
        self._actors: dict[Actor, ActorRow] = {}
        self._pending: dict[Dot, bytes | None] = {}
        self._fresh_retries: dict[bytes, IdempotencyRow] = {}
        self._unknown = b""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self._bundles or self._before or self._pending)

    def keys(self) -> KeysView[bytes]:
        """The keys of all uncommitted records."""
        return self._records.keys()

    def read(self, key: bytes) -> Record | None:
        """The newest record under a key."""
        return self.sized(key)[0]

    def sized(self, key: bytes) -> tuple[Record | None, int | None]:
        """The same, and how many bytes it takes on the disk; None while it is not there."""
        held = self._records.get(key)
        if held is not None:
            return held[1], None
        kept = self._large.get(key)
        if kept is not UNKNOWN:
            return kept  # type: ignore[no-any-return]  # what `_keep` put there
        changes = self._large.changes  # before anything is looked at
        data = self.state.record(key)
        if data is None:
            return None, 0
        record = decode(key, data)
        self._keep(key, record, len(data), changes)
        return record, len(data)

    def forget(self) -> None:
        """The disk holds something else than was read there: remember nothing of it."""
        self.memo = Memo()
        self._large = Memo(_LARGE_BYTES_MAX)

    def _keep(self, key: bytes, record: Record, size: int, changes: int) -> None:
        """Keep a record as it stands on the disk at hand, if it takes long to read."""
        if record.origin is None and len(record.fields) >= _LARGE_FIELDS_MIN:
            weighed = size + _FIELD_BYTES * len(record.fields)
            self._large.keep(key, (record, size), weighed, changes)

    def put(self, key: bytes, before: Record | None, after: Record | None) -> None:
        """Change a record that now is `before` into `after`."""
        self.memo.drop(key)
        self._large.drop(key)
        if key not in self._before:
            self._before[key] = (before, self._approved(key))
        self._records[key] = (self.number, after)

    def put_pending(self, dot: Dot, before: Pending | None, after: Pending) -> None:
        """Change a pending operation; it is part of the digest like a record."""
        key = pending_key(dot)
        data = encode_pending(after)
        old = weight(key, encode_pending(before)) if before else 0
        self.digest = move(self.digest, old, weight(key, data))
        self._pending[dot] = data

    def log(self, bundle: LoggedBundle, row: ActorRow) -> None:
        """Append a bundle to the log and move its actor."""
        self._bundles.append(bundle)
        self._actors[bundle.actor] = row

    def remembered(self, scope: bytes) -> IdempotencyRow | None:
        """An earlier request of a scope, committed or not."""
        held = self._retries.get(scope)
        if held is not None:
            return held[1]
        # Whoever asks about a request remembers it next: what was not there then is not now.
        if scope == self._unknown:
            return None
        row = self.state.idempotent(scope)
        if row is None:
            self._unknown = scope
        return row

    def remember(self, mark: Idempotency, dot: Dot) -> None:
        """Note that a request made an operation; the first body under a key stays."""
        held = self.remembered(mark.scope)
        if held is not None and held.body != mark.body:
            return
        row = IdempotencyRow(mark.body, (*held.dots, dot) if held else (dot,))
        self._unknown = b""
        self._retries[mark.scope] = (self.number, row)
        self._fresh_retries[mark.scope] = row

    def take(self, now_ms: int, genesis: bytes | None) -> Batch:
        """Everything that changed since the last call, as one transaction."""
        records = {}
        for key, (before, approved) in self._before.items():
            after = self._records[key][1]
            # What came and went within the batch is told too: it may stand on the disk until an
            # earlier batch is there, its id is known from now on, and its entry leaves with it.
            change = _change(key, before, after, (approved, self._approved(key)))
            if key[:1] != PRIVATE:
                self.digest = move(self.digest, before.weight if before else 0, change.weight)
            records[key] = change
        batch = Batch(
            number=self.number,
            bundles=tuple(self._bundles),
            actors=self._actors,
            records=records,
            pending=self._pending,
            idempotency=self._fresh_retries,
            digest=self.digest,
            now_ms=now_ms,
            genesis=genesis,
        )
        self.number += 1
        self._before, self._bundles, self._actors = {}, [], {}
        self._pending, self._fresh_retries = {}, {}
        return batch

    def committed(self, batch: Batch) -> None:
        """The batch is on disk: its values may be read there."""
        for key, change in batch.records.items():
            held = self._records.get(key)
            if held is not None and held[0] <= batch.number:
                del self._records[key]
                if held[1] is not None:
                    size = len(change.data or b"")
                    self._keep(key, held[1], size, self._large.changes)
        for scope in batch.idempotency:
            kept = self._retries.get(scope)
            if kept is not None and kept[0] <= batch.number:
                del self._retries[scope]


def _change(
    key: bytes, before: Record | None, after: Record | None, approved: tuple[Approved, Approved]
) -> Change:
    if after is None:
        return Change(before, None, None, 0, approved[0])
    data = encode(after)
    weighed = after.weight = weight(key, data)
    return Change(before, after, data, weighed, *approved)


def pending_key(dot: Dot) -> bytes:
    """The key under which a pending operation counts in the digest."""
    return b"!%b%b" % (dot.actor, dot.seq.to_bytes(8, "big"))
