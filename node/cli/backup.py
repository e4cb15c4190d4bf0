"""`mnemesh backup ...`: copies of the store for the day that it is gone.

Law: a backup is made by this process, not by the node, and needs of the node only that its
folder can be read and its key can sign. A command that looks changes nothing.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from node.backup.copying import Progress, live_store
from node.backup.drilling import behind, drill
from node.backup.folder import PART, Found, found, leftovers, surplus
from node.backup.manifest import BadBackup, facts_of
from node.backup.restoring import candidates
from node.backup.taking import Source, take
from node.backup.verifying import verify_backup
from node.cli.client import Client, running_facts, running_target
from node.cli.hooks import tell
from node.cli.options import AsJson, ConfigFile, DataDir, DryRun, KeyDir, paths_of
from node.cli.output import Output, facts_table, table
from node.cli.wording import counted
from node.errors import Exit, NodeError, Refused, UsageError
from node.events.moments import BACKUP_DONE, BACKUP_FAILED
from node.facts import ListenerFacts
from node.lock import find_holder
from node.paths import Paths
from transport.identity import NodeKey

From = Annotated[
    Path, typer.Option("--from", metavar="DIR", help="Folder that backups are kept in.")
]
BackupId = Annotated[
    str | None,
    typer.Option("--backup", metavar="ID", help="This one, not the newest.", show_default=False),
]
_KEEP_DEFAULT: Final = 48
_MIB: Final = 1 << 20


def backup(
    *,
    context: typer.Context,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Folder to keep backups in.", show_default=False),
    ] = None,
    keep: Annotated[
        int, typer.Option("--keep", min=1, help="How many of this node are kept.")
    ] = _KEEP_DEFAULT,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    config: ConfigFile = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Back up the store of a node, running or not, and prune what is too old."""
    if context.invoked_subcommand is not None:
        return
    if to is None:
        raise UsageError("backup needs a folder", fix="mnemesh backup --to DIR")
    out, paths = Output(as_json=as_json), paths_of(data_dir, key_dir, config)
    source, folder = source_of(paths), to.expanduser().absolute()
    if dry_run:
        _tell_plan(out, source, folder, keep)
        return
    try:
        with bar(out, "backup") as progress:
            taken = take(source, folder, keep=keep, now_ms=_now_ms(), progress=progress)
    except (NodeError, OSError) as error:
        about = {"error": getattr(error, "code", type(error).__name__), "to": str(folder)}
        tell(out, paths, BACKUP_FAILED, about)
        raise
    if not source.runs:  # a node that runs sees it, and tells its hooks itself
        tell(out, paths, BACKUP_DONE, {"id": taken.path.name, "path": str(taken.path)})
    data = {
        **facts_of(taken.manifest),
        "path": str(taken.path),
        "pruned": list(taken.pruned),
        "kept": taken.kept,
        "seconds": round(taken.seconds, 3),
    }
    out.answer(
        data,
        f"{taken.path}: {counted(data['records'], 'record', 'records')}, {_size(data['bytes'])}, "
        f"{data['seconds']} s; {taken.kept} kept, {len(taken.pruned)} pruned",
    )
    if taken.untold:
        out.say(f"The node and its alarms do not know of this backup: {taken.untold}")


def _tell_plan(out: Output, source: Source, folder: Path, keep: int) -> None:
    size = (live_store(source.data_dir) / "data.mdb").stat().st_size
    there = found(folder) if folder.is_dir() else []
    gone = [one.id for one in surplus(there, source.key.node_id.hex(), keep, coming=1)]
    left = [path.name for path in leftovers(folder)] if folder.is_dir() else []
    data = {
        "dry_run": True,
        "to": str(folder),
        "bytes_at_most": size,
        "would_prune": gone,
        "would_remove": left,
        "files": sorted(source.files),
    }
    out.answer(data, f"would copy up to {_size(size)} to {folder} and prune {len(gone)}")


def source_of(paths: Paths) -> Source:
    """What there is to back up of a node.

    Raises:
        UsageError: there is no node.
        Refused: its key is not there.
    """
    facts = ListenerFacts.read(paths.facts)
    live_store(paths.data_dir)
    if not paths.node_key.exists():
        raise Refused(
            f"there is no node key at {paths.node_key}, so the backup could not be signed",
            fix="Name the folder of the keys with --key-dir",
        )
    return Source(
        data_dir=paths.data_dir,
        key=NodeKey.load(paths.node_key),
        name="" if facts is None else facts.name,
        runs=find_holder(paths.lock) is not None,
        files={name: path for name, path in places_of(paths).items() if path.is_file()},
    )


def places_of(paths: Paths) -> dict[str, Path]:
    """What of a node belongs into its backup, and where: nothing that is secret."""
    facts = ListenerFacts.read(paths.facts)
    listed = Path(facts.allowlist) if facts is not None and facts.allowlist else paths.allowlist
    named = {
        "join.json": paths.join,
        "config.toml": paths.config,
        "allowlist": listed,
        "tls.crt": paths.tls_cert,
        "enrolled_peers.json": paths.key_dir / "enrolled_peers.json",
    }
    return named | {f"peers/{path.name}": path for path in sorted(paths.peers.glob("*.pem"))}


