"""Documents that two nodes write while they are cut off from each other."""

import pytest

from crdt.op import Kind
from node.memory.conflicts_open import fields_in_conflict
from tests.unit.node.documents.rig import Side, level, mesh

BOB = "ai:bob"


def conflicts(side: Side, ident: str) -> list[object]:
    found = side.memories.conflicts(ident, side.ask().caller)[1]
    assert set(found) <= {"content"}
    return [one.value for one in found.get("content", ())]


def counted(side: Side, ident: str) -> int:
    record = side.engine.replica.read(f"dmemory/{ident}".encode())
    return fields_in_conflict(record, side.engine.replica)


async def test_first_edits_on_both_sides_begin_with_the_same_change() -> None:
    async with mesh("a", "b") as (a, b):
        ident = await a.create("one")
        await level([a, b])
        await a.type(ident, "a ", at=0)
        await b.type(ident, " b", agent=BOB)
        await level([a, b])
        assert a.text(ident) == b.text(ident) == "a one b"
        first, second = (s.documents.read(ident, s.ask().caller)[1] for s in (a, b))
        assert first.heads == second.heads
        assert [one.agent for one in first.history()] == [one.agent for one in second.history()]
        assert len(first.history()) == 3
        assert a.held(ident).view.etag == b.held(ident).view.etag


async def test_a_content_written_beside_the_first_edit_is_a_conflict_until_one_is_put() -> None:
    async with mesh("a", "b") as (a, b):
        ident = await a.create("one")
        await level([a, b])
        await a.type(ident, " two")
        await b.put(ident, BOB, content="other")
        await level([a, b])
        for side in (a, b):
            assert side.text(ident) == "one two"
            assert side.held(ident).view.conflicts == 1
            assert conflicts(side, ident) == ["one two", "other"]
            assert counted(side, ident) == 1
        await b.type(ident, "!")  # an edit settles nothing that it is not about
        assert conflicts(b, ident) == ["one two!", "other"]
        await b.put(ident, content="one two and other")
        await level([a, b])
        for side in (a, b):
            assert side.text(ident) == "one two and other"
            assert (side.held(ident).view.conflicts, conflicts(side, ident)) == (0, [])
            assert counted(side, ident) == 0


async def test_a_content_equal_to_the_text_settles_the_one_beside_it() -> None:
    async with mesh("a", "b") as (a, b):
        ident = await a.create("one")
        await level([a, b])
        await a.type(ident, " two")
        await b.put(ident, content="other")
        await level([a, b])
        await a.put(ident, content="one two")
        assert (a.text(ident), a.held(ident).view.conflicts) == ("one two", 0)


async def test_a_deletion_wins_over_edits_made_at_once_and_leaves_nothing() -> None:
    async with mesh("a", "b") as (a, b):
        ident = await a.create("one")
        await a.type(ident, " two")
        await level([a, b])
        await a.memories.delete(ident, a.ask(), None)
        await b.type(ident, " three")
        await level([a, b])
        for side in (a, b):
            assert side.reader.get("memory", ident) is None
            assert side.engine.replica.read(f"dmemory/{ident}".encode()) is None
        assert any(op.kind is Kind.DELETE for op in a.reader.history("memory", ident, 9))


async def test_what_an_older_release_writes_into_a_document_is_beside_it() -> None:
    async with mesh("a") as (a,):
        ident = await a.create("one")
        await a.type(ident, " two")
        (draft,) = a.memories.rules.rewritten(a.held(ident), {"content": "old way"}, ())
        await a.memories.commit([draft], a.ask(), "store")
        assert a.text(ident) == "one two"
        assert conflicts(a, ident) == ["one two", "old way"]


@pytest.mark.parametrize("kind", ["claim", "document"])
async def test_a_move_meets_an_edit_of_the_other_side(kind: str) -> None:
    async with mesh("a", "b") as (a, b):
        ident = await a.create("one")
        await a.type(ident, " two")
        await level([a, b])
        await a.put(ident, namespace="other", memory_kind=kind)
        await b.type(ident, " three")
        await level([a, b])
        assert a.text(ident) == b.text(ident) == "one two"
        assert a.held(ident).view.namespace == "other"
