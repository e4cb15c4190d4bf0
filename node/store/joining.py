"""A store built from two: one's own, and a snapshot of a peer that is ahead.

Law: the join keeps what both hold, and what one holds and the other's clock has never seen
(optimized add-wins sets; see `crdt.record.join`). The own store is only read; the result is a
new store under a new id, whole and verified before anybody may swap to it. Where the snapshot
overtook an actor, that actor's log is gone and its floor is its end; governance logs are
united; the private lane is carried over untouched.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from crdt.clock import Clock, ahead, shared
from crdt.digest import move, weight
from crdt.dot import DATA, GOVERNANCE, PRIVATE, Actor, Dot
from crdt.overlay import pending_key
from crdt.pending import Pending, decode_pending, encode_pending
from crdt.pending_table import PendingTable
from crdt.record import Record, join
from crdt.record_codec import decode, encode
from crdt.state import ActorRow, LoggedBundle
from node.store.adopting import Adoption, Progress
from node.store.environment import MAP_BYTES_DEFAULT, Environment
from node.store.erasures import Erasure, Rows, encode_erasure, read_erasures
from node.store.errors import JoinRefused
from node.store.feed import read_entry_key, walk_records
from node.store.filling import Filler
from node.store.incoming import Incoming
from node.store.rows import (
    decode_entry,
    decode_idempotency,
    dot_key,
    encode_actor,
    encode_entry,
    encode_idempotency,
    key_dot,
)
from node.store.schema import LOG_NAMES, name_of, number, sealed, unseal
from node.store.store import Store

_PROGRESS_ROWS: Final = 1_000

Mine = tuple[int, bytes]
"""A record of the own store: the arrival of its last change, its canonical bytes."""


class Joiner(Protocol):
    """How two states become one; the core knows."""

    def record(self, mine: Record | None, theirs: Record | None) -> Record | None:
        """The joined record under one key."""
        ...

    def pending(self, mine: bytes | None, theirs: bytes | None) -> bytes | None:
        """The joined row of one pending operation."""
        ...


@dataclass(frozen=True, slots=True)
class DottedJoin:
    """The join of two states at two clocks."""

    my_clock: Mapping[Actor, int]
    their_clock: Mapping[Actor, int]

    def record(self, mine: Record | None, theirs: Record | None) -> Record | None:
        """The dotted join."""
        return join(mine, theirs, self.my_clock, self.their_clock)

    def pending(self, mine: bytes | None, theirs: bytes | None) -> bytes | None:
        """The union of the votes; a pending operation is never forgotten."""
        if mine is None or theirs is None or mine == theirs:
            return mine if theirs is None else theirs
        return encode_pending(decode_pending(mine).joined(decode_pending(theirs)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A finished join, closed and on the disk.

    Attributes:
        path: its folder, ready for `folder.swap`.
        clock: what it covers.
        digest: of its state.
        records: how many it holds.
    """

    path: Path
    clock: Clock
    digest: int
    records: int


