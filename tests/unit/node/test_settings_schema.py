"""The JSON Schema of the configuration: true to the table, and to real files."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from node.errors import NodeError
from node.paths import resolve_paths
from node.settings import SECTIONS, TABLE, load_settings
from node.settings.hook_tables import ROWS
from node.settings.json_schema import DIALECT, config_schema
from node.settings.toml_file import literal, render_config
from tests.architecture.docs_blocks import ROOT, documents, text_of

SCHEMA = config_schema()
CHECK: Any = jsonschema.Draft202012Validator(SCHEMA)
_TOML = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HOOK = {"on": ["before_store"], "command": ["/bin/true"]}


def test_it_is_a_schema_of_its_draft() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == DIALECT
    json.dumps(SCHEMA)


def test_every_section_and_key_is_in_it_and_no_other() -> None:
    properties = SCHEMA["properties"]
    assert set(properties) == {"schema_version", "hooks", *SECTIONS}
    for section in SECTIONS:
        keys = {row.key for row in TABLE if row.section == section}
        assert set(properties[section]["properties"]) == keys
        assert properties[section]["additionalProperties"] is False
    assert set(properties["hooks"]["additionalProperties"]["properties"]) == {r.key for r in ROWS}


def test_the_defaults_of_all_settings_are_valid() -> None:
    values: dict[str, dict[str, Any]] = {}
    for row in TABLE:
        if row.default is not None:
            values.setdefault(row.section, {})[row.key] = row.default
    CHECK.validate(tomllib.loads(render_config({**values, "hooks": {"one": _HOOK}})))


def test_files_in_the_documents_are_valid() -> None:
    found = 0
    for document in documents():
        for text in _TOML.findall(text_of(document)):
            data = tomllib.loads(text)
            if not set(data) & {*SECTIONS, "hooks"}:
                continue
            found += 1
            data.pop("schema_version", None)  # examples may be of any version that is read
            CHECK.validate(data)
    assert found


def test_files_that_are_shipped_are_valid() -> None:
    for path in sorted((ROOT / "deploy").rglob("*config*.toml")):
        CHECK.validate(tomllib.loads(path.read_text()))


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("an unknown key", {"listen": {"prot": 1}}),
    ("an unknown section", {"listn": {}}),
    ("a secret", {"admin": {"api_key": "x"}}),
    ("another type", {"listen": {"port": "1"}}),
    ("out of range", {"listen": {"port": 70000}}),
    ("no choice", {"logging": {"level": "loud"}}),
    ("an empty item", {"quorum": {"peers": [""]}}),
    ("a hook without a target", {"hooks": {"a": {"on": ["before_store"]}}}),
    ("a hook with two", {"hooks": {"a": {**_HOOK, "url": "https://example.org/"}}}),
    ("a hook for no event", {"hooks": {"a": {**_HOOK, "on": ["after_lunch"]}}}),
    ("a hook for nothing", {"hooks": {"a": {**_HOOK, "on": []}}}),
    ("a hook with a bad name", {"hooks": {"A b": _HOOK}}),
    ("a newer version", {"schema_version": 999}),
]


@pytest.mark.parametrize(("what", "data"), WRONG, ids=[what for what, _ in WRONG])
def test_what_the_schema_refuses_a_start_refuses(
    tmp_path: Path, what: str, data: dict[str, Any]
) -> None:
    assert not CHECK.is_valid(data), what
    lines = [f"schema_version = {data['schema_version']}"] if "schema_version" in data else []
    for section, body in data.items():
        if not isinstance(body, dict):
            continue
        tables = [(section, body)]
        if section == "hooks":
            tables = [(f'hooks."{name}"', table) for name, table in body.items()]
        for name, table in tables:
            lines += [f"[{name}]", *(f"{key} = {literal(value)}" for key, value in table.items())]
    (tmp_path / "config.toml").write_text("\n".join(lines) + "\n")
    paths = resolve_paths({}, tmp_path, data_dir=tmp_path)
    with pytest.raises(NodeError):
        load_settings(paths, environ={})
