"""A durable state kept in memory.

Law: the same promises as the store on disk, and the same contract tests: a batch is applied
whole or not at all, pages come in a causal order, nothing below the floor is served. The
simulator runs on it; so does anything that wants a replica without a disk.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgpack

from crdt.bundle import read_bundle
from crdt.clock import Clock
from crdt.digest import move, weight
from crdt.dot import DATA, GOVERNANCE, PRIVATE, Actor, Dot
from crdt.log_rule import LogRule
from crdt.overlay import pending_key
from crdt.pending import decode_pending, encode_pending
from crdt.record import join
from crdt.record_codec import decode, encode
from crdt.state import (
    ActorRow,
    Batch,
    BelowFloorError,
    IdempotencyRow,
    Loaded,
    LoggedBundle,
    Page,
)


class MemoryState:
    """Implements `crdt.state.State` over dictionaries."""

    def __init__(self) -> None:
        self.records: dict[bytes, bytes] = {}
        self.actors: dict[Actor, ActorRow] = {}
        self.log: dict[Actor, list[tuple[int, LoggedBundle]]] = {}
        self.pending: dict[Dot, bytes] = {}
        self.idempotency: dict[bytes, IdempotencyRow] = {}
        self.digest = 0
        self.arrivals = 0
        self.genesis = b""

    # --- State -------------------------------------------------------------------

    def record(self, key: bytes) -> bytes | None:
        """The stored bytes of a record."""
        return self.records.get(key)

    def page(self, clock: Mapping[Actor, int], limit_bytes: int) -> Page:
        """Bundles beyond a clock: governance first, then in order of arrival.

        Raises:
            BelowFloorError: the log was cut below what the clock lacks.
        """
        for actor, row in self.actors.items():
            if actor[:1] != PRIVATE and row.floor > clock.get(actor, 0):
                raise BelowFloorError("the log no longer reaches back that far")
        missing = [
            (actor[:1] != GOVERNANCE, arrival, bundle.data)
            for actor, entries in self.log.items()
            if actor[:1] != PRIVATE
            for arrival, bundle in entries
            if bundle.last > clock.get(actor, 0)
        ]
        missing.sort(key=lambda item: item[:2])
        out: list[bytes] = []
        size = 0
        for _, _, data in missing:
            if out and size + len(data) > limit_bytes:
                return Page(out, complete=False)
            out.append(data)
            size += len(data)
        return Page(out, complete=True)

    def tail(self, actor: Actor, after: int, limit_bytes: int) -> list[bytes]:
        """Bundles of one actor after a sequence number, in order, stopping past the limit.

        Raises:
            BelowFloorError: the log was cut above that place.
        """
        row = self.actors.get(actor)
        if row is not None and row.floor > after:
            raise BelowFloorError("the log no longer reaches back that far")
        out: list[bytes] = []
        size = 0
        for _, bundle in self.log.get(actor, ()):
            if bundle.last > after and size <= limit_bytes:
                out.append(bundle.data)
                size += len(bundle.data)
        return out

    def idempotent(self, scope: bytes) -> IdempotencyRow | None:
        """The remembered request of a scope."""
        return self.idempotency.get(scope)

    # --- the disk's side ---------------------------------------------------------

    def commit(self, batch: Batch) -> None:
        """Apply one batch."""
        for key, change in batch.records.items():
            if change.data is None:
                self.records.pop(key, None)
            else:
                self.records[key] = change.data
        for bundle in batch.bundles:
            self.arrivals += 1
            self.log.setdefault(bundle.actor, []).append((self.arrivals, bundle))
        for actor, row in batch.actors.items():
            held = self.actors.get(actor)
            self.actors[actor] = replace(row, floor=held.floor) if held else row
        for dot, data in batch.pending.items():
            if data is None:
                self.pending.pop(dot, None)
            else:
                self.pending[dot] = data
        self.idempotency.update(batch.idempotency)
        self.digest = batch.digest
        if batch.genesis is not None:
            self.genesis = batch.genesis

    def load(self) -> Loaded:
        """What a replica starts from."""
        return Loaded(
            actors=dict(self.actors),
            governance=[data for _, data in self._governance()],
            pending=dict(self.pending),
            digest=self.digest,
            arrivals=self.arrivals,
            genesis=self.genesis,
        )

    def _governance(self) -> list[tuple[int, bytes]]:
        return sorted(
            (arrival, bundle.data)
            for actor, entries in self.log.items()
            if actor[:1] == GOVERNANCE
            for arrival, bundle in entries
        )

    def clock(self) -> Clock:
        """The durable clock."""
        return {actor: row.seq for actor, row in self.actors.items()}

    def copy(self) -> "MemoryState":
        """A frozen copy; values are immutable, so only the containers are copied."""
        out = MemoryState()
        out.records = dict(self.records)
        out.actors = dict(self.actors)
        out.log = {actor: list(entries) for actor, entries in self.log.items()}
        out.pending = dict(self.pending)
        out.idempotency = dict(self.idempotency)
        out.digest, out.arrivals, out.genesis = self.digest, self.arrivals, self.genesis
        return out

    def truncate(self, rule: LogRule) -> dict[Actor, int]:
        """Cut the data log, oldest arrival first.

        Returns:
            The new floors.
        """
        entries = sorted(
            (arrival, bundle)
            for actor, held in self.log.items()
            if actor[:1] == DATA
            for arrival, bundle in held
        )
        floors: dict[Actor, int] = {}
        left = sum(len(bundle.data) for _, bundle in entries)
        for _, bundle in entries:
            if not rule.lets_go(bundle.actor, bundle.last, held=left):
                break
            self.log[bundle.actor].pop(0)
            row = self.actors[bundle.actor]
            self.actors[bundle.actor] = replace(row, floor=bundle.last)
            floors[bundle.actor] = bundle.last
            left -= len(bundle.data)
        return floors

    # --- snapshots ---------------------------------------------------------------

    def chunk(self, after: bytes, rows_max: int) -> tuple[bytes, bytes]:
        """Rows of the replicated state after a position, and where to go on."""
        rows = list(self._rows())
        start = int.from_bytes(after, "big") if after else 0
        part = rows[start : start + rows_max]
        end = start + len(part)
        following = b"" if end >= len(rows) else end.to_bytes(4, "big")
        packed: bytes = msgpack.packb(part)
        return packed, following

    def _rows(self) -> Iterator[list[Any]]:
        yield ["digest", self.digest.to_bytes(16, "big")]
        yield ["genesis", self.genesis]
        for _, data in self._governance():
            yield ["governance", data]
        for actor, row in sorted(self.actors.items()):
            if actor[:1] != PRIVATE:
                yield ["actor", actor, row.seq, row.hash, [list(dot) for dot in row.heads]]
        for key, data in sorted(self.records.items()):
            if key[:1] == DATA:
                yield ["record", key, data]
        for dot, data in sorted(self.pending.items()):
            yield ["pending", dot.actor, dot.seq, data]
        for scope, retry in sorted(self.idempotency.items()):
            yield ["retry", scope, retry.body, [list(dot) for dot in retry.dots]]

    def stage(self, rows: bytes) -> None:
        """Keep rows of another state's snapshot in this (initially empty) one."""
        for name, *row in msgpack.unpackb(rows, raw=False):
            if name == "digest":
                self.digest = int.from_bytes(row[0], "big")
            elif name == "genesis":
                self.genesis = row[0]
            elif name == "governance":
                self.arrivals += 1
                bundle = _logged(row[0])
                self.log.setdefault(bundle.actor, []).append((self.arrivals, bundle))
            elif name == "actor":
                actor, seq, digest, heads = row
                floor = 0 if actor[:1] == GOVERNANCE else seq
                self.actors[actor] = ActorRow(seq, digest, _heads(heads), floor)
            elif name == "record":
                self.records[row[0]] = row[1]
            elif name == "pending":
                self.pending[Dot(row[0], row[1])] = row[2]
            elif name == "retry":
                self.idempotency[row[0]] = IdempotencyRow(row[1], _heads(row[2]))

    def joined_with(self, other: "MemoryState") -> "MemoryState":
        """A new state: the dotted join of this one and a complete snapshot of another."""
        out = self.copy()
        mine, theirs = self.clock(), other.clock()
        for key in sorted(self.records.keys() | other.records.keys()):
            if key[:1] == DATA:
                out.join_record(key, self.records.get(key), other.records.get(key), mine, theirs)
        for dot, data in other.pending.items():
            out.join_pending(dot, data)
        for scope, retry in other.idempotency.items():
            out.idempotency.setdefault(scope, retry)
        for _, bundle in sorted(
            (arrival, bundle)
            for actor, entries in other.log.items()
            if actor[:1] == GOVERNANCE
            for arrival, bundle in entries
            if bundle.last > mine.get(actor, 0)
        ):
            out.arrivals += 1
            out.log.setdefault(bundle.actor, []).append((out.arrivals, bundle))
        for actor, row in other.actors.items():
            if row.seq > mine.get(actor, 0):
                out.actors[actor] = row
                if actor[:1] == DATA:
                    out.log.pop(actor, None)
        return out

    def join_record(
        self,
        key: bytes,
        mine: bytes | None,
        theirs: bytes | None,
        my_clock: Clock,
        their_clock: Clock,
    ) -> None:
        """Join one record into this state, moving the digest."""
        left = decode(key, mine) if mine is not None else None
        right = decode(key, theirs) if theirs is not None else None
        record = join(left, right, my_clock, their_clock)
        data = encode(record) if record is not None else None
        self.digest = move(self.digest, weight(key, mine), weight(key, data))
        if data is None:
            self.records.pop(key, None)
        else:
            self.records[key] = data

    def join_pending(self, dot: Dot, data: bytes) -> None:
        """Join one pending operation into this state, moving the digest."""
        held = self.pending.get(dot)
        joined = data
        if held is not None:
            joined = encode_pending(decode_pending(held).joined(decode_pending(data)))
        key = pending_key(dot)
        self.digest = move(self.digest, weight(key, held), weight(key, joined))
        self.pending[dot] = joined


def _heads(rows: Iterable[Any]) -> tuple[Dot, ...]:
    return tuple(Dot(actor, seq) for actor, seq in rows)


def _logged(data: bytes) -> LoggedBundle:
    bundle = read_bundle(data, cluster=bytes(32), ops_max=2**31)
    return LoggedBundle(bundle.actor, bundle.first, bundle.last, data, ())
