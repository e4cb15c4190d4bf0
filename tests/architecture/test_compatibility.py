"""The page of versions says what the constants of the program, and of each release, say."""

import ast
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from node import __version__
from node.backup.manifest import FORMAT as BACKUP_FORMAT
from node.http.node_routes import API_VERSION
from node.peers.greeting import PROTOCOL_VERSION
from node.settings import SCHEMA_VERSION as CONFIG_VERSION
from node.store.schema import SCHEMA_VERSION
from tests.architecture.docs_blocks import ROOT, text_of
from tests.integration.rig_releases import RELEASES, Release

PAGE = "docs/compatibility.md"
COLUMNS = ("product", "protocol", "store schema", "config schema", "backup", "API")


def tables() -> list[list[list[str]]]:
    """The tables of the page: cells by row."""
    found: list[list[list[str]]] = [[]]
    for line in text_of(PAGE).splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        elif found[-1]:
            found.append([])
    return [[row for row in rows if not re.fullmatch(r"-+", row[0])] for rows in found if rows]


def versions() -> dict[str, dict[str, str]]:
    head, *rows = tables()[0]
    assert tuple(head) == COLUMNS
    return {row[0]: dict(zip(head, row, strict=True)) for row in rows}


def constant(text: str, name: str) -> object:
    """The value that a module gives a name."""
    for node in ast.parse(text).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Name) and t.id == name for t in targets):
            return ast.literal_eval(node.value)  # type: ignore[attr-defined]  # both have one
    raise LookupError(name)


def test_the_page_says_what_this_program_is() -> None:
    first, row = next(iter(versions().items()))
    assert first == __version__
    assert list(row.values()) == [
        __version__,
        str(PROTOCOL_VERSION),
        str(SCHEMA_VERSION),
        str(CONFIG_VERSION),
        BACKUP_FORMAT,
        API_VERSION,
    ]


def test_the_page_says_what_every_release_was() -> None:
    rows = versions()
    assert list(rows)[1:] == [release.name for release in reversed(RELEASES)]
    for release in RELEASES:
        row = rows[release.name]
        told = (row["protocol"], row["store schema"], row["config schema"])
        wanted = (release.protocol, release.store_schema, release.config_schema)
        assert told == tuple(map(str, wanted))


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_a_release_is_the_commit_that_the_table_says(release: Release) -> None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("the history is not here")

    def show(path: str) -> str:
        done = subprocess.run(
            [git, "show", f"{release.commit}:{path}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"commit {release.commit[:12]} is not in this clone")
        return done.stdout

    assert constant(show("node/__init__.py"), "__version__") == release.version
    assert constant(show("node/store/schema.py"), "SCHEMA_VERSION") == release.store_schema
    assert constant(show("node/settings/sections.py"), "SCHEMA_VERSION") == release.config_schema
    assert constant(show("node/peers/greeting.py"), "PROTOCOL_VERSION") == release.protocol


def test_the_package_and_the_changelog_have_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == __version__
    newest = re.search(r"^## (\S+)", text_of("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == __version__
    assert Path(ROOT / PAGE).exists()
