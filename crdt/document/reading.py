"""What is read of the chunks of a record, and how much.

Law: of each member so much is read (`READ_MAX`), and what it wrote beyond is set aside, in the
order in which it wrote: so nobody's changes take the room of another's, nor of earlier ones of the
same member. A node takes an edit while the whole document stays far below that. So what was taken
is read for good, on every node: however many sides of a cut filled what was left, whatever their
settings say, whatever a hostile member writes beside it.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from crdt.document.change import claimed_ops, read_change
from crdt.document.chunk import UNFOLDED_TIMES
from crdt.document.model import ChangeError, DocumentLimits, DocumentTooLargeError, Stored
from crdt.document.pack import Kept, claimed, is_pack, unpack
from crdt.dot import Dot, NodeId, node_of
from crdt.fields import CHUNK_MARK

MISNAMED: Final = "misnamed"
UNREADABLE: Final = "unreadable"
TOO_LARGE: Final = "too_large"
BEYOND_BOUNDS: Final = "beyond_bounds"

_SHARED: Final = frozenset({"ops_max", "stored_bytes_max"})
"""Bounds of all that a member wrote: what passes them in a pack passes them for what follows."""

Id = tuple[str, Dot]


class Item(NamedTuple):
    """A stored version, read."""

    stored: Stored
    entries: Sequence[Kept]
    fault: str | None


@dataclass(slots=True)
class _Spent:
    """What was read of what one member wrote: bytes stored, changes, ops, bytes unpacked.

    What was read in vain counts. Once a bound is `passed` nothing more is read of this member.
    """

    stored: int = 0
    changes: int = 0
    ops: int = 0
    bytes: int = 0
    passed: bool = False

    def add(self, entries: Sequence[Kept], limits: DocumentLimits) -> bool:
        """Count changes; whether they are within the bounds."""
        self.changes += len(entries)
        self.ops += sum(len(one.change.ops) for one in entries)
        self.bytes += sum(one.change.unfolded_bytes for one in entries)
        return (
            self.changes <= limits.changes_max
            and self.ops <= limits.ops_max
            and self.bytes <= UNFOLDED_TIMES * limits.stored_bytes_max
        )


class Reading:
    """What was read of the stored versions.

    What a member wrote is read in the order in which it wrote. While no bound is passed that
    makes no difference.
    """

    __slots__ = ("_before", "_spent", "found", "items", "limits", "stored_bytes")

    def __init__(self, limits: DocumentLimits, before: Mapping[bytes, Kept] | None = None) -> None:
        self.limits = limits
        self._before = before or {}  # read for an earlier state: a pack of them is read fast
        self._spent: dict[NodeId, _Spent] = {}
        self.items: dict[Id, Item] = {}
        self.found: dict[bytes, Kept] = {}
        self.stored_bytes = 0

    @property
    def passed(self) -> bool:
        """Whether a member passed a bound."""
        return any(spent.passed for spent in self._spent.values())

    def copy(self) -> "Reading":
        """One that can be added to; this one stays as it is."""
        other = Reading(self.limits)
        other.items, other.found = dict(self.items), dict(self.found)
        other.stored_bytes = self.stored_bytes
        other._spent = {node: replace(spent) for node, spent in self._spent.items()}
        return other

    def add(self, stored: Iterable[Stored], known: Mapping[Id, Item]) -> list[Kept]:
        """Read more; returns the changes that were not found before."""
        fresh: list[Kept] = []
        for one in sorted(stored, key=_turn):
            place = (one.name, one.dot)
            item = self._item(one, known.get(place))
            self.items[place] = item
            self.stored_bytes += len(one.data)
            for entry in item.entries:
                change = entry.change
                before = self.found.get(change.hash)
                if before is None or (entry.hlc, entry.agent) < (before.hlc, before.agent):
                    self.found[change.hash] = entry
                    fresh.append(entry)
        self._before = {}
        return fresh

    def _item(self, one: Stored, known: Item | None) -> Item:
        spent = self._spent.setdefault(node_of(one.dot.actor), _Spent())
        spent.stored += len(one.data)
        if spent.passed or spent.stored > self.limits.stored_bytes_max:
            spent.passed = True
            return Item(one, (), BEYOND_BOUNDS)
        if known is None or known.stored != one or known.fault:
            known = self._read(one, spent)
        if known.fault is not None:
            ops, size = _claim(one.data, self.limits)
            spent.ops += ops
            spent.bytes += size
        if known.fault == BEYOND_BOUNDS or not spent.add(known.entries, self.limits):
            spent.passed = True
            return Item(one, (), BEYOND_BOUNDS)
        return known

    def _read(self, one: Stored, spent: _Spent) -> Item:
        try:
            if is_pack(one.data):
                if one.name != CHUNK_MARK + hashlib.sha256(one.data).hexdigest():
                    return Item(one, (), MISNAMED)
                known = {**self._before, **self.found} if self._before else self.found
                so_far = (spent.ops, spent.bytes)
                entries = unpack(one.data, self.limits, known=known, spent=so_far)
                return Item(one, tuple(entries), None)
            change = read_change(one.data, self.limits)
        except DocumentTooLargeError as error:
            return Item(one, (), BEYOND_BOUNDS if error.bound in _SHARED else TOO_LARGE)
        except ChangeError:
            return Item(one, (), UNREADABLE)
        if one.name != CHUNK_MARK + change.hash.hex():
            return Item(one, (), MISNAMED)
        return Item(one, (Kept(change, one.agent, one.hlc),), None)


def _turn(one: Stored) -> tuple[Dot, str]:
    return one.dot, one.name


def _claim(data: bytes, limits: DocumentLimits) -> tuple[int, int]:
    """How many operations may have been read in vain, and how many bytes inflated.

    They cost what others cost: a chunk of seventy bytes may hold as many as a change may have, and
    be wrong in its last one.
    """
    try:
        if is_pack(data):
            return limits.change_ops_max, claimed(data)[1]
        return claimed_ops(data, limits), 0
    except ChangeError:
        return 0, 0
