"""A command that the program tells people to run leads to the node it speaks of."""

import os
from pathlib import Path

import pytest

from node.cli.options import options_of, paths_of
from tests.unit.cli.standin import Mnemesh


def test_platform_folders_need_no_option(tmp_path: Path) -> None:
    assert options_of(paths_of(None)) == ""
    assert str(tmp_path / "home") in str(paths_of(None).data_dir)


def test_a_folder_of_its_own_is_one_option(tmp_path: Path) -> None:
    assert options_of(paths_of(tmp_path / "a node")) == f" --data-dir '{tmp_path}/a node'"


def test_options_lead_back_to_the_same_places(tmp_path: Path) -> None:
    paths = paths_of(tmp_path / "d", tmp_path / "k", tmp_path / "c.toml")
    words = options_of(paths).split()
    given = dict(zip(words[::2], words[1::2], strict=True))
    again = paths_of(Path(given["--data-dir"]), Path(given["--key-dir"]), Path(given["--config"]))
    assert again == paths


def test_init_on_platform_folders_says_plain_serve(mnemesh: Mnemesh) -> None:
    # With --data-dir the keys would be looked for in the data folder, where they are not.
    ran = mnemesh("init", "--name", "node-a")
    assert ran.code == 0, ran.err
    start = next(line for line in ran.out.splitlines() if "start this node" in line)
    assert start.endswith("mnemesh serve")


@pytest.mark.parametrize("command", [("list",), ("node", "list"), ("get", "abcdef")])
def test_the_hint_to_start_names_the_folder_asked_for(
    mnemesh: Mnemesh, tmp_path: Path, command: tuple[str, ...]
) -> None:
    ran = mnemesh(*command, "--data-dir", tmp_path / "none")
    assert ran.code == 6
    assert f"mnemesh serve --data-dir {tmp_path / 'none'}" in ran.err.replace(os.linesep, " ")
