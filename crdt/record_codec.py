"""The stored form of a record.

Law: canonical. Equal records give equal bytes on every node, so the checksum of the bytes is
the record's share of the digest. Decoding what encoding made gives the record back.

Layout (msgpack): [actors, classes, births, groups]. Dots are (index into actors, seq),
owner and namespace an index into classes; versions are grouped by the operation that wrote
them, so a record that was written once holds one dot.
"""

from typing import Any, Final

import msgpack

from crdt.digest import weight
from crdt.dot import Dot
from crdt.op import Value
from crdt.record import NO_MARKS, Birth, Origin, Record, Version

_pack: Final = msgpack.Packer(use_bin_type=True, autoreset=True).pack


class RecordError(ValueError):
    """Stored bytes that are not a record: damage, or a newer format."""


def encode(record: Record) -> bytes:
    """Canonical bytes of a record."""
    if len(record.births) == 1:
        data = _encode_untouched(record)
        if data is not None:
            return data
    origins: dict[Dot, Origin] = {}
    values: dict[Dot, dict[str, Value]] = {}
    marks: dict[Dot, dict[str, frozenset[Dot]]] = {}
    for name in sorted(record.fields):
        for dot, version in record.fields[name].items():
            if dot not in origins:
                origins[dot] = version.origin
                values[dot] = {}
            values[dot][name] = version.value
            if version.marks:
                marks.setdefault(dot, {})[name] = version.marks
    names = _Tables(record, origins, marks)
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
            *names.dot(dot),
            names.classes[origin.owner, origin.namespace],
            None if origin.agent == origin.owner else origin.agent,
            origin.hlc,
            origin.pending,
            names.dots(origin.births),
            values[dot],
            {name: names.dots(held) for name, held in marks.get(dot, {}).items()},
        ]
        for dot, origin in sorted(origins.items())
    ]
    packed: bytes = _pack([list(names.actors), list(names.classes), births, groups])
    return packed


def _encode_untouched(record: Record) -> bytes | None:
    """The same bytes for a record that one operation wrote and none touched; else None."""
    ((dot, birth),) = record.births.items()
    if birth.marks:
        return None
    values: dict[str, Value] = {}
    origin = None
    for name in sorted(record.fields):
        held = record.fields[name]
        version = held.get(dot)
        if version is None or len(held) != 1 or version.marks:
            return None
        origin = version.origin
        values[name] = version.value
    if origin is None or (origin.owner, origin.namespace) != birth[:2] or len(origin.births) != 1:
        return None
    agent = None if origin.agent == origin.owner else origin.agent
    seq = dot.seq
    births = [[0, seq, 0, birth.hlc, birth.pending, []]]
    groups = [[0, seq, 0, agent, origin.hlc, origin.pending, [0, seq], values, {}]]
    packed: bytes = _pack([[dot.actor], [birth[:2]], births, groups])
    return packed


class _Tables:
    """The actors and classes that a record mentions, each in sorted order."""

    def __init__(
        self,
        record: Record,
        origins: dict[Dot, Origin],
        marks: dict[Dot, dict[str, frozenset[Dot]]],
    ) -> None:
        actors = {dot.actor for dot in record.births}
        classes = {(b.owner, b.namespace) for b in record.births.values()}
        for birth in record.births.values():
            actors.update(mark.actor for mark in birth.marks)
        for dot, origin in origins.items():
            actors.add(dot.actor)
            actors.update(b.actor for b in origin.births)
            classes.add((origin.owner, origin.namespace))
        for held in marks.values():
            for dots in held.values():
                actors.update(mark.actor for mark in dots)
        self.actors = {actor: index for index, actor in enumerate(sorted(actors))}
        self.classes = {pair: index for index, pair in enumerate(sorted(classes))}

    def dot(self, dot: Dot) -> tuple[int, int]:
        return self.actors[dot.actor], dot.seq

    def dots(self, dots: frozenset[Dot]) -> list[int]:
        return [part for dot in sorted(dots) for part in self.dot(dot)]


def decode(key: bytes, data: bytes) -> Record:
    """The record that `encode` turned into these bytes.

    Args:
        key: the key under which the bytes are stored; needed for the digest weight.
        data: the stored bytes.

    Raises:
        RecordError: the bytes are not a record.
    """
    try:
        actors, classes, births, groups = msgpack.unpackb(data, raw=False)
        record = Record(_births(actors, classes, births), {}, weight(key, data))
        for group in groups:
            _read_group(record, actors, classes, group)
    except Exception as error:
        raise RecordError(f"stored bytes are not a record: {error}") from error
    return record


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


def _read_group(record: Record, actors: list[bytes], classes: list[Any], row: list[Any]) -> None:
    index, seq, pair, agent, hlc, pending, births, values, marks = row
    dot = Dot(actors[index], seq)
    owner, namespace = classes[pair]
    origin = Origin(
        dot,
        owner,
        namespace,
        owner if agent is None else agent,
        hlc,
        _dots(actors, births),
        pending,
    )
    for name, value in values.items():
        held = marks.get(name) if marks else None
        version = Version(origin, value, _dots(actors, held) if held else NO_MARKS)
        record.fields.setdefault(name, {})[dot] = version
