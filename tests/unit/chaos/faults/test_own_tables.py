"""What the injectors know by heart is what the node says of itself."""

import os
from pathlib import Path

from chaos.faults.copies import lose, said_since, store_of
from chaos.faults.damage import DOWNGRADE_CODE, INTEGRITY_CODE
from chaos.faults.disks import DISK_ERROR_CODE, bytes_of, mapped_bytes
from chaos.faults.limits import data_bytes, open_files
from chaos.faults.points import BEYOND, BY_OTHERS, PLAIN, POINTS, SET_UP
from chaos.faults.processes import COMMITTED, CONFIRMED, state_of
from chaos.faults.registry import injectors
from node.errors import DiskError, DowngradeRefused, IntegrityError
from node.failpoints import POINTS as OF_NODE


def test_every_point_of_the_node_has_a_deed() -> None:
    assert POINTS.keys() | BEYOND == OF_NODE.keys()
    assert not POINTS.keys() & BEYOND
    assert len(PLAIN) + len(SET_UP) + len(BY_OTHERS) == len(POINTS)
    assert {COMMITTED, CONFIRMED} <= OF_NODE.keys()


def test_the_codes_are_those_of_the_node() -> None:
    assert DiskError.exit_code == DISK_ERROR_CODE
    assert IntegrityError.exit_code == INTEGRITY_CODE
    assert DowngradeRefused.exit_code == DOWNGRADE_CODE


def test_the_classes_of_this_family_are_played() -> None:
    codes = {16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 38, 39, 40, 46, 48}
    assert {f"F{code}" for code in codes} <= injectors().keys()


def test_this_process_is_seen() -> None:
    pid = os.getpid()
    assert state_of(pid) in {"R", "S"}
    assert open_files(pid) > 2
    assert data_bytes(pid) > 2**20


def test_a_folder_is_lost_but_what_is_kept(tmp_path: Path) -> None:
    for name in ("keys", "store-1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"12345")
    (tmp_path / "CURRENT").write_text("store-1\n")
    assert store_of(tmp_path) == "store-1"
    assert bytes_of(tmp_path) >= 5
    assert mapped_bytes(os.getpid(), tmp_path) == 0
    lose(tmp_path, frozenset({"keys"}))
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]
    assert store_of(tmp_path) == ""


def test_a_log_is_read_from_a_place_on(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes("before, ü".encode() + b"behind")
    assert said_since(tmp_path / "log", len("before, ü".encode())) == "behind"
