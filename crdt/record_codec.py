"""The stored form of a record.

Law: canonical. Equal records give equal bytes on every node, so the checksum of the bytes is
the record's share of the digest. Decoding what encoding made gives the record back.

Layout (msgpack): [actors, classes, births, groups]. Dots are (index into actors, seq),
owner and namespace an index into classes; versions are grouped by the operation that wrote
them, so a record that was written once holds one dot.
"""

from typing import Any, Final

import msgpack

from crdt.dot import Actor, Dot
from crdt.op import Value
from crdt.record import NO_MARKS, Birth, Fields, Origin, Record, Version

_pack: Final = msgpack.Packer(use_bin_type=True, autoreset=True).pack
_unpack: Final = msgpack.unpackb
_NONE: Final[list[int]] = []
_NO_MARKED: Final[dict[str, list[int]]] = {}


class RecordError(ValueError):
    """Stored bytes that are not a record: damage, or a newer format."""


def encode(record: Record) -> bytes:
    """Canonical bytes of a record."""
    if record.origin is not None:
        return _encode_created(record, record.origin)
    origins: dict[Dot, Origin] = {}
    values: dict[Dot, dict[str, Value]] = {}
    marks: dict[Dot, dict[str, frozenset[Dot]]] = {}
    fields = record.fields
    for name in sorted(fields):
        for dot, (origin, value, hidden) in fields[name].items():
            if dot not in origins:
                origins[dot] = origin
                values[dot] = {}
            values[dot][name] = value
            if hidden:
                marks.setdefault(dot, {})[name] = hidden
    names = _Tables(record, origins, marks)
    actors, classes, dots = names.actors, names.classes, names.dots
    births = [
        [
            *names.dot(dot),
            names.classes[birth.owner, birth.namespace],
            birth.hlc,
            birth.pending,
            names.dots(birth.marks),
        ]
        for dot, birth in sorted(record.births.items())
    ]
    groups = [
        [
            actors[actor],
            seq,
            classes[owner, namespace],
            None if agent == owner else agent,
            hlc,
            pending,
            dots(carriers),
            values[dot],
            {name: dots(held) for name, held in marks[dot].items()} if dot in marks else _NO_MARKED,
        ]
        for dot, owner, namespace, agent, hlc, carriers, pending in sorted(origins.values())
        for actor, seq in (dot,)
    ]
    packed: bytes = _pack([list(actors), list(classes), births, groups])
    return packed


def _encode_created(record: Record, origin: Origin) -> bytes:
    """The same bytes for a record that is as one creation made it."""
    dot, owner, namespace, agent, hlc, _, pending = origin
    (birth,) = record.births.values()
    held, seq = record.values, dot.seq
    values = {name: held[name] for name in sorted(held)}
    packed: bytes = _pack(
        [
            [dot.actor],
            [(owner, namespace)],
            [[0, seq, 0, birth.hlc, birth.pending, _NONE]],
            [
                [
                    *(0, seq, 0, None if agent == owner else agent, hlc, pending, (0, seq)),
                    *(values, _NO_MARKED),
                ]
            ],
        ]
    )
    return packed


class _Tables:
    """The actors and classes that a record mentions, each in sorted order."""

    def __init__(
        self,
        record: Record,
        origins: dict[Dot, Origin],
        marks: dict[Dot, dict[str, frozenset[Dot]]],
    ) -> None:
        actors: set[Actor] = set()
        classes: set[tuple[str, str]] = set()
        for dot, birth in record.births.items():
            actors.add(dot.actor)
            classes.add(birth[:2])
            actors.update([mark.actor for mark in birth.marks])
        carriers: set[frozenset[Dot]] = set()  # mostly one, which many share
        for (actor, _), owner, namespace, _, _, carried, _ in origins.values():
            actors.add(actor)
            classes.add((owner, namespace))
            carriers.add(carried)
        for carried in carriers:
            actors.update([carrier.actor for carrier in carried])
        for held in marks.values():
            for dots in held.values():
                actors.update(mark.actor for mark in dots)
        self._dots: dict[frozenset[Dot], list[int]] = {NO_MARKS: _NONE}
        self.actors = {actor: index for index, actor in enumerate(sorted(actors))}
        self.classes = {pair: index for index, pair in enumerate(sorted(classes))}

    def dot(self, dot: Dot) -> tuple[int, int]:
        return self.actors[dot.actor], dot.seq

    def dots(self, dots: frozenset[Dot]) -> list[int]:
        known = self._dots.get(dots)
        if known is None:
            actors = self.actors
            known = [part for dot in sorted(dots) for part in (actors[dot.actor], dot.seq)]
            self._dots[dots] = known
        return known


