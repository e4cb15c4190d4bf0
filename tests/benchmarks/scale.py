"""How much of everything a run measures.

Law: a bench takes its sizes from here and from nowhere else, so that one word on the command
line makes all of them small, and the same bench serves a glance, an afternoon and a test.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

Line = dict[str, Any]
Size = Literal["tiny", "quick", "bench", "full"]
CONTENT_BYTES: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much of everything.

    Attributes:
        seconds: of the measured window.
        catchup_ops: operations that a node has to catch up with.
        clients: numbers of clients for writes.
        warmup_seconds: of the same load before the window.
        load: who sends what both can send; None takes wrk where it is installed.
        name: which size this is, for what has sizes of its own.
    """

    seconds: float
    catchup_ops: int
    clients: tuple[int, ...] = (1, 16, 64, 256)
    warmup_seconds: float = 1.0
    load: Literal["wrk", "own"] | None = None
    name: Size = "bench"


SCALES: Final[dict[Size, Scale]] = {
    # For the test that the suite runs from end to end; its figures mean nothing.
    "tiny": Scale(seconds=1.0, warmup_seconds=0.0, catchup_ops=2_000, clients=(1, 4), name="tiny"),
    "quick": Scale(seconds=3.0, catchup_ops=10_000, clients=(1, 64), name="quick"),
    "bench": Scale(seconds=4.0, catchup_ops=100_000, name="bench"),
    "full": Scale(seconds=10.0, catchup_ops=100_000, name="full"),
}
REPEATS: Final[dict[Size, int]] = {"tiny": 1, "quick": 1, "bench": 3, "full": 5}
