"""What documents ask of the node around them, besides memories and the funnel.

Law: answers are of this moment and change nothing. The default knows nobody: it lets nothing be
folded early, and knows no cold documents.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from crdt.dot import Dot
from node.contracts import Held
from node.documents.sheet import Sheet


class Surroundings(Protocol):
    """The node, as documents see it."""

    def covered(self) -> Callable[[Dot], bool]:
        """Tells of an operation whether all members are known to hold it."""
        ...

    def waits(self, dot: Dot) -> bool:
        """Whether an operation hangs on an approval that is not final."""
        ...

    def said(self, held: Held) -> tuple[str, int]:
        """Who wrote the content that shows, and the stamp of that."""
        ...

    def without(self) -> Sequence[str]:
        """Names of the members whose program knows no documents."""
        ...

    def sheets(self, wanted: str) -> Sequence[Sheet]:
        """The documents that an id, or the beginning of one, may mean; unread."""
        ...


class Nobody:
    """Surroundings without a node."""

    def covered(self) -> Callable[[Dot], bool]:
        """None is."""
        return lambda _dot: False

    def waits(self, dot: Dot) -> bool:  # noqa: ARG002 - the protocol's signature
        """None does."""
        return False

    def said(self, held: Held) -> tuple[str, int]:
        """The author, when the memory was made."""
        return held.view.owner, held.view.created

    def without(self) -> Sequence[str]:
        """All know them."""
        return ()

    def sheets(self, wanted: str) -> Sequence[Sheet]:  # noqa: ARG002 - the protocol's signature
        """None is known."""
        return ()
