"""The short way from stored bytes to a document tells what the long way tells, or nothing."""

import random
from random import Random
from typing import Any

import pytest

from crdt.dot import Dot
from crdt.op import Value
from crdt.record import Birth, Origin, Record, Version
from crdt.record_codec import encode
from node.documents.shelf import Shelf
from node.recall.direct import change_in
from node.recall.source import _the_long_way, _UnsureError
from node.recall.values import Change

ACTORS = [bytes((lane, *range(n, n + 44))) for n, lane in enumerate(b"ddp")]
NOW_MS = 1_750_000_000_000
STAMP = NOW_MS << 16
ODD: list[Value] = [None, True, 0, -1, 11, 2**62, 1.5, "", "t", "mid", b"raw", [], ["a"], [1], {},
    {"a": 1}, {"a": b"raw"}, {"speaker": "Ann", "session_id": "s"}, {"session_id": 7}]  # fmt: skip
NAMES = ("title", "content", "tier", "priority", "metadata", "expires_at", "rev", "tags/one",
    "tags/two/three", "tags/", "tags", "grants/ann", "grants", "scope", "archived_at", "created_at",
    "updated_at", "title/one", "+visits", "+tags/one", "source", "aliases", "memory_kind", "x/y",
    "expires_at/soon", "archived_at/now",
)  # fmt: skip
USUAL: dict[str, Value] = {
    "title": "a title", "content": "Ann: some content", "tier": "long", "priority": 5, "rev": 1,
    "metadata": {"speaker": "Ann", "session_id": "s1", "date": "2023-05-08"}, "tags/urgent": 0,
    "tags/again": 1, "expires_at": NOW_MS + 1,
}  # fmt: skip


def drawn_values(chance: Random) -> dict[str, Value]:
    values = {name: USUAL[name] for name in USUAL if chance.random() < 0.9}
    for name in chance.sample(NAMES, chance.choice((0, 0, 1, 1, 2, 4))):
        values[name] = chance.choice(ODD)
    if chance.random() < 0.2:
        values["expires_at"] = NOW_MS + chance.randint(-1, 1)
    return values


def created(chance: Random, values: dict[str, Value]) -> Record:
    dot = Dot(chance.choice(ACTORS), chance.randint(1, 9))
    pending = chance.random() < 0.1
    hlc = STAMP + chance.randint(-9, 9)
    birth = Birth("ai:ann", "space/one", hlc, pending)
    agent = chance.choice(("ai:ann", "ai:bob"))
    origin = Origin(
        dot, "ai:ann", "space/one", agent, hlc + chance.randint(0, 1), frozenset((dot,)), pending
    )
    return Record.created(birth, origin, values)


def changed(chance: Random, record: Record) -> Record:
    """The same with something that a second operation did."""
    births, fields = dict(record.births), {name: dict(held) for name, held in record.fields.items()}
    (dot,) = births
    other = Dot(chance.choice(ACTORS), 77)
    match chance.choice(("edit", "birth", "mark", "class")):
        case "edit":
            origin = Origin(other, "ai:ann", "space/one", "ai:bob", STAMP + 99, frozenset((dot,)))
            fields["content"] = {**fields.get("content", {}), other: Version(origin, "edited")}
        case "birth":
            births[other] = Birth("ai:bob", "space/two", STAMP - 99)
        case "mark":
            births[dot] = births[dot]._replace(marks=frozenset((other,)))
        case "class":
            births[dot] = births[dot]._replace(namespace="elsewhere")
    return Record(births, fields)


def long_way(key: str, data: bytes) -> Change | type[_UnsureError]:
    stored = key[:1].encode() + b"memory/" + key[1:].encode()
    try:
        return _the_long_way(key, stored, data, NOW_MS, Shelf())
    except _UnsureError:
        return _UnsureError


def test_both_ways_tell_the_same() -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    chance, short = Random(seed), 0
    for _ in range(4000):
        values = drawn_values(chance)
        if not values:
            continue
        record = created(chance, values)
        if chance.random() < 0.2:
            record = changed(chance, record)
        key, data = chance.choice(("done", "pone", "d" + "é/x")), encode(record)
        told = change_in(key, data, NOW_MS)
        if told is not None:
            short += 1
            assert told == long_way(key, data), f"{key} {record}"
            assert type(told.document) is type(long_way(key, data).document)  # type: ignore[union-attr] # it is a change
    assert short > 1000


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x94\x90\x90\x90\x90", b"\xc1", bytes(40)])
def test_what_is_no_record_goes_the_long_way(data: bytes) -> None:
    assert change_in("done", data, NOW_MS) is None


def test_the_usual_memory_goes_the_short_way() -> None:
    values: dict[str, Any] = {**USUAL}
    dot = Dot(ACTORS[0], 1)
    origin = Origin(dot, "ai:ann", "space", "ai:ann", STAMP, frozenset((dot,)))
    data = encode(Record.created(Birth("ai:ann", "space", STAMP), origin, values))
    told = change_in("done", data, NOW_MS)
    assert told is not None
    assert told == long_way("done", data)
