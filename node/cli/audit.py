"""`mnemesh audit tail`: the newest entries of a node's chain of events, read from its files.

Law: nothing is asked of the node and nothing is changed, so it works whether one runs or not.
What is shown is shown as it stands; whether it holds is for `mnemesh verify` to say.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from node.audit.chain import ChainError, Entry, read_entry
from node.audit.segments import FOLDER, lines_of, segments, tail_lines
from node.cli.options import AsJson, DataDir, paths_of
from node.cli.output import Output, plain, table
from node.errors import UsageError

_LINES_DEFAULT: Final = 20
_POLL_SECONDS: Final = 0.25
_DAMAGED: Final = ("?", "?", "DAMAGED", "see mnemesh verify")


def tail(
    *,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="How many entries to show.")
    ] = _LINES_DEFAULT,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on showing entries as they come.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the newest entries of the audit chain; with --json as the lines that were signed."""
    folder = paths_of(data_dir).data_dir / FOLDER
    if not folder.is_dir():
        raise UsageError(
            f"there is no audit chain in {folder.parent}",
            why="no node was ever started on it",
            fix="Name the folder of a node with --data-dir",
        )
    shown = newest(folder, lines)
    if as_json:
        _print(line.decode("ascii", "replace") for line in shown)
    else:
        Output(as_json=False).answer(None, table(_COLUMNS, (row_of(line) for line in shown)))
    if follow:
        for line in following(folder):
            text = line.decode("ascii", "replace")
            _print([text if as_json else "  ".join(map(str, row_of(line)))])


_COLUMNS: Final = ("SEQ", "AT", "EVENT", "FACTS")


def newest(folder: Path, count: int) -> list[bytes]:
    """The last lines of a chain, oldest first."""
    out: list[bytes] = []
    for segment in reversed(segments(folder)):
        if len(out) >= count:
            break
        out = tail_lines(segment.path, count - len(out)) + out
    return out


def following(folder: Path) -> Iterator[bytes]:
    """Whole lines that come after now; ends only with the process."""
    held = segments(folder)
    first = held[-1].first if held else 0
    done = sum(whole for _, whole in lines_of(held[-1].path)) if held else 0
    while True:
        for segment in segments(folder):
            if segment.first < first:
                continue
            if segment.first > first:
                first, done = segment.first, 0
            fresh = [line for line, whole in lines_of(segment.path) if whole][done:]
            done += len(fresh)
            yield from fresh
        time.sleep(_POLL_SECONDS)


def row_of(line: bytes) -> tuple[object, ...]:
    """One entry as cells of a table."""
    try:
        entry = read_entry(line)
    except ChainError:
        return _DAMAGED
    return entry.seq, _when(entry), entry.event, plain(_facts(entry))


def _when(entry: Entry) -> str:
    seconds, ms = divmod(entry.at, 1000)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) + f".{ms:03d}Z"


def _facts(entry: Entry) -> str:
    shown = (
        (name, ",".join(value) if isinstance(value, tuple) else value)
        for name, value in entry.facts.items()
    )
    return " ".join(f"{name}={value}" for name, value in shown)


def _print(texts: Iterator[str] | list[str]) -> None:
    for text in texts:
        sys.stdout.write(plain(text) + "\n")
    sys.stdout.flush()