def decode(key: bytes, data: bytes) -> Record:
    """The record that `encode` turned into these bytes.

    Args:
        key: the key under which the bytes are stored; needed for the digest weight.
        data: the stored bytes.

    Raises:
        RecordError: the bytes are not a record.
    """
    try:
        actors, classes, births, groups = _unpack(data, raw=False)
        record = _created(actors, classes, births, groups)
        if record is None:
            fields: Fields = {}
            known: dict[tuple[int, ...], frozenset[Dot]] = {(): NO_MARKS}
            for group in groups:
                _read_group(fields, actors, classes, group, known)
            record = Record(_births(actors, classes, births), fields)
    except MemoryError:  # says nothing about the bytes
        raise
    except Exception as error:
        raise RecordError(f"stored bytes are not a record: {error}") from error
    record.stored_as(key, data)
    return record


def _created(
    actors: list[bytes], classes: list[Any], births: list[Any], groups: list[Any]
) -> Record | None:
    """The record, when it is as one creation made it; else None."""
    if len(births) != 1 or len(groups) != 1:
        return None
    index, seq, pair, born, held, marks = births[0]
    at, place, its_class, agent, hlc, pending, carried, values, marked = groups[0]
    own = [index, seq]
    if carried != own or [at, place] != own or its_class != pair or held != pending:
        return None
    if marks or marked or type(values) is not dict or not values:
        return None
    owner, namespace = classes[pair]
    dot = Dot(actors[index], seq)
    birth = Birth(owner, namespace, born, held)
    agent = owner if agent is None else agent
    origin = Origin(dot, owner, namespace, agent, hlc, frozenset((dot,)), pending)
    return Record.created(birth, origin, values)


def _births(actors: list[bytes], classes: list[Any], rows: list[Any]) -> dict[Dot, Birth]:
    return {
        Dot(actors[index], seq): Birth(
            classes[pair][0], classes[pair][1], hlc, pending, _dots(actors, marks)
        )
        for index, seq, pair, hlc, pending, marks in rows
    }


def _dots(actors: list[bytes], flat: list[int]) -> frozenset[Dot]:
    if not flat:
        return NO_MARKS
    return frozenset(
        Dot(actors[index], seq) for index, seq in zip(flat[::2], flat[1::2], strict=True)
    )


def _read_group(
    fields: Fields,
    actors: list[bytes],
    classes: list[Any],
    row: list[Any],
    known: dict[tuple[int, ...], frozenset[Dot]],
) -> None:
    """One group; `known` keeps what groups hang on, which is the same for most."""
    index, seq, pair, agent, hlc, pending, births, values, marks = row
    carried = tuple(births or ())
    carriers = known.get(carried)
    if carriers is None:
        carriers = known[carried] = _dots(actors, births)
    dot = Dot(actors[index], seq)
    owner, namespace = classes[pair]
    origin = Origin(
        dot,
        owner,
        namespace,
        owner if agent is None else agent,
        hlc,
        carriers,
        pending,
    )
    for name, value in values.items():
        held = marks.get(name) if marks else None
        version = Version(origin, value, _dots(actors, held) if held else NO_MARKS)
        fields.setdefault(name, {})[dot] = version
