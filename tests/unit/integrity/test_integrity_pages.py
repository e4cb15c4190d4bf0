"""Pages are checked from their bytes, before LMDB follows them."""

import struct
from pathlib import Path

import pytest

from chaos.faults.pages import used_pages
from node.integrity.note import ScrubNote
from node.store.environment import DATA_FILE
from node.store.pages import BadPage, check_file
from tests.unit.store.rig import Maker, open_store

LEAF, HEADER, SIZE = 2, 16, 4096


@pytest.fixture
def file(tmp_path: Path) -> Path:
    store, maker = open_store(tmp_path / "s"), Maker()
    for number in range(80):
        maker.create(f"m{number}", content="x" * (number * 40))
    store.commit(maker.take())
    store.close()
    return tmp_path / "s" / DATA_FILE


def leaf(file: Path) -> tuple[int, list[int]]:
    """Where a leaf with several rows begins, and where its rows do."""
    data = file.read_bytes()
    for number in used_pages(file)[1]:
        start = number * SIZE
        _, _, flags, lower, _ = struct.unpack_from("<QHHHH", data, start)
        if flags == LEAF and lower > HEADER + 8:
            count = (lower - HEADER) // 2
            return start, list(struct.unpack_from(f"<{count}H", data, start + HEADER))
    raise AssertionError("no leaf with rows")


def test_a_whole_file_passes_and_tells_its_pages(file: Path) -> None:
    assert check_file(file) >= len(used_pages(file)[1])


def test_rows_that_changed_places_are_found(file: Path) -> None:
    start, rows = leaf(file)
    data = bytearray(file.read_bytes())
    rows[0], rows[1] = rows[1], rows[0]
    struct.pack_into(f"<{len(rows)}H", data, start + HEADER, *rows)
    file.write_bytes(data)
    with pytest.raises(BadPage, match="order"):
        check_file(file)


def test_a_row_that_vanished_is_found(file: Path) -> None:
    start, _ = leaf(file)
    data = bytearray(file.read_bytes())
    lower = struct.unpack_from("<H", data, start + 12)[0]
    struct.pack_into("<H", data, start + 12, lower - 2)
    file.write_bytes(data)
    with pytest.raises(BadPage):
        check_file(file)


def test_a_file_that_ends_early_is_found(file: Path) -> None:
    last = used_pages(file)[1][-1]
    file.write_bytes(file.read_bytes()[: last * SIZE + 100])
    with pytest.raises(BadPage, match="ends before"):
        check_file(file)


def test_a_note_that_cannot_be_read_is_an_empty_one(tmp_path: Path) -> None:
    ScrubNote(last_pass_ms=5, table="feed", key="00ff", rows=7).write(tmp_path)
    assert ScrubNote.read(tmp_path).key == "00ff"
    (tmp_path / "integrity.json").write_text('{"last_pass_ms": "x", "key": "zz"}')
    assert ScrubNote.read(tmp_path) == ScrubNote()
