"""Parts of one campaign, each played on a mesh and a machine of its own.

Law: parts belong together only when plan and seed are the same, and no cycle was judged twice.
What is kept of a part has its lines as they were written or leaves them out: who played what, what
was proved, expected and found. Single operations and samples are left out, so its latencies and
strips are gone, and it cannot be judged anew; every figure of the tables is there.
"""

import errno
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from chaos.events import WHOLE
from chaos.report.reading import ABORTED, Campaign, parse, read

_KEPT: Final = frozenset({"begin", "resume", "cycle", "fault", "expect", "verdict"})
_PACKED: Final = ".gz"


class NoPartsError(ValueError):
    """Histories that are no parts of one campaign; the message says why."""


@contextmanager
def lines_of(history: Path) -> Iterator[IO[bytes]]:
    """The lines of a history, packed (`.gz`) or plain.

    Raises:
        OSError: it cannot be read.
    """
    with history.open("rb") as file:
        if history.suffix != _PACKED:
            yield file
            return
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield io.BufferedReader(unpacked)
        except (EOFError, zlib.error) as error:
            raise OSError(errno.EIO, "it is cut off or damaged", str(history)) from error


def condensed(lines: Iterable[str | bytes]) -> bytes:
    """What is kept of a history, packed; the same bytes for the same history.

    Args:
        lines: of a whole history.
    """
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as packed:
        for line in parse(lines):
            if line is None:
                continue
            if line["kind"] in _KEPT or (line["kind"] == "note" and line.get("what") == WHOLE):
                packed.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
    return out.getvalue()


def read_parts(histories: Sequence[Path]) -> Campaign:
    """The campaign that some histories tell of together.

    Args:
        histories: one, or every part.

    Raises:
        OSError: one cannot be read.
        NoPartsError: they are no parts of one campaign.
    """
    parts = []
    for history in histories:
        with lines_of(history) as lines:
            parts.append(read(lines))
    return parts[0] if len(parts) == 1 else joined(parts)


def joined(parts: Sequence[Campaign]) -> Campaign:
    """One campaign of several parts, in the order in which they are given.

    Raises:
        NoPartsError: they are no parts of one campaign.
    """
    first = parts[0]
    judged: dict[int, str] = {}
    for part in parts:
        if _played_by(part) != _played_by(first):
            raise NoPartsError(
                f"{_named(part)} and {_named(first)} are of different plans or seeds: "
                "only parts of one campaign make one report"
            )
        for cycle in part.cycles:
            if cycle.number is None or cycle.verdict == ABORTED:
                continue
            other = judged.setdefault(cycle.number, _named(part))
            if other != _named(part):
                raise NoPartsError(
                    f"cycle {cycle.number} was judged in {other} and in {_named(part)}: "
                    "a part is played with `--after` the others"
                )
    return Campaign(
        begin=first.begin,
        cycles=[cycle for part in parts for cycle in part.cycles],
        whole=[one for part in parts for one in part.whole],
        resumes=sum(part.resumes for part in parts),
        unreadable=sum(part.unreadable for part in parts),
        parts=list(parts),
    )


def _named(part: Campaign) -> str:
    return f"{part.begin.get('campaign', '?')} of {part.begin.get('started', 'no date')}"


def _played_by(part: Campaign) -> dict[str, object]:
    plan = part.begin.get("plan")
    if not isinstance(plan, dict):
        return {}
    return {key: said for key, said in plan.items() if key != "played"}
