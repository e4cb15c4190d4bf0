"""The operations in the log, verified line by line.

Law: a line of operations holds when its bundles follow each other without a gap from the floor
to the actor's row, each names the hash of the one before, and each is signed by the node that
the actor names. Reading is cut into short pieces, so a node that runs is not held up, and
changes nothing. What is first wrong is named by actor and sequence number.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol, TypeVar

import lmdb

from crdt.bundle import NO_PREV, Bundle, BundleError, read_bundle
from crdt.dot import ACTOR_BYTES, GOVERNANCE, Actor, NodeId, actor_text, node_of
from crdt.op import Kind
from crdt.state import ActorRow
from node.audit.chain import Verify
from node.audit.heads import ActorHead
from node.store import CorruptRecord
from node.store.paging import read_entry
from node.store.rows import LogEntry, decode_actor, decode_entry
from node.store.schema import LOG_NAMES, Tables, Transaction, number, unseal
from transport.identity import node_id_of

T = TypeVar("T")

OPS_MAX: Final = 1_000_000
_CHUNK_BUNDLES: Final = 32
_CHUNK_BYTES: Final = 256 * 1024


class Reading(Protocol):
    """A store that can be read in short pieces."""

    @property
    def tables(self) -> Tables:
        """Handles."""
        ...

    def read(self, look: Callable[[Transaction], T]) -> T:
        """Run a short look at one consistent state."""
        ...


class BadOp(NamedTuple):
    """The first place in the log that does not hold.

    `actor` is the printable form, or the name of a table where no actor can be told.
    """

    actor: str
    seq: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpsVerdict:
    """What verifying the log gave.

    Attributes:
        actors: lines of operations.
        bundles: bundles that hold.
        operations: operations in them.
        truncated: operations that are no longer in the log.
        first_bad: what does not hold.
    """

    actors: int = 0
    bundles: int = 0
    operations: int = 0
    truncated: int = 0
    first_bad: BadOp | None = None


class _Wrong(Exception):  # noqa: N818 - it is not an error of the program
    def __init__(self, seq: int, reason: str) -> None:
        super().__init__(reason)
        self.seq = seq
        self.reason = reason


@dataclass(slots=True)
class _Line:
    """One actor while it is walked: the end and the hash of its last bundle."""

    actor: Actor
    last: int = 0
    prev: bytes | None = NO_PREV
    row: ActorRow | None = None
    bundles: int = 0


@dataclass(slots=True, kw_only=True)
class OpsWalk:
    """Verifies a log.

    Attributes:
        store: where it is read.
        cluster: the cluster hash that signatures are bound to.
        keys: public keys by node.
        verify: Ed25519.
        claims: ends of lines that others have countersigned.
        step: told after each piece how many bundles it had; may pause.
    """

    store: Reading
    cluster: bytes
    keys: Mapping[NodeId, bytes]
    verify: Verify
    claims: Sequence[ActorHead] = ()
    step: Callable[[int], None] = lambda _bundles: None
    bundles: int = 0
    operations: int = 0
    truncated: int = 0
    _claimed: dict[Actor, dict[int, bytes]] = field(default_factory=dict)

    def run(self) -> OpsVerdict:
        """Verify every line."""
        for claim in self.claims:
            self._claimed.setdefault(claim.actor, {})[claim.seq] = claim.hash
        actors: list[Actor] = []
        bad: BadOp | None = None
        try:
            actors = self._actors()
            for actor in actors:
                bad = self._line(actor)
                if bad is not None:
                    break
        except CorruptRecord as error:
            bad = BadOp(error.table, 0, "checksum_does_not_hold")
        except lmdb.Error:
            bad = BadOp("store", 0, "page_damaged")
        return OpsVerdict(
            actors=len(actors),
            bundles=self.bundles,
            operations=self.operations,
            truncated=self.truncated,
            first_bad=bad,
        )

    def _actors(self) -> list[Actor]:
        """Every actor that has a row, or bundles, or was countersigned; governance first."""

        def look(txn: Transaction) -> set[Actor]:
            known = {key for key, _ in txn.cursor(db=self.store.tables.actors)}
            index = txn.cursor(db=self.store.tables.log_index)
            there = index.first()
            while there:
                actor = index.key()[:ACTOR_BYTES]
                known.add(actor)
                there = index.set_range(actor + b"\xff" * 9)
            return known

        found = self.store.read(look) | self._claimed.keys()
        return sorted(found, key=lambda actor: (actor[:1] != GOVERNANCE, actor))

    def _line(self, actor: Actor) -> BadOp | None:
        line = _Line(actor)
        try:
            while self._piece(line):
                pass
            self._end(line)
        except CorruptRecord:
            return BadOp(actor_text(actor), line.last + 1, "checksum_does_not_hold")
        except _Wrong as wrong:
            return BadOp(actor_text(actor), wrong.seq, wrong.reason)
        return None

    def _piece(self, line: _Line) -> bool:
        """Verify some more bundles of a line; whether there may be more."""
        line.row, entries, damaged = self.store.read(lambda txn: self._read(txn, line))
        for entry in entries:
            self._bundle(line, entry)
        if damaged:
            raise _Wrong(line.last + 1, "checksum_does_not_hold")
        self.step(len(entries))
        return bool(entries)

    def _read(self, txn: Transaction, line: _Line) -> tuple[ActorRow | None, list[LogEntry], bool]:
        """The actor's row, its next bundles, and whether the one after them is damaged."""
        tables, actor = self.store.tables, line.actor
        value = txn.get(actor, db=tables.actors)
        row = None if value is None else decode_actor(unseal("actors", actor, value))
        entries: list[LogEntry] = []
        size = 0
        for at, last in _following(txn, tables, actor, line.last):
            try:
                entries.append(read_entry(txn, tables, at, actor, last))
            except CorruptRecord:
                return row, entries, True
            size += len(entries[-1].data)
            if len(entries) >= _CHUNK_BUNDLES or size >= _CHUNK_BYTES:
                break
        return row, entries, False

    def _bundle(self, line: _Line, entry: LogEntry) -> None:
        self._begin(line, entry)
        bundle = self._decoded(line, entry)
        if line.prev is not None and bundle.prev != line.prev:
            raise _Wrong(bundle.first, "prev_does_not_match")
        key = self.keys.get(node_of(line.actor))
        if key is None:
            raise _Wrong(bundle.first, "author_unknown")
        if not self.verify(key, bundle.signed, bundle.signature):
            raise _Wrong(bundle.first, "signature_does_not_hold")
        claimed = self._claimed.get(line.actor, {}).get(bundle.last)
        if claimed is not None and claimed != bundle.hash:
            raise _Wrong(bundle.last, "countersigned_otherwise")
        line.last, line.prev = bundle.last, bundle.hash
        line.bundles += 1
        self.bundles += 1
        self.operations += len(bundle.ops)

    def _begin(self, line: _Line, entry: LogEntry) -> None:
        """A gap is right only below the floor: there the log was truncated."""
        if entry.first == line.last + 1:
            return
        floor = line.row.floor if line.row is not None else 0
        if entry.first <= line.last or entry.first > floor + 1:
            raise _Wrong(line.last + 1, "bundles_missing")
        self.truncated += entry.first - 1 - line.last
        line.last, line.prev = entry.first - 1, None

    def _decoded(self, line: _Line, entry: LogEntry) -> Bundle:
        try:
            bundle = read_bundle(entry.data, cluster=self.cluster, ops_max=OPS_MAX)
        except BundleError as error:
            raise _Wrong(entry.first, error.reason) from error
        if (bundle.actor, bundle.first, bundle.last) != (line.actor, entry.first, entry.last):
            raise _Wrong(entry.first, "another_bundle")
        return bundle

    def _end(self, line: _Line) -> None:
        """A line ends where the actor's row says, and not before what others have seen."""
        row = line.row
        if row is None:
            raise _Wrong(1, "cut_off" if not line.bundles else "row_missing")
        if line.last < row.seq:
            if row.floor < row.seq:
                raise _Wrong(line.last + 1, "bundles_missing")
            self.truncated += row.seq - line.last
        elif line.last > row.seq:
            raise _Wrong(row.seq + 1, "beyond_its_row")
        elif line.prev is not None and line.prev != row.hash:
            raise _Wrong(row.seq, "row_does_not_match")
        for seq, digest in sorted(self._claimed.get(line.actor, {}).items()):
            if seq > row.seq:
                raise _Wrong(row.seq + 1, "cut_off")
            if seq == row.seq and digest != row.hash:
                raise _Wrong(seq, "countersigned_otherwise")


