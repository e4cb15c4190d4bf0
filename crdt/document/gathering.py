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

Twice the bounds of a document are read: two sides of a cut may each have filled what was left, and
neither shall lose what it was told is kept.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from crdt.document.change import encode_change, read_change
from crdt.document.chunk import UNFOLDED_TIMES
from crdt.document.model import (
    ACTOR_BYTES,
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
from crdt.document.pack import Kept, is_pack, unpack
from crdt.dot import Dot
from crdt.fields import CHUNK_MARK

TEXT: Final = "text"
"""The key of the root under which the text of a document stands."""

SLACK: Final = 2
_SEED: Final = b"mnemesh document seed"

MISNAMED: Final = "misnamed"
UNREADABLE: Final = "unreadable"
TOO_LARGE: Final = "too_large"
BEYOND_BOUNDS: Final = "beyond_bounds"
RIVAL: Final = "rival"
MISSING: Final = "missing"
LEAP: Final = "leap"

_SHARED: Final = frozenset({"ops_max", "stored_bytes_max"})
"""Bounds of a whole document: what passes them in a pack passes them for all that follows."""

_Id = tuple[str, Dot]


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


class _Item(NamedTuple):
    """A stored version, read."""

    stored: Stored
    entries: Sequence[Kept]
    fault: str | None


class _Reading:
    """What was read of the stored versions.

    Packs come first, then single changes, each by stamp: once a bound is passed, nothing more is
    read. While none is passed the order makes no difference.
    """

    __slots__ = ("_before", "bytes", "found", "items", "limits", "ops", "passed", "stored_bytes")

    def __init__(self, limits: DocumentLimits, before: Mapping[bytes, Kept] | None = None) -> None:
        self.limits = limits
        self._before = before or {}  # read for an earlier state: a pack of them is read fast
        self.items: dict[_Id, _Item] = {}
        self.found: dict[bytes, Kept] = {}
        self.stored_bytes = self.ops = self.bytes = 0
        self.passed = False

    def copy(self) -> "_Reading":
        """One that can be added to; this one stays as it is."""
        other = _Reading(self.limits)
        other.items, other.found = dict(self.items), dict(self.found)
        other.stored_bytes, other.ops, other.bytes = self.stored_bytes, self.ops, self.bytes
        other.passed = self.passed
        return other

    def add(self, stored: Iterable[Stored], known: Mapping[_Id, _Item]) -> list[Kept]:
        """Read more; returns the changes that were not found before."""
        fresh: list[Kept] = []
        for one in sorted(stored, key=_turn):
            place = (one.name, one.dot)
            item = self._item(one, known.get(place))
            self.items[place] = item
            self.stored_bytes += len(one.data)
            for entry in item.entries:
                change = entry.change
                self.bytes += len(change.data)
                before = self.found.get(change.hash)
                if before is None:
                    self.ops += len(change.ops)
                    self.found[change.hash] = entry
                    fresh.append(entry)
                elif (entry.hlc, entry.agent) < (before.hlc, before.agent):
                    self.found[change.hash] = entry
                    fresh.append(entry)
        self._before = {}
        return fresh

    def _item(self, one: Stored, known: _Item | None) -> _Item:
        limits = self.limits
        self.passed = self.passed or self.stored_bytes + len(one.data) > limits.stored_bytes_max
        if self.passed:
            return _Item(one, (), BEYOND_BOUNDS)
        if known is None or known.fault == BEYOND_BOUNDS or known.stored != one:
            known = self._read(one)
        fresh = [e.change for e in known.entries if e.change.hash not in self.found]
        self.passed = known.fault == BEYOND_BOUNDS or (
            self.ops + sum(len(change.ops) for change in fresh) > limits.ops_max
            or len(self.found) + len(fresh) > limits.changes_max
            or self.bytes + sum(len(e.change.data) for e in known.entries)
            > UNFOLDED_TIMES * limits.stored_bytes_max
        )
        return _Item(one, (), BEYOND_BOUNDS) if self.passed else known

    def _read(self, one: Stored) -> _Item:
        try:
            if is_pack(one.data):
                if one.name != CHUNK_MARK + hashlib.sha256(one.data).hexdigest():
                    return _Item(one, (), MISNAMED)
                spent = (self.ops, self.bytes)
                known = {**self._before, **self.found} if self._before else self.found
                entries = unpack(one.data, self.limits, known=known, spent=spent)
                return _Item(one, tuple(entries), None)
            change = read_change(one.data, self.limits)
        except DocumentTooLargeError as error:
            return _Item(one, (), BEYOND_BOUNDS if error.bound in _SHARED else TOO_LARGE)
        except ChangeError:
            return _Item(one, (), UNREADABLE)
        if one.name != CHUNK_MARK + change.hash.hex():
            return _Item(one, (), MISNAMED)
        return _Item(one, (Kept(change, one.agent, one.hlc),), None)


def _turn(one: Stored) -> tuple[bool, int, Dot, str]:
    return not is_pack(one.data), one.hlc, one.dot, one.name


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

    def __init__(self, reading: _Reading, order: _Order) -> None:
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
        reading = _Reading(self._reading.limits, self._reading.found)
        reading.add(now.values(), known)
        before = self._reading.found
        entries = [one for name, one in reading.found.items() if before.get(name) != one]
        return Gathered(reading, self._following(reading, entries))

    def _following(self, reading: _Reading, entries: Sequence[Kept]) -> _Order:
        """The order with changes that all come after those before, or made anew."""
        order, size = self._order, len(self._reading.found)
        if len(reading.found) != size + len(entries):
            return _ordered(reading)  # something is gone, or was written by another one
        if not entries:
            return order
        if len(order.kept) != size or order.last >= min(map(_rank, entries)):
            return _ordered(reading)
        return order.extended(entries)


def _same(known: _Item | None, one: Stored) -> bool:
    return known is not None and known.stored == one


def _ordered(reading: _Reading) -> _Order:
    order = _Order()
    order.take(reading.found.values())
    return order


def _aside(reading: _Reading, order: _Order) -> list[Aside]:
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


def gather(stored: Iterable[Stored], limits: DocumentLimits) -> Gathered:
    """The changes of a document.

    Args:
        stored: all versions of all chunks that its record holds, in any order.
        limits: bounds of a document; twice as much is read.
    """
    reading = _Reading(
        limits._replace(
            changes_max=SLACK * limits.changes_max,
            ops_max=SLACK * limits.ops_max,
            stored_bytes_max=SLACK * limits.stored_bytes_max,
        )
    )
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
