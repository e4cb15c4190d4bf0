"""Which value hid which.

Law: a write made with `If-Match` hid exactly the values that lived where its reader looked, and
says so as `saw`: a value, or all of them where several lived. So "older than" is "an ancestor of",
and no clock is asked. A value is dead for certain once a write that hid it is known to have
happened: it was acknowledged, or its own value, or one that was made from it, was seen.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from chaos.check.gathering import Operation


@dataclass(slots=True, kw_only=True)
class Descent:
    """Values of one history and what they were made from.

    Attributes:
        writes: the operation of each value.
        parents: the values that each one hid; none for a first one.
    """

    writes: dict[str, Operation] = field(default_factory=dict)
    parents: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def is_older(self, value: str, than: str) -> bool:
        """Whether the second was made, directly or not, from the first.

        What was made from a value was asked for after it, so the search goes no further back than
        the value itself: in a history without a breach it ends at once.
        """
        if value == than:
            return False
        born = self._began(value)
        seen: set[str] = set()
        pending = list(self.parents.get(than, ()))
        while pending:
            at = pending.pop()
            if at == value:
                return True
            if at not in seen and self._began(at) > born:
                seen.add(at)
                pending.extend(self.parents.get(at, ()))
        return False

    def dead(self, seen: Iterable[str]) -> set[str]:
        """Values that no node may show any more once all is level.

        Args:
            seen: values that reads or nodes showed, so they were written whatever was answered.
        """
        pending = [value for value, write in self.writes.items() if write.ok]
        pending.extend(value for value in seen if value in self.writes)
        dead: set[str] = set()
        while pending:
            for parent in self.parents.get(pending.pop(), ()):
                if parent not in dead:
                    dead.add(parent)
                    pending.append(parent)
        return dead

    def _began(self, value: str) -> int:
        write = self.writes.get(value)
        return -1 if write is None else write.began


def descent(writes: Iterable[Operation]) -> Descent:
    """The descent of writes with `value` and, but for first ones, `saw`."""
    made = Descent()
    for each in writes:
        value = str(each.args["value"])
        made.writes[value] = each
        saw = each.args.get("saw") or ()
        made.parents[value] = (saw,) if isinstance(saw, str) else tuple(map(str, saw))
    return made
