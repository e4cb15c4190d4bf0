"""The section `[hooks]`: one table for each hook, `[hooks.NAME]`, and what may stand in it.

Law: a hook is declared like every other section, so its keys have types, ranges and help, and a
misspelt one is refused with its line and the nearest real one. A hook that could never run as it
is written is refused before the node starts, and so is a secret in the file.
"""

# ruff: noqa: RUF009 -- setting() returns a dataclass field, never a shared mutable value

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from node.declare import Setting, rows_of, setting
from node.errors import ConfigError
from node.settings.parse import Unfit, from_toml

SECTION: Final = "hooks"
HOOKS_MAX: Final = 32
NAME_PATTERN: Final = "[a-z0-9][a-z0-9_-]{0,39}"
_NAME: Final = re.compile(NAME_PATTERN)
_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BEFORE: Final = "before_"
OPEN: Final = "open"
CLOSED: Final = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class HookTable:
    """A command or a webhook that is asked before something happens, or told afterwards."""

    on: tuple[str, ...] = setting((), help="Events: names of the table in docs/reference/hooks.md.")
    command: tuple[str, ...] = setting(
        (), help="Program and its arguments, as a list; no shell reads them."
    )
    url: str | None = setting(None, help="Webhook, instead of a command.")
    secret_file: Path | None = setting(
        None, secret_file=True, help="File with the secret that signs what a webhook is sent."
    )
    timeout_ms: int = setting(
        1000,
        minimum=10,
        maximum=60_000,
        unit="ms",
        help="Longest time of one run, waiting for its turn included; then it is killed.",
    )
    on_failure: str = setting(
        CLOSED,
        choices=(OPEN, CLOSED),
        help="What becomes of a request whose hook fails: open lets it pass, closed refuses it.",
    )
    content: bool = setting(False, help="Show a before_* hook what is about to be written.")
    everywhere: bool = setting(
        False, help="Tell of changes that other members took too, not of those taken here alone."
    )
    namespaces: tuple[str, ...] = setting(
        (), help="Only what happens in these namespaces and below; everywhere when empty."
    )
    environment: tuple[str, ...] = setting(
        (), help="Names of environment variables of the node that the command gets too."
    )
    at_once_max: int = setting(
        4, minimum=1, maximum=64, help="Most runs of this hook at once before requests."
    )
    queue_max: int = setting(
        1000, minimum=1, maximum=100_000, help="Most events that wait to be told; others are lost."
    )
    loopback: bool = setting(False, help="Let the webhook lead to this machine.")


ROWS: Final[tuple[Setting, ...]] = rows_of({SECTION: HookTable})
_BY_KEY: Final = {row.key: row for row in ROWS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One hook as it was declared.

    Attributes:
        name: of its table.
        table: what stands in it.
        events: the rows of `node.events.names.TABLE` that it wants.
        given: the keys that its table has.
    """

    name: str
    table: HookTable
    events: frozenset[str] = field(default_factory=frozenset)
    given: frozenset[str] = field(default_factory=frozenset, compare=False)

    @property
    def asked(self) -> frozenset[str]:
        """Events that it is asked about before they happen."""
        return frozenset(one for one in self.events if one.startswith(_BEFORE))

    @property
    def told(self) -> frozenset[str]:
        """Events that it is told of afterwards."""
        return self.events - self.asked


Refuse = Callable[[str, str, str, str], ConfigError]
"""From (hook, key, what, fix) to the refusal that names file and line."""


def known_keys() -> list[str]:
    """Every key of a hook."""
    return list(_BY_KEY)


def read_hooks(data: Mapping[str, Any], folder: Path, refuse: Refuse) -> tuple[Hook, ...]:
    """The hooks of a file, whose keys are known to be real ones.

    Args:
        data: {name: {key: value}}.
        folder: relative paths start here.
        refuse: makes the error.

    Raises:
        ConfigError: a hook that could never run as it is written.
    """
    if len(data) > HOOKS_MAX:
        raise refuse("", "", f"there are {len(data)} hooks", f"At most {HOOKS_MAX} are run")
    return tuple(_read(name, body, folder, refuse) for name, body in data.items())


def _read(name: str, body: Mapping[str, Any], folder: Path, refuse: Refuse) -> Hook:
    if not _NAME.fullmatch(name):
        fix = "Use small letters, digits, - and _, at most 40"
        raise refuse(name, "", f"a hook cannot be called {name!r}", fix)
    values: dict[str, Any] = {}
    for key, value in body.items():
        try:
            values[key] = from_toml(_BY_KEY[key], value, folder)
        except Unfit as error:
            what = f"[{SECTION}.{name}] {key} cannot be used: expected {error}"
            raise refuse(name, key, what, _BY_KEY[key].about.help) from error
    table = HookTable(**values)
    _check_target(name, table, refuse)
    return Hook(name=name, table=table, events=_events(name, table, refuse), given=frozenset(body))


def _check_target(name: str, table: HookTable, refuse: Refuse) -> None:
    where = f"[{SECTION}.{name}]"
    if bool(table.command) == bool(table.url):
        fix = "Give a command as a list, or a url, and not both"
        raise refuse(name, "command" if table.url else "", f"{where} needs one thing to run", fix)
    if table.command and not Path(table.command[0]).is_absolute():
        fix = "Write the whole path of the program, as /usr/local/bin/check"
        raise refuse(name, "command", f"{where} command {table.command[0]!r} is no full path", fix)
    wrong = [one for one in table.environment if not _ENV_NAME.fullmatch(one)]
    if wrong:
        fix = "Name variables of the environment, without their values"
        raise refuse(name, "environment", f"{where} environment has {wrong[0]!r}", fix)
    if table.url is not None:
        _check_url(name, table, refuse)
    elif table.secret_file is not None:
        fix = "Leave it out: only webhooks are signed"
        raise refuse(name, "secret_file", f"{where} secret_file without url", fix)


def _check_url(name: str, table: HookTable, refuse: Refuse) -> None:
    from node.events.webhooks.guard import (  # noqa: PLC0415 -- most files name no webhook
        Refused,
        read_url,
    )

    try:
        read_url(table.url or "", loopback=table.loopback)
    except Refused as error:
        fix = "For this machine, set loopback = true" if not table.loopback else ""
        raise refuse(name, "url", f"[{SECTION}.{name}] url {error}", fix) from error


def _events(name: str, table: HookTable, refuse: Refuse) -> frozenset[str]:
    from node.events.names import HOOK_NAMES, hook_events  # noqa: PLC0415 -- few files have hooks

    events: set[str] = set()
    for asked in table.on:
        found = hook_events(asked)
        if not found:
            near = difflib.get_close_matches(asked, HOOK_NAMES, n=1, cutoff=0.5)
            fix = f"Did you mean {near[0]}?" if near else "See docs/reference/hooks.md"
            raise refuse(name, "on", f"[{SECTION}.{name}] on: there is no event {asked!r}", fix)
        events.update(found)
    if not events:
        fix = 'Name at least one, as on = ["before_store"]'
        raise refuse(name, "on", f"[{SECTION}.{name}] waits for no event", fix)
    if table.content and not any(one.startswith(_BEFORE) for one in events):
        fix = "Leave it out: what has happened is told without its content"
        raise refuse(name, "content", f"[{SECTION}.{name}] content without a before_* event", fix)
    return frozenset(events)
