"""What cannot be followed exactly is refused."""

import re
from pathlib import Path

import pytest

from chaos.power.disk import check_complete
from chaos.power.following import Follower
from chaos.power.syscalls import read_calls
from chaos.power.writelog import Data, Incomplete, Names, Sync


def hexed(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


class Trace:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.lines: list[str] = []

    def call(self, text: str, *, thread: int = 1) -> "Trace":
        paths = re.compile("«(.*?)»")
        line = paths.sub(lambda m: hexed(m[1].replace("ROOT", str(self.root))), text)
        self.lines.append(f"{thread} {len(self.lines) + 1}.000000000 {line} <0.000000001>")
        return self

    def follow(self) -> Follower:
        follower = Follower(self.root)
        follower.follow(read_calls(self.lines))
        return follower


def opened(root: Path, flags: str = "O_RDWR|O_CREAT") -> Trace:
    trace = Trace(root).call('execve("\\x2f", [], 0x1) = 0')
    return trace.call(f'openat(AT_FDCWD<\\x2f>, "«ROOT/a»", {flags}, 0600) = 3<«ROOT/a»>')


def test_a_file_is_made_written_and_synced(tmp_path: Path) -> None:
    trace = opened(tmp_path, "O_WRONLY|O_CREAT|O_DSYNC")
    trace.call('write(3<«ROOT/a»>, "\\x41\\x42", 2) = 2')
    trace.call('pwrite64(3<«ROOT/a»>, "\\x43", 1, 9) = 1')
    trace.call("lseek(3<«ROOT/a»>, 1, SEEK_SET) = 1")
    trace.call('write(3<«ROOT/a»>, "\\x44\\x44", 2) = 1', thread=2)
    trace.call("fdatasync(3<«ROOT/a»>) = 0")
    told = [op.what for op in trace.follow().log.ops]
    assert told == [
        Names(((0, "a", 1),)),
        Data(1, 0, b"AB", True),
        Data(1, 9, b"C", True),
        Data(1, 1, b"D", True),
        Sync(1),
    ]


def test_what_lies_elsewhere_and_what_fails_is_no_part_of_it(tmp_path: Path) -> None:
    trace = Trace(tmp_path)
    trace.call('openat(AT_FDCWD<\\x2f>, "«/x»", O_RDWR|O_CREAT, 0600) = 3<«/x»>')
    trace.call('write(3<«/x»>, "\\x41", 1) = 1')
    trace.call('mkdir("«ROOT/d»", 0700) = -1 EACCES (Permission denied)')
    assert trace.follow().log.ops == []


@pytest.mark.parametrize(
    "line",
    [
        "mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 3<«ROOT/a»>, 0) = 0x7f0000000000",
        "copy_file_range(3<«ROOT/a»>, NULL, 4<«/x»>, NULL, 9, 0) = 9",
        'symlink("«/x»", "«ROOT/b»") = 0',
        'rename("«/x»", "«ROOT/b»") = 0',
        'write(9<«ROOT/a»>, "\\x41", 1) = 1',
        "fallocate(3<«ROOT/a»>, FALLOC_FL_PUNCH_HOLE, 0, 9) = 0",
        'openat(AT_FDCWD<\\x2f>, "«ROOT/b»", O_RDONLY) = 4<«ROOT/b»>',
    ],
)
def test_what_leaves_no_trace_is_refused(tmp_path: Path, line: str) -> None:
    trace = opened(tmp_path).call(line)
    with pytest.raises(Incomplete):
        trace.follow()


def test_a_log_that_does_not_explain_the_files_proves_nothing(tmp_path: Path) -> None:
    trace = opened(tmp_path).call('write(3<«ROOT/a»>, "\\x41\\x42", 2) = 2')
    log = trace.follow().log
    with pytest.raises(Incomplete, match="names"):
        check_complete(log)
    (tmp_path / "a").write_bytes(b"AB")
    assert check_complete(log) == 2
    (tmp_path / "a").write_bytes(b"AX")
    with pytest.raises(Incomplete, match="byte 1"):
        check_complete(log)
    (tmp_path / "a").write_bytes(b"ABC")
    with pytest.raises(Incomplete, match="3 bytes"):
        check_complete(log)
    (tmp_path / "a").write_bytes(b"AB")
    (tmp_path / "b").write_bytes(b"")
    with pytest.raises(Incomplete, match="names"):
        check_complete(log)
