"""From every schema there was to today's: nothing lost, nothing guessed, always a way back."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import lmdb
import pytest

from crdt.digest import checksum
from node.errors import DowngradeRefused, Exit, IntegrityError
from node.store import Store, StoreDamaged
from node.store.errors import StoreTooOld
from node.store.folder import current_path, drop_replaced, set_aside_stores, sweep
from node.store.migrations import (
    LADDER,
    MigrationRefused,
    MigrationUnsound,
    Step,
    climb,
    climbing,
    drop_old_incoming,
    go_back,
    ladder,
    snapshots_of,
    steps_from,
)
from node.store.migrations.climbing import OWED_KEY
from node.store.migrations.stage import Stage
from node.store.migrations.step_1_to_2 import standing
from node.store.projection import index_rows, stored_facts
from node.store.rows import count_name, decode_count, decode_place, encode_standing
from node.store.schema import SCHEMA_VERSION, name_of, sealed, unseal
from node.store.version import stored_schema
from tests.fixtures.stores import SCHEMAS, answers, packed, unpack
from tests.unit.store.rig import MAP_BYTES, entropy
from tests.unit.store.rig_migrations import Dump, change, dump, opened

OLD = [schema for schema in SCHEMAS if schema < SCHEMA_VERSION]
BYTES_MAX = 300_000


def bytes_of(store: Path) -> str:
    return hashlib.sha256((store / "data.mdb").read_bytes()).hexdigest()


def up(data_dir: Path, **options: Any) -> Any:
    return climb(data_dir, entropy=entropy, map_bytes=MAP_BYTES, **options)


def proven(stored: Dump) -> dict[bytes, bytes]:
    """Canonical bytes of every record of schema 1, by key."""
    out = {}
    for key, value in stored["records"].items():
        assert value[:16] == checksum(key, value[36:])
        out[key] = value[36:]
    return out


# -- the ladder ----------------------------------------------------------------------------


def test_the_ladder_has_no_gap_and_ends_today() -> None:
    assert [step.source for step in LADDER] == list(range(1, SCHEMA_VERSION))
    assert LADDER[-1].target == SCHEMA_VERSION
    assert steps_from(SCHEMA_VERSION) == ()


def test_there_is_a_small_fixture_of_every_schema() -> None:
    assert list(range(1, SCHEMA_VERSION + 1)) == list(SCHEMAS)
    for schema in SCHEMAS:
        assert packed(schema).stat().st_size < BYTES_MAX
        assert answers(schema)["schema"] == schema


def test_the_step_writes_rows_as_todays_program_does() -> None:
    """Schema 2 is today's: its form in the step may differ from the live one only later."""
    assert SCHEMA_VERSION == 2
    for data in (b"", b"record"):
        row = (b"at" * 4, 5, b"dmemory/a", bytes(range(16)), data)
        assert standing(*row) == encode_standing(*row)


# -- what climbs -----------------------------------------------------------------------------


@pytest.mark.parametrize("schema", OLD)
def test_an_old_store_becomes_todays_and_loses_nothing(tmp_path: Path, schema: int) -> None:
    path = unpack(schema, tmp_path)
    before = dump(path)
    said: list[tuple[str, dict[str, Any]]] = []
    done = up(tmp_path, tell=lambda event, **facts: said.append((event, facts)))
    assert (done.source, done.target) == (schema, SCHEMA_VERSION)
    assert [event for event, _ in said] == [
        "store_saved",
        *["store_migrated"] * (SCHEMA_VERSION - schema),
        "store_proven",
    ]
    after = dump(path)
    moved = {"records", "feed", "idx_ns", "meta"}
    assert {n: rows for n, rows in after.items() if n not in moved} == {
        n: rows for n, rows in before.items() if n not in moved
    }
    meta = {k: v for k, v in before["meta"].items() if k != b"schema"}
    assert {k: v for k, v in after["meta"].items() if k != b"schema"} == meta
    assert set(after["idx_ns"]) == set(before["idx_ns"])
    assert set(after["feed"]) == set(before["feed"])
    assert OWED_KEY not in after["meta"]
    store = Store(path, entropy=entropy, map_bytes=MAP_BYTES)
    try:
        held = proven(before)
        assert {key: store.record(key) for key in held} == held
        assert f"{store.head.digest:032x}" == answers(schema)["told"]["digest"]
        changed = store.feed.changed(0, 10**6)
        assert {c.key: c.data for c in changed if c.data is not None} == held
        for key, value in before["feed"].items():
            at = int.from_bytes(key, "big")
            assert store.feed.after(at - 1, 1)[0].ms == int.from_bytes(value[16:24], "big")
        assert store.load().genesis
    finally:
        store.close()
    assert up(tmp_path) is None


