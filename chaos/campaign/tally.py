"""A recorder that also counts, and keeps the lines of the cycle that is played.

Law: what is judged is what was written: the lines kept are the very ones in the file.
"""

from collections.abc import Mapping
from pathlib import Path

import trio

from chaos.events import Outcome
from chaos.recorder import Recorder


class Tally(Recorder):
    """Counts acknowledgements and remembers the running cycle.

    Attributes:
        acknowledged: completions that were `ok`, since the harness began.
        rows: lines of this cycle so far, decoded.
    """

    def __init__(self, path: Path) -> None:
        """Open or continue a history; see `Recorder`."""
        self.acknowledged = 0
        self.rows: list[Mapping[str, object]] = []
        self._more = trio.Event()
        super().__init__(path)

    def complete(self, op: int, outcome: Outcome, *, status: int = 0, **values: object) -> None:
        """As of `Recorder`; wakes who waits for acknowledgements."""
        super().complete(op, outcome, status=status, **values)
        if outcome == "ok":
            self.acknowledged += 1
            self._more.set()
            self._more = trio.Event()

    async def more(self) -> None:
        """Wait for the next acknowledgement."""
        await self._more.wait()

    def event(self, kind: str, **fields: object) -> None:
        """As of `Recorder`; a `cycle` line begins the rows anew."""
        if kind == "cycle":
            self.rows = []
        super().event(kind, **fields)

    def _append(self, row: Mapping[str, object]) -> None:
        self.rows.append(row)
        super()._append(row)
