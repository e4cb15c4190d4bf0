"""Size, age, modes, other hands and full disks: the file of the log."""

import errno
import os
import random
import stat
import time
from pathlib import Path

import pytest

from node.log_file import LogFile

DAY = 86_400.0


class Clock:
    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def made(path: Path, clock: Clock | None = None, **changes: float) -> LogFile:
    options = {"rotate_bytes": 1000, "retention_days": 10.0, "files_kept_max": 3} | changes
    return LogFile(path, now=clock or Clock(), **options)  # type: ignore[arg-type]  # ints and floats


def test_the_file_and_its_folder_belong_to_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "node.log"
    before = os.umask(0)
    try:
        made(path).write("line")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("keep")
    path = tmp_path / "node.log"
    path.symlink_to(target)
    file = made(path)
    assert not file.write("line")
    assert target.read_text() == "keep"
    assert file.lost_total == 1


def test_a_pipe_is_no_file_and_nobody_waits_for_who_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    os.mkfifo(path)
    file = made(path)
    for _ in range(3):
        assert not file.write("x" * 900)
    assert "no file" in file.trouble


def test_any_lines_in_any_sizes_stay_within_the_bounds_and_in_order(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    path = tmp_path / "node.log"
    file = made(path, Clock(time.time()))
    written = [f"{number:06d} " + "x" * rng.randrange(300) for number in range(400)]
    for line in written:
        assert file.write(line)
        if rng.random() < 0.05:
            file.reopen()
    file.close()
    names = sorted(entry.name for entry in tmp_path.iterdir())
    assert names == ["node.log", "node.log.1", "node.log.2", "node.log.3"]
    assert all(entry.stat().st_size <= 1000 for entry in tmp_path.iterdir())
    kept = [line for name in (*reversed(names[1:]), names[0]) for line in _lines(tmp_path / name)]
    assert kept == written[-len(kept) :]


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_nothing_is_kept_longer_than_asked(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "node.log"
    file = made(path, clock, rotate_bytes=10**6, files_kept_max=50)
    for day in range(30):
        for hour in range(0, 24, 6):
            clock.now = 1_800_000_000.0 + day * DAY + hour * 3600
            file.write(str(clock.now))
            for entry in tmp_path.iterdir():  # the clock of the file system is another one
                last = float(_lines(entry)[-1])
                os.utime(entry, (last, last))
    oldest = min(float(_lines(entry)[0]) for entry in tmp_path.iterdir())
    assert clock.now - oldest <= 10 * DAY
    assert clock.now - oldest > 8 * DAY  # and not much less
    # Also when no line comes any more.
    clock.now += 60 * DAY
    file.tend()
    clock.now += 2 * 3600
    file.tend()
    assert [entry for entry in tmp_path.iterdir() if entry.name != "node.log" and _old(entry)] == []
    file.close()


def _old(path: Path) -> bool:
    return bool(path.stat().st_size) and path.stat().st_mtime < 1_800_000_000.0


def test_the_age_of_a_file_outlives_a_restart(tmp_path: Path) -> None:
    clock, path = Clock(1_800_000_000.0), tmp_path / "node.log"
    path.write_text('{"at":"2027-01-10T00:00:00.5Z","event":"node_started"}\n')
    os.utime(path, (clock.now, clock.now))
    made(path, clock).write("new")  # 2027-01-15: five days, a portion is one
    assert (tmp_path / "node.log.1").exists()
    assert _lines(path) == ["new"]


def test_another_program_may_move_the_file(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    file = made(path)
    file.write("one")
    path.rename(tmp_path / "moved")
    file.write("two")
    file.reopen()
    file.write("three")
    file.close()
    assert _lines(tmp_path / "moved") == ["one", "two"]
    assert _lines(path) == ["three"]


def test_a_full_disk_loses_whole_lines_and_says_how_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "node.log"
    file = made(path)
    file.write("before")
    room = [3]
    write = os.write

    def scarce(descriptor: int, data: bytes) -> int:
        if room[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = write(descriptor, data[: room[0]])
        room[0] = 0
        return taken

    monkeypatch.setattr(os, "write", scarce)
    assert not file.write("half of it fits")
    assert not file.write("nothing fits")
    assert (file.lost, file.lost_total) == (2, 2)
    assert "No space" in file.trouble
    monkeypatch.setattr(os, "write", write)
    assert file.write("after")
    assert _lines(path) == ["before", "after"]
    assert file.trouble == ""
    file.close()