def _following(
    txn: Transaction, tables: Tables, actor: Actor, after: int
) -> Iterator[tuple[bytes, int]]:
    """(arrival, last) of an actor's bundles that end after a sequence number."""
    index = txn.cursor(db=tables.log_index)
    there = index.set_range(actor + number(after + 1))
    while there and index.key()[:ACTOR_BYTES] == actor:
        key, at = index.item()
        yield at, int.from_bytes(key[ACTOR_BYTES:], "big")
        there = index.next()


def member_keys(bundles: Iterable[Bundle]) -> dict[NodeId, bytes]:
    """Public keys that membership operations name; a node id is the hash of its key."""
    keys: dict[NodeId, bytes] = {}
    for bundle in bundles:
        for op in bundle.ops:
            key = op.set.get("key")
            if op.kind in {Kind.FOUND, Kind.ADD} and isinstance(key, bytes):
                keys[node_id_of(key)] = key
    return keys


def governance_bundles(store: Reading, cluster: bytes) -> list[Bundle]:
    """The governance log, as far as it can be read."""
    name = LOG_NAMES[GOVERNANCE]

    def look(txn: Transaction) -> list[tuple[bytes, bytes]]:
        return list(txn.cursor(db=store.tables.log_governance))

    out = []
    for key, value in store.read(look):
        try:
            data = decode_entry(name, key, value).data
            out.append(read_bundle(data, cluster=cluster, ops_max=OPS_MAX))
        except (CorruptRecord, BundleError):
            continue  # the walk over the lines says where
    return out
