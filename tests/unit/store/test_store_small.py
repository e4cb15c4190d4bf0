"""Small tables beside the store: what is damaged never stops a node.

Law: what was written is there after a restart; a file that is damaged or was cut off is put
aside, whole, and the table begins anew.
"""

import os
from pathlib import Path
from typing import cast

import pytest

from node.store.small import DAMAGES, SmallTable, opened

MAP_BYTES = 1 << 26
ROWS = {b"%04d" % number: bytes(200) for number in range(400)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a table of many pages."""
    table = SmallTable(tmp_path / "small", map_bytes=MAP_BYTES)
    table.write(ROWS)
    table.close()
    return tmp_path / "small"


def contents(folder: Path) -> dict[bytes, bytes]:
    """What a table opened anew says."""
    table = SmallTable(folder, map_bytes=MAP_BYTES)
    rows = dict(table.rows())
    table.close()
    return rows


def test_rows_are_there_after_a_restart_and_dropped_ones_are_not(folder: Path) -> None:
    table = SmallTable(folder, map_bytes=MAP_BYTES)
    table.write({b"0000": None, b"0001": b"new", b"never": None})
    table.close()
    wanted = {**ROWS, b"0001": b"new"}
    del wanted[b"0000"]
    assert contents(folder) == wanted


def test_a_write_that_fails_half_way_leaves_nothing(folder: Path) -> None:
    table = SmallTable(folder, map_bytes=MAP_BYTES)
    with pytest.raises(TypeError):
        table.write({b"half": b"done", b"other": cast("bytes", "text")})
    table.close()
    assert contents(folder) == ROWS


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_file_that_was_cut_off_is_put_aside(folder: Path, kept: float) -> None:
    file = folder / "data.mdb"  # at some of these lengths LMDB ends the process that reads it
    os.truncate(file, int(file.stat().st_size * kept))
    assert contents(folder) == {}
    assert (folder.with_name("small.damaged") / "data.mdb").exists()


def test_what_is_no_table_is_put_aside_and_the_last_one_put_aside_goes(folder: Path) -> None:
    for said in (b"first", b"second"):
        (folder / "data.mdb").write_bytes(said * 10_000)
        assert contents(folder) == {}
        aside = (folder.with_name("small.damaged") / "data.mdb").read_bytes()
        assert aside.startswith(said)


def test_an_environment_says_what_is_damaged(folder: Path) -> None:
    (folder / "data.mdb").write_bytes(b"no table" * 10_000)
    with pytest.raises(DAMAGES):
        opened(folder, map_bytes=MAP_BYTES)


def test_only_the_owner_may_read_it(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "data.mdb").stat().st_mode & 0o777 == 0o600


def test_a_file_that_ends_early_and_misses_nothing_is_whole(folder: Path) -> None:
    table = SmallTable(folder, map_bytes=MAP_BYTES)
    table.write({b"much": bytes(1 << 20)})
    table.write({b"much": None})
    for number in range(6):  # the last pages are free then
        table.write({b"last": b"%d" % number})
    table.close()
    file = folder / "data.mdb"
    os.truncate(file, file.stat().st_size - 8192)
    assert contents(folder) == {**ROWS, b"last": b"5"}
    assert not folder.with_name("small.damaged").exists()
