"""Records: births, and per field the versions that no edit has superseded.

Law: a record is a function of the set of operations applied, whatever their order. A birth
lives until a delete names it; a version lives while no edit superseded it and one of its
births lives; so a delete wins over concurrent edits and no half record is ever left. There
are no tombstones: what a clock covers and a record lacks is dead (optimized add-wins sets,
Bieniusa et al., 2012; dotted version vector sets, Preguiça et al., 2014).

An operation touches only births with the owner and namespace that it states, and only
versions all of whose births it names; so its verdict can be judged from the operation alone.

A pending operation is applied marked: what it makes is `pending`, and what it hides carries
its dot as a mark. A seal makes it final and drops what it hid.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from crdt.clock import covers
from crdt.digest import weight
from crdt.dot import Dot
from crdt.fields import is_counter
from crdt.op import NO_DOTS, NO_FIELDS, Kind, Op, Value

NO_MARKS: Final[frozenset[Dot]] = NO_DOTS


class Birth(NamedTuple):
    """One creation of a record. Owner, namespace and stamp never change."""

    owner: str
    namespace: str
    hlc: int
    pending: bool = False
    marks: frozenset[Dot] = NO_MARKS


class Origin(NamedTuple):
    """What all versions written by one operation share."""

    dot: Dot
    owner: str
    namespace: str
    agent: str
    hlc: int
    births: frozenset[Dot]
    pending: bool = False


class Version(NamedTuple):
    """One value of one field, not yet superseded."""

    origin: Origin
    value: Value
    marks: frozenset[Dot] = NO_MARKS


Births = dict[Dot, Birth]
Fields = dict[str, dict[Dot, Version]]


class Record:
    """All live births and versions under one key.

    Most records are as one creation made them. Of such a one only the origin and the values
    are kept, and the versions are made when somebody asks for `fields`.

    Attributes:
        births: by dot.
        origin: what all versions share, when one creation is all that ever touched it.
        values: what that creation wrote; of no meaning otherwise.
    """

    __slots__ = ("_fields", "_weight", "births", "origin", "values")

    def __init__(
        self,
        births: Births,
        fields: Fields | None,
        origin: Origin | None = None,
        values: Mapping[str, Value] = NO_FIELDS,
    ) -> None:
        self.births = births
        self.origin = origin
        self.values = values
        self._fields = fields
        self._weight: int | tuple[bytes, bytes] = 0

    @classmethod
    def created(cls, birth: Birth, origin: Origin, values: Mapping[str, Value]) -> "Record":
        """The record that one creation left; it wrote at least one field."""
        return cls({origin.dot: birth}, None, origin, values)

    @property
    def fields(self) -> Fields:
        """Per field its versions; not to be changed."""
        fields = self._fields
        if fields is None:
            origin = self.origin
            assert origin is not None  # noqa: S101 - the one way to have no fields
            dot = origin.dot
            fields = {name: {dot: Version(origin, value)} for name, value in self.values.items()}
            self._fields = fields
        return fields

    def says(self, name: str) -> bool:
        """Whether a field has a version; makes none."""
        return name in (self.fields if self.origin is None else self.values)

    @property
    def weight(self) -> int:
        """What the stored form adds to the digest; 0 for a record that was never stored."""
        held = self._weight
        if isinstance(held, tuple):
            held = self._weight = weight(*held)
        return held

    @weight.setter
    def weight(self, weighed: int) -> None:
        self._weight = weighed

    def stored_as(self, key: bytes, data: bytes) -> None:
        """These bytes stand for it; they are weighed when somebody asks for that."""
        self._weight = (key, data)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Record)
            and self.births == other.births
            and self.fields == other.fields
        )

    __hash__ = None  # type: ignore[assignment]  # mutable bookkeeping: compare, never hash

    def __repr__(self) -> str:
        return f"Record(births={self.births!r}, fields={self.fields!r})"


def apply(record: Record | None, op: Op, *, pending: bool = False) -> Record | None:
    """The record after one allowed operation; the argument is left as it was.

    Args:
        record: what stands under the key now.
        op: a CREATE, EDIT or DELETE whose dependencies are all covered.
        pending: whether the verdict held it for approval.

    Returns:
        The new record, or None when nothing lives under the key any more.
    """
    if record is None and op.kind is Kind.CREATE:
        return _born(op, pending=pending)
    births = dict(record.births) if record else {}
    fields = dict(record.fields) if record else {}
    if op.kind is Kind.CREATE:
        births[op.dot] = Birth(op.owner, op.namespace, op.hlc, pending)
        _write(fields, op, frozenset((op.dot,)), pending=pending)
        return Record(births, fields)
    named = [b for b in op.births if b in births and _same_class(births[b], op)]
    if op.kind is Kind.DELETE:
        _bury(births, named, op, pending=pending)
        return shed(births, fields) if not pending or not births else Record(births, fields)
    _supersede(fields, op, pending=pending)
    if named:
        _write(fields, op, op.births, pending=pending)
    return Record(births, fields) if births else None


def _born(op: Op, *, pending: bool) -> Record:
    """A record that nothing else has touched yet; by far the most frequent case."""
    dot, owner, namespace, hlc = op.dot, op.owner, op.namespace, op.hlc
    origin = Origin(dot, owner, namespace, op.agent, hlc, frozenset((dot,)), pending)
    birth = Birth(owner, namespace, hlc, pending)
    return Record.created(birth, origin, op.set) if op.set else Record({dot: birth}, {})


def _same_class(birth: Birth, stated: Op | Origin) -> bool:
    return birth.owner == stated.owner and birth.namespace == stated.namespace


def _write(fields: Fields, op: Op, births: frozenset[Dot], *, pending: bool) -> None:
    origin = Origin(op.dot, op.owner, op.namespace, op.agent, op.hlc, births, pending)
    dot = op.dot
    for name, value in op.set.items():
        held = fields.get(name)
        version = Version(origin, value)
        fields[name] = {dot: version} if held is None else {**held, dot: version}


def _supersede(fields: Fields, op: Op, *, pending: bool) -> None:
    for name in (*op.set, *op.removed):
        held = fields.get(name)
        if not held:
            continue
        hit = [
            dot
            for dot, version in held.items()
            if dot in op.supersedes
            and version.origin.births <= op.births
            and version.origin.owner == op.owner
            and version.origin.namespace == op.namespace
            and (dot.actor == op.dot.actor or not is_counter(name))
        ]
        if not hit:
            continue
        kept = dict(held)
        for dot in hit:
            version = kept.pop(dot)
            if pending:
                kept[dot] = version._replace(marks=version.marks | {op.dot})
        if kept:
            fields[name] = kept
        else:
            del fields[name]


def _bury(births: Births, named: list[Dot], op: Op, *, pending: bool) -> None:
    for dot in named:
        birth = births.pop(dot)
        if pending:
            births[dot] = birth._replace(marks=birth.marks | {op.dot})


def _hangs(version: Version, births: Births) -> bool:
    origin = version.origin
    return any(b in births and _same_class(births[b], origin) for b in origin.births)


def shed(births: Births, fields: Fields) -> Record | None:
    """Drop the versions that no birth carries any more; None when nothing is left."""
    if not births:
        return None
    kept: Fields = {}
    for name, held in fields.items():
        live = {dot: version for dot, version in held.items() if _hangs(version, births)}
        if live:
            kept[name] = live
    return Record(births, kept)


def seal(record: Record | None, target: Dot, stamp: int) -> Record | None:
    """Make an approved pending operation final and drop what it hid.

    Args:
        record: what stands under the operation's key.
        target: the dot of the pending operation.
        stamp: the largest stamp of its yes-votes; it orders the operation from now on.
    """
    if record is None:
        return None
    births = {
        dot: birth._replace(pending=False) if dot == target else birth
        for dot, birth in record.births.items()
        if target not in birth.marks
    }
    fields: Fields = {}
    for name, held in record.fields.items():
        fields[name] = {
            dot: _sealed(version, stamp) if dot == target else version
            for dot, version in held.items()
            if target not in version.marks
        }
    return shed(births, fields)


def _sealed(version: Version, stamp: int) -> Version:
    origin = version.origin
    final = origin._replace(pending=False, hlc=max(origin.hlc, stamp))
    return version._replace(origin=final)


def join(
    mine: Record | None,
    theirs: Record | None,
    my_clock: Mapping[bytes, int],
    their_clock: Mapping[bytes, int],
) -> Record | None:
    """The dotted join: what both hold, or what one holds and the other has never seen.

    What one side lacks although its clock covers the dot was superseded or deleted there.
    The two clocks must not be equal: at equal clocks the records must be equal too, and
    joining would turn damage on one side into a deletion on both.
    """
    left = mine or Record({}, {})
    right = theirs or Record({}, {})
    births: Births = {}
    for dot in left.births.keys() | right.births.keys():
        birth = _joined_birth(dot, left, right, my_clock, their_clock)
        if birth is not None:
            births[dot] = birth
    fields: Fields = {}
    for name in left.fields.keys() | right.fields.keys():
        held = _joined_versions(
            left.fields.get(name, {}), right.fields.get(name, {}), my_clock, their_clock
        )
        if held:
            fields[name] = held
    return shed(births, fields)


def _joined_birth(
    dot: Dot,
    left: Record,
    right: Record,
    my_clock: Mapping[bytes, int],
    their_clock: Mapping[bytes, int],
) -> Birth | None:
    mine, theirs = left.births.get(dot), right.births.get(dot)
    if mine and theirs:
        return mine._replace(
            pending=mine.pending and theirs.pending, marks=mine.marks | theirs.marks
        )
    if mine:
        return None if covers(their_clock, dot) else mine
    return None if covers(my_clock, dot) else theirs


def _joined_versions(
    left: dict[Dot, Version],
    right: dict[Dot, Version],
    my_clock: Mapping[bytes, int],
    their_clock: Mapping[bytes, int],
) -> dict[Dot, Version]:
    out: dict[Dot, Version] = {}
    for dot, version in left.items():
        other = right.get(dot)
        if other is not None:
            out[dot] = _merged_version(version, other)
        elif not covers(their_clock, dot):
            out[dot] = version
    out.update(
        (dot, version)
        for dot, version in right.items()
        if dot not in left and not covers(my_clock, dot)
    )
    return out


def _merged_version(left: Version, right: Version) -> Version:
    origin, other = left.origin, right.origin
    if origin != other:
        origin = origin._replace(
            pending=origin.pending and other.pending,
            hlc=max(origin.hlc, other.hlc),
        )
    return Version(origin, left.value, left.marks | right.marks)