# --- looking ---------------------------------------------------------------------------------


def list_backups(*, source: From, as_json: AsJson = False) -> None:
    """List backups, the newest first, by their manifests; their contents are not read."""
    there = found(source)
    data = {"backups": [_row(one) for one in there], "count": len(there)}
    left = len(list(source.glob(f"*{PART}")))
    rows = [
        (
            one.id,
            "ok" if not one.trouble else one.trouble,
            one.manifest.name if one.manifest else "",
            one.manifest.contents.records if one.manifest else "",
            _size(one.manifest.size_bytes) if one.manifest else "",
        )
        for one in there
    ]
    shown = table(("ID", "STATE", "NODE", "RECORDS", "SIZE"), rows)
    out = Output(as_json=as_json)
    out.answer(data | {"parts": left}, shown if rows else f"there is no backup in {source}")


def _row(one: Found) -> dict[str, Any]:
    facts = {"id": one.id} if one.manifest is None else facts_of(one.manifest)
    return {**facts, "path": str(one.path), "holds": not one.trouble, "why": one.trouble}


def verify_backups(
    *,
    source: From,
    wanted: BackupId = None,
    everyone: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read all of the newest backup and see whether it is what was made; exit 5 if not."""
    out = Output(as_json=as_json)
    listed = candidates(source, wanted, found(source))
    rows = [_verified(out, one) for one in (listed if everyone else listed[:1])]
    holds = all(row["holds"] for row in rows)
    words = [
        f"{row['id']}: " + (f"holds ({row['records']} records)" if row["holds"] else row["why"])
        for row in rows
    ]
    out.answer({"holds": holds, "backups": rows}, "\n".join(words))
    if not holds:
        raise typer.Exit(int(Exit.INTEGRITY))


def _verified(out: Output, one: Found) -> dict[str, Any]:
    began = time.monotonic()
    try:
        with bar(out, one.id) as progress:
            manifest = verify_backup(one.path, progress)
    except (NodeError, OSError) as error:
        why = f"{error.what}: {error.why}" if isinstance(error, NodeError) else str(error)
        return {"id": one.id, "path": str(one.path), "holds": False, "why": why}
    seconds = round(time.monotonic() - began, 3)
    return {**facts_of(manifest), "path": str(one.path), "holds": True, "seconds": seconds}


def drill_backup(
    *,
    source: From,
    wanted: BackupId = None,
    scratch: Annotated[
        Path | None,
        typer.Option(
            "--scratch", metavar="DIR", help="Where to play it through.", show_default=False
        ),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Restore into a folder that is thrown away: how long it takes, and what would be lost."""
    out, paths = Output(as_json=as_json), paths_of(data_dir)
    skipped = []
    for one in candidates(source, wanted, found(source)):
        try:
            with bar(out, one.id) as progress:
                done = drill(one, scratch, now_ms=_now_ms(), progress=progress)
        except BadBackup as error:
            skipped.append({"id": one.id, "why": f"{error.what}: {error.why}"})
            continue
        clock = _clock_now(paths)
        lost = None if clock is None else behind(done.manifest, clock)
        age = max(0, _now_ms() - done.manifest.created_ms) // 1000
        data = {
            **facts_of(done.manifest),
            "seconds": round(done.seconds, 3),
            "age_seconds": age,
            "operations_behind": lost,
            "skipped": skipped,
        }
        out.answer(data, facts_table(_drill_words(data, done.store_bytes)))
        return
    raise BadBackup(
        "no backup would be restored",
        why="; ".join(f"{row['id']}: {row['why']}" for row in skipped),
        fix="Make one now: mnemesh backup --to DIR",
    )


def _drill_words(data: dict[str, Any], size: int) -> list[tuple[str, object]]:
    lost = data["operations_behind"]
    return [
        ("backup", data["id"]),
        ("of", f"{data['created_at']}, {data['age_seconds']} s ago"),
        ("restored in", f"{data['seconds']} s"),
        ("opened", f"{counted(data['records'], 'record', 'records')}, {_size(size)}"),
        (
            "behind the node",
            "no node runs here" if lost is None else counted(lost, "operation", "operations"),
        ),
        ("skipped", "; ".join(f"{one['id']}: {one['why']}" for one in data["skipped"]) or None),
    ]


def _clock_now(paths: Paths) -> dict[str, int] | None:
    """The clock of the node that runs here; None when none does."""
    if running_facts(paths) is None:
        return None
    clock: dict[str, int] = Client(running_target(paths)).call("GET", "/api/v1/mesh").data["clock"]
    return clock


@contextmanager
def bar(out: Output, name: str) -> Iterator[Progress]:
    """A progress bar that is told (done, total) in bytes or rows."""
    with out.progress() as shown:
        task = shown.add_task(name, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _size(count: int) -> str:
    return f"{count / _MIB:.1f} MiB"
