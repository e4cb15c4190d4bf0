"""The ids of entities, and the index of their names."""

import asyncio
import uuid

from crdt.dot import DATA, PRIVATE, Dot
from crdt.op import Kind, Op, record_key
from crdt.record import Record, apply
from crdt.state import Batch, Change
from node.graph.names import LEAD, STARTS, EntityIndex, entity_id

ACTOR = b"D" + bytes(44)
ADA = entity_id("people", "Ada Lovelace")


def record(title: str, *aliases: str, seq: int = 1) -> Record:
    op = Op(
        dot=Dot(ACTOR, seq),
        kind=Kind.CREATE,
        collection="memory",
        id=ADA,
        owner="ai:a",
        namespace="people",
        agent="ai:a",
        set={"title": title, **{f"aliases/{one}": 0 for one in aliases}},
    )
    made = apply(None, op)
    assert made is not None
    return made


def batch(**records: Record | None) -> Batch:
    changes = {
        record_key(DATA, "memory", ident): Change(None, after, None, 0)
        for ident, after in records.items()
    }
    return Batch(
        number=1, bundles=(), actors={}, records=changes, pending={}, idempotency={}, digest=0,
        now_ms=0,
    )  # fmt: skip


def test_an_id_is_a_uuid_of_namespace_and_name() -> None:
    drawn = {
        entity_id(space, name)
        for space in ("people", "people/x", "global")
        for name in ("Ada", "ada", "Ada ", "Ω")
    }
    assert len(drawn) == 12
    for one in drawn:
        parsed = uuid.UUID(one)
        assert (parsed.version, parsed.variant, str(parsed)) == (4, uuid.RFC_4122, one)
        assert one.startswith(LEAD)
    assert entity_id("people", "Ada Lovelace") == "e717a804-2b0b-473b-b9ee-ab300789c319"


def test_the_bits_that_are_drawn_differ_in_every_place() -> None:
    numbers = [uuid.UUID(entity_id("n", str(n))).int for n in range(200)]
    seen_one = seen_zero = 0
    for number in numbers:
        seen_one |= number
        seen_zero |= ~number
    varying = seen_one & seen_zero & (1 << 128) - 1
    assert varying.bit_count() == 106


async def test_names_follow_the_commits() -> None:
    index = EntityIndex()
    index.saw(batch(**{ADA: record("Ada Lovelace", "Ada", "AAL")}))
    for name in ("Ada Lovelace", "Ada", "AAL"):
        assert await index.named(name) == [ADA]
    index.saw(batch(**{ADA: record("Ada Lovelace", "Countess")}))
    assert await index.named("Ada") == []
    assert await index.named("Countess") == [ADA]
    index.saw(batch(**{ADA: None}))
    assert await index.named("Countess") == []
    assert await index.named("Ada Lovelace") == []


async def test_other_memories_are_not_looked_at() -> None:
    index = EntityIndex()
    other = str(uuid.UUID(int=7, version=4))
    index.saw(batch(**{other: record("Ada Lovelace", "Ada")}))
    assert await index.named("Ada") == []


async def test_what_was_made_counts_before_its_commit_and_other_names_stay() -> None:
    index = EntityIndex()
    index.made(ADA, ["Ada Lovelace", "Ada"])
    index.made(ADA, ["AAL"])
    for name in ("Ada", "AAL"):
        assert await index.named(name) == [ADA]


async def test_it_is_rebuilt_from_the_keys_of_entities_and_when_the_store_is_another() -> None:
    stores = {
        "one": {record_key(DATA, "memory", ADA): record("Ada Lovelace", "Ada")},
        "two": {record_key(PRIVATE, "memory", ADA): record("Ada Lovelace", "AAL")},
    }
    name, scans = "one", 0

    def scan() -> list[bytes]:
        nonlocal scans
        scans += 1
        return [key for key in stores[name] if key.startswith(STARTS)]

    def read(key: bytes) -> Record | None:
        return stores[name].get(key)

    index = EntityIndex(scan, read, lambda: name)
    assert await index.named("Ada") == [ADA]
    assert await index.named("AAL") == []
    assert scans == 1
    name = "two"
    assert await index.named("AAL") == [ADA]
    assert await index.named("Ada") == []
    assert scans == 2


async def test_a_commit_during_the_first_reading_is_not_written_over() -> None:
    keys = {record_key(DATA, "memory", entity_id("n", str(n))): record(str(n)) for n in range(300)}
    first = next(iter(keys))
    index = EntityIndex(lambda: list(keys), keys.get, lambda: "store")
    reading = asyncio.create_task(index.named("none"))
    await asyncio.sleep(0)
    ident = first[len(record_key(DATA, "memory", "")) :].decode()
    keys[first] = record("renamed")
    index.saw(batch(**{ident: keys[first]}))
    await reading
    assert await index.named("renamed") == [ident]
    assert await index.named("0") == []


async def test_a_name_of_many_is_kept_for_each() -> None:
    index = EntityIndex()
    idents = [entity_id("n", str(n)) for n in range(5)]
    for ident in idents:
        index.made(ident, [ident, "thing"])
    assert await index.named("thing") == idents
    for ident in idents[1:]:
        index.saw(batch(**{ident: None}))
    assert await index.named("thing") == idents[:1]
    index.saw(batch(**{idents[0]: record("other")}))
    assert await index.named("thing") == []
