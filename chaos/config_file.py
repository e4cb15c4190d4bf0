"""The configuration files of nodes, as the harness writes and changes them.

Law: a section stands in a file once, and a setting in a section once, whoever wrote it before; what
is not named stays as it was.
"""

import json
import tomllib
from collections.abc import Mapping
from typing import Any

Sections = Mapping[str, Mapping[str, Any]]


def config_text(sections: Sections) -> str:
    """A file of these sections; values are what JSON and TOML spell alike."""
    lines: list[str] = []
    for name, rows in sections.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in rows.items()]
    return "\n".join(lines) + "\n"


def with_settings(config: str, sections: Sections) -> str:
    """The same file with settings added, or changed where they stand in it already."""
    before = tomllib.loads(config)
    head = [f"{name} = {json.dumps(row)}\n" for name, row in before.items() if not _is_section(row)]
    whole = {name: dict(row) for name, row in before.items() if _is_section(row)}
    for name, rows in sections.items():
        whole.setdefault(name, {}).update(rows)
    return "".join(head) + config_text(whole)


def _is_section(row: object) -> bool:
    return isinstance(row, dict)
