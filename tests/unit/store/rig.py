"""A small author of batches: real records, real weights, bundles of opaque bytes."""

import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb

from crdt.clock import Clock
from crdt.digest import move, weight
from crdt.dot import DATA, GOVERNANCE, PRIVATE, Actor, Dot, new_actor
from crdt.op import Kind, Op, record_key
from crdt.overlay import pending_key
from crdt.record import Record, apply
from crdt.record_codec import encode
from crdt.state import ActorRow, Batch, Change, IdempotencyRow, LoggedBundle
from node.store import Store

MAP_BYTES = 64 * 1024 * 1024
DEADLINE_S = 20.0
T0_MS = 1_750_000_000_000


def entropy(count: int) -> bytes:
    """Distinct bytes without randomness."""
    with _lock:
        _drawn[0] += 1
        return hashlib.blake2b(b"%d" % _drawn[0], digest_size=count).digest()


_drawn = [0]
_lock = threading.Lock()


def actor(lane: bytes = DATA, node: int = 1, birth: int = 1) -> Actor:
    return new_actor(lane, 1_700_000_000 + birth, bytes(8), bytes([node]) * 32)


def open_store(path: Path, **options: Any) -> Store:
    return Store(path, entropy=entropy, map_bytes=options.pop("map_bytes", MAP_BYTES), **options)


def memory(record_id: str, lane: bytes = DATA) -> bytes:
    return record_key(lane, "memory", record_id)


def disk_error(code: int, kind: type[lmdb.Error] = lmdb.Error) -> lmdb.Error:
    """An error as the engine raises it; its constructor alone leaves the code out."""
    error = kind(f"mdb_txn_commit: {os.strerror(code)}")
    error.code = code  # type: ignore[misc]  # what the extension does in C
    return error


def until(state: Callable[[], bool]) -> None:
    """Wait for a state, not for a time."""
    deadline = time.monotonic() + DEADLINE_S
    while not state():
        assert time.monotonic() < deadline, "the state never came"
        threading.Event().wait(0.002)


class Maker:
    """Mints operations for one replica and hands them out as batches."""

    def __init__(self, node: int = 1) -> None:
        self.node = node
        self.records: dict[bytes, Record] = {}
        self.clock: Clock = {}
        self.digest = 0
        self.number = 0
        self.stamp = T0_MS << 16
        self.bundles: list[LoggedBundle] = []
        self._batch_bundles: list[LoggedBundle] = []
        self._open: dict[Actor, list[bytes]] = {}
        self._before: dict[bytes, Record | None] = {}
        self._pending: dict[Dot, bytes | None] = {}
        self._requests: dict[bytes, IdempotencyRow] = {}
        self.actors: dict[Actor, ActorRow] = {}
        self.held: dict[Dot, bytes] = {}

    def actor(self, lane: bytes) -> Actor:
        return actor(lane, self.node)

    def _dot(self, lane: bytes, key: bytes) -> Dot:
        who = self.actor(lane)
        opened = self._open.setdefault(who, [])
        opened.append(key)
        return Dot(who, self.clock.get(who, 0) + len(opened))

    def create(
        self, record_id: str, lane: bytes = DATA, namespace: str = "global", **fields: Any
    ) -> bytes:
        key = memory(record_id, lane)
        self.stamp += 1
        self._change(
            key,
            Op(
                dot=self._dot(lane, key),
                kind=Kind.CREATE,
                collection="memory",
                id=record_id,
                owner="ai:a",
                namespace=namespace,
                agent="ai:a",
                hlc=self.stamp,
                set={"tier": "mid", "title": "t", **fields},
            ),
        )
        return key

    def edit(self, key: bytes, **fields: Any) -> None:
        held = self.records[key]
        self.stamp += 1
        self._change(key, self._touch(Kind.EDIT, key, held, fields))

    def delete(self, key: bytes) -> None:
        self.stamp += 1
        self._change(key, self._touch(Kind.DELETE, key, self.records[key], {}))

    def _touch(self, kind: Kind, key: bytes, held: Record, fields: dict[str, Any]) -> Op:
        birth = next(iter(held.births.values()))
        return Op(
            dot=self._dot(key[:1], key),
            kind=kind,
            collection="memory",
            id=key.partition(b"/")[2].decode(),
            owner=birth.owner,
            namespace=birth.namespace,
            agent="ai:b",
            hlc=self.stamp,
            births=frozenset(held.births),
            set=fields,
            supersedes=frozenset(d for name in fields for d in held.fields.get(name, {})),
        )

    def _change(self, key: bytes, op: Op) -> None:
        before = self.records.get(key)
        self._before.setdefault(key, before)
        after = apply(before, op)
        if after is None:
            self.records.pop(key, None)
        else:
            self.records[key] = after

    def govern(self) -> None:
        self._dot(GOVERNANCE, b"")

    def hold(self, dot: Dot, data: bytes) -> None:
        self.digest = move(
            self.digest,
            weight(pending_key(dot), self.held.get(dot)),
            weight(pending_key(dot), data),
        )
        self.held[dot] = data
        self._pending[dot] = data

    def request(self, scope: bytes, row: IdempotencyRow) -> None:
        self._requests[scope] = row

    def close(self, size: int = 100) -> None:
        """Close what is open into one bundle a lane."""
        for who, keys in self._open.items():
            first = self.clock.get(who, 0) + 1
            last = first + len(keys) - 1
            data = b"%b %d %d " % (who, first, last)
            touched = tuple(key for key in keys if key)
            bundle = LoggedBundle(who, first, last, data.ljust(size, b"."), touched)
            self._log(bundle, hashlib.sha256(data).digest())
        self._open = {}

    def _log(self, bundle: LoggedBundle, chain: bytes) -> None:
        self._batch_bundles.append(bundle)
        self.bundles.append(bundle)
        self.clock[bundle.actor] = bundle.last
        heads = (Dot(actor(GOVERNANCE), 1),)
        self.actors[bundle.actor] = ActorRow(bundle.last, chain, heads)

    def take(self, now_ms: int = T0_MS, genesis: bytes | None = None) -> Batch:
        self.close()
        records: dict[bytes, Change] = {}
        for key, before in self._before.items():
            after = self.records.get(key)
            if before is None and after is None:
                continue
            data = encode(after) if after is not None else None
            load = weight(key, data)
            if after is not None:
                after.weight = load
            if key[:1] != PRIVATE:
                self.digest = move(self.digest, before.weight if before else 0, load)
            records[key] = Change(before, after, data, load)
        batch = Batch(
            number=self.number,
            bundles=tuple(self._batch_bundles),
            actors={b.actor: self.actors[b.actor] for b in self._batch_bundles},
            records=records,
            pending=self._pending,
            idempotency=self._requests,
            digest=self.digest,
            now_ms=now_ms,
            genesis=genesis,
        )
        self.number += 1
        self._before, self._batch_bundles, self._pending, self._requests = {}, [], {}, {}
        return batch

    def relay(self, other: "Maker") -> None:
        """Take another maker's whole shared state, as if its bundles had been applied here."""
        for bundle in other.bundles:
            if bundle.actor[:1] != PRIVATE and bundle.last > self.clock.get(bundle.actor, 0):
                self._log(bundle, other.actors[bundle.actor].hash)
        for key, record in other.records.items():
            if key[:1] == DATA:
                self._before.setdefault(key, self.records.get(key))
                self.records[key] = record
        for key in [k for k in self.records if k[:1] == DATA and k not in other.records]:
            self._before.setdefault(key, self.records[key])
            del self.records[key]
