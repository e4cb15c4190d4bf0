"""`mnemesh restore`: a store brought back from a backup, or from before a migration.

Law: never under a node that runs; nothing is replaced that was not verified, unless that was
asked for; the store before it stays, aside. Afterwards it is said what the operator has to do.
"""

import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from node.backup.belonging import Target, check_is_ours
from node.backup.earlier import earlier_at, is_earlier
from node.backup.folder import found
from node.backup.manifest import facts_of
from node.backup.notes import forget_restored, give_to_owner, recovering
from node.backup.restoring import (
    Outcome,
    Wish,
    candidates,
    restore,
    restore_earlier,
)
from node.backup.verifying import verify_backup
from node.cli.backup import BackupId, bar, places_of
from node.cli.hooks import tell
from node.cli.options import AsJson, ConfigFile, DataDir, DryRun, KeyDir, Yes, options_of, paths_of
from node.cli.output import Output, facts_table
from node.errors import DiskFull, NodeError, UsageError
from node.events.moments import RESTORED
from node.lock import DirectoryLock
from node.paths import Paths
from node.store.folder import current_path
from node.store.schema import SCHEMA_VERSION
from transport.identity import NodeKey


def restore_store(  # noqa: PLR0913 -- the options of a command are its parameters
    *,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="Folder that backups are kept in, or a copy that a migration left.",
            show_default=False,
        ),
    ] = None,
    wanted: BackupId = None,
    as_founder: Annotated[
        bool,
        typer.Option("--as-founder", help="There is nobody to pull from: take writes at once."),
    ] = False,
    skip_verify: Annotated[
        bool, typer.Option("--skip-verify", help="Do not verify first; this is noted.")
    ] = False,
    of_another: Annotated[
        bool, typer.Option("--of-another-node", help="A backup of another node or mesh is meant.")
    ] = False,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    config: ConfigFile = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Bring the store of a stopped node back; the newest backup that holds is taken."""
    out, paths = Output(as_json=as_json), paths_of(data_dir, key_dir, config)
    if source is None:
        _begin_here(out, paths, as_founder=as_founder, dry_run=dry_run)
        return
    source = source.expanduser().absolute()
    wish = Wish(
        now_ms=time.time_ns() // 1_000_000,
        verify=not skip_verify,
        founder=as_founder,
        of_another=of_another,
    )
    with DirectoryLock(paths.lock):
        give_to_owner(paths.lock, paths.data_dir)
        target = _target(paths)
        if dry_run:
            _tell_plan(out, target, source, wanted, wish)
            return
        if paths.current.exists():
            out.confirm(f"Put the backup in the place of the store in {paths.data_dir}?", yes=yes)
        outcome = _restored(out, target, source, wanted, wish)
    _tell(out, paths, target, outcome, wish)
    tell(out, paths, RESTORED, {"backup": outcome.backup, "path": str(outcome.path)})


def _target(paths: Paths) -> Target:
    key = NodeKey.load(paths.node_key).node_id.hex() if paths.node_key.exists() else ""
    return Target(
        data_dir=paths.data_dir,
        node_id=key,
        places={**places_of(paths), "peers": paths.peers},
    )


def _restored(out: Output, target: Target, source: Path, wanted: str | None, wish: Wish) -> Outcome:
    with bar(out, "restore") as progress:
        wish = Wish(
            now_ms=wish.now_ms,
            verify=wish.verify,
            founder=wish.founder,
            of_another=wish.of_another,
            progress=progress,
        )
        try:
            if is_earlier(source):
                return restore_earlier(target, source, wish)
            return restore(target, candidates(source, wanted, found(source)), wish)
        except OSError as error:
            raise DiskFull(
                f"the backup could not be put into {target.data_dir}",
                why=f"{error.filename or ''} {error.strerror or error}".strip(),
                fix="Let this user read the backup and write there; the old store is as it was",
            ) from error


def _begin_here(out: Output, paths: Paths, *, as_founder: bool, dry_run: bool) -> None:
    """A store that was restored before shall take writes without having pulled."""
    if not as_founder:
        raise UsageError("restore needs a folder of backups", fix="mnemesh restore --from DIR")
    with DirectoryLock(paths.lock):
        there = recovering(paths.data_dir) is not None
        if there and not dry_run:
            forget_restored(paths.data_dir)
    words = "the store takes writes at the next start" if there else "nothing was restored here"
    data = {"recovering": there and dry_run, "was_recovering": there, "dry_run": dry_run}
    out.answer(data, f"would end it: {words}" if dry_run and there else words)


def _tell_plan(out: Output, target: Target, source: Path, wanted: str | None, wish: Wish) -> None:
    """Everything but the restore itself."""
    current = current_path(target.data_dir)
    data: dict[str, Any] = {"dry_run": True, "would_set_aside": str(current) if current else None}
    if is_earlier(source):
        schema = earlier_at(source).schema
        out.answer(data | {"backup": source.name, "schema": schema}, f"would restore {source}")
        return
    skipped = []
    for one in candidates(source, wanted, found(source)):
        try:
            with bar(out, one.id) as progress:
                manifest = verify_backup(one.path, progress)
            check_is_ours(target, manifest, of_another=wish.of_another)
        except NodeError as error:
            skipped.append({"id": one.id, "why": f"{error.what}: {error.why}"})
            continue
        facts = facts_of(manifest)
        out.answer(data | facts | {"skipped": skipped}, f"would restore {one.id}")
        return
    out.answer(data | {"id": None, "skipped": skipped}, "no backup would be restored")


def _tell(out: Output, paths: Paths, target: Target, outcome: Outcome, wish: Wish) -> None:
    facts = {} if outcome.manifest is None else facts_of(outcome.manifest)
    to_do = _to_do(paths, target, outcome, wish)
    data = {
        **facts,
        "backup": outcome.backup,
        "path": str(outcome.path),
        "verified": wish.verify,
        "skipped": [{"id": name, "why": why} for name, why in outcome.skipped],
        "store": str(outcome.store),
        "aside": str(outcome.aside) if outcome.aside else None,
        "put": list(outcome.put),
        "as_founder": wish.founder,
        "to_do": to_do,
    }
    rows: list[tuple[str, object]] = [
        ("restored", outcome.backup),
        ("made", facts.get("created_at")),
        ("records", facts.get("records")),
        ("verified", "yes" if wish.verify else "NO, as was asked for; this is noted"),
        ("set aside", str(outcome.aside) if outcome.aside else None),
        ("put back", ", ".join(outcome.put) or None),
    ]
    rows += [("skipped", f"{name}: {why}") for name, why in outcome.skipped]
    out.answer(data, [facts_table(rows), *to_do])


_AS_NEW: Final = (
    "join with it (mnemesh init where there is no key, mnemesh node join) and it takes writes "
    "when it has pulled; an empty folder does as well, for the members fill it. Where no member "
    "is left, this store can be read: mnemesh serve, mnemesh export"
)


def _to_do(paths: Paths, target: Target, outcome: Outcome, wish: Wish) -> list[str]:
    options = options_of(paths)
    lines = []
    made = outcome.manifest
    if not target.node_id:
        lines.append(
            "The node's key is not here. Bring it back with mnemesh identity restore. Without it "
            f"this is a new member: {_AS_NEW}"
        )
    elif made is not None and made.node_id != target.node_id:
        lines.append(f"The backup is of another node: to be a member, {_AS_NEW}")
    if outcome.schema != SCHEMA_VERSION:
        lines.append(f"The store has schema {outcome.schema} and is migrated at the next start.")
    if wish.founder:
        lines.append(f"Start it: mnemesh serve{options}; it takes writes at once.")
    else:
        lines.append(
            f"Start it: mnemesh serve{options}; it reads at once, and takes writes when it has "
            "pulled from a member. If there is no other member left to start: "
            f"mnemesh restore --as-founder{options}"
        )
    return lines
