"""Settings: one frozen value, put together from flag, environment, file and default.

Law: precedence is flag > environment > file > default, for every setting alike, and each
value remembers where it came from. What contradicts itself is refused before anything runs.
"""

import difflib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from node.declare import Setting
from node.errors import ConfigError
from node.limits import Limits
from node.paths import Paths
from node.settings.checks import check_settings, clean_url
from node.settings.config_steps import with_new_names
from node.settings.hook_tables import SECTION as HOOKS
from node.settings.hook_tables import Hook, read_hooks
from node.settings.mesh_sections import Federation, Quorum
from node.settings.migrating import notice_of
from node.settings.operations_sections import Integrity, Telemetry
from node.settings.parse import Unfit, from_text, from_toml
from node.settings.sections import (
    SECTIONS,
    TABLE,
    Admin,
    Audit,
    Embeddings,
    GovernanceRules,
    Identity,
    Listen,
    Llm,
    Logging,
    Mcp,
    Permissions,
    Storage,
    Subscriptions,
)
from node.settings.toml_file import line_of, read_config

# Variables that are no settings but mean something to the program.
_OTHER_ENV: Final = frozenset(
    {"MNEMESH_DATA_DIR", "MNEMESH_KEY_DIR", "MNEMESH_CONFIG", "MNEMESH_AGENT_ID", "MNEMESH_FAULTS"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an operator decided about one node.

    Attributes:
        paths: where its things are.
        hooks: what `[hooks.NAME]` declares; only the file can.
        origins: dotted name -> `flag --x`, `environment MNEMESH_X`, `file`, `default`.
        warnings: sentences for the log; nothing that prevents a start.
        argv: command line that starts this node again.
        flags: what the command line said, dotted name -> text; a reload needs it again.
    """

    paths: Paths
    listen: Listen
    identity: Identity
    federation: Federation
    quorum: Quorum
    storage: Storage
    limits: Limits
    logging: Logging
    admin: Admin
    permissions: Permissions
    governance: GovernanceRules
    audit: Audit
    subscriptions: Subscriptions
    llm: Llm
    embeddings: Embeddings
    mcp: Mcp
    telemetry: Telemetry
    integrity: Integrity
    origins: Mapping[str, str]
    hooks: tuple[Hook, ...] = ()
    warnings: tuple[str, ...] = ()
    argv: tuple[str, ...] = ()
    flags: Mapping[str, str] = field(default_factory=dict)


def load_settings(
    paths: Paths,
    *,
    environ: Mapping[str, str],
    flags: Mapping[str, str] | None = None,
    folder: Path | None = None,
    hostname: str = "node",
    config_required: bool = False,
) -> Settings:
    """Build the settings of a node.

    Args:
        paths: where its things are; the configuration may be absent.
        environ: the process environment.
        flags: dotted name -> text, of the flags that were given.
        folder: relative paths of flags and environment start here (default: working folder).
        hostname: name of the node when nobody names it.
        config_required: the operator named the file, so its absence is an error.

    Raises:
        ConfigError: a value, a name or a combination that cannot be used.
        DowngradeRefused: the file was written for a newer version.
    """
    folder = folder or Path.cwd()
    values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    origins = {row.name: "default" for row in TABLE}
    hooks: tuple[Hook, ...] = ()
    environ, said = with_new_names(environ)
    if config_required or paths.config.exists():
        hooks = _take_file(paths.config, values, origins)
        said += filter(None, [notice_of(paths.config)])
    for row in TABLE:
        for texts, name, origin in (
            (environ, row.env, f"environment {row.env}"),
            (flags or {}, row.name, f"flag {row.about.flag}"),
        ):
            # An empty variable is an unset one, as shells and unit files leave them behind.
            if texts.get(name):
                values[row.section][row.key] = _given(row, texts[name], folder, origin)
                origins[row.name] = origin
    sections = {name: declared(**values[name]) for name, declared in SECTIONS.items()}
    settings = Settings(
        paths=paths,
        origins=origins,
        hooks=hooks,
        warnings=(*said, *_stray_variables(environ)),
        argv=(sys.executable, *sys.orig_argv[1:]),
        flags=dict(flags or {}),
        **sections,
    )
    settings = _normalised(settings, hostname)
    check_settings(settings)
    return settings


def _given(row: Setting, text: str, folder: Path, origin: str) -> Any:
    try:
        return from_text(row, text, folder)
    except Unfit as error:
        shown = "a secret" if "-----BEGIN" in text else repr(text)
        raise ConfigError(
            f"{origin} is {shown}", why=f"expected {error}", fix=row.about.help
        ) from error


def _take_file(
    path: Path, values: dict[str, dict[str, Any]], origins: dict[str, str]
) -> tuple[Hook, ...]:
    data = read_config(path)
    for row in TABLE:
        if row.key not in data.get(row.section, {}):
            continue
        try:
            value = from_toml(row, data[row.section][row.key], path.parent)
        except Unfit as error:
            line = line_of(path.read_text(encoding="utf-8"), row.section, row.key)
            raise ConfigError(
                f"{path}, line {line}: [{row.section}] {row.key} cannot be used",
                why=f"expected {error}",
                fix=row.about.help,
            ) from error
        values[row.section][row.key] = value
        origins[row.name] = f"file {path}"
    return _hooks_of(path, data.get(HOOKS, {}))


def _hooks_of(path: Path, tables: Mapping[str, Any]) -> tuple[Hook, ...]:
    def refuse(name: str, key: str, what: str, fix: str) -> ConfigError:
        text = path.read_text(encoding="utf-8")
        section = f"{HOOKS}.{name}"
        line = (line_of(text, section, key) if key else 0) or line_of(text, section, "")
        return ConfigError(f"{path}, line {line}: {what}" if line else f"{path}: {what}", fix=fix)

    return read_hooks(tables, path.parent, refuse)


def _normalised(settings: Settings, hostname: str) -> Settings:
    name = settings.identity.name or hostname
    peers = tuple(clean_url(url, "--quorum-peers") for url in settings.quorum.peers)
    advertise = settings.listen.advertise
    return replace(
        settings,
        identity=replace(settings.identity, name=name),
        quorum=replace(settings.quorum, peers=peers),
        listen=replace(
            settings.listen,
            advertise=clean_url(advertise, "--advertise") if advertise else None,
        ),
    )


def _stray_variables(environ: Mapping[str, str]) -> tuple[str, ...]:
    # Not an error: the environment also carries variables of other programs and of tests.
    known = [row.env for row in TABLE]
    stray = (
        name
        for name in sorted(environ)
        if name.startswith("MNEMESH_") and name not in _OTHER_ENV and name not in known
    )
    words = []
    for name in stray:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
        hint = f"; did you mean {near[0]}?" if near else ""
        words.append(f"the environment variable {name} is no setting{hint}")
    return tuple(words)


def reload_differences(old: Settings, new: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names that changed: those a running node takes at once, and those that need a restart."""
    live: list[str] = []
    restart: list[str] = []
    for row in TABLE:
        before = getattr(getattr(old, row.section), row.key)
        after = getattr(getattr(new, row.section), row.key)
        if before != after:
            (live if row.about.reload else restart).append(row.name)
    if old.hooks != new.hooks:
        live.append(HOOKS)
    return tuple(live), tuple(restart)


def reloaded(old: Settings, new: Settings) -> Settings:
    """The old settings with what may change while running taken from the new ones."""
    changes: dict[str, Any] = {}
    for section in SECTIONS:
        fields = {
            row.key: getattr(getattr(new, section), row.key)
            for row in TABLE
            if row.section == section and row.about.reload
        }
        changes[section] = replace(getattr(old, section), **fields)
    return replace(old, hooks=new.hooks, **changes)


def reload_settings(
    old: Settings, environ: Mapping[str, str]
) -> tuple[Settings, tuple[str, ...], tuple[str, ...]]:
    """What SIGHUP does: read everything again and take what may change.

    Returns:
        The settings now in force, the names that changed, and the names that changed in the
        file but wait for a restart.

    Raises:
        ConfigError: the new configuration cannot be used; the old one stays in force.
        DowngradeRefused: the file was written for a newer version.
    """
    new = load_settings(old.paths, environ=environ, flags=old.flags, hostname=old.identity.name)
    live, restart = reload_differences(old, new)
    return reloaded(old, new), live, restart
