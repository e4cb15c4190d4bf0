"""What strace wrote, read back: system calls with begin, end, arguments and data.

Law: nothing is guessed. A call's begin is the moment before the kernel acts on it and its end
the moment after, because strace holds the thread at both; so what one thread learned from
another lies between them in this order, too. A string that strace shortened is refused.

The format is that of strace(1) with -f (a thread id begins each line), -ttt, -y (paths of
descriptors) and -xx (every string in hexadecimal, so no text can look like syntax).
"""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CALLS: Final = (
    "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,"
    "lseek,rename,renameat,renameat2,unlink,unlinkat,rmdir,link,linkat,symlink,symlinkat,"
    "mkdir,mkdirat,mknod,mknodat,fsync,fdatasync,sync,syncfs,msync,mmap,dup,dup2,dup3,fcntl,"
    "copy_file_range,sendfile,splice,execve"
)
"""What may change a file, a name or a position, or bring it to the disk."""

NEVER: Final = 1 << 62
"""The end of a call that had not ended when the trace did."""

STRING_BYTES_MAX: Final = 64 * 1024 * 1024
_LINE: Final = re.compile(r"(\d+) +(\d+)\.(\d{6,9}) (.*)", re.DOTALL)
_RESUMED: Final = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_CALL: Final = re.compile(r"(\w+)\((.*)", re.DOTALL)
_RESULT: Final = re.compile(r"\)\s+= ([^\"]*?)(?: <(\d+)\.(\d{6,9})>)?$")
_TOKEN: Final = re.compile(r'"[^"]*"(?:\.\.\.)?|[\[{]|[\]}]|,')
_UNFINISHED: Final = " <unfinished ...>"
_VERSION_MIN: Final = (5, 3)


class TraceError(Exception):
    """A line that is not what strace writes, or that does not hold all of the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One system call.

    Attributes:
        thread: its id.
        name: of the call.
        began: number of the line on which it began.
        ended: number of the line on which it ended; `NEVER` when it did not.
        began_ns: nanoseconds of CLOCK_REALTIME before the kernel acted.
        ended_ns: not after it had: the time of the line on which it ended. What strace says of
            how long a call took is of another clock, and on a busy machine too long.
        args: its arguments as text, at the top level.
        result: the text behind the equals sign; empty when it never ended.
    """

    thread: int
    name: str
    began: int
    ended: int
    began_ns: int
    ended_ns: int
    args: tuple[str, ...]
    result: str

    @property
    def value(self) -> int:
        """What it returned; -1 for every failure and when it never ended."""
        text = self.result.partition(" ")[0].partition("<")[0]
        return int(text, 0) if text not in {"", "?"} else -1


