"""Settings as they are shown: by name, with where each came from, and no secret among them.

Law: a secret is never a value of a setting, only the name of what holds it. A password that
somebody put into an address all the same is blotted out before it is shown.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from node.settings.hook_tables import Hook
from node.settings.load import Settings
from node.settings.sections import TABLE

BLOT: Final = "***"
_INSIDE: Final = re.compile(r"(?<=://)[^/\s]+(?=@)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One setting in force.

    Attributes:
        name: dotted.
        value: as JSON has it.
        origin: `flag --x`, `environment MNEMESH_X`, `file PATH`, `default`.
    """

    name: str
    value: Any
    origin: str


def shown(settings: Settings) -> Iterator[Shown]:
    """Every setting in force, in the order of the table, then the hooks."""
    for row in TABLE:
        value = getattr(getattr(settings, row.section), row.key)
        yield Shown(name=row.name, value=plain(value), origin=settings.origins[row.name])
    for hook in settings.hooks:
        yield from _of_hook(hook, f"file {settings.paths.config}")


def _of_hook(hook: Hook, origin: str) -> Iterator[Shown]:
    for key, value in asdict(hook.table).items():
        where = origin if key in hook.given else "default"
        yield Shown(name=f"hooks.{hook.name}.{key}", value=plain(value), origin=where)


def plain(value: Any) -> Any:
    """A value as JSON has it, without what is secret in an address."""
    if isinstance(value, tuple):
        return [plain(part) for part in value]
    if isinstance(value, Path):
        return str(value)
    return _INSIDE.sub(BLOT, value) if isinstance(value, str) else value
