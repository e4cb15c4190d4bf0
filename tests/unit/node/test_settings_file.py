"""The configuration file that we write is one that we read."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.facts import write_note
from node.settings import TABLE
from node.settings.toml_file import line_of, read_config, render_config, write_config


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    values = {
        "identity": {"name": 'the "first"\n\tnöde\x7f', "sans": ["a", "b"]},
        "listen": {"port": 1, "require_api_key": True},
        "federation": {"catchup_interval_secs": 0.5},
    }
    write_config(tmp_path / "x" / "config.toml", values)
    assert read_config(tmp_path / "x" / "config.toml") == values


@given(name=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    path = tmp_path_factory.mktemp("config") / "config.toml"
    write_config(path, {"identity": {"name": name}})
    assert read_config(path) == {"identity": {"name": name}}


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    write_config(path, {"listen": {"port": 1}})
    with pytest.raises(KeyError):
        write_config(path, {"listen": {"no_such_key": 1}})
    assert read_config(path) == {"listen": {"port": 1}}


def test_every_setting_can_be_written() -> None:
    for row in TABLE:
        assert f"{row.key} = " in render_config({row.section: {row.key: "x"}})


def test_lines_are_found_under_their_own_section_only() -> None:
    text = '[a]\nport = 1\n\n[ "b" ]  # second\n"port" = 2\n'
    assert line_of(text, "a", "port") == 2
    assert line_of(text, "b", "port") == 5
    assert line_of(text, "b", "") == 4
    assert line_of(text, "c", "port") == 0


def test_what_was_written_survives_a_power_loss_by_name_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes were synced and their name was not: a machine came back with the old settings."""
    synced: list[Path] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink())
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    write_config(tmp_path / "config.toml", {"identity": {"name": "n"}})
    write_note(tmp_path / "note.json", {"a": 1})
    assert synced[1::2] == [tmp_path, tmp_path], "the file first, then its folder"
