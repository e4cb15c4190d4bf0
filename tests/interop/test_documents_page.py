"""The program in the page about documents does what the page says, with the library itself."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.docs_blocks import blocks_of, story_of
from tests.architecture.docs_shell import Stage
from tests.interop.rig import AbsentError, installed

pytestmark = [pytest.mark.integration, pytest.mark.slow]
PAGE = "docs/documents.md"


@pytest.fixture
def library() -> Path:
    try:
        return installed()
    except AbsentError as error:
        pytest.skip(f"needs the JavaScript library of Automerge: {error}")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as made:
        yield made


def test_an_editor_offline_is_merged(library: Path, stage: Stage) -> None:
    (block,) = [one for one in blocks_of(PAGE) if one.language == "js"]
    for before in story_of(PAGE):
        if before.line < block.line:
            stage.run(before)
            if stage.warm is None:
                stage.warm_up()
    work = stage.folder / "here" / "work"
    (work / "node_modules").symlink_to(library / "node_modules")
    (work / block.tags["run"]).write_text(block.text, encoding="utf-8")
    key = (work / "mesh" / "node-1" / "keys" / "api_key").read_text().strip()
    done = subprocess.run(
        ["node", block.tags["run"], f"http://127.0.0.1:{stage.base}", key],  # noqa: S607
        cwd=work,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1 change taken\n"
    shown = subprocess.run(
        ["mnemesh", "doc", "show", "picnic", "--data-dir", "mesh/node-1"],  # noqa: S607
        cwd=work,
        env=stage._environment("here"),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "Sunday! Bring good bread." in shown.stdout
