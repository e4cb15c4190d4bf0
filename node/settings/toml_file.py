"""The configuration file: read with line numbers, written whole or not at all.

Law: a file that cannot be understood is refused with the line to mend; it is never read in
part and never replaced by defaults. A secret inside it is refused before anything else.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from node.errors import ConfigError, DowngradeRefused
from node.settings.config_steps import brought, old_names, version_of
from node.settings.hook_tables import ROWS as HOOK_ROWS
from node.settings.hook_tables import SECTION as HOOKS
from node.settings.hook_tables import known_keys
from node.settings.sections import SCHEMA_VERSION, SECTIONS, TABLE
from transport.secret_files import replace_file

_HEADER: Final = re.compile(r"^\s*\[\s*([A-Za-z0-9_.\-\"' ]+?)\s*\]\s*(#.*)?$")
_KEY: Final = re.compile(r"^\s*([A-Za-z0-9_.\-\"']+)\s*=")
_SECRET: Final = re.compile(
    r"(^|_)(api_?key|key|secret|token|passphrase|password|credential)s?$", re.IGNORECASE
)
_KNOWN: Final = {(row.section, row.key): row for row in TABLE}
_HOOK_KEYS: Final = {row.key: row for row in HOOK_ROWS}


def read_config(path: Path) -> dict[str, dict[str, object]]:
    """Read and check the shape of a configuration file: `{section: {key: value}}`.

    Raises:
        ConfigError: not readable, not TOML, an unknown name, or a secret in the file.
        DowngradeRefused: the file says it was written for a newer version.
    """
    return parse_text(path, read_text(path))


def read_text(path: Path) -> str:
    """The text of a configuration file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot read the configuration {path}", why=error.strerror or str(error)
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"cannot read the configuration {path}", why="it is not UTF-8 text"
        ) from error


def parse_text(path: Path, text: str) -> dict[str, dict[str, object]]:
    """What a file says, in today's names; see `read_config`.

    Raises:
        ConfigError, DowngradeRefused: it cannot be used.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path} is not valid TOML", why=str(error), fix="Mend that line; nothing was read"
        ) from error
    return _checked(path, text, data)


def _checked(path: Path, text: str, data: dict[str, Any]) -> dict[str, dict[str, object]]:
    version = checked_version(path, version_of(data))
    data = brought(data, version)
    data.pop("schema_version", None)
    for section, body in data.items():
        if not isinstance(body, dict):
            _refuse_name(path, line_of(text, "", section), section, "", SECTIONS)
        if section == HOOKS:
            _check_hooks(path, text, body)
            continue
        if section not in SECTIONS:
            line = line_of(text, section, "") or line_of(text, "", section)
            _refuse_name(path, line, f"[{section}]", section, [*SECTIONS, HOOKS])
        keys = [row.key for row in TABLE if row.section == section]
        for key in body:
            if (section, key) not in _KNOWN:
                _refuse_name(path, line_of(text, section, key), key, section, keys)
    return data


def _check_hooks(path: Path, text: str, tables: dict[str, Any]) -> None:
    """Hold `[hooks.NAME]` to the keys that a hook has."""
    for name, body in tables.items():
        section = f"{HOOKS}.{name}"
        if not isinstance(body, dict):
            line = line_of(text, HOOKS, name)
            where = f"{path}, line {line}" if line else str(path)
            raise ConfigError(
                f"{where}: there is no setting {name} in [{HOOKS}]",
                why="every hook has a table of its own",
                fix='Write [hooks.NAME] above it, as [hooks.check] on = ["before_store"]',
            )
        for key in body:
            if key not in _HOOK_KEYS:
                _refuse_name(path, line_of(text, section, key), key, section, known_keys())


def checked_version(path: Path, version: object) -> int:
    """The version of a file, if this program reads it.

    Raises:
        ConfigError: it is no version.
        DowngradeRefused: it is newer.
    """
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ConfigError(f"{path}: schema_version must be {SCHEMA_VERSION}")
    if version > SCHEMA_VERSION:
        raise DowngradeRefused(
            f"{path} has schema_version {version}",
            why=f"this program knows versions up to {SCHEMA_VERSION}",
            fix="Run the newer mnemesh, or put back the copy that config migrate left beside it",
        )
    return version


def _refuse_name(path: Path, line: int, name: str, section: str, real: Iterable[str]) -> None:
    where = f"{path}, line {line}" if line else str(path)
    bare = name.strip("[]")
    if _SECRET.search(bare) and not bare.endswith(("_file", "_env")):
        raise ConfigError(
            f"{where}: {bare} looks like a secret",
            why="secrets do not belong into a file that is copied and shown",
            fix="Put it into a file of mode 0600 and name that file, as in [admin] api_key_file",
        )
    raise ConfigError(
        f"{where}: there is no setting {name}" + (f" in [{section}]" if name == bare else ""),
        why="a name that is not known is never ignored",
        fix=suggestion(bare, section, list(real)),
    )


def suggestion(name: str, section: str, real: Sequence[str]) -> str:
    """The nearest real name, in its own section first, then in any."""
    near = difflib.get_close_matches(name, real, n=1, cutoff=0.5)
    if near:
        return f"Did you mean {near[0]}?"
    elsewhere = {row.key: row.section for row in TABLE if row.section != section}
    near = difflib.get_close_matches(name, list(elsewhere), n=1, cutoff=0.5)
    if near:
        return f"Did you mean {near[0]} in [{elsewhere[near[0]]}]?"
    return "Known here: " + ", ".join(real)


def line_of(text: str, section: str, key: str) -> int:
    """Line (from 1) of a key, or of a section header when `key` is empty; 0 if not found."""
    current = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            current = header[1].replace('"', "").replace("'", "").strip()
            if not key and current == section:
                return number
        elif key and current == section and (found := _KEY.match(line)):
            if found[1].strip("\"'") == key:
                return number
        elif not current and (found := _KEY.match(line)):
            dotted = found[1].replace('"', "").replace("'", "")
            if dotted in (f"{section}.{key}", section if not key else ""):
                return number
    return next((n for old in old_names(section, key) if (n := line_of(text, section, old))), 0)


def render_config(values: Mapping[str, Mapping[str, object]]) -> str:
    """TOML text of `{section: {key: value}}`, each key with its help as a comment.

    Raises:
        KeyError: a name that is no setting; a programmer's error.
    """
    lines = ["# Configuration of this mnemesh node.", f"schema_version = {SCHEMA_VERSION}"]
    for section, body in values.items():
        if section == HOOKS:
            lines += _hook_lines(body)
            continue
        lines += ["", f"[{section}]"]
        for key, value in body.items():
            lines += [f"# {_KNOWN[section, key].about.help}", f"{key} = {literal(value)}"]
    return "\n".join(lines) + "\n"


def _hook_lines(tables: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, body in tables.items():
        lines += ["", f"[{HOOKS}.{name}]"]
        for key, value in body.items():
            lines += [f"# {_HOOK_KEYS[key].about.help}", f"{key} = {literal(value)}"]
    return lines


def literal(value: object) -> str:
    """A value as a file has it (TOML 1.0)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(literal(part) for part in value) + "]"
    # JSON strings are TOML basic strings, but for DEL, which TOML wants escaped.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def write_config(path: Path, values: Mapping[str, Mapping[str, object]]) -> None:
    """Write the file in one step, so that a crash leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    replace_file(path, render_config(values).encode(), mode=0o644)
