"""From what a record holds to the changes of its document.

Law: a function of the set of stored versions, whatever the order in which they came and however
changes are packed. Whoever may write a record may write anything there, so nothing is believed:
what cannot be a change of this document is set aside, by rules that are alike everywhere, and
never is more read than the bounds allow. To grow reads only what is new and gives what gathering
everything gives.

A change is kept when

- it is stored under its own name and reads as what it claims to be;
- all that it depends on is kept, and the change before of its actor;
- no other that could be kept has its actor and number: of several the one that begins with the
  smallest counter stays, of those the one with the smallest hash;
- its counter begins above theirs, and at most one above the count of all operations before it:
  counters are handed out without gaps, and one leap would use up the numbers of a document.

How much is read at all is a matter of `crdt.document.reading`.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from crdt.document.change import encode_change
from crdt.document.model import (
    ACTOR_BYTES,
    READ_MAX,
    Action,
    Change,
    ChangeError,
    ChangeOp,
    DocumentLimits,
    DocumentTooLargeError,
    OpId,
    Scalar,
    ScalarKind,
    Stored,
)
from crdt.document.pack import Kept
from crdt.document.reading import Item, Reading

TEXT: Final = "text"
"""The key of the root under which the text of a document stands."""

_SEED: Final = b"mnemesh document seed"

RIVAL: Final = "rival"
MISSING: Final = "missing"
LEAP: Final = "leap"


class Aside(NamedTuple):
    """A stored version of which something is not part of the document.

    Attributes:
        name: its field.
        reason: `misnamed`, `unreadable`, `too_large`, `beyond_bounds`; or, of a change in it,
            `rival` (another has its actor and number), `missing` (something it depends on is not
            there), `leap` (its counter does not follow those before).
    """

    name: str
    reason: str


class Tail(NamedTuple):
    """What an order has behind another one, which it begins with.

    Attributes:
        after: the name of the other one.
        kept: what comes after it.
    """

    after: object
    kept: tuple[Kept, ...]


class _Order:
    """The changes that are kept, in their order: by counter, then hash, what is needed first."""

    __slots__ = ("_by", "_waiting", "kept", "last", "leaps", "name", "ops", "rivals", "tail")

    def __init__(self) -> None:
        self.kept: dict[bytes, Kept] = {}
        self.name = object()
        self.tail: Tail | None = None
        self.ops = 0
        self.last = (0, b"")
        self.leaps: set[bytes] = set()
        self.rivals: set[bytes] = set()
        self._by: dict[tuple[bytes, int], Kept] = {}
        self._waiting: dict[bytes | tuple[bytes, int], list[Kept]] = {}

    def copy(self) -> "_Order":
        """One that can be added to; this one stays as it is, and all that it was given is kept."""
        other = _Order()
        other.kept, other.ops, other.last = dict(self.kept), self.ops, self.last
        other._by = dict(self._by)
        return other

    def extended(self, entries: Iterable[Kept]) -> "_Order":
        """The order with changes that come after all those before."""
        order = self.copy()
        size = len(order.kept)
        order.take(entries)
        fresh = islice(reversed(order.kept.values()), len(order.kept) - size)
        order.tail = Tail(self.name, tuple(fresh)[::-1])
        return order

    def take(self, entries: Iterable[Kept]) -> None:
        """Keep changes, as far as they can be, and those that waited for them."""
        for entry in sorted(entries, key=_rank):
            ready = [entry]
            while ready:
                ready += self._keep(ready.pop())

    def _keep(self, one: Kept) -> list[Kept]:
        """Keep a change; returns those that waited for it."""
        change = one.change
        by = (change.actor, change.seq)
        floor = 1
        needs: list[bytes | tuple[bytes, int]] = [*change.deps]
        if change.seq > 1:
            needs.append((change.actor, change.seq - 1))
        for need in needs:
            before = self.kept.get(need) if isinstance(need, bytes) else self._by.get(need)
            if before is None:
                self._waiting.setdefault(need, []).append(one)
                return []
            floor = max(floor, before.change.start_op + len(before.change.ops))
        if not floor <= change.start_op <= self.ops + 1:
            self.leaps.add(change.hash)
            return []
        if by in self._by:
            self.rivals.add(change.hash)
            return []
        self.kept[change.hash] = self._by[by] = one
        self.ops += len(change.ops)
        self.last = max(self.last, _rank(one))
        if not self._waiting:
            return []
        return self._waiting.pop(change.hash, []) + self._waiting.pop(by, [])


def _rank(one: Kept) -> tuple[int, bytes]:
    return one.change.start_op, one.change.hash


class Gathered:
    """The changes of a document, and what was set aside.

    Attributes:
        kept: the changes, by hash, each after all that it depends on; with who wrote it first.
        aside: what was set aside, by name.
        stored_bytes: what all that is stored takes, read or not.
        ops: how many operations the kept changes have.
        order: stands for the kept changes in their order: the same object, the same changes.
        tail: what is new since an order before; None when this one follows none.
    """

    __slots__ = ("_order", "_reading", "aside", "kept", "ops", "order", "stored_bytes", "tail")

    def __init__(self, reading: Reading, order: _Order) -> None:
        self._reading = reading
        self._order = order
        self.kept: Mapping[bytes, Kept] = order.kept
        self.order = order.name
        self.tail = order.tail
        self.aside: list[Aside] = _aside(reading, order)
        self.stored_bytes = reading.stored_bytes
        self.ops = order.ops

    def grown(self, stored: Iterable[Stored]) -> "Gathered":
        """What the record holds now; only what is new of it is read.

        Args:
            stored: all that it holds, what was there before included.
        """
        known = self._reading.items
        now = {(one.name, one.dot): one for one in stored}
        fresh = [one for place, one in now.items() if not _same(known.get(place), one)]
        if not self._reading.passed and len(now) - len(fresh) == len(known):
            reading = self._reading.copy()
            entries = reading.add(fresh, {})
            if not reading.passed:
                return Gathered(reading, self._following(reading, entries))
        reading = Reading(self._reading.limits, self._reading.found)
        reading.add(now.values(), known)
        before = self._reading.found
        entries = [one for name, one in reading.found.items() if before.get(name) != one]
        return Gathered(reading, self._following(reading, entries))

    def _following(self, reading: Reading, entries: Sequence[Kept]) -> _Order:
        """The order with changes that all come after those before, or made anew."""
        order, size = self._order, len(self._reading.found)
        if len(reading.found) != size + len(entries):
            return _ordered(reading)  # something is gone, or was written by another one
        if not entries:
            return order
        if len(order.kept) != size or order.last >= min(map(_rank, entries)):
            return _ordered(reading)
        return order.extended(entries)


def _same(known: Item | None, one: Stored) -> bool:
    return known is not None and known.stored == one


def _ordered(reading: Reading) -> _Order:
    order = _Order()
    order.take(reading.found.values())
    return order


def _aside(reading: Reading, order: _Order) -> list[Aside]:
    whole = len(order.kept) == len(reading.found)
    found: list[Aside] = []
    for item in reading.items.values():
        fault = item.fault
        if fault is None and not whole:
            faults = {_fault(entry.change, order) for entry in item.entries}
            fault = min((one for one in faults if one is not None), default=None)
        if fault is not None:
            found.append(Aside(item.stored.name, fault))
    return sorted(found)


def _fault(change: Change, order: _Order) -> str | None:
    if change.hash in order.kept:
        return None
    if change.hash in order.rivals:
        return RIVAL
    return LEAP if change.hash in order.leaps else MISSING


def gather(stored: Iterable[Stored], limits: DocumentLimits = READ_MAX) -> Gathered:
    """The changes of a document.

    Args:
        stored: all versions of all chunks that its record holds, in any order.
        limits: how much is read of each member; other ones are for tests.
    """
    reading = Reading(limits)
    now = {(one.name, one.dot): one for one in stored}
    reading.add(now.values(), {})
    return Gathered(reading, _ordered(reading))


def seed_change(record_id: str, content: str, limits: DocumentLimits) -> Change:
    """The change that a document begins with whose memory had only a content so far.

    It is a function of both, so whoever edits such a memory begins with the same change.

    Args:
        record_id: of the memory.
        content: the text of the memory.
        limits: bounds of a change.

    Raises:
        DocumentTooLargeError: the content is too long to be a change.
        ChangeError: it holds half of a surrogate pair.
    """
    most = limits.change_ops_max
    if len(content) >= most:
        raise DocumentTooLargeError("change_ops_max", most, len(content) + 1)
    try:
        text = content.encode()
    except UnicodeEncodeError as error:
        raise ChangeError("a text holds half of a surrogate pair") from error
    named = b"\x00".join((_SEED, record_id.encode(), text))
    actor = hashlib.blake2b(named).digest()[:ACTOR_BYTES]
    home = OpId(1, actor)
    ops = [ChangeOp(None, TEXT, False, Action.MAKE_TEXT)]
    key: OpId | None = None
    for place, character in enumerate(content):
        value = Scalar(ScalarKind.STRING, character)
        ops.append(ChangeOp(home, key, True, Action.SET, value))
        key = OpId(place + 2, actor)
    change = encode_change(actor=actor, seq=1, start_op=1, time=0, message=None, deps=(), ops=ops)
    if len(change.data) > limits.change_bytes_max:
        raise DocumentTooLargeError("change_bytes_max", limits.change_bytes_max, len(change.data))
    return change
