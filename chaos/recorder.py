"""Writing a history.

Law: an `invoke` is with the operating system before its request is sent; what a cycle wrote is on
the disk before the next one begins. A line that does not fit on the disk leaves nothing of itself.
A recorder that opens an existing file takes away a last line without its end, goes on with the
operation numbers after the largest one, and with the time where it stood: `at` counts the seconds
the campaign ran, not those between two runs of the harness.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from chaos.events import Outcome

OWN_OF_INVOKE: Final = frozenset({"kind", "op", "cycle", "at", "process", "node", "f"})
OWN_OF_COMPLETION: Final = frozenset({"kind", "op", "at", "status"})
_EVENTS: Final = frozenset(
    {"begin", "resume", "cycle", "fault", "expect", "sample", "final", "verdict", "note"}
)
_SYNCED: Final = frozenset({"begin", "resume", "cycle", "verdict"})
_LINE_READ_BYTES_MAX: Final = 64 * 1024  # longer lines are finals: neither op nor the last word


class Recorder:
    """Appends events to one file; used by one harness at a time.

    Attributes:
        cycle: number of the cycle that is played; set by its `cycle` event.
        resumed: whether the file held events when it was opened.
    """

    def __init__(self, path: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Open or continue a history.

        Args:
            path: of the file; made (0600) when it is not there.
            monotonic: seconds.

        Raises:
            OSError: when it cannot be read or written.
        """
        last_op, last_at, self.cycle, whole = _where_it_stood(path)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._file, whole)
        self.resumed = whole > 0
        self._op = last_op
        self._monotonic = monotonic
        self._began = monotonic() - last_at
        if self.resumed:
            self.event("resume")

    def __enter__(self) -> Self:
        """Nothing more to open."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    def now(self) -> float:
        """Seconds the campaign has run."""
        return round(self._monotonic() - self._began, 6)

    def invoke(self, process: str, node: str, f: str, **args: object) -> int:
        """Say what is about to be asked; returns the number of the operation.

        Raises:
            ValueError: an argument has a name that the line itself uses.
            OSError: it could not be written.
        """
        _check_names(args, OWN_OF_INVOKE)
        self._op += 1
        self._append(
            {
                "kind": "invoke",
                "op": self._op,
                "cycle": self.cycle,
                "at": self.now(),
                "process": process,
                "node": node,
                "f": f,
                **args,
            }
        )
        return self._op

    def complete(self, op: int, outcome: Outcome, *, status: int = 0, **values: object) -> None:
        """Say what came back.

        Args:
            op: from `invoke`.
            outcome: ok, fail or info.
            status: of the answer; 0 for none.
            values: what was read, or the names of what was written.

        Raises:
            ValueError: a value has a name that the line itself uses.
            OSError: it could not be written.
        """
        _check_names(values, OWN_OF_COMPLETION)
        self._append({"kind": outcome, "op": op, "at": self.now(), "status": status, **values})

    def event(self, kind: str, **fields: object) -> None:
        """Append any other line: begin, cycle, fault, expect, final, verdict, sample, note.

        `at` and `cycle` are filled in where they are left out; `begin` has neither. A field
        called `class` is given as `**{"class": ...}`.

        Raises:
            ValueError: no such kind.
            OSError: it could not be written.
        """
        if kind not in _EVENTS:
            raise ValueError(f"unknown kind {kind!r}")
        row: dict[str, object] = {"kind": kind, **fields}
        if kind == "cycle":
            self.cycle = int(str(fields["cycle"]))
        elif kind not in ("begin", "resume"):
            row.setdefault("cycle", self.cycle)
        if kind != "begin":
            row.setdefault("at", self.now())
        self._append(row)
        if kind in _SYNCED:
            self.sync()

    def sync(self) -> None:
        """Return when all that was appended is on the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Sync and close; a second call does nothing."""
        if self._file >= 0:
            self.sync()
            os.close(self._file)
            self._file = -1

    def _append(self, row: Mapping[str, object]) -> None:
        line = json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=_plain)
        left = data = (line + "\n").encode("utf-8", "backslashreplace")
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:
            # Half a line would be one with the next, if the disk has room again by then.
            written = len(data) - len(left)
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise


def _plain(value: object) -> object:
    if isinstance(value, set | frozenset | tuple):
        return sorted(value) if isinstance(value, set | frozenset) else list(value)
    raise TypeError(f"no place in a history: {type(value).__name__}")


def _check_names(fields: Mapping[str, object], own: frozenset[str]) -> None:
    taken = own & fields.keys()
    if taken:
        raise ValueError(f"names of the line itself: {', '.join(sorted(taken))}")


def _where_it_stood(path: Path) -> tuple[int, float, int, int]:
    """Largest op, last `at`, last cycle, and bytes of whole lines of a file that may be there."""
    op, at, cycle, whole = 0, 0.0, 0, 0
    try:
        lines = path.open("rb")
    except FileNotFoundError:
        return op, at, cycle, whole
    with lines:
        for line in lines:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            if len(line) > _LINE_READ_BYTES_MAX:
                continue
            try:
                row: Any = json.loads(line)
            except ValueError:
                continue  # the reader names it; who appends does not judge
            if isinstance(row, dict):
                op = max(op, _number(row.get("op")))
                cycle = max(cycle, _number(row.get("cycle")))
                at = max(at, float(_number(row.get("at"), kinds=(int, float))))
    return op, at, cycle, whole


def _number(value: object, kinds: tuple[type, ...] = (int,)) -> Any:
    return value if isinstance(value, kinds) and not isinstance(value, bool) else 0
