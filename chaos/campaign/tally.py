"""A recorder that also counts, and keeps the lines of the cycle that is played.

Law: what is judged is what was written: the lines kept are the very ones in the file. A cycle that
a killed harness left unfinished is begun anew in the namespace that it wrote to, so its first try
is a part of what is judged.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trio

from chaos.check.gathering import READS
from chaos.events import Outcome
from chaos.recorder import Recorder


class Tally(Recorder):
    """Counts acknowledgements and remembers the running cycle.

    Attributes:
        acknowledged: writes that were answered `ok`, since the harness began.
        rows: lines of this cycle so far, decoded.
    """

    def __init__(self, path: Path) -> None:
        """Open or continue a history; see `Recorder`."""
        self.acknowledged = 0
        self._begun = unfinished(path)
        self.rows: list[Mapping[str, object]] = []
        self._more = trio.Event()
        self._reads: set[int] = set()
        super().__init__(path)

    def invoke(self, process: str, node: str, f: str, **args: object) -> int:
        """As of `Recorder`."""
        op = super().invoke(process, node, f, **args)
        if f in READS:
            self._reads.add(op)
        return op

    def complete(self, op: int, outcome: Outcome, *, status: int = 0, **values: object) -> None:
        """As of `Recorder`; wakes who waits for acknowledgements."""
        super().complete(op, outcome, status=status, **values)
        if op in self._reads:
            self._reads.discard(op)
        elif outcome == "ok":
            self.acknowledged += 1
            self._more.set()
            self._more = trio.Event()

    def dots(self) -> dict[str, int]:
        """Actors of dots that this cycle acknowledged so far, with the largest number of each.

        Those of an earlier harness too, if it was ended in the middle of this cycle: its nodes
        are gone, and their actors stand in no clock that is shown short.
        """
        held: dict[str, int] = {}
        for row in self.rows:
            actor, _, seq = str(row.get("dot") or "").rpartition(":")
            if actor and row.get("kind") == "ok":
                held[actor] = max(held.get(actor, 0), int(seq))
        return held

    async def more(self) -> None:
        """Wait for the next acknowledgement."""
        await self._more.wait()

    def event(self, kind: str, **fields: object) -> None:
        """As of `Recorder`; a `cycle` line begins the rows anew, or goes on with its first try."""
        if kind == "cycle":
            self._reads = set()
            self.rows = self._begun.pop(int(str(fields["cycle"])), [])
        super().event(kind, **fields)

    def _append(self, row: Mapping[str, object]) -> None:
        super()._append(row)
        self.rows.append(row)


def unfinished(path: Path) -> dict[int, list[Mapping[str, Any]]]:
    """Decoded lines of the cycles of a history that were begun and have no verdict, by number.

    Raises:
        OSError: the file is there and cannot be read.
    """
    kept: dict[int, list[bytes]] = {}
    number: int | None = None
    try:
        lines = path.open("rb")
    except FileNotFoundError:
        return {}
    with lines:
        for line in lines:
            if not line.endswith(b"\n"):
                break
            if line.startswith(b'{"kind":"cycle",'):
                number = int(json.loads(line)["cycle"])
            elif line.startswith(b'{"kind":"verdict",'):
                kept.pop(int(json.loads(line)["cycle"]), None)
                number = None
            if number is not None:
                kept.setdefault(number, []).append(line)
    return {number: [json.loads(line) for line in rows] for number, rows in kept.items()}
