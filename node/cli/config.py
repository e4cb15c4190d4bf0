"""`mnemesh config`: the configuration file of a node.

Law: the file is read as a start of the node reads it. What is written anew is written whole,
and the old file is kept beside it.
"""

import difflib

from node.cli.options import AsJson, ConfigFile, DataDir, DryRun, KeyDir, paths_of
from node.cli.output import Output
from node.errors import ConfigError
from node.settings.migrating import Migration, migrate_file, plan_migration
from node.settings.sections import SCHEMA_VERSION


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
