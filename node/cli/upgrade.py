"""`mnemesh upgrade`: what an upgrade of this node takes, a rehearsal of it, and the way back.

Law: the plan changes nothing and may be asked for at any time; each of its steps can be done
twice. A rehearsal works on a copy that is thrown away. Only `back` changes anything: under the
lock, after the snapshot was read as a whole, with the present store set aside.
"""

import os
import secrets
import shutil
import time
from pathlib import Path
from typing import Annotated, Any, Final

import lmdb
import typer

from node import __version__
from node.cli.client import Client, running_facts, running_target
from node.cli.options import AsJson, ConfigFile, DataDir, DryRun, KeyDir, Yes, options_of, paths_of
from node.cli.output import Output, facts_table, table
from node.cli.upgrade_steps import Known, Part, steps_of
from node.errors import NodeError, Refused
from node.lock import DirectoryLock
from node.paths import Paths
from node.settings.migrating import plan_migration
from node.settings.sections import SCHEMA_VERSION as CONFIG_VERSION
from node.store.errors import StoreDamaged
from node.store.folder import current_path, new_folder
from node.store.migrations import climb, go_back, snapshots_of, steps_from
from node.store.migrations.before import DBS_MAX, room_needed
from node.store.migrations.checking import check_today
from node.store.migrations.going_back import prove_snapshot
from node.store.schema import SCHEMA_VERSION, refuse_other_schema
from node.store.version import DATA_FILE, stored_schema

_LAG_SEEN: Final = "lag_ops"

Data = dict[str, Any]


