"""What to replace in one text to get another.

Law: the parts that are told, applied, give exactly the other text; they are in order and do not
touch. Lines that both begin and end with are left alone. Between, whole lines are compared first,
then the words of lines that differ (Myers, An O(ND) difference algorithm and its variations,
1986), and of words that differ only the middle is told. The cost is bounded, that of all parts
together: where too many lines or words differ, all from the first to the last of them is replaced
as one.
"""

import re
from collections.abc import Sequence
from itertools import chain
from typing import Final, NamedTuple

_DIFFER_MAX: Final = 256
"""Lines, or words of a part, that may differ: the cost grows with the square."""

_UNITS_MAX: Final = 40_000
"""Lines, or words, that are compared at all."""

_STEPS_MAX: Final = 250_000
"""What is compared with each other in all, lines and words."""

_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
_WORD: Final = re.compile(r"\w+|\s+|[^\w\s]")


class Replacement(NamedTuple):
    """A part of the old text and what takes its place; `at` and `length` in code points."""

    at: int
    length: int
    words: str


class _Steps:
    """How much may still be compared."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = _STEPS_MAX


def difference(old: str, new: str) -> list[Replacement]:
    """The parts of `old` to replace to get `new`, the first one first."""
    out: list[Replacement] = []
    steps = _Steps()
    for lines in _compared(_whole_lines(old, new), old, _LINE, steps):
        out += (_trimmed(words, old) for words in _compared(lines, old, _WORD, steps))
    return _joined(out, old)


def _whole_lines(old: str, new: str) -> Replacement:
    """All lines from the first to the last that differ."""
    middle = _trimmed(Replacement(0, len(old), new), old)
    begin = old.rfind("\n", 0, middle.at) + 1
    behind = middle.at + middle.length
    end = old.find("\n", behind) + 1 or len(old)
    return Replacement(begin, end - begin, new[begin : len(new) - (len(old) - end)])


def _trimmed(part: Replacement, old: str) -> Replacement:
    """A part without what its old and new text begin and end with."""
    at, length, words = part
    head = _common(old[at : at + length], words)
    tail = _common(old[at + head : at + length][::-1], words[head:][::-1])
    return Replacement(at + head, length - head - tail, words[head : len(words) - tail])


def _common(one: str, other: str) -> int:
    """Code points that two texts begin with alike."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        half = (low + high + 1) // 2
        if one[low:half] == other[low:half]:
            low = half
        else:
            high = half - 1
    return low


def _joined(parts: Sequence[Replacement], old: str) -> list[Replacement]:
    """The parts that change anything, those that touch as one."""
    out: list[Replacement] = []
    for one in parts:
        if old[one.at : one.at + one.length] == one.words:
            continue
        if out and out[-1].at + out[-1].length == one.at:
            last = out.pop()
            out.append(Replacement(last.at, last.length + one.length, last.words + one.words))
        else:
            out.append(one)
    return out


def _compared(
    part: Replacement, old: str, unit: re.Pattern[str], steps: _Steps
) -> list[Replacement]:
    """A part as smaller ones, of whole units; itself where too many differ."""
    if not part.length or not part.words:
        return [part]
    mine = unit.findall(old[part.at : part.at + part.length])
    theirs = unit.findall(part.words)
    if len(mine) + len(theirs) > _UNITS_MAX:
        return [part]
    numbers: dict[str, int] = {}
    for one in chain(mine, theirs):
        numbers.setdefault(one, len(numbers))
    kept = _kept([numbers[one] for one in mine], [numbers[one] for one in theirs], steps)
    if kept is None:
        return [part]
    out: list[Replacement] = []
    at, x, y = part.at, 0, 0
    for left, right in [*kept, (len(mine), len(theirs))]:
        if left > x or right > y:
            count = sum(map(len, mine[x:left]))
            out.append(Replacement(at, count, "".join(theirs[y:right])))
            at += count
        if left < len(mine):
            at += len(mine[left])
        x, y = left + 1, right + 1
    return out


def _kept(
    mine: Sequence[int], theirs: Sequence[int], steps: _Steps
) -> list[tuple[int, int]] | None:
    """Places of units that stay, in both; None when too many differ."""
    reach = {1: 0}
    trail: list[dict[int, int]] = []
    for differ in range(_DIFFER_MAX + 1):
        if steps.left < 0:
            break
        trail.append(dict(reach))
        for line in range(-differ, differ + 1, 2):
            down = line == -differ or (
                line != differ and reach.get(line - 1, -1) < reach.get(line + 1, -1)
            )
            x = reach[line + 1] if down else reach[line - 1] + 1
            y = x - line
            begin = x
            while x < len(mine) and y < len(theirs) and mine[x] == theirs[y]:
                x += 1
                y += 1
            reach[line] = x
            steps.left -= x - begin + 1
            if x >= len(mine) and y >= len(theirs):
                return _walked_back(trail, len(mine), len(theirs))
    return None


def _walked_back(trail: Sequence[dict[int, int]], x: int, y: int) -> list[tuple[int, int]]:
    """The units that stay on the shortest way that was found, the first one first."""
    out: list[tuple[int, int]] = []
    for differ in range(len(trail) - 1, -1, -1):
        reach = trail[differ]
        line = x - y
        down = line == -differ or (
            line != differ and reach.get(line - 1, -1) < reach.get(line + 1, -1)
        )
        before = line + 1 if down else line - 1
        last = (reach[before], reach[before] - before) if differ else (0, 0)
        begin = last[0] + (bool(differ) and not down)
        while x > begin:
            x, y = x - 1, y - 1
            out.append((x, y))
        x, y = last
    out.reverse()
    return out
