"""Two real stores that hold the same, one of them to be damaged; every road out of a store."""

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from crdt.dot import PRIVATE, Actor
from crdt.genesis import Standing, encode_standing
from crdt.op import Idempotency, Kind
from node.store import BelowFloor, CorruptRecord, Store
from node.store.environment import DATA_FILE
from node.store.errors import StoreDamaged
from node.store.oplog import OpLog
from node.store.pages import BadPage, check_file
from node.store.proving import Given, Needs
from node.store.repair import Memory
from node.store.rows import decode_entry
from node.store.schema import TABLE_NAMES, unseal
from node.store.scrub import START
from node.store.snapshot import END, decode_rows, freeze
from tests.unit.crdt.rig import Node, draft
from tests.unit.store.rig import open_store

STORE = "store-0011223344556677"


def kept(name: str, folder: Path, founders: tuple[str, ...] = ("a", "b")) -> Node:
    """A node over a store on the disk."""
    store = open_store(folder / STORE)
    (folder / "CURRENT").write_text(f"{STORE}\n")
    node = Node(name, founders, disk=store)  # type: ignore[arg-type]  # both are states
    return node.found()


def stop(node: Node) -> None:
    node.disk.close()  # type: ignore[attr-defined]  # a store


def fill(node: Node, rng: random.Random, count: int = 60) -> None:
    """Something of everything, in every table."""
    living: list[str] = []
    for number in range(count):
        name = f"{node.name}-{number}"
        size = rng.choice((5, 60, 400, 5000) if number % 13 else (9000,))
        fields: dict[str, Any] = {"title": name, "content": rng.choice("abcdefgh") * size}
        fields["tier"] = rng.choice(("short", "mid", "long"))
        if number % 5 == 0:
            fields["expires_at"] = node.now_ms + 10**9
        if number % 11 == 3:
            fields["archived_at"] = node.now_ms
        space = rng.choice(("n", "team/x", "other"))
        create = draft(Kind.CREATE, name, namespace=space, private=number % 9 == 4, **fields)
        mark = Idempotency(number.to_bytes(16, "big"), bytes(16)) if number % 4 == 0 else None
        node.write(create, agent="ai:a", idempotency=mark)
        if number % 9 != 4:
            living.append(name)
        if number % 6 == 5:
            node.edit(rng.choice(living), agent="ai:a", title=f"other {number}")
        if number % 8 == 7:
            gone = living.pop(rng.randrange(len(living)))
            node.delete(gone, agent="ai:a")
        if number % 20 == 10:
            node.policy(f"p{number}", agent="ann", read="any")
        node.commit()
    node.disk.flush_access({b"dmemory/%b" % name.encode(): (3, 7) for name in living[:9]})  # type: ignore[attr-defined]  # a store


def memory_of(node: Node) -> Memory:
    replica = node.replica
    return Memory(
        genesis=encode_standing(Standing(genesis=replica.genesis, joined=replica.joined)),
        actors=dict(replica.actors),
        cluster=replica.cluster,
        ops_max=replica.me.ops_max,
    )


class Truth(NamedTuple):
    """What a whole store says."""

    records: dict[bytes, bytes]
    bundles: set[bytes]
    bodies: set[bytes]


def rows(store: Store, table: str) -> Iterator[tuple[bytes, bytes]]:
    with store.environment.reading() as txn:
        yield from txn.cursor(db=getattr(store.tables, table))


def truth_of(store: Store) -> Truth:
    records = {}
    for key, _ in rows(store, "records"):
        data = store.record(key)
        assert data is not None
        records[key] = data
    bundles = {
        decode_entry(table, key, value).data
        for table in ("log_data", "log_governance", "log_private")
        for key, value in rows(store, table)
    }
    bodies = {
        unseal(table, key, value)
        for table in ("pending", "idempotency", "erasures")
        for key, value in rows(store, table)
    }
    return Truth(records, bundles, bodies)


# --- roads ------------------------------------------------------------------------------------


