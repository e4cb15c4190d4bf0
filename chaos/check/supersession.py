"""Which value hid which.

Law: a write made with `If-Match` hid exactly what its reader saw, and says so as `saw`. So every
value has one parent at most, values form a forest, and "older than" is "an ancestor of": no
clock is asked. A value is dead for certain once a write that hid it is known to have happened: it
was acknowledged, or its own value, or one that was made from it, was seen.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from chaos.check.gathering import Operation


@dataclass(slots=True, kw_only=True)
class Forest:
    """Values of one history and what they were made from.

    Attributes:
        writes: the operation of each value.
        parents: the value that each one hid; none for a first one.
    """

    writes: dict[str, Operation] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    _spans: dict[str, tuple[int, int]] = field(default_factory=dict)

    def is_older(self, value: str, than: str) -> bool:
        """Whether the second was made, directly or not, from the first."""
        if not self._spans:
            self._spans = _spans(self.parents, self.writes)
        mine, other = self._spans.get(value), self._spans.get(than)
        if mine is None or other is None or value == than:
            return False
        return mine[0] <= other[0] and other[1] <= mine[1]

    def dead(self, seen: Iterable[str]) -> set[str]:
        """Values that no node may show any more once all is level.

        Args:
            seen: values that reads or nodes showed, so they were written whatever was answered.
        """
        happened = [value for value, write in self.writes.items() if write.ok]
        happened.extend(value for value in seen if value in self.writes)
        dead: set[str] = set()
        for value in happened:
            at = self.parents.get(value)
            while at is not None and at not in dead:
                dead.add(at)
                at = self.parents.get(at)
        return dead


def forest(writes: Iterable[Operation]) -> Forest:
    """The forest of writes with `value` and, but for first ones, `saw`."""
    made = Forest()
    for each in writes:
        value = str(each.args["value"])
        made.writes[value] = each
        saw = each.args.get("saw")
        if saw is not None:
            made.parents[value] = str(saw)
    return made


def _spans(parents: Mapping[str, str], values: Iterable[str]) -> dict[str, tuple[int, int]]:
    """When a walk through the forest enters and leaves each value."""
    children: defaultdict[str, list[str]] = defaultdict(list)
    for value, parent in parents.items():
        children[parent].append(value)
    roots = [v for v in {**dict.fromkeys(values), **dict.fromkeys(children)} if v not in parents]
    entered: dict[str, int] = {}
    spans: dict[str, tuple[int, int]] = {}
    moment = 0
    stack = [(root, False) for root in roots]
    while stack:
        value, left = stack.pop()
        moment += 1
        if left:
            spans[value] = (entered[value], moment)
            continue
        entered[value] = moment
        stack.append((value, True))
        stack.extend((child, False) for child in children[value])
    return spans