def missing() -> str:
    """Why this machine cannot trace a node; empty when it can."""
    strace = shutil.which("strace")
    if strace is None:
        return "strace is not installed"
    told = subprocess.run([strace, "-V"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\d+)\.(\d+)", told)
    if found is None or (int(found[1]), int(found[2])) < _VERSION_MIN:
        return "strace is older than 5.3"
    return ""


def trace_command(target: Path, command: Sequence[str]) -> list[str]:
    """The command line that runs a command and writes its calls to a file.

    Seccomp lets all other calls of the traced process run at full speed.
    """
    return [
        shutil.which("strace") or "strace",
        "-f",
        "--seccomp-bpf",
        "--absolute-timestamps=format:unix,precision:ns",
        "-y",
        "-xx",
        "-s",
        str(STRING_BYTES_MAX),
        "-o",
        str(target),
        "-e",
        f"trace={CALLS}",
        "-e",
        "signal=none",
        *command,
    ]


def read_calls(lines: Iterable[str], first: int = 0) -> Iterator[Call]:
    """The calls of a trace, in the order in which they ended; those that never did, last.

    Args:
        lines: of the file that strace wrote.
        first: number of the first line.

    Raises:
        TraceError: a line cannot be understood.
    """
    open_calls: dict[int, tuple[str, int, int, str]] = {}
    for number, line in enumerate(lines, first):
        found = _LINE.match(line.rstrip("\n"))
        if found is None:
            raise TraceError(f"line {number} is no line of strace: {line[:120]}")
        thread, at, rest = int(found[1]), _ns(found[2], found[3]), found[4]
        if rest.startswith(("+++", "---")):
            continue
        if rest.endswith(_UNFINISHED):
            call = _CALL.match(rest.removesuffix(_UNFINISHED))
            if call is None:
                raise TraceError(f"line {number} begins no call")
            open_calls[thread] = (call[1], number, at, call[2])
            continue
        resumed = _RESUMED.match(rest)
        if resumed is not None:
            begun = open_calls.pop(thread, None)
            if begun is None or begun[0] != resumed[1]:
                raise TraceError(f"line {number} ends a call that did not begin")
            yield _call(thread, begun, number, at, begun[3] + resumed[2])
            continue
        call = _CALL.match(rest)
        if call is None:
            raise TraceError(f"line {number} is no call: {rest[:120]}")
        yield _call(thread, (call[1], number, at, ""), number, None, call[2])
    for thread, (name, number, at, args) in open_calls.items():
        yield Call(
            thread=thread,
            name=name,
            began=number,
            ended=NEVER,
            began_ns=at,
            ended_ns=NEVER,
            args=_split(args.removesuffix(")")),
            result="",
        )


def _call(
    thread: int, begun: tuple[str, int, int, str], number: int, at: int | None, text: str
) -> Call:
    name, began, began_ns, _ = begun
    end = _RESULT.search(text, max(text.rfind('"'), 0))
    if end is None:
        raise TraceError(f"line {number}: {name} has no result")
    return Call(
        thread=thread,
        name=name,
        began=began,
        ended=number,
        began_ns=began_ns,
        ended_ns=began_ns if at is None else at,
        args=_split(text[: end.start()]),
        result=end[1],
    )


def _ns(seconds: str, fraction: str) -> int:
    return int(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0"))


def _split(text: str) -> tuple[str, ...]:
    """Arguments at the top level."""
    parts, depth, start = [], 0, 0
    for token in _TOKEN.finditer(text):
        sign = token[0]
        if sign in "[{":
            depth += 1
        elif sign in "]}":
            depth -= 1
        elif sign == "," and not depth:
            parts.append(text[start : token.start()].strip())
            start = token.end()
    last = text[start:].strip()
    return (*parts, last) if last or parts else ()


def text_bytes(argument: str) -> bytes:
    """The bytes of a string argument.

    Raises:
        TraceError: it was shortened, or is no string.
    """
    if len(argument) < 2 or argument[0] != '"' or argument[-1] != '"':
        raise TraceError(f"no whole string: {argument[:60]}")
    return bytes.fromhex(argument[1:-1].replace("\\x", ""))


def vector_bytes(argument: str) -> bytes:
    """The bytes of a vector of buffers, as writev(2) takes it.

    Raises:
        TraceError: it was shortened.
    """
    if "..." in argument:
        raise TraceError(f"a vector was shortened: {argument[:60]}")
    found = re.findall(r'iov_base=("[^"]*")', argument)
    return b"".join(text_bytes(one) for one in found)


_DESCRIPTOR: Final = re.compile(r"(AT_FDCWD|-?\d+)(?:<([^>]*)>)?")


def descriptor(argument: str) -> tuple[int, str]:
    """Number (-100 for the working directory) and path of a descriptor."""
    found = _DESCRIPTOR.match(argument)
    if found is None:
        raise TraceError(f"no descriptor: {argument[:60]}")
    number = -100 if found[1] == "AT_FDCWD" else int(found[1])
    hexed = (found[2] or "").replace("(deleted)", "")
    try:
        path = bytes.fromhex(hexed.replace("\\x", "")).decode(errors="surrogateescape")
    except ValueError:
        path = hexed
    return number, path