def build_join(
    own: Store,
    incoming: Incoming,
    target: Path,
    *,
    entropy: Callable[[int], bytes],
    now_ms: int,
    joiner: Joiner | None = None,
    progress: Progress = lambda _: None,
    map_bytes: int = MAP_BYTES_DEFAULT,
) -> Built:
    """Join a received snapshot with the own store into a new store. For a thread of its own.

    The own store must not be written meanwhile: its committer is drained and closed.

    Args:
        own: the live store; only read.
        incoming: a complete snapshot.
        target: the folder to build in; must not exist.
        entropy: names the new store.
        now_ms: local time.
        joiner: how rows are joined; by their dots unless given.
        progress: told how many records are done.
        map_bytes: size of the new store's map.

    Raises:
        JoinRefused: the snapshot does not add up, has nothing new, or the result does not
            have the digest that it must have; nothing was changed.
        NoRoom, DiskError: the disk; nothing was changed.
    """
    loaded = own.load()
    if joiner is None and not own.head.arrivals and not loaded.actors:
        return _adopt(incoming, target, entropy, now_ms, progress, loaded.genesis)
    promised = incoming.verify()
    mine, theirs = loaded.actors, incoming.actors()
    my_clock = {actor: row.seq for actor, row in mine.items()}
    their_clock = {actor: row.seq for actor, row in theirs.items()}
    if not ahead(their_clock, my_clock):
        # At equal clocks a join would turn damage on one side into deletions on both.
        raise JoinRefused("the snapshot holds nothing that is not here already")
    try:
        with Filler(target, entropy=entropy, now_ms=now_ms, map_bytes=map_bytes) as filler:
            work = _Join(
                own, incoming, filler, joiner or DottedJoin(my_clock, their_clock), progress
            )
            actors = work.actors(mine, theirs)
            work.pendings()
            work.logs(mine, {actor for actor in actors if actors[actor] is not mine.get(actor)})
            work.records()
            work.gone()
            work.small_rows(now_ms)
            work.erasures(now_ms)
            clock = {actor: row.seq for actor, row in actors.items()}
            if shared(clock) == their_clock:
                _check_digest(filler.digest, promised)
            filler.finish(loaded.genesis or incoming.genesis)
            return Built(path=target, clock=clock, digest=filler.digest, records=filler.records)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _adopt(
    incoming: Incoming,
    target: Path,
    entropy: Callable[[int], bytes],
    now_ms: int,
    progress: Progress,
    genesis: bytes,
) -> Built:
    """The join with nothing: what was received becomes the store, where it is."""
    adoption = Adoption(
        incoming, entropy=entropy, now_ms=now_ms, progress=progress, genesis=genesis
    )
    clock = adoption.run()
    incoming.close()
    incoming.path.rename(target)
    return Built(path=target, clock=clock, digest=adoption.digest, records=adoption.records)


def _check_digest(found: int, promised: int) -> None:
    if found != promised:
        raise JoinRefused(
            "the join does not have the digest of the snapshot that covers it",
            why=f"{found:032x} is not {promised:032x}",
        )