@pytest.mark.parametrize("schema", OLD)
def test_the_indexes_are_those_that_todays_program_makes(tmp_path: Path, schema: int) -> None:
    path = unpack(schema, tmp_path)
    held = proven(dump(path))
    up(tmp_path)
    after, wanted, counts = dump(path), {}, {}
    for key, data in held.items():
        facts = stored_facts(key, data)
        if facts is not None:
            wanted |= {(t, row): value for t, row, value in index_rows(key, name_of(key), facts)}
            place = (facts.namespace, facts.tier)
            counts[place] = counts.get(place, 0) + 1
    tables = ("idx_time", "idx_ns", "idx_expiry", "idx_archive")
    found = {(table, row): value for table in tables for row, value in after[table].items()}
    approved = {key for key in found.items() if key not in wanted.items()}
    assert wanted.items() <= found.items()
    assert len(approved) == 2, "only the memory that an approval made shows without its own word"
    for place, count in counts.items():
        key = name_of(count_name(*place))
        assert decode_count(unseal("counts", key, after["counts"][key]))[2] == count


@pytest.mark.parametrize("schema", [s for s in SCHEMAS if s == SCHEMA_VERSION])
def test_a_store_of_today_is_opened_as_it_is(tmp_path: Path, schema: int) -> None:
    path = unpack(schema, tmp_path)
    before = bytes_of(path)
    assert up(tmp_path) is None
    assert bytes_of(path) == before
    store = Store(path, entropy=entropy, map_bytes=MAP_BYTES)
    assert f"{store.head.digest:032x}" == answers(schema)["told"]["digest"]
    store.close()


def test_no_store_is_nothing_to_do(tmp_path: Path) -> None:
    assert up(tmp_path) is None
    (tmp_path / "CURRENT").write_text("store-00\n")
    assert up(tmp_path) is None


def test_a_row_of_the_feed_that_a_damaged_place_left_stays_behind(tmp_path: Path) -> None:
    path = unpack(1, tmp_path)
    before = dump(path)
    key = next(iter(before["records"]))
    stray = max(before["feed"])[:-1] + b"\xff"
    change(path, "feed", stray, sealed(stray, bytes(8) + key))
    up(tmp_path)
    assert set(dump(path)["feed"]) == set(before["feed"])


# -- the snapshot --------------------------------------------------------------------------------


def test_the_snapshot_is_the_store_as_it_was(tmp_path: Path) -> None:
    path = unpack(1, tmp_path)
    before = dump(path)
    done = up(tmp_path)
    assert snapshots_of(tmp_path) == [done.snapshot]
    name = done.snapshot.name
    assert name.startswith(f"{path.name}.pre-migration-v1-to-v{SCHEMA_VERSION}-")
    assert name.endswith(".bak")
    assert done.snapshot.stat().st_mode & 0o777 == 0o600
    assert dump(done.snapshot, subdir=False) == before


def test_the_newest_snapshot_of_one_store_is_kept(tmp_path: Path) -> None:
    path = unpack(1, tmp_path)
    old = path.with_name(f"{path.name}.pre-migration-v1-to-v{SCHEMA_VERSION}-00.bak")
    other = path.with_name(f"store-aa.pre-migration-v1-to-v{SCHEMA_VERSION}-00.bak")
    half = path.with_name(f"{path.name}.pre-migration-v1-to-v{SCHEMA_VERSION}-00.bak.part")
    for file in (old, other, half):
        file.write_bytes(b"x")
    done = up(tmp_path)
    assert {p.name for p in tmp_path.glob("*.bak*")} == {done.snapshot.name, other.name}


