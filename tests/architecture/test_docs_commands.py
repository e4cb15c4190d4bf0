"""Every command in the documents is run."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import typer

from chaos.cli import parser as chaos_parser
from node.cli.app import command_tree
from tests.architecture.docs_blocks import (
    GENERATED,
    PYTHON,
    ROOT,
    SHELLS,
    WAYS,
    Block,
    all_blocks,
    documents,
    shell_blocks,
    story_of,
    text_of,
)
from tests.architecture.docs_shell import Stage
from tests.architecture.wheel import wheel_in

_STORIES: Final = sorted({block.document for block in shell_blocks("here", "on")})


def _told() -> list[Any]:
    """The stories; those beyond what a new user reads first are for test-all."""
    first = {"README.md", "docs/tutorial.md"}
    mark = {True: pytest.mark.thorough, False: pytest.mark.slow}
    return [pytest.param(document, marks=mark[document in first]) for document in _STORIES]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as made:
        yield made


def _can_run(block: Block) -> bool:
    program = block.tags.get("needs")
    return program is None or shutil.which(program) is not None


@pytest.mark.integration
@pytest.mark.parametrize("document", _told())
def test_the_commands_of_a_document_do_what_it_says(document: str, stage: Stage) -> None:
    for block in filter(_can_run, story_of(document)):
        stage.run(block)
        if stage.warm is None:  # the first one ran through the console script itself
            stage.warm_up()


def test_every_block_of_commands_says_how_it_is_run() -> None:
    untold = [
        block.place
        for block in all_blocks()
        if block.language in SHELLS | {PYTHON} and len(block.tags.keys() & WAYS) != 1
    ]
    assert not untold


def test_there_are_stories_to_run() -> None:
    named = ("tutorial", "operations", "governance", "mcp", "clients", "api", "privacy")
    assert {"README.md", *(f"docs/{name}.md" for name in named)} <= set(_STORIES)
    assert any(block.language == PYTHON for block in story_of("docs/clients.md"))


@pytest.mark.parametrize("block", shell_blocks("make"), ids=lambda block: block.place)
def test_make_targets_exist(block: Block) -> None:
    make = shutil.which("make") or "make"
    offered = subprocess.run(
        [make, "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for line in block.text.splitlines():
        words = line.split("#")[0].split()
        if not words or words[0] in {"git", "cd"}:
            continue
        assert words[0] == "make", line
        target = next(word for word in words[1:] if "=" not in word)
        assert f"make {target} " in offered, target
        done = subprocess.run([*words, "-n"], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@cache
def _commands() -> Any:
    return typer.main.get_command(command_tree())


def _command_lines(document: str) -> list[list[str]]:
    """Every `mnemesh COMMAND ...` in code, as words; placeholders and all."""
    names = "|".join(_commands().commands)
    spoken = re.compile(rf"(?<![\w/.-])mnemesh (?:{names})\b[^\n|;&)]*")
    code = re.findall(r"`(mnemesh [^`\n]*)`", text_of(document))
    for block in all_blocks():
        if block.document == document and block.language in SHELLS:
            code += spoken.findall(block.text.replace("\\\n", " "))
    return [re.sub(r'"[^"]*"', "TEXT", line).split() for line in code]


def _find(words: list[str]) -> tuple[Any, list[str]]:
    command: Any = _commands()
    rest = words[1:]
    while rest and hasattr(command, "commands"):
        if command.invoke_without_command and rest[0].startswith("-"):
            break  # an option of the group's own command
        assert rest[0] in command.commands, f"no such command: {' '.join(words)}"
        command = command.commands[rest[0]]
        rest = rest[1:]
    return command, rest


def _spoken_to_chaos(words: list[str]) -> None:
    """The harness stands outside and has a parser of its own."""
    if words[2:]:
        with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.suppress(SystemExit):
            chaos_parser().parse_args(words[2:])
        assert not said.getvalue(), f"{' '.join(words)}: {said.getvalue()}"


@pytest.mark.parametrize("document", [d for d in documents() if not d.startswith(GENERATED)])
def test_no_command_or_option_is_stale(document: str) -> None:
    for words in _command_lines(document):
        if words[1:2] == ["chaos"]:
            _spoken_to_chaos(words)
            continue
        command, rest = _find(words)
        known = {name for parameter in command.params for name in parameter.opts} | {"--help", "-h"}
        for word in rest:
            option = word.partition("=")[0].strip("[].,")
            if option.startswith("--") and option != "--":
                assert option in known, f"{document}: {' '.join(words)} has no {option}"


def test_the_wheel_installs_and_brings_the_command(tmp_path: Path) -> None:
    # Dependencies come from the environment at hand; the slow test below fetches them.
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    wheel = wheel_in(tmp_path)
    subprocess.run([*pip, "--target", str(target), str(wheel)], check=True, capture_output=True)
    run = subprocess.run(
        [sys.executable, str(target / "bin" / "mnemesh"), "version", "--json"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(target), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert '"version"' in run.stdout


@pytest.mark.slow
@pytest.mark.parametrize("block", shell_blocks("install"), ids=lambda block: block.place)
def test_the_wheel_installs_the_documented_way(block: Block, tmp_path: Path) -> None:
    tool = block.text.split()[0]
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not on this machine")
    (tmp_path / "dist").mkdir()
    wheel_in(tmp_path / "dist")
    bin_folder = tmp_path / "bin"
    # The index to fetch from is the reader's own; only what is installed goes elsewhere.
    own = {
        "PIPX_HOME": str(tmp_path / "pipx"),
        "PIPX_BIN_DIR": str(bin_folder),
        "UV_TOOL_DIR": str(tmp_path / "uv"),
        "UV_TOOL_BIN_DIR": str(bin_folder),
    }
    done = subprocess.run(
        ["/bin/sh", "-eu", "-c", block.text],
        cwd=tmp_path,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (bin_folder / "mnemesh").exists()