def plan(
    *,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Print what an upgrade to this version takes, step by step; nothing is changed.

    Run it with the new program, beside the node that still runs the old one. Steps that are
    done already say so, so the plan may be followed from the top after any interruption.
    """
    paths = paths_of(data_dir, key_dir, config)
    data = _looked(paths)
    known = Known(
        options=options_of(paths),
        running=data["node"]["running"],
        same_program=data["node"]["version"] == __version__,
        store_steps=tuple(data["store"]["steps"]),
        config_changes=tuple(data["config"]["changes"]),
        all_ready=data["mesh"]["all_ready"],
        snapshot=(data["store"]["snapshots"] or [None])[-1],
    )
    steps = steps_of(known)
    data["steps"] = [step.data(number) for number, step in enumerate(steps, 1)]
    Output(as_json=as_json).answer(data, [*_words(data), *_steps_words(steps)])


def check(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Rehearse the migration on a copy of the store that is thrown away, and say how long it took.

    The node may run meanwhile. The copy is made in the data directory.
    """
    out = Output(as_json=as_json)
    paths = paths_of(data_dir)
    store = _store_of(paths)
    found = stored_schema(store) or SCHEMA_VERSION
    steps = steps_from(found)
    with out.progress() as progress:
        progress.add_task("copying, migrating and reading the copy", total=None)
        data = _rehearsed(paths.data_dir, store)
    data |= {"schema": found, "target": SCHEMA_VERSION, "steps": [step.what for step in steps]}
    rows = (
        ("schema", f"{found} to {SCHEMA_VERSION}" if steps else f"{found}, which is today's"),
        ("bytes", f"{data['bytes_before']} to {data['bytes_after']}"),
        ("copied", f"{data['copy_seconds']:.1f} s"),
        ("migrated and read", f"{data['migration_seconds']:.1f} s"),
    )
    words = "the copy is sound and was thrown away; the store was not touched"
    out.answer(data, [facts_table(rows), words])


def back(
    *,
    snapshot: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="The snapshot; the newest when unset.",
            show_default=False,
        ),
    ] = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Put the store in place again as it was before its migration, for the older program.

    What was written since is in the store that is set aside, and at the other members, which
    bring it back.
    """
    out = Output(as_json=as_json)
    paths = paths_of(data_dir)
    found = [snapshot] if snapshot is not None else snapshots_of(paths.data_dir)[-1:]
    if not found:
        raise Refused(
            f"there is no snapshot of a migration in {paths.data_dir}",
            fix="Restore a backup: mnemesh restore",
        )
    file = found[0]
    with DirectoryLock(paths.lock):
        schema, rows = prove_snapshot(file)
        data: Data = {"snapshot": str(file), "schema": schema, "rows": rows, "dry_run": dry_run}
        if dry_run:
            out.answer(data, f"would put {file} in place: schema {schema}, {rows} rows, sound")
            return
        out.confirm(f"Put the store of {file} in place of the present one?", yes=yes)
        store = go_back(
            paths.data_dir, file, now_ms=time.time_ns() // 1_000_000, entropy=secrets.token_bytes
        )
    words = f"{store} has schema {schema} again; install the older version before the next start"
    out.answer(data | {"store": str(store)}, words)


# --- looking --------------------------------------------------------------------------------


def _store_of(paths: Paths) -> Path:
    store = current_path(paths.data_dir)
    if store is None or not (store / DATA_FILE).exists():
        raise Refused(f"there is no store in {paths.data_dir}", fix="Start the node once")
    return store


def _looked(paths: Paths) -> Data:
    """Everything that a plan depends on."""
    facts = running_facts(paths)
    client = Client(running_target(paths)) if facts is not None else None
    version = client.call("GET", "/api/v1/version").data["version"] if client else None
    return {
        "program": __version__,
        "node": {"running": facts is not None, "version": version},
        "store": _store_facts(paths),
        "config": _config_facts(paths),
        "mesh": _mesh_facts(client),
    }


def _store_facts(paths: Paths) -> Data:
    store = current_path(paths.data_dir)
    said: Data = {"path": None, "schema": None, "target": SCHEMA_VERSION, "steps": []}
    said["snapshots"] = [str(path) for path in snapshots_of(paths.data_dir)]
    if store is None or not (store / DATA_FILE).exists():
        return said
    schema = stored_schema(store)
    if schema is not None and schema > SCHEMA_VERSION:
        refuse_other_schema(store, schema)
    steps = steps_from(SCHEMA_VERSION if schema is None else schema)
    size = (store / DATA_FILE).stat().st_size
    free = shutil.disk_usage(store).free
    needed = room_needed(size, steps) if steps else 0
    return said | {
        "path": str(store),
        "schema": schema,
        "steps": [f"{step.source} to {step.target}: {step.what}" for step in steps],
        "bytes": size,
        "room_needed_bytes": needed,
        "room_free_bytes": free,
        "room": free >= needed,
    }


def _config_facts(paths: Paths) -> Data:
    path = paths.config
    said: Data = {"path": str(path), "version": None, "target": CONFIG_VERSION, "changes": []}
    if not path.exists():
        return said
    planned = plan_migration(path)
    return said | {"version": planned.version, "changes": list(planned.changes)}


def _mesh_facts(client: Client | None) -> Data:
    """Members as the running node sees them."""
    if client is None:
        return {"seen": False, "all_ready": None, "members": []}
    mesh = client.call("GET", "/api/v1/mesh").data
    members = [
        {
            "name": member.get("name"),
            "state": member.get("state"),
            "version": member.get("version"),
            "lag_ops": member.get(_LAG_SEEN),
        }
        for member in mesh.get("members", [])
    ]
    ready = all(m["state"] in {"self", "ready"} and not m["lag_ops"] for m in members)
    return {"seen": True, "all_ready": ready, "members": members}


def _words(data: Data) -> list[Any]:
    node, store, mesh = data["node"], data["store"], data["mesh"]
    schema = f"{store['schema']}, this program writes {store['target']}"
    rows = [
        ("this program", data["program"]),
        ("the node", node["version"] if node["running"] else "does not run"),
        ("the store", f"schema {schema}" if store["path"] else "there is none"),
        *(("", f"step {step}") for step in store["steps"]),
        ("configuration", "; ".join(data["config"]["changes"]) or "nothing to change"),
    ]
    if store["steps"]:
        needed, free = store["room_needed_bytes"], store["room_free_bytes"]
        rows.append(("room", f"{needed} bytes needed, {free} free"))
    said: list[Any] = [facts_table(rows)]
    if mesh["members"]:
        seen = [
            (m["name"], m["state"], m["version"] or "ask there", m["lag_ops"])
            for m in mesh["members"]
        ]
        said += ["", table(("MEMBER", "STATE", "VERSION", "LAG OPS"), seen)]
    return said


def _steps_words(steps: list[Part]) -> list[str]:
    words = ["", "One member at a time, and the next only when this one is done:"]
    for number, step in enumerate(steps, 1):
        words.append(f"{number}. {step.what}" + (" (done)" if step.done else ""))
        words += [f"      {command}" for command in step.commands]
    return words


# --- the rehearsal ----------------------------------------------------------------------------


def _rehearsed(data_dir: Path, store: Path) -> Data:
    """Copy, climb, read; a start of the node sweeps what a death leaves of it."""
    folder = new_folder(data_dir, "next", secrets.token_bytes)
    copy = folder / store.name
    try:
        copy.mkdir(mode=0o700, parents=True)
        began = time.monotonic()
        try:
            with lmdb.open(str(store), readonly=True, max_dbs=DBS_MAX, create=False) as env:
                env.copy(str(copy), compact=True)
        except lmdb.Error as error:
            raise StoreDamaged(f"the store in {store} cannot be read", why=str(error)) from error
        before = (copy / DATA_FILE).stat().st_size
        (folder / "CURRENT").write_text(f"{store.name}\n", encoding="ascii")
        copied = time.monotonic()
        if climb(folder, entropy=os.urandom) is None:
            _read(copy)
        done = time.monotonic()
        return {
            "bytes_before": before,
            "bytes_after": (copy / DATA_FILE).stat().st_size,
            "copy_seconds": round(copied - began, 3),
            "migration_seconds": round(done - copied, 3),
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _read(store: Path) -> None:
    try:
        with (
            lmdb.open(str(store), readonly=True, lock=False, max_dbs=DBS_MAX, create=False) as env,
            env.begin() as txn,
        ):
            check_today(env, txn)
    except (lmdb.Error, NodeError) as error:
        raise StoreDamaged(
            "the store is not sound", why=str(error), fix="See mnemesh scrub"
        ) from error
