"""Lines about hooks, so few that a broken one cannot fill a disk.

Law: of one kind and one hook a line is written at most once a second; the next one says how many
were left out. Figures are counted apart and leave nothing out.
"""

from collections.abc import Callable
from typing import Final

_SECONDS: Final = 1.0


class Seldom:
    """Writes lines now and then.

    Args:
        log: writes one event of `node.logs.EVENTS`.
        monotonic: seconds that only grow.
    """

    def __init__(self, log: Callable[..., None], monotonic: Callable[[], float]) -> None:
        self._log = log
        self._monotonic = monotonic
        self._last: dict[tuple[str, object], float] = {}
        self._untold: dict[tuple[str, object], int] = {}

    def __call__(self, event: str, **facts: object) -> None:
        """Write a line, or leave it out."""
        kind, now = (event, facts.get("hook")), self._monotonic()
        if now - self._last.get(kind, float("-inf")) < _SECONDS:
            self._untold[kind] = self._untold.get(kind, 0) + 1
            return
        self._last[kind] = now
        untold = self._untold.pop(kind, 0)
        self._log(event, **facts, **({"untold": untold} if untold else {}))
