"""`mnemesh upgrade` and `mnemesh config migrate`: what they say, what they change, how they end."""

import hashlib
from pathlib import Path

import pytest

from node import __version__
from node.cli.upgrade_steps import Known, steps_of
from node.lock import DirectoryLock
from node.paths import resolve_paths
from node.store.folder import current_path
from node.store.migrations import climb, snapshots_of
from node.store.schema import SCHEMA_VERSION, sealed
from node.store.version import stored_schema
from tests.fixtures.stores import SCHEMAS, unpack
from tests.unit.cli.standin import Mnemesh, StandIn
from tests.unit.store.rig import MAP_BYTES, entropy
from tests.unit.store.rig_migrations import change, dump

OLD_CONFIG = 'schema_version = 1\n[logging]\nfile = "x"  # mine\n'


def trees(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock.mdb"
    }


# -- plan ------------------------------------------------------------------------------------


def test_a_plan_for_an_old_store_names_every_step_and_changes_nothing(
    mnemesh: Mnemesh, tmp_path: Path
) -> None:
    home = tmp_path / "node"
    unpack(1, home)
    (home / "config.toml").write_text(OLD_CONFIG)
    before = trees(home)
    ran = mnemesh("upgrade", "plan", "--json", "--data-dir", home)
    assert ran.code == 0, ran.err
    assert trees(home) == before
    told = ran.json
    assert told["program"] == __version__
    assert told["node"] == {"running": False, "version": None}
    assert (told["store"]["schema"], told["store"]["target"]) == (1, SCHEMA_VERSION)
    assert len(told["store"]["steps"]) == SCHEMA_VERSION - 1
    assert told["store"]["room"] is True
    assert told["config"]["changes"] == ["[logging] file is path now", "schema_version is 2"]
    names = [step["name"] for step in told["steps"]]
    assert names == [
        *("level", "backup", "rehearse", "restart", "wait", "config", "next", "back"),
    ]
    assert not any(step["done"] for step in told["steps"])
    people = mnemesh("upgrade", "plan", "--data-dir", home).out
    assert f"mnemesh upgrade check --data-dir {home}" in people
    assert "One member at a time" in people


def test_a_plan_says_what_is_done(mnemesh: Mnemesh, standin: StandIn) -> None:
    unpack(SCHEMA_VERSION, standin.paths.data_dir)
    standin.on("GET", "/api/v1/version", 200, {"version": __version__, "protocol_version": 1})
    members = [
        {"name": "node-a", "state": "self", "lag_ops": 0},
        {"name": "node-b", "state": "ready", "lag_ops": 0, "version": "0.1.0"},
    ]
    standin.on("GET", "/api/v1/mesh", 200, {"members": members})
    here = ("--data-dir", standin.paths.data_dir)
    told = mnemesh("upgrade", "plan", "--json", *here).json
    done = {step["name"] for step in told["steps"] if step["done"]}
    assert done == {"level", "rehearse", "restart", "wait", "config"}
    assert told["mesh"]["all_ready"] is True
    people = mnemesh("upgrade", "plan", *here).out
    assert "0.1.0" in people
    assert "(done)" in people


@pytest.mark.parametrize("state", [{"state": "connecting"}, {"lag_ops": 4}])
def test_a_member_that_lags_is_not_level(
    mnemesh: Mnemesh, standin: StandIn, state: dict[str, object]
) -> None:
    standin.on("GET", "/api/v1/version", 200, {"version": "0.0.9"})
    member = {"name": "node-b", "state": "ready", "lag_ops": 0} | state
    standin.on("GET", "/api/v1/mesh", 200, {"members": [member]})
    told = mnemesh("upgrade", "plan", "--json", "--data-dir", standin.paths.data_dir).json
    assert told["mesh"]["all_ready"] is False
    assert told["store"]["path"] is None
    assert [s["done"] for s in told["steps"] if s["name"] in {"level", "restart", "wait"}] == [
        *(False, False, False),
    ]


def test_the_steps_keep_their_order_whatever_is_known() -> None:
    known = Known(
        options="",
        running=True,
        same_program=True,
        store_steps=(),
        config_changes=(),
        all_ready=None,
        snapshot="/x/y.bak",
    )
    assert [step.name for step in steps_of(known)][-2:] == ["next", "back"]
    assert "mnemesh upgrade back --from /x/y.bak" in steps_of(known)[-1].commands


