"""What stands at one place: under a key of a map, or in one element of a sequence.

Law: a value shows while no operation names it as overwritten; of several that show, the one with
the greatest name wins and the rest are its rivals. Nothing that was written is forgotten: a
value that is hidden comes back when the operations that hid it are taken back.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from crdt.document.model import OpId, Scalar, ScalarKind

if TYPE_CHECKING:
    from crdt.document.opset import Node

_WRAP: Final = 2**64
_HALF: Final = 2**63


class Value:
    """One value that was written.

    Attributes:
        id: the operation that wrote it.
        scalar: what it is; None when it is an object.
        node: the object it is; None when it is a scalar.
        added: the sum of the increments of a counter.
        over: how many operations overwrite it.
    """

    __slots__ = ("added", "id", "node", "over", "scalar")

    def __init__(
        self, named: OpId, scalar: Scalar | None, node: Node | None, over: int = 0
    ) -> None:
        self.id = named
        self.scalar = scalar
        self.node = node
        self.added = 0
        self.over = over

    @property
    def is_counter(self) -> bool:
        """Whether increments add to it."""
        return self.scalar is not None and self.scalar.kind == ScalarKind.COUNTER

    def shown(self) -> Scalar | None:
        """The scalar as it stands now, a counter with its increments; None for an object."""
        if self.added and self.scalar is not None:
            return Scalar(ScalarKind.COUNTER, wrapped(int(self.scalar.value or 0) + self.added))
        return self.scalar


def wrapped(number: int) -> int:
    """A sum of counters as 64 bits hold it, two's complement, as the official library does."""
    return (number + _HALF) % _WRAP - _HALF


class Register:
    """All values that were ever written at one place, those that show apart from the hidden.

    Attributes:
        live: the values that show, the greatest name last.
        gone: the hidden ones, by name; None when there never was one.
    """

    __slots__ = ("gone", "live")

    def __init__(self) -> None:
        self.live: list[Value] = []
        self.gone: dict[OpId, Value] | None = None

    def winner(self) -> Value | None:
        """The value that shows; None when nothing does."""
        return self.live[-1] if self.live else None

    def ranked(self) -> list[Value]:
        """All values that show, the winner first."""
        return self.live[::-1]

    def find(self, named: OpId) -> Value | None:
        """A value by its name, hidden or not."""
        at = self._place(named)
        if at < len(self.live) and self.live[at].id == named:
            return self.live[at]
        return None if self.gone is None else self.gone.get(named)

    def add(self, value: Value) -> None:
        """Take a value that was just written, or is hidden already."""
        if not value.over:
            self.live.insert(self._place(value.id), value)
        elif self.gone is None:
            self.gone = {value.id: value}
        else:
            self.gone[value.id] = value

    def remove(self, named: OpId) -> None:
        """Take a value back, as if it had never been written."""
        at = self._place(named)
        if at < len(self.live) and self.live[at].id == named:
            del self.live[at]
        elif self.gone is not None:
            self.gone.pop(named, None)

    def overwrite(self, value: Value) -> None:
        """One more operation overwrites this value."""
        value.over += 1
        if value.over == 1:
            del self.live[self._place(value.id)]
            self.add(value)

    def uncover(self, value: Value) -> None:
        """One operation fewer overwrites this value."""
        value.over -= 1
        if not value.over and self.gone is not None:
            del self.gone[value.id]
            self.add(value)

    def is_empty(self) -> bool:
        """Whether nothing was ever written here."""
        return not self.live and not self.gone

    def _place(self, named: OpId) -> int:
        """Where among the values that show one of this name stands."""
        return bisect_left(self.live, named, key=_name)


def _name(value: Value) -> OpId:
    return value.id