def test_a_start_leaves_the_snapshot_where_it_is(tmp_path: Path) -> None:
    unpack(1, tmp_path)
    done = up(tmp_path)
    assert sweep(tmp_path, 1) == []
    assert done.snapshot.exists()


def test_an_erasure_takes_the_snapshot_too(tmp_path: Path) -> None:
    unpack(1, tmp_path)
    done = up(tmp_path)
    assert drop_replaced(tmp_path) == 1
    assert not done.snapshot.exists()


# -- refusals: nothing is changed ----------------------------------------------------------------


def test_without_room_nothing_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = unpack(1, tmp_path)
    before = bytes_of(path)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))
    with pytest.raises(MigrationRefused, match="no room") as refused:
        up(tmp_path)
    assert refused.value.exit_code == Exit.REFUSED
    assert bytes_of(path) == before
    assert list(tmp_path.glob("*.bak*")) == []


TABLES = ("meta", "actors", "records", "feed", "log_data", "pending", "idx_time", "gone_at")


@pytest.mark.parametrize("table", TABLES)
def test_a_store_that_is_damaged_is_not_migrated(tmp_path: Path, table: str) -> None:
    path = unpack(1, tmp_path)
    rows = dump(path)[table]
    key = max(k for k in rows if k != b"schema")
    change(path, table, key, rows[key][:-1] + bytes([rows[key][-1] ^ 1]))
    before = bytes_of(path)
    with pytest.raises(MigrationRefused, match="no sound snapshot") as refused:
        up(tmp_path)
    assert refused.value.exit_code == Exit.REFUSED
    assert bytes_of(path) == before
    assert list(tmp_path.glob("*.bak*")) == []


def test_a_record_that_is_missing_is_seen_by_the_digest(tmp_path: Path) -> None:
    path = unpack(1, tmp_path)
    change(path, "records", min(dump(path)["records"]), None)
    before = bytes_of(path)
    with pytest.raises(MigrationRefused, match="digest"):
        up(tmp_path)
    assert bytes_of(path) == before


def test_an_index_that_leads_nowhere_is_seen_before_anything_is_committed(tmp_path: Path) -> None:
    path = unpack(1, tmp_path)
    change(path, "records", max(dump(path)["records"]), None)  # private: no part of the digest
    before = dump(path)
    with pytest.raises(MigrationRefused, match="could not be brought"):
        up(tmp_path)
    assert dump(path) == before


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_newer_store_is_refused_and_left_untouched(tmp_path: Path, schema: int) -> None:
    path = unpack(schema, tmp_path)
    change(path, "meta", b"schema", sealed(b"schema", b"%d" % (SCHEMA_VERSION + 1)))
    before = bytes_of(path)
    with pytest.raises(DowngradeRefused) as refused:
        up(tmp_path)
    assert refused.value.exit_code == Exit.DOWNGRADE
    assert bytes_of(path) == before
    assert list(tmp_path.glob("*.bak*")) == []


def test_a_store_older_than_the_ladder_is_refused(tmp_path: Path) -> None:
    path = unpack(1, tmp_path)
    change(path, "meta", b"schema", sealed(b"schema", b"0"))
    before = bytes_of(path)
    with pytest.raises(StoreTooOld, match="no step of this program"):
        up(tmp_path)
    assert bytes_of(path) == before


# -- steps that fail, and the way back ----------------------------------------------------------


def failing(error: BaseException) -> tuple[Step, ...]:
    """The ladder, with a last step that has done its work when it fails."""
    last = ladder.LADDER[-1]

    def work(stage: Stage) -> int:
        last.work(stage)
        raise error

    changed = Step(**{f: getattr(last, f) for f in Step.__slots__} | {"work": work})
    return (*ladder.LADDER[:-1], changed)


@pytest.mark.parametrize("error", [OSError(28, "no space"), StoreDamaged("odd"), ValueError("x")])
def test_a_step_that_fails_is_undone_and_can_be_done_again(
    tmp_path: Path, error: BaseException
) -> None:
    path = unpack(SCHEMA_VERSION - 1, tmp_path)
    before = dump(path)
    with pytest.raises((MigrationRefused, ValueError)):
        up(tmp_path, ladder=failing(error))
    assert dump(path) == before
    assert up(tmp_path).target == SCHEMA_VERSION


