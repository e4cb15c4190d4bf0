"""Options are read without the library that Typer would load for them, and mean the same."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer

from node.cli.coercion import read_plainly

_LOADED = """
import sys
from node.cli import run
code = run(sys.argv[1:])
assert code == 0, code
assert "pydantic" not in sys.modules
"""


def _command(seen: list[object]) -> typer.Typer:
    tree = typer.Typer()

    @tree.command()
    def act(
        where: Annotated[Path | None, typer.Option("--where")] = None,
        most: Annotated[int, typer.Option("--most")] = 5,
        word: Annotated[str | None, typer.Option("--word")] = None,
        loud: Annotated[bool, typer.Option("--loud")] = False,  # noqa: FBT002 -- as Typer wants it
        many: Annotated[list[str] | None, typer.Option("--many")] = None,
    ) -> None:
        seen.append((where, most, word, loud, many))

    return tree


def _read(args: list[str], *, plainly: bool) -> object:
    seen: list[object] = []
    command = typer.main.get_command(_command(seen))
    if plainly:
        read_plainly(command)
    command(args=args, prog_name="act", standalone_mode=False)
    return seen[0]


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--where", "/", "--most", "7", "--word", "é", "--loud"],
        ["--where", "no/such/place", "--word", ""],
        ["--many", "a", "--many", "b"],
    ],
)
def test_values_are_those_that_typer_gives(args: list[str]) -> None:
    assert _read(args, plainly=True) == _read(args, plainly=False)


@pytest.mark.parametrize("args", [["--most", "x"], ["--most"], ["--none"]])
def test_refusals_are_those_that_typer_gives(args: list[str]) -> None:
    words = []
    for plainly in (True, False):
        with pytest.raises(typer.exceptions.TyperException) as refused:
            _read(args, plainly=plainly)
        words.append((type(refused.value), refused.value.format_message()))
    assert words[0] == words[1]


def test_a_command_without_numbers_loads_no_library_for_its_options(tmp_path: Path) -> None:
    args = ["init", "--data-dir", str(tmp_path / "d"), "--name", "a"]
    subprocess.run([sys.executable, "-P", "-c", _LOADED, *args], check=True, capture_output=True)
