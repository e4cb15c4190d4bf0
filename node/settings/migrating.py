"""A configuration file of an older version, written anew with today's names.

Law: comments, order and values stay as they are; only names and the version change, on the
lines where they stand. What was written is read back and must say what the old file said, or
nothing is written: a line that is too clever is mended by hand, never guessed at. The old file
stays beside the new one under the time of the change. Doing it again changes nothing.

Sources: TOML 1.0.
"""

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from node.errors import ConfigError
from node.settings.config_steps import Rename, brought, due, version_of
from node.settings.sections import SCHEMA_VERSION
from node.settings.toml_file import checked_version, line_of, parse_text, read_text
from transport.secret_files import replace_file

_VERSION_LINE: Final = re.compile(r"^(\s*[\"']?schema_version[\"']?\s*=\s*)\d+", re.MULTILINE)
_ASIDE: Final = re.compile(r"\s*(#.*)?")
_STAMP: Final = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """What a migration of a file does.

    Attributes:
        path: of the file.
        version: that it has.
        changes: sentences; empty when there is nothing to do.
        text: what it will be.
    """

    path: Path
    version: int
    changes: tuple[str, ...]
    text: str


def plan_migration(path: Path) -> Migration:
    """What it takes to bring a file up to today's version; nothing is written.

    Raises:
        ConfigError: it cannot be read, or not be changed with certainty.
        DowngradeRefused: it was written for a newer version.
    """
    text = read_text(path)
    parse_text(path, text)  # refuses what a start would refuse
    data = tomllib.loads(text)
    version = checked_version(path, version_of(data))
    renames = due(data, version)
    said = data.get("schema_version")
    if said == SCHEMA_VERSION or (said is None and not renames):
        return Migration(path=path, version=version, changes=(), text=text)
    after = text
    for rename in renames:
        after = _renamed(path, after, rename)
    after = _versioned(after)
    wanted = brought(data, version) | {"schema_version": SCHEMA_VERSION}
    if _read(after) != wanted:
        names = ", ".join(str(rename) for rename in renames)
        raise ConfigError(
            f"{path} cannot be changed with certainty",
            why="its lines are written in a way that this command does not take apart",
            fix=f"Do it by hand: {names or 'no name changes'}; schema_version = {SCHEMA_VERSION}",
        )
    changes = (*map(str, renames), f"schema_version is {SCHEMA_VERSION}")
    return Migration(path=path, version=version, changes=changes, text=after)


def migrate_file(plan: Migration, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Path:
    """Write the new file; returns where the old one is kept.

    Raises:
        ConfigError: the folder cannot be written.
    """
    stamp = now().strftime(_STAMP)
    target = plan.path.resolve()
    copy = target.with_name(f"{target.name}.{stamp}.v{plan.version}")
    try:
        mode = target.stat().st_mode & 0o777
        replace_file(copy, target.read_bytes(), mode=mode)
        replace_file(target, plan.text.encode(), mode=mode)
    except OSError as error:
        raise ConfigError(
            f"cannot write {target}",
            why=error.strerror or str(error),
            fix="Give the folder to this user; the file was left as it is",
        ) from error
    return copy


def notice_of(path: Path) -> str:
    """A sentence for the log about a file that uses older names; empty when it uses none.

    Raises:
        ConfigError: it cannot be read.
    """
    data = tomllib.loads(read_text(path))
    version = version_of(data)
    renames = due(data, version) if isinstance(version, int) else []
    if not renames:
        return ""
    names = "; ".join(map(str, renames))
    return f"{path} is of version {version} and read as such: {names}. mnemesh config migrate"


def _renamed(path: Path, text: str, rename: Rename) -> str:
    number = line_of(text, rename.section, rename.old)
    if not number:
        raise ConfigError(
            f"{path}: the line of [{rename.section}] {rename.old} was not found",
            why="it does not stand on a line of its own in a section of its own",
            fix=f"Do it by hand: {rename}; schema_version = {SCHEMA_VERSION}",
        )
    lines = text.splitlines(keepends=True)
    left, mark, right = lines[number - 1].partition("=")
    before, found, after = left.rpartition(rename.old)
    lines[number - 1] = f"{before}{rename.new if found else ''}{after}{mark}{right}"
    return "".join(lines)


def _versioned(text: str) -> str:
    """The text with today's version: where it says one, else below its first comments."""
    if _VERSION_LINE.search(text.partition("\n[")[0]):
        return _VERSION_LINE.sub(rf"\g<1>{SCHEMA_VERSION}", text, count=1)
    lines = text.splitlines(keepends=True)
    at = next((n for n, line in enumerate(lines) if not _ASIDE.fullmatch(line.strip())), len(lines))
    if at and not lines[at - 1].endswith("\n"):
        lines[at - 1] += "\n"
    return "".join([*lines[:at], f"schema_version = {SCHEMA_VERSION}\n", *lines[at:]])


def _read(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
