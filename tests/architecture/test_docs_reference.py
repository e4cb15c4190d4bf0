"""The generated pages say what the tables say, and the tables are all told."""

import re
import tomllib
from pathlib import Path

import pytest

from node.errors import Exit
from node.http.table import TABLE as ROUTES
from node.logs import EVENTS
from node.metrics import TABLE as METRICS
from node.paths import resolve_paths
from node.settings import TABLE as SETTINGS
from node.settings import load_settings
from tests.architecture.docs_blocks import all_blocks, text_of
from tests.architecture.reference import COMMAND, FOLDER, PAGES, commands_page


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_generated_page_is_fresh(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), f"run {COMMAND}"


def test_no_other_page_stands_among_the_generated_ones() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(PAGES)


def _told(page: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text_of(f"docs/reference/{page}")))


def test_every_setting_is_told() -> None:
    told = _told("settings.md") | _told("limits.md")
    assert {row.key for row in SETTINGS} <= told
    assert {row.env for row in SETTINGS if row.section != "limits"} <= told


def test_every_event_metric_and_route_is_told() -> None:
    assert set(EVENTS) <= _told("events.md")
    assert {row.name for row in METRICS} <= _told("metrics.md")
    assert {route.path for route in ROUTES} <= _told("routes.md")


def test_every_exit_code_is_told() -> None:
    rows = re.findall(r"^\| (\d+) \|", text_of("docs/reference/exit-codes.md"), re.MULTILINE)
    assert {int(code) for code in Exit} <= {int(row) for row in rows}


def test_every_command_is_told() -> None:
    # The page is generated from the command tree; this guards the generator itself.
    page = commands_page()
    for command in ("init", "serve", "store", "node join", "mesh up", "demo"):
        assert f"\n## mnemesh {command}\n" in page


@pytest.mark.parametrize(
    "block", [b for b in all_blocks() if b.language == "toml"], ids=lambda b: b.place
)
def test_configurations_can_be_used(block: object, tmp_path: Path) -> None:
    text = getattr(block, "text", "")
    tomllib.loads(text)
    config = tmp_path / "config.toml"
    config.write_text(text, encoding="utf-8")
    paths = resolve_paths({}, tmp_path, data_dir=tmp_path / "data", config=config)
    settings = load_settings(paths, environ={}, config_required=True)
    assert any(origin.startswith("file") for origin in settings.origins.values())
