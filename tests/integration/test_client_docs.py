"""Every block of docs/clients.md is run: commands and Python, in their order."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.docs_blocks import SHELLS, Block, blocks_of
from tests.architecture.docs_shell import Stage

pytestmark = [pytest.mark.integration, pytest.mark.slow]
PAGE = "docs/clients.md"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    try:
        yield made
    finally:
        made.end()


def run_python(stage: Stage, block: Block) -> None:
    home = stage.folder / "here" / "work"
    script = home / f"line-{block.line}.py"
    script.write_text(stage._filled_in(block, "here"))
    done = subprocess.run(
        [sys.executable, "-W", "error", script.name],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{block.place}\n{done.stdout}\n{done.stderr}"
    wanted = block.tags["shows"]
    assert wanted in done.stdout, f"{block.place} wanted {wanted!r}\n{done.stdout}"


def test_every_block_of_the_page_does_what_it_says(stage: Stage) -> None:
    for block in blocks_of(PAGE):
        if block.language in SHELLS:
            stage.run(block)
        else:
            run_python(stage, block)


def test_there_are_blocks_of_both_kinds() -> None:
    languages = [block.language for block in blocks_of(PAGE)]
    assert set(languages) == {"sh", "python"}
    assert languages.count("python") >= 8
