"""`mnemesh config`: the configuration file of a node.

Law: the file is read as a start of the node reads it. What is written anew is written whole,
and the old file is kept beside it.
"""

import difflib
import os
import socket
from collections import Counter
from collections.abc import Mapping
from typing import Annotated

import typer

from node.cli.options import AsJson, ConfigFile, DataDir, DryRun, KeyDir, paths_of
from node.cli.output import Output, print_json, table
from node.cli.setting_options import flags_of, with_settings
from node.errors import ConfigError
from node.settings import Settings, load_settings
from node.settings.json_schema import config_schema
from node.settings.migrating import Migration, migrate_file, plan_migration
from node.settings.sections import SCHEMA_VERSION
from node.settings.showing import shown
from node.settings.starting import check_start
from node.settings.toml_file import literal


@with_settings
def check(
    *,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
    **given: str | None,
) -> None:
    """Check file, environment and options as a start would, and start nothing.

    Files that settings name are looked at too: that they are there, and that secrets are
    readable by their owner alone.
    """
    out = Output(as_json=as_json)
    settings = _settings(data_dir, key_dir, config, given)
    check_start(settings, os.environ)
    counts = Counter(origin.partition(" ")[0] for origin in settings.origins.values())
    there = settings.paths.config.exists()
    data = {
        "ok": True,
        "path": str(settings.paths.config),
        "exists": there,
        "warnings": list(settings.warnings),
        "hooks": [hook.name for hook in settings.hooks],
        "settings": dict(counts),
    }
    where = settings.paths.config if there else f"no file at {settings.paths.config}"
    told = ", ".join(f"{count} from {origin}" for origin, count in sorted(counts.items()))
    out.answer(data, [f"good: {where}", told, *settings.warnings])


@with_settings
def show(
    *,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each came from.")] = False,
    changed: Annotated[bool, typer.Option("--changed", help="Leave the defaults out.")] = False,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
    **given: str | None,
) -> None:
    """Show every setting as a start here and now would have it; secrets are never among them."""
    settings = _settings(data_dir, key_dir, config, given)
    rows = [row for row in shown(settings) if not changed or row.origin != "default"]
    data: dict[str, object] = {
        "path": str(settings.paths.config),
        "settings": {row.name: row.value for row in rows},
    }
    if origin:
        data["origins"] = {row.name: row.origin for row in rows}
    head = ("SETTING", "VALUE", "ORIGIN") if origin else ("SETTING", "VALUE")
    cells = [(row.name, _cell(row.value), row.origin)[: len(head)] for row in rows]
    Output(as_json=as_json).answer(data, table(head, cells))


def schema(*, as_json: AsJson = False) -> None:
    """Print the JSON Schema of the configuration file (draft 2020-12)."""
    del as_json  # it is JSON either way
    print_json(config_schema())


def _settings(
    data_dir: DataDir, key_dir: KeyDir, config: ConfigFile, given: Mapping[str, str | None]
) -> Settings:
    return load_settings(
        paths_of(data_dir, key_dir, config),
        environ=os.environ,
        flags=flags_of(given),
        hostname=socket.gethostname().split(".")[0] or "node",
        config_required=config is not None or bool(os.environ.get("MNEMESH_CONFIG")),
    )


def _cell(value: object) -> str:
    """A value as the file would have it; nothing for what is not set."""
    return "" if value is None else literal(value)


def migrate(
    *,
    dry_run: DryRun = False,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Write a configuration file of an older version anew, with the names of today.

    Comments, order and values stay. The old file is kept beside it, under the time of the
    change. A file of today is left as it is, so this may be run at any time.
    """
    out = Output(as_json=as_json)
    path = paths_of(data_dir, key_dir, config).config
    if not path.exists():
        if config is not None:
            raise ConfigError(f"cannot read the configuration {path}", why="it is not there")
        data = _data(Migration(path=path, version=SCHEMA_VERSION, changes=(), text=""))
        out.answer(data, f"there is no {path}: nothing to do")
        return
    plan = plan_migration(path)
    if not plan.changes:
        out.answer(_data(plan), f"{path} is of version {SCHEMA_VERSION}: nothing to do")
        return
    words = [f"- {sentence}" for sentence in plan.changes]
    if dry_run:
        before = path.read_text(encoding="utf-8")
        lines = difflib.unified_diff(
            before.splitlines(), plan.text.splitlines(), "before", "after", lineterm="", n=0
        )
        out.answer(_data(plan, dry_run=True), [f"{path} would change:", *words, "", *lines])
        return
    copy = migrate_file(plan)
    told = [f"{path} is of version {SCHEMA_VERSION} now:", *words, f"the old file is {copy}"]
    out.answer(_data(plan, copy=str(copy)), told)


def _data(plan: Migration, *, copy: str | None = None, dry_run: bool = False) -> dict[str, object]:
    return {
        "path": str(plan.path),
        "from": plan.version,
        "to": SCHEMA_VERSION,
        "changes": list(plan.changes),
        "changed": copy is not None,
        "copy": copy,
        "dry_run": dry_run,
    }