def losing(stage: Stage) -> int:
    """What a step with a defect does: a record has no place any more."""
    done = ladder.LADDER[-1].work(stage)
    first = next(stage.rows("records"))[0]
    stage.txn.delete(first, db=stage.table("records"))
    return done


def test_what_a_step_spoils_is_never_committed(tmp_path: Path) -> None:
    path = unpack(SCHEMA_VERSION - 1, tmp_path)
    before = dump(path)
    last = ladder.LADDER[-1]
    changed = Step(**{f: getattr(last, f) for f in Step.__slots__} | {"work": losing})
    with pytest.raises(MigrationRefused, match="could not be brought") as refused:
        up(tmp_path, ladder=(*ladder.LADDER[:-1], changed))
    assert refused.value.exit_code == Exit.REFUSED
    assert dump(path) == before


def test_what_reads_back_unsound_is_not_used_and_can_be_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = unpack(SCHEMA_VERSION - 1, tmp_path)
    before, check, read = dump(path), climbing.check_today, [0]

    def second(env: lmdb.Environment, txn: Any) -> None:
        check(env, txn)
        read[0] += 1
        if read[0] > 1:
            raise StoreDamaged("a page is not what was written")

    monkeypatch.setattr(climbing, "check_today", second)
    with pytest.raises(MigrationUnsound, match="upgrade back") as unsound:
        up(tmp_path)
    assert unsound.value.exit_code == Exit.INTEGRITY
    assert not isinstance(unsound.value, IntegrityError), "nobody sets such a store aside alone"
    with pytest.raises(MigrationUnsound, match="not used"):  # nor by the next start
        up(tmp_path)
    monkeypatch.undo()
    (snapshot,) = snapshots_of(tmp_path)
    back = go_back(tmp_path, snapshot, now_ms=5, entropy=entropy)
    assert current_path(tmp_path) == back
    assert dump(back) == before
    assert [stored_schema(aside) for aside in set_aside_stores(tmp_path)] == [SCHEMA_VERSION]
    assert snapshot.exists()
    assert up(tmp_path).target == SCHEMA_VERSION


def test_a_snapshot_that_is_not_sound_is_not_put_back(tmp_path: Path) -> None:
    path = unpack(1, tmp_path)
    done = up(tmp_path)
    size = done.snapshot.stat().st_size
    with done.snapshot.open("r+b") as file:
        file.seek(size // 2)
        file.write(os.urandom(4096))
    before = bytes_of(path)
    with pytest.raises(MigrationRefused, match="not sound"):
        go_back(tmp_path, done.snapshot, now_ms=5, entropy=entropy)
    assert current_path(tmp_path) == path
    assert bytes_of(path) == before
    with pytest.raises(MigrationRefused, match="no snapshot of a migration"):
        go_back(tmp_path, tmp_path / "CURRENT", now_ms=5, entropy=entropy)


# -- beside the store ---------------------------------------------------------------------------


def test_half_received_snapshots_of_an_older_schema_go_and_what_was_set_aside_stays(
    tmp_path: Path,
) -> None:
    for schema, name in ((1, "incoming-01"), (SCHEMA_VERSION, "incoming-02"), (1, "aside-03-7")):
        made = unpack(schema, tmp_path / "made")
        made.rename(tmp_path / name)
    assert drop_old_incoming(tmp_path) == [tmp_path / "incoming-01"]
    assert (tmp_path / "incoming-02").is_dir()
    assert (tmp_path / "aside-03-7").is_dir()


def test_a_store_of_an_older_schema_may_end_before_its_last_page(tmp_path: Path) -> None:
    path = unpack(1, tmp_path)
    with opened(path) as env:
        pages = env.info()["last_pgno"] + 1
    file = path / "data.mdb"
    assert file.stat().st_size >= pages * 4096
    assert up(tmp_path).target == SCHEMA_VERSION
    for key, value in dump(path)["records"].items():
        decode_place("records", key, value)
