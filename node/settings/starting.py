"""Everything that a start would refuse, looked at without starting.

Law: reads, and changes nothing. The order is that of a start, so the first refusal is the one
that a start would end with.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from node.errors import ConfigError, LooseModes
from node.settings.checks import check_quorum_possible
from node.settings.endpoint import check_collector, check_url, read_key
from node.settings.hook_tables import Hook
from node.settings.load import Settings
from node.settings.material import (
    check_secret_modes,
    find_material,
    plan_listeners,
    read_api_key,
)


def check_start(settings: Settings, environ: Mapping[str, str]) -> None:
    """Look at what settings name: files, keys, programs, addresses.

    Raises:
        ConfigError: something is not there, or does not fit.
        node.errors.LooseModes: others can read a secret.
        node.errors.ImpossibleQuorum: a mesh founded by flags could never meet W.
    """
    material = find_material(settings, environ)
    plan_listeners(settings, material)
    read_api_key(settings, material, environ)
    paths = settings.paths
    if not paths.current.exists() and not paths.join.exists():
        check_quorum_possible(settings.quorum.writes, 1 + len(settings.quorum.peers))
    for name, section in (("llm", settings.llm), ("embeddings", settings.embeddings)):
        if section.url is not None:
            check_url(name, section.url)
            read_key(name, section, environ)
    check_collector(settings.telemetry)
    read_key("telemetry", settings.telemetry, environ)
    for hook in settings.hooks:
        check_hook(hook)


def check_hook(hook: Hook) -> None:
    """Look at the program and the secret of a hook.

    Raises:
        ConfigError: one of them is not there.
        node.errors.LooseModes: others can read the secret, or everybody can change the program.
    """
    _check_program(hook)
    hook_secret(hook)


def _check_program(hook: Hook) -> None:
    command = hook.table.command
    if command and not (Path(command[0]).is_file() and os.access(command[0], os.X_OK)):
        raise ConfigError(
            f"[hooks.{hook.name}] command {command[0]} cannot be run",
            why="there is no such program, or it is not executable",
            fix=f"Put it there and run: chmod +x {command[0]}",
        )
    if command:
        _check_nobody_else_writes(hook, Path(command[0]))


def _check_nobody_else_writes(hook: Hook, program: Path) -> None:
    """Whoever can change a program that the node runs is the node: nobody at all must not be able.

    A folder in which everybody may rename files does as well; one with the sticky bit, as /tmp,
    does not.
    """
    real = program.resolve()
    for path in (real, real.parent, program.parent):
        mode = path.stat().st_mode
        if mode & stat.S_IWOTH and not (stat.S_ISDIR(mode) and mode & stat.S_ISVTX):
            raise LooseModes(
                f"[hooks.{hook.name}] command {program}: {path} can be written by every user",
                why="the node would run what anybody puts there",
                fix=f"Run: chmod o-w {path}",
            )


def hook_secret(hook: Hook) -> str:
    """The secret that signs what a webhook is sent; empty when there is none.

    Raises:
        ConfigError: it cannot be read, or is empty.
        node.errors.LooseModes: others can read it.
    """
    file = hook.table.secret_file
    if file is None:
        return ""
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", "") or "it is not UTF-8 text"
        raise ConfigError(f"[hooks.{hook.name}] cannot read {file}", why=reason) from error
    check_secret_modes(file)
    if not secret:
        raise ConfigError(f"[hooks.{hook.name}] {file} is empty")
    return secret
