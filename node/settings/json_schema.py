"""The configuration file as a JSON Schema, for editors and for checks before a file is copied.

Law: pure, and made of the table that the program obeys. What it refuses, a start refuses; a
start refuses more, for values must also fit each other.

Sources: JSON Schema, draft 2020-12 (core and validation).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, get_origin

from node.declare import Setting
from node.settings.hook_tables import HOOKS_MAX, NAME_PATTERN, ROWS
from node.settings.hook_tables import SECTION as HOOKS
from node.settings.parse import core_type
from node.settings.sections import SCHEMA_VERSION, SECTIONS, TABLE

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def config_schema() -> dict[str, Any]:
    """The schema of a file of today's version."""
    properties: dict[str, Any] = {
        "schema_version": {
            "type": "integer",
            "const": SCHEMA_VERSION,
            "description": "Version of the names in this file.",
        }
    }
    for section, declared in SECTIONS.items():
        rows = [row for row in TABLE if row.section == section]
        properties[section] = _table(rows, (declared.__doc__ or "").strip())
    properties[HOOKS] = _hooks()
    return {
        "$schema": DIALECT,
        "title": "Configuration of a mnemesh node",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _table(rows: Iterable[Setting], words: str) -> dict[str, Any]:
    return {
        "type": "object",
        "description": words,
        "properties": {row.key: _value(row) for row in rows},
        "additionalProperties": False,
    }


def _hooks() -> dict[str, Any]:
    from node.events.names import hook_spellings  # noqa: PLC0415 -- only this needs the table

    one = _table(ROWS, "A command or a webhook that is asked before something, or told after it.")
    one["properties"]["on"]["items"] = {"enum": list(hook_spellings())}
    one["properties"]["on"]["minItems"] = 1
    one["required"] = ["on"]
    one["oneOf"] = [{"required": ["command"]}, {"required": ["url"]}]
    return {
        "type": "object",
        "description": "Hooks, each in a table of its own.",
        "additionalProperties": one,
        "propertyNames": {"pattern": f"^{NAME_PATTERN}$"},
        "maxProperties": HOOKS_MAX,
    }


def _value(row: Setting) -> dict[str, Any]:
    about, kind = row.about, core_type(row)
    unit = f" Unit: {about.unit}." if about.unit else ""
    out: dict[str, Any] = {"description": about.help + unit, **_shape(kind)}
    if about.minimum is not None:
        out["minimum"] = about.minimum
    if about.maximum is not None:
        out["maximum"] = about.maximum
    if about.choices:
        out["enum"] = list(about.choices)
    if row.default not in (None, (), ""):
        out["default"] = row.default
    return out


def _shape(kind: Any) -> dict[str, Any]:
    if kind is bool:
        return {"type": "boolean"}
    if kind is int:
        return {"type": "integer"}
    if kind is float:
        return {"type": "number"}
    if get_origin(kind) is tuple:
        return {"type": "array", "items": {"type": "string", "minLength": 1}}
    return {"type": "string", "minLength": 1} if kind is Path else {"type": "string"}
