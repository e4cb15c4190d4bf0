"""What became of the names in a configuration file, version by version, as data.

Law: pure. A file of an older version is read by the steps since then, one after the other; a
step is certain of what it does or refuses. What says no version is of the oldest one whose
names it uses, and of today's when it uses none of those.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from node.errors import ConfigError
from node.settings.sections import SCHEMA_VERSION, TABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    """A setting has another name since; its values mean what they meant.

    Attributes:
        section: where it stands, before and after.
        old: its key before.
        new: its key since.
    """

    section: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"[{self.section}] {self.old} is {self.new} now"


STEPS: Final[Mapping[int, tuple[Rename, ...]]] = {
    1: (
        Rename(section="logging", old="file", new="path"),
        Rename(section="logging", old="file_bytes_max", new="rotate_bytes"),
    ),
}
"""Version of a file -> what the next version calls otherwise."""

_ENV_OF: Final = {(row.section, row.key): row.env for row in TABLE}


def version_of(data: Mapping[str, Any]) -> object:
    """The version that a file says it has, or that its names say."""
    if "schema_version" in data:
        return data["schema_version"]
    return next(
        (v for v in sorted(STEPS) if any(_holds(data, r.section, r.old) for r in STEPS[v])),
        SCHEMA_VERSION,
    )


def due(data: Mapping[str, Any], version: int) -> list[Rename]:
    """What has to be done to a file of that version.

    Raises:
        ConfigError: a setting is there under both names.
    """
    found = []
    for step in range(version, SCHEMA_VERSION):
        for rename in STEPS.get(step, ()):
            if not _holds(data, rename.section, rename.old):
                continue
            if _holds(data, rename.section, rename.new):
                raise ConfigError(
                    f"[{rename.section}] has {rename.old} and {rename.new}",
                    why=f"{rename}: one of the two values is not meant",
                    fix=f"Remove {rename.old}, or {rename.new}",
                )
            found.append(rename)
    return found


def brought(data: Mapping[str, Any], version: int) -> dict[str, Any]:
    """What a file of that version says, in today's names.

    Raises:
        ConfigError: a setting is there under both names.
    """
    out = dict(data)
    for rename in due(data, version):
        body = {
            rename.new if key == rename.old else key: value
            for key, value in out[rename.section].items()
        }
        out[rename.section] = body
    return out


def old_names(section: str, key: str) -> list[str]:
    """What a setting was called before, the latest first."""
    return [
        rename.old
        for version in sorted(STEPS, reverse=True)
        for rename in STEPS[version]
        if (rename.section, rename.new) == (section, key)
    ]


def with_new_names(environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The environment with today's names beside older ones, and a sentence for each of those."""
    out, said = dict(environ), []
    for renames in STEPS.values():
        for rename in renames:
            old = f"MNEMESH_{rename.section}_{rename.old}".upper()
            new = _ENV_OF[rename.section, rename.new]
            if environ.get(old):
                said.append(f"the environment variable {old} is {new} now")
                value = out.pop(old)
                out.setdefault(new, value)
    return out, said


def _holds(data: Mapping[str, Any], section: str, key: str) -> bool:
    body = data.get(section)
    return isinstance(body, Mapping) and key in body