class _Join:
    """The steps of one join, in order."""

    def __init__(
        self, own: Store, incoming: Incoming, filler: Filler, joiner: Joiner, progress: Progress
    ) -> None:
        self._own = own.environment
        self._theirs = incoming.environment
        self._incoming = incoming
        self._filler = filler
        self._joiner = joiner
        self._table = PendingTable({})
        self._progress = progress
        self._vanished: set[bytes] = set()
        self._was_empty = not own.head.arrivals

    def actors(
        self, mine: Mapping[Actor, ActorRow], theirs: Mapping[Actor, ActorRow]
    ) -> dict[Actor, ActorRow]:
        """Per actor the row that is further; the log of who was overtaken is gone."""
        out: dict[Actor, ActorRow] = dict(mine)
        for actor, row in theirs.items():
            held = mine.get(actor)
            if held is not None and held.seq == row.seq and held.hash != row.hash:
                raise JoinRefused("two bundles of one actor have the same place: a fork")
            if held is None or held.seq < row.seq:
                floor = 0 if actor[:1] == GOVERNANCE else row.seq
                out[actor] = ActorRow(row.seq, row.hash, row.heads, floor)
        for actor, row in out.items():
            self._filler.put("actors", actor, sealed(actor, encode_actor(row, row.floor)))
        return out

    def logs(self, mine: Mapping[Actor, ActorRow], overtaken: set[Actor]) -> None:
        """The own log without overtaken data actors, then the governance that was missing."""
        for lane in (GOVERNANCE, DATA, PRIVATE):
            name = LOG_NAMES[lane]
            for at, value in self._own.walk(name):
                entry = decode_entry(name, at, value)
                if lane != DATA or entry.actor not in overtaken:
                    self._filler.log(lane, at, value, entry.actor, entry.last)
        for at, value in self._theirs.walk("log_governance"):
            entry = decode_entry("log_governance", at, value)
            held = mine.get(entry.actor)
            if held is None or entry.first > held.seq:
                bundle = LoggedBundle(entry.actor, entry.first, entry.last, entry.data, ())
                fresh = number(self._filler.next_arrival())
                again = sealed(fresh, encode_entry(bundle, self._filler.now_ms, b""))
                self._filler.log(GOVERNANCE, fresh, again, entry.actor, entry.last)

    def pendings(self) -> None:
        """Pending operations with the votes of both sides; what is listed depends on them."""
        ours = {
            key_dot(key): unseal("pending", key, value) for key, value in self._own.walk("pending")
        }
        received = self._incoming.pending()
        joined: dict[Dot, Pending] = {}
        for dot in ours.keys() | received.keys():
            data = self._joiner.pending(ours.get(dot), received.get(dot))
            if data is not None:
                joined[dot] = decode_pending(data)
                self._pending(dot, data)
        self._table = PendingTable(joined)

    def records(self) -> None:
        """Both record tables, merged in order of key."""
        for done, (key, mine, theirs) in enumerate(
            _merged(walk_records(self._own), self._incoming.records()), 1
        ):
            self._record(key, mine, theirs)
            if done % _PROGRESS_ROWS == 0:
                self._progress(done)

    def _record(self, key: bytes, mine: Mine | None, their_data: bytes | None) -> None:
        arrival, my_data = (0, None) if mine is None else mine
        if my_data is not None and (my_data == their_data or key[:1] == PRIVATE):
            # Equal on both sides, or never shared: nothing to join.
            self._keep(key, my_data, arrival)
            return
        joined = self._joiner.record(
            None if my_data is None else decode(key, my_data),
            None if their_data is None else decode(key, their_data),
        )
        if joined is not None:
            self._keep(key, encode(joined), arrival)
        elif my_data is not None:
            self._filler.gone(key, arrival)
            self._vanished.add(name_of(key))

    def _keep(self, key: bytes, data: bytes, arrival: int) -> None:
        self._filler.record(key, data, arrival, self._table.approved(key))

    def gone(self) -> None:
        """Records that were deleted here before stay in the feed as gone."""
        for at, name in self._own.walk("gone"):
            key = self._own.read(lambda txn, at=at: read_entry_key(txn, self._own.tables, at))  # type: ignore[misc]  # bound now
            if key is not None and not self._filler.holds(key, name):
                self._filler.gone(key, 0)

    def small_rows(self, now_ms: int) -> None:
        """Remembered requests, local read counters."""
        for scope, value in self._theirs.walk("idempotency"):
            row, _ = decode_idempotency(unseal("idempotency", scope, value))
            self._filler.request(scope, encode_idempotency(row, now_ms), now_ms)
        for scope, value in self._own.walk("idempotency"):
            body = unseal("idempotency", scope, value)
            self._filler.request(scope, body, decode_idempotency(body)[1])
        for key, value in self._own.walk("access"):
            self._filler.put("access", key, sealed(key, unseal("access", key, value)))

    def erasures(self, now_ms: int) -> None:
        """Erasures of both sides, and what vanished in this join.

        The delete of that was never seen here, so nobody knows whether it was an erasing one;
        the own log may hold what it deleted, so it goes as if it had been.
        """
        theirs = self._read_erasures(self._theirs)
        mine = self._read_erasures(self._own)
        for name in mine.keys() | theirs.keys() | self._vanished:
            held, told = mine.get(name), theirs.get(name)
            if held is not None and told is None and name not in self._vanished:
                row = held
            else:
                dots = {dot for one in (held, told) if one is not None for dot in one.dots}
                row = Erasure(
                    DATA,
                    self._filler.next_arrival() - 1,
                    now_ms if held is None else held.ms,
                    self._was_empty,  # else the old file and the log may hold something
                    tuple(sorted(dots)),
                )
            self._filler.put("erasures", name, sealed(name, encode_erasure(row)))

    @staticmethod
    def _read_erasures(env: Environment) -> Rows:
        return env.read(lambda txn: read_erasures(txn, env.tables))

    def _pending(self, dot: Dot, data: bytes) -> None:
        key = dot_key(dot)
        self._filler.put("pending", key, sealed(key, data))
        if dot.actor[:1] != PRIVATE:
            self._filler.digest = move(self._filler.digest, 0, weight(pending_key(dot), data))


def _merged(
    mine: Iterator[tuple[bytes, int, bytes]], theirs: Iterator[tuple[bytes, bytes]]
) -> Iterator[tuple[bytes, Mine | None, bytes | None]]:
    """Two tables in order of key as one: key, own arrival and data, their data."""
    left, right = next(mine, None), next(theirs, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left[0] < right[0]):
            assert left is not None  # noqa: S101 - one of the two is there
            yield left[0], left[1:], None
            left = next(mine, None)
        elif left is None or right[0] < left[0]:
            yield right[0], None, right[1]
            right = next(theirs, None)
        else:
            yield left[0], left[1:], right[1]
            left, right = next(mine, None), next(theirs, None)
