"""The durable state of one node.

Law: what `commit` returned from is on the disk, whole; what it raised from is not there at
all. Reads are short, run on any thread, and verify what they return. One thread writes.

Implements `crdt.state.State`. Lists for agents are in `lists`, changes in `feed`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from crdt.clock import Clock
from crdt.dot import ACTOR_BYTES, Actor, Dot
from crdt.log_rule import LogRule
from crdt.state import ActorRow, Batch, IdempotencyRow, Loaded, Page
from node import failpoints
from node.store.environment import (
    MAP_BYTES_DEFAULT,
    Commit,
    Environment,
    commit_transaction,
)
from node.store.erasures import (
    REWRITTEN_KEY,
    Erasures,
    Rows,
    log_begins,
    mark_erasures,
    read_erasures,
    settled,
)
from node.store.errors import BelowFloor, CorruptRecord
from node.store.feed import Feed, read_record, record_in
from node.store.lists import Lists
from node.store.mending import Mends, mends_of
from node.store.paging import read_all, read_page, read_tail
from node.store.proving import Given, digest_of
from node.store.repair import Healed, Memory, Remembered, heal
from node.store.repair_counts import recount
from node.store.rows import (
    Head,
    decode_actor,
    decode_head,
    decode_idempotency,
    key_dot,
)
from node.store.schema import TABLE_NAMES, Tables, Transaction, sealed, unseal
from node.store.scrub import Position, Scrubbed, scrub
from node.store.upkeep import (
    Truncated,
    expire_idempotency,
    flush_access,
    prune_feed,
    truncate,
)
from node.store.writing import GENESIS_KEY, HEAD_KEY, STORE_ID_KEY, Known, write_batches

T = TypeVar("T")

_STORE_ID_BYTES: Final = 8
# What one record can dirty when every table it stands in takes another page.
_PAGES_PER_RECORD_BYTES: Final = 64 * 1024


class Store:
    """One open store.

    Args:
        path: its folder; made when absent.
        entropy: gives that many random bytes; names a new store.
        map_bytes: size of the memory map.
        commit: ends a write transaction; tests put failing disks here.

    Raises:
        DowngradeRefused: a newer version wrote it; nothing was touched.
        StoreDamaged: it is no store, or cannot be read.
        CorruptRecord: its counters are damaged.
    """

    def __init__(
        self,
        path: Path,
        *,
        entropy: Callable[[int], bytes],
        map_bytes: int = MAP_BYTES_DEFAULT,
        commit: Commit = commit_transaction,
    ) -> None:
        self._env = Environment(path, map_bytes=map_bytes, commit=commit)
        self.path = path
        self.lists = Lists(self._env)
        self.feed = Feed(self._env)
        try:
            store_id = self._meta(STORE_ID_KEY)
            if store_id is None:
                store_id = entropy(_STORE_ID_BYTES)
                self._put_meta(STORE_ID_KEY, store_id)
            self.store_id = store_id.hex()
            head = self._meta(HEAD_KEY)
            stored = Head() if head is None else decode_head(head)
            self._known = Known(stored, any_gone=True, counts={})
            rows = self._env.read(self._actor_rows)
            self.erasures = Erasures(
                self._env.read(lambda txn: read_erasures(txn, self._env.tables))
            )
        except BaseException:
            self._env.close()
            raise
        self._floors = {actor: row.floor for actor, row in rows.items() if row.floor}
        self._clock = {actor: row.seq for actor, row in rows.items()}

    # -- what the core reads ------------------------------------------------------------

    def record(self, key: bytes) -> bytes | None:
        """The stored bytes of a record.

        Raises:
            CorruptRecord: they are not what was written.
        """
        found = self._env.read(lambda txn: read_record(txn, self._env.tables, key))
        try:
            return None if found is None else record_in(key, found[1])
        except CorruptRecord as error:
            self._env.on_damage(error)
            raise

    def page(self, clock: Mapping[Actor, int], limit_bytes: int) -> Page:
        """Bundles beyond a clock: governance first, then in order of arrival, never private.

        Raises:
            BelowFloor: the log no longer reaches back to that clock, or is damaged there: a
                snapshot, or another source, has what follows.
        """
        # Taken before the transaction begins, so the tables are never behind it; a dict's
        # copy is one step, whatever the writer's thread does meanwhile.
        held = self._clock.copy()
        failpoints.hit("catchup.page")
        try:
            return self._env.read(lambda txn: read_page(txn, self.tables, held, clock, limit_bytes))
        except CorruptRecord as error:
            raise BelowFloor(error.key[:ACTOR_BYTES], 0) from error

    def tail(self, actor: Actor, after: int, limit_bytes: int) -> Sequence[bytes]:
        """Bundles of one actor after a sequence number, in order; at least one if any.

        Raises:
            BelowFloor: the log no longer reaches back that far, or is damaged there.
        """
        try:
            return self._env.read(
                lambda txn: read_tail(txn, self.tables, actor, after, limit_bytes)
            )
        except CorruptRecord as error:
            raise BelowFloor(actor, after) from error

    def idempotent(self, scope: bytes) -> IdempotencyRow | None:
        """The remembered request of a scope.

        Raises:
            CorruptRecord: it is not what was written.
        """
        value = self._env.read(lambda txn: txn.get(scope, db=self._env.tables.idempotency))
        if value is None:
            return None
        try:
            return decode_idempotency(unseal("idempotency", scope, value))[0]
        except CorruptRecord as error:
            self._env.on_damage(error)
            raise

    def load(self) -> Loaded:
        """Everything that the core keeps in memory.

        Raises:
            CorruptRecord: a part of it is damaged.
        """
        genesis = self._meta(GENESIS_KEY)

        def look(txn: Transaction) -> Loaded:
            return Loaded(
                actors=self._actor_rows(txn),
                governance=read_all(txn, self._env.tables.log_governance, "log_governance"),
                pending={key_dot(key): body for key, body in self._pending_rows(txn).items()},
                digest=self.head.digest,
                arrivals=self.head.arrivals,
                genesis=genesis or b"",
            )

        return self._env.read(look)

    def load_pending(self) -> dict[bytes, bytes]:
        """Bodies of all rows held for approval, by key.

        Raises:
            CorruptRecord: one of them is damaged.
        """
        return self._env.read(self._pending_rows)

    def _pending_rows(self, txn: Transaction) -> dict[bytes, bytes]:
        rows = txn.cursor(db=self._env.tables.pending)
        return {key: unseal("pending", key, value) for key, value in rows}

    def _actor_rows(self, txn: Transaction) -> dict[Actor, ActorRow]:
        return {
            actor: decode_actor(unseal("actors", actor, value))
            for actor, value in txn.cursor(db=self._env.tables.actors)
        }

    # -- what the writer's thread does ---------------------------------------------------

    def commit(self, *batches: Batch) -> None:
        """Write batches, in their order, in one transaction that is durable on return.

        Raises:
            NoRoom: the disk is full; nothing was changed, the same call can be repeated.
            DiskError: the disk failed; this store must not be written any more.
            CorruptRecord: a counter that had to be moved is damaged; nothing was changed.
        """
        changed = sum(len(batch.records) + len(batch.bundles) for batch in batches)
        room = sum(batch.size_bytes() for batch in batches) * 2 + changed * _PAGES_PER_RECORD_BYTES

        def work(txn: Transaction) -> tuple[Known, Rows]:
            tables, before = self._env.tables, self._known
            after = write_batches(txn, tables, batches, before, self._floors)
            marked = mark_erasures(txn, tables, batches, before.head.arrivals, self.erasures)
            failpoints.hit("store.commit.written")
            return after, marked

        failpoints.hit("store.commit.before")
        known, marked = self._env.write(work, room_bytes=room)
        failpoints.hit("store.commit.synced")
        self._known = known
        self.erasures.put(marked)
        for batch in batches:
            for actor, row in batch.actors.items():
                self._clock[actor] = row.seq

    def truncate(self, rule: LogRule, now_ms: int) -> Truncated:
        """Drop bundles that nobody needs from the log, oldest arrival first."""

        def work(txn: Transaction) -> tuple[Truncated, Head]:
            marks = self.erasures.left.marks
            cut = truncate(txn, self._env.tables, self.head, rule, now_ms, marks)
            failpoints.hit("log.truncate")
            return cut

        done, head = self._env.write(work)
        self._known = self._known._replace(head=head)
        self._floors.update(done.floors)
        return done

    def expire_idempotency(self, before_ms: int) -> bool:
        """Forget remembered requests older than that; whether there are more."""
        return self._env.write(lambda txn: expire_idempotency(txn, self._env.tables, before_ms))

    def prune_feed(self, before_ms: int) -> bool:
        """Drop feed entries of records deleted before that; whether there are more."""
        return self._env.write(lambda txn: prune_feed(txn, self._env.tables, before_ms))

    def flush_access(self, touched: Mapping[bytes, tuple[int, int]]) -> None:
        """Add local read counters: {record key: (times more, last read in ms)}."""
        self._env.write(lambda txn: flush_access(txn, self._env.tables, touched))

    def settle_erasures(self, covered: Clock, held: Collection[Dot] = ()) -> int:
        """Forget erasures that are done with; see `node.store.erasures.settled`."""
        names = settled(self.erasures.rows, covered, held)

        def work(txn: Transaction) -> None:
            for name in names:
                txn.delete(name, db=self._env.tables.erasures)

        if names:
            self._env.write(work)
            self.erasures.put({}, names)
        return len(names)

    def log_begins(self) -> Mapping[bytes, int]:
        """{lane: arrival of the first bundle that its log still has}; very large when empty."""
        return self._env.read(lambda txn: log_begins(txn, self._env.tables))

    def rewritten_ms(self) -> int | None:
        """When the file was last rewritten; None for never."""
        body = self._meta(REWRITTEN_KEY)
        return None if body is None else int.from_bytes(body, "big")

    # -- the store itself ------------------------------------------------------------------

    @property
    def head(self) -> Head:
        """The counters as of the last commit."""
        return self._known.head

    @property
    def tables(self) -> Tables:
        """Handles, for those who read the whole store."""
        return self._env.tables

    @property
    def environment(self) -> Environment:
        """The environment, for those who read or copy the whole store."""
        return self._env

    def size_bytes(self) -> int:
        """Bytes of the data file in use."""
        return self._env.size_bytes()

    def map_used_ratio(self) -> float:
        """How much of the memory map is in use, 0 to 1."""
        return self._env.size_bytes() / self._env.map_bytes()

    def reader_check(self) -> int:
        """Free reader slots of dead processes; returns how many. Wanted every minute."""
        return self._env.reader_check()

    def scrub(self, after: Position, rows_max: int) -> Scrubbed:
        """Verify the next rows of the store; begin with `node.store.scrub.START`.

        For a thread of its own: nobody who reads a moment waits for it.

        Raises:
            StoreDamaged: a page on the way is not what it was.
        """
        return self._env.read_long(lambda txn: scrub(txn, self._env.tables, after, rows_max))

    def adds_up(self) -> bool:
        """Whether the weights of what is stored are the digest; true of every whole store.

        For a thread of its own, and of a store whose rows a scrub found whole.

        Raises:
            CorruptRecord: the counters are damaged.
        """

        def look(txn: Transaction) -> bool:
            value = txn.get(HEAD_KEY, db=self._env.tables.meta)
            stored = Head() if value is None else decode_head(unseal("meta", HEAD_KEY, value))
            return digest_of(txn, self._env.tables) == stored.digest

        return self._env.read_long(look)

    def rows_total(self) -> int:
        """How many rows all tables have."""
        tables = self._env.tables
        return self._env.read(
            lambda txn: sum(txn.stat(getattr(tables, name))["entries"] for name in TABLE_NAMES)
        )

    def mends(self, bad: Sequence[CorruptRecord]) -> Mends:
        """Flipped bits found again in damaged rows. Slow: for a thread of its own."""
        return self._env.read_long(lambda txn: mends_of(txn, self._env.tables, bad))

    def heal(
        self,
        bad: Sequence[CorruptRecord],
        memory: Memory,
        mends: Mends,
        given: Given | None = None,
    ) -> Healed:
        """Make damaged rows whole, as far as that can be proven. On the writer's thread.

        Args:
            bad: what a scrub found; what is whole by now is left alone.
            memory: what the running process knows.
            mends: see `mends`.
            given: what peers sent.

        Raises:
            NoRoom, DiskError: see `commit`; nothing was changed.
        """

        def work(txn: Transaction) -> Healed:
            actors = {a: row for a, row in memory.actors.items() if self._clock.get(a) == row.seq}
            known = Remembered(
                head=self.head,
                meta={STORE_ID_KEY: bytes.fromhex(self.store_id), GENESIS_KEY: memory.genesis},
                actors=actors,
                floors=self._floors,
                erasures=self.erasures.rows,
                cluster=memory.cluster,
                ops_max=memory.ops_max,
            )
            healed = heal(txn, self._env.tables, bad, known, mends, given)
            if healed.recount:
                recount(txn, self._env.tables)
            return healed

        done = self._env.write(work)
        self._known = Known(done.head, any_gone=True, counts={})
        return done

    def close(self) -> None:
        """Close it; nothing may be reading or writing."""
        self._env.close()

    def _meta(self, key: bytes) -> bytes | None:
        value = self._env.read(lambda txn: txn.get(key, db=self._env.tables.meta))
        return None if value is None else unseal("meta", key, value)

    def _put_meta(self, key: bytes, body: bytes) -> None:
        self._env.write(lambda txn: txn.put(key, sealed(key, body), db=self._env.tables.meta))