def walk_roads(store: Store, truth: Truth, actors: list[Actor], folder: Path) -> list[str]:
    """Everything that leaves a store, each road to its end or to a typed error; what was wrong."""
    wrong: list[str] = []

    def right_record(road: str, key: bytes, data: bytes | None) -> None:
        if data is not None and truth.records.get(key) != data:
            wrong.append(f"{road}: {key!r}")

    def right_bundles(road: str, bundles: Any) -> None:
        wrong.extend(f"{road}: a bundle" for data in bundles if data not in truth.bundles)

    for key in truth.records:
        _try(lambda key=key: right_record("by id", key, store.record(key)))  # type: ignore[misc]
    _try(lambda: _listed(store, right_record))
    _try(lambda: [right_record("feed", c.key, c.data) for c in store.feed.changed(0, 10**6)])
    _try(lambda: right_bundles("page", store.page({}, 10**9).bundles))
    _try(lambda: right_bundles("page by page", _paged(store)))
    for actor in actors:
        _try(lambda a=actor: right_bundles("tail", store.tail(a, 0, 10**9)))  # type: ignore[misc]
    _try(lambda: right_bundles("log", _logged(store)))
    for key in truth.records:
        _try(lambda k=key: right_bundles("history", [h.data for h in store.feed.history(k, 99)]))  # type: ignore[misc]
    _try(lambda: right_bundles("start", store.load().governance))
    _try(lambda: _snapshot(store, folder, right_record))
    return wrong


def _try(road: Callable[[], object]) -> None:
    with suppress(CorruptRecord, StoreDamaged, BelowFloor):
        road()


def _listed(store: Store, right: Callable[[str, bytes, bytes | None], None]) -> None:
    lists = store.lists
    for listing in (lists.recent(), lists.recent("n"), lists.expiring(0, 2**62), lists.archived()):
        for _, key in listing:
            right("list", key, store.record(key))


def _paged(store: Store) -> list[bytes]:
    found: list[bytes] = []
    clock: dict[Actor, int] = {}
    for limit in (500, 5000, 50_000):
        page = store.page(clock, limit)
        found += page.bundles
    return found


def _logged(store: Store) -> list[bytes]:
    return [one.entry.data for one in OpLog(store.environment).after(0, 10**6, 10**9)]


def _snapshot(
    store: Store, folder: Path, right: Callable[[str, bytes, bytes | None], None]
) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    frozen = freeze(store, folder)
    try:
        after = b""
        while True:
            data, after = frozen.chunk(after, 10_000)
            for row in decode_rows(data):
                if row.kind == b"r":
                    assert row.key[:1] != PRIVATE
                    right("snapshot", row.key, row.value[16:])
            if after == END:
                return
    finally:
        frozen.close()


# --- damage -----------------------------------------------------------------------------------


def file_of(folder: Path) -> Path:
    return folder / STORE / DATA_FILE


def flip_row(store: Store, rng: random.Random, table: str, bits: int = 1) -> tuple[bytes, bytes]:
    """Flip bits of a row's value; returns its key and what it held."""
    held = list(rows(store, table))
    key, value = rng.choice([row for row in held if row[1]] or held)
    work = bytearray(value)
    for bit in rng.sample(range(8 * len(work)), bits):
        work[bit // 8] ^= 1 << bit % 8
    store.environment.write(lambda txn: txn.put(key, bytes(work), db=getattr(store.tables, table)))
    return key, value


def scrub_all(store: Store) -> list[CorruptRecord]:
    return store.scrub(START, 10**9).bad


def given_by(peer: Node, needs: Needs) -> Given:
    """What an honest peer answers."""
    store: Any = peer.disk
    pending = {key: unseal("pending", key, value) for key, value in rows(store, "pending")}
    bundles = {}
    for lost in needs.bundles:
        for table in ("log_data", "log_governance"):
            for key, value in rows(store, table):
                entry = decode_entry(table, key, value)
                if (entry.actor, entry.last) == (lost.actor, lost.last):
                    bundles[lost.actor, lost.last] = entry.data
    requests: dict[bytes, bytes | None] = {}
    for scope in needs.requests:
        value = store.environment.read(lambda txn, s=scope: txn.get(s, db=store.tables.idempotency))
        requests[scope] = None if value is None else unseal("idempotency", scope, value)
    return Given(
        records={key: store.record(key) for key in needs.shared},
        pending=pending,
        bundles=bundles,
        requests=requests,
    )


def is_sound(folder: Path) -> bool:
    """Whether the pages hold, as a start and every scrub ask first."""
    try:
        check_file(file_of(folder))
    except BadPage:
        return False
    return True


def tables_of(store: Store) -> dict[str, dict[bytes, bytes]]:
    return {name: dict(rows(store, name)) for name in TABLE_NAMES}
