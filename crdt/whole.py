"""Changes of a replica in memory that are made whole or are the last.

Law: between the first thing that a change touches and the last one nothing may fail and be gone on
from. Where it fails nevertheless, for want of memory as a rule, what stands in memory belongs to no
operation, or an operation lacks its effect; so nothing is changed any more and nothing is handed to
the disk. The disk is as it was, and the process has to begin anew from there.
"""

from collections.abc import Callable
from types import TracebackType


class HalfMadeError(RuntimeError):
    """A change before this one was left half made: only the disk can be believed."""

    def __init__(self) -> None:
        super().__init__("a change was left half made in memory; nothing goes to the disk any more")


class Whole:
    """Guards every change of one replica; a change is a `with` block.

    Attributes:
        broken: a change is being made, or was left half made.
        told: is called with what left one half made, at once.
    """

    __slots__ = ("broken", "told")

    def __init__(self) -> None:
        self.broken = False
        self.told: Callable[[BaseException], None] = _nobody

    def __enter__(self) -> None:
        """Begin a change.

        Raises:
            HalfMadeError: the one before was never ended.
        """
        if self.broken:
            raise HalfMadeError
        self.broken = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it; one that failed is never ended."""
        if error is None:
            self.broken = False
        else:
            self.told(error)


def _nobody(error: BaseException) -> None:
    """Nobody is told: whoever changes or commits next hears of it."""
