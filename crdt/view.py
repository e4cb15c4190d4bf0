"""What a reader sees of a record.

Law: a view is a function of the record and of which pending operations are approved; it
invents nothing and forgets no concurrent value (those are the conflicts).

The oldest visible birth gives owner, namespace and time of creation. Births with the same
owner and namespace are one record; others are rivals: kept, reported, not shown.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from crdt.document.model import Stored
from crdt.dot import Dot
from crdt.fields import (
    CHUNK,
    CHUNK_MARK,
    COUNTER_MARK,
    ELEMENT_MARK,
    REVISION,
    FieldKind,
    is_counter,
    kind_of,
    number,
    tier_rank,
)
from crdt.op import Value
from crdt.record import Birth, Origin, Record, Version

_ETAG_BYTES: Final = 12
_Elements = dict[str, list[tuple[int, str]]]
"""Per set its members with their places."""


class Approvals(Protocol):
    """Which pending operations show, and the stamp that orders them."""

    def shown(self, dot: Dot) -> bool:
        """Whether the pending operation is approved at this clock."""
        ...

    def stamp(self, dot: Dot) -> int:
        """The largest stamp of its yes-votes."""
        ...


class NothingPending:
    """The approvals of a state without pending operations."""

    def shown(self, dot: Dot) -> bool:  # noqa: ARG002 - the protocol's signature
        """No pending operation shows."""
        return False

    def stamp(self, dot: Dot) -> int:  # noqa: ARG002 - the protocol's signature
        """No pending operation has a stamp."""
        return 0


@dataclass(frozen=True, slots=True)
class Approved:
    """The approvals of one record, written down: dot -> stamp of what shows."""

    stamps: Mapping[Dot, int]

    def shown(self, dot: Dot) -> bool:
        """Whether the pending operation is approved."""
        return dot in self.stamps

    def stamp(self, dot: Dot) -> int:
        """The largest stamp of its yes-votes."""
        return self.stamps.get(dot, 0)

    def __bool__(self) -> bool:
        return bool(self.stamps)


NOTHING_APPROVED: Final = Approved(MappingProxyType({}))


class View(NamedTuple):
    """One record as a reader sees it.

    Attributes:
        owner: the agent of the oldest visible birth.
        namespace: where that birth put it.
        created: hybrid stamp of that birth.
        updated: hybrid stamp of the winning revision.
        version: grows with every change.
        etag: changes with every change.
        values: field -> value; a set is a list under its own name. The chunks of a document are
            a tuple of `Stored` under `chunk`, all versions of each, by name and in order.
        conflicts: how many values of registers the merge did not choose.
        rivals: how many visible births of another owner or namespace share the id.
    """

    owner: str
    namespace: str
    created: int
    updated: int
    version: int
    etag: str
    values: dict[str, Value]
    conflicts: int
    rivals: int


class Shown(NamedTuple):
    """The visible part of a record: one class of births, and the versions they carry."""

    owner: str
    namespace: str
    created: int
    births: frozenset[Dot]
    fields: dict[str, list[Version]]
    rivals: int


def shown(
    record: Record | None, approvals: Approvals, names: Collection[str] | None = None
) -> Shown | None:
    """The visible births of the oldest class with their versions; None when there is none.

    Args:
        record: the record.
        approvals: what shows of what is held.
        names: the fields that are asked for; None for all.
    """
    if record is None:
        return None
    origin = record.origin
    if origin is not None:  # as one creation made it: it shows whole or not at all
        if origin.pending and not approvals.shown(origin.dot):
            return None
        (birth,) = record.births.values()
        fields = {name: [*held.values()] for name, held in record.fields.items()}
        return Shown(origin.owner, origin.namespace, birth.hlc, origin.births, fields, 0)
    live = {d: b for d, b in record.births.items() if _birth_shows(d, b, approvals)}
    if not live:
        return None
    eldest = min(live.items(), key=lambda item: (item[1].hlc, item[0]))[1]
    births = frozenset(
        d for d, b in live.items() if b.owner == eldest.owner and b.namespace == eldest.namespace
    )
    fields = {}
    shows: dict[int, bool] = {}  # by origin, which all versions of one operation share
    of = record.fields
    wanted = of.items() if names is None else [(name, of[name]) for name in names if name in of]
    for name, held in wanted:
        visible = []
        for version in held.values():
            origin = version.origin
            known = shows.get(id(origin))
            if known is None:
                known = (
                    origin.owner == eldest.owner
                    and origin.namespace == eldest.namespace
                    and not births.isdisjoint(origin.births)
                    and (not origin.pending or approvals.shown(origin.dot))
                )
                shows[id(origin)] = known
            if known and not (version.marks and _any_shown(version.marks, approvals)):
                visible.append(version)
        if visible:
            fields[name] = visible
    return Shown(
        owner=eldest.owner,
        namespace=eldest.namespace,
        created=eldest.hlc,
        births=births,
        fields=fields,
        rivals=len(live) - len(births),
    )


def _birth_shows(dot: Dot, birth: Birth, approvals: Approvals) -> bool:
    if birth.pending and not approvals.shown(dot):
        return False
    return not (birth.marks and _any_shown(birth.marks, approvals))


def _any_shown(marks: Iterable[Dot], approvals: Approvals) -> bool:
    return any(approvals.shown(mark) for mark in marks)


def is_settled(record: Record) -> bool:
    """Whether it shows the same whatever is approved: nothing in it hangs on an approval."""
    if record.origin is not None:
        return not record.origin.pending
    if any(birth.pending or birth.marks for birth in record.births.values()):
        return False
    return not any(
        version.marks or version.origin.pending
        for held in record.fields.values()
        for version in held.values()
    )


def order(version: Version, approvals: Approvals) -> tuple[int, bytes, int]:
    """What decides between concurrent versions: stamp, then actor, then place."""
    origin = version.origin
    stamp = approvals.stamp(origin.dot) if origin.pending else 0
    return max(stamp, origin.hlc), origin.dot.actor, origin.dot.seq


def winner(versions: list[Version], approvals: Approvals) -> Version:
    """The version of a register that shows."""
    if len(versions) == 1:
        return versions[0]
    return max(versions, key=lambda version: order(version, approvals))


def view(record: Record | None, approvals: Approvals) -> View | None:
    """The record as a reader sees it, or None when nothing of it is visible."""
    if record is not None and record.origin is not None:
        return _created(record, record.origin, approvals)
    part = shown(record, approvals)
    if part is None:
        return None
    values: dict[str, Value] = {}
    elements: _Elements = {}
    chunks: list[tuple[str, Iterable[Version]]] = []
    conflicts = 0
    for name, versions in part.fields.items():
        kind = kind_of(name)
        if kind is FieldKind.CHUNK:
            chunks.append((name, versions))
        elif kind is FieldKind.REGISTER:
            values[name] = winner(versions, approvals).value
            conflicts += len(versions) > 1 and _unchosen(versions)
        elif kind is FieldKind.ELEMENT:
            field, _, element = name.partition(ELEMENT_MARK)
            elements.setdefault(field, []).append((_place(versions), element))
        elif kind is FieldKind.COUNTER:
            values[name] = sum(number(v.value) for v in versions)
        elif kind is FieldKind.TIER:
            values[name] = max((v.value for v in versions), key=tier_rank)
    values.update(_listed(elements))
    if chunks:
        values[CHUNK] = _stored(chunks, approvals)
    revisions = part.fields.get(REVISION, [])
    return View(
        owner=part.owner,
        namespace=part.namespace,
        created=part.created,
        updated=max((order(v, approvals)[0] for v in revisions), default=part.created),
        version=revision(revisions),
        etag=etag(revisions),
        values=values,
        conflicts=conflicts,
        rivals=part.rivals,
    )


def _listed(elements: _Elements) -> dict[str, Value]:
    """Sets as lists, in the order of their places."""
    return {field: [element for _, element in sorted(held)] for field, held in elements.items()}


def _stored(
    chunks: Iterable[tuple[str, Iterable[Version]]], approvals: Approvals
) -> tuple[Stored, ...]:
    """Every version of every chunk: what stands under a wrong name must hide no right one."""
    found: list[Stored] = []
    for name, versions in chunks:
        for version in versions:
            origin, data, _ = version
            if isinstance(data, bytes):
                hlc = order(version, approvals)[0] if origin.pending else origin.hlc
                found.append(Stored(name, data, origin.agent, hlc, origin.dot))
    return tuple(sorted(found))


def _created(record: Record, origin: Origin, approvals: Approvals) -> View | None:
    """The same of a record that is as one creation made it: nothing to choose between."""
    dot, owner, namespace, _, hlc, _, pending = origin
    (birth,) = record.births.values()
    if pending and not approvals.shown(dot):
        return None
    held = record.values
    values: dict[str, Value] = {}
    elements: _Elements = {}
    chunks: list[str] = []
    for name, value in held.items():
        if ELEMENT_MARK not in name and name[:1] != COUNTER_MARK:
            if name != REVISION:
                values[name] = value
        elif is_counter(name):
            values[name] = 0 + number(value)
        elif name.startswith(CHUNK_MARK):
            chunks.append(name)
        else:
            field, _, element = name.partition(ELEMENT_MARK)
            place = value if isinstance(value, int) else 0
            elements.setdefault(field, []).append((place, element))
    values.update(_listed(elements))
    if chunks:
        fields = record.fields
        values[CHUNK] = _stored([(name, fields[name].values()) for name in chunks], approvals)
    if REVISION not in held:
        return View(owner, namespace, birth.hlc, birth.hlc, 1, etag(()), values, 0, 0)
    version = int(number(held[REVISION]))
    updated = max(approvals.stamp(dot), hlc) if pending else hlc
    return View(owner, namespace, birth.hlc, updated, version, _etag((dot,)), values, 0, 0)


def _place(versions: list[Version]) -> int:
    """Elements keep the place they were given; concurrent ones take the first."""
    return min((v.value for v in versions if isinstance(v.value, int)), default=0)


def in_conflict(versions: list[Version]) -> bool:
    """Whether concurrent versions of a register hold different values."""
    return len(versions) > 1 and any(v.value != versions[0].value for v in versions)


def _unchosen(versions: list[Version]) -> int:
    """How many values of a register are not the shown one; equal ones count once."""
    values: list[Value] = []
    for version in versions:
        if version.value not in values:  # a value may be a list, which has no hash
            values.append(version.value)
    return len(values) - 1


def revision(versions: list[Version]) -> int:
    """The number that grows with every change: the largest, plus one for every sibling."""
    if not versions:
        return 1
    return max(int(number(v.value)) for v in versions) + len(versions) - 1


def etag(versions: Iterable[Version]) -> str:
    """A short hash of the live revisions' dots: equal on every node at equal clocks."""
    return _etag(sorted(v.origin.dot for v in versions))


def _etag(dots: Iterable[Dot]) -> str:
    text = b"".join([actor + seq.to_bytes(8, "big") for actor, seq in dots])
    return hashlib.blake2b(text, digest_size=_ETAG_BYTES).hexdigest()