def test_a_plan_for_a_newer_store_is_refused(mnemesh: Mnemesh, tmp_path: Path) -> None:
    home = tmp_path / "node"
    newer = sealed(b"schema", b"%d" % (SCHEMA_VERSION + 1))
    change(unpack(SCHEMA_VERSION, home), "meta", b"schema", newer)
    for command in ("plan", "check"):
        assert mnemesh("upgrade", command, "--data-dir", home).code == 7


# -- check -----------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_rehearsal_leaves_the_store_as_it_is(
    mnemesh: Mnemesh, tmp_path: Path, schema: int
) -> None:
    home = tmp_path / "node"
    unpack(schema, home)
    before = trees(home)
    told = mnemesh("upgrade", "check", "--json", "--data-dir", home).json
    assert (told["schema"], told["target"]) == (schema, SCHEMA_VERSION)
    assert told["migration_seconds"] >= 0
    assert trees(home) == before
    assert not list(home.glob("next-*"))
    assert "the store was not touched" in mnemesh("upgrade", "check", "--data-dir", home).out


def test_a_rehearsal_finds_what_the_migration_would(mnemesh: Mnemesh, tmp_path: Path) -> None:
    home = tmp_path / "node"
    store = unpack(1, home)
    rows = dump(store)["records"]
    data = (store / "data.mdb").read_bytes()
    value = rows[min(rows)]
    (store / "data.mdb").write_bytes(data.replace(value, value[:-1] + b"!"))
    before = trees(home)
    ran = mnemesh("upgrade", "check", "--json", "--data-dir", home)
    assert (ran.code, ran.json["error"]) == (4, "migration_refused")
    assert trees(home) == before


def test_there_is_nothing_to_rehearse_without_a_store(mnemesh: Mnemesh, tmp_path: Path) -> None:
    assert mnemesh("upgrade", "check", "--data-dir", tmp_path / "node").code == 4


# -- back ------------------------------------------------------------------------------------


def test_the_way_back(mnemesh: Mnemesh, tmp_path: Path) -> None:
    home = tmp_path / "node"
    before = dump(unpack(1, home))
    climb(home, entropy=entropy, map_bytes=MAP_BYTES)
    here = ("--data-dir", home)
    would = mnemesh("upgrade", "back", "--dry-run", "--json", *here).json
    assert would == {
        "snapshot": str(snapshots_of(home)[0]),
        "schema": 1,
        "rows": would["rows"],
        "dry_run": True,
    }
    assert mnemesh("upgrade", "back", *here).code == 2, "nobody can be asked"
    done = mnemesh("upgrade", "back", "--yes", "--json", *here)
    assert done.code == 0, done.err
    store = current_path(home)
    assert store == Path(done.json["store"])
    assert dump(store) == before
    assert [stored_schema(path) for path in home.glob("aside-*")] == [SCHEMA_VERSION]


def test_no_way_back_under_a_running_node_or_without_a_snapshot(
    mnemesh: Mnemesh, tmp_path: Path
) -> None:
    home = tmp_path / "node"
    unpack(1, home)
    assert mnemesh("upgrade", "back", "--yes", "--data-dir", home).code == 4
    climb(home, entropy=entropy, map_bytes=MAP_BYTES)
    with DirectoryLock(resolve_paths({}, home, data_dir=home).lock):
        ran = mnemesh("upgrade", "back", "--yes", "--json", "--data-dir", home)
    assert (ran.code, ran.json["error"]) == (4, "lock_held")


# -- config migrate -----------------------------------------------------------------------------


def test_config_migrate(mnemesh: Mnemesh, tmp_path: Path) -> None:
    home = tmp_path / "node"
    home.mkdir()
    file, here = home / "config.toml", ("--data-dir", home)
    file.write_text(OLD_CONFIG)
    would = mnemesh("config", "migrate", "--dry-run", *here)
    assert '+path = "x"  # mine' in would.out
    assert file.read_text() == OLD_CONFIG
    told = mnemesh("config", "migrate", "--json", *here).json
    assert (told["from"], told["to"], told["changed"]) == (1, 2, True)
    assert Path(told["copy"]).read_text() == OLD_CONFIG
    assert file.read_text() == 'schema_version = 2\n[logging]\npath = "x"  # mine\n'
    again = mnemesh("config", "migrate", "--json", *here).json
    assert (again["changed"], again["copy"], again["changes"]) == (False, None, [])


def test_config_migrate_without_a_file(mnemesh: Mnemesh, tmp_path: Path) -> None:
    told = mnemesh("config", "migrate", "--json", "--data-dir", tmp_path / "node").json
    assert told["changed"] is False
    assert mnemesh("config", "migrate", "--config", tmp_path / "none.toml").code == 2
