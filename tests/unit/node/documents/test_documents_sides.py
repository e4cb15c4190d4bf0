"""Documents that two nodes write while they are cut off from each other."""

import pytest

from crdt.document.model import DocumentLimits
from crdt.op import Kind
from node.documents.problems import DocumentTooLarge
from node.memory.conflicts_open import fields_in_conflict
from tests.integration.rig_documents import change_of
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


async def filled(side: Side, ident: str) -> set[str]:
    """The words that were taken of a side, until it takes no more."""
    taken: set[str] = set()
    while True:
        word = f"<{side.name}{len(taken)}>"
        try:
            await side.type(ident, word)
        except DocumentTooLarge:
            return taken
        taken.add(word)


@pytest.mark.parametrize("bound", ["changes_max", "ops_max", "stored_bytes_max"])
async def test_what_was_taken_shows_however_many_sides_filled_what_was_left(bound: str) -> None:
    limits = DocumentLimits(**{bound: {"changes_max": 6, "ops_max": 40}.get(bound, 1500)})
    async with mesh("a", "b", "c", "d", limits=limits) as sides:
        ident = await sides[0].create("one")
        await level(sides)
        words = set().union(*[await filled(side, ident) for side in sides])
        assert len(words) > 2 * 5
        await level(sides)
        for side in sides:
            assert {word for word in words if word not in side.text(ident)} == set()
            assert side.document(ident).aside == []
        assert len({side.text(ident) for side in sides}) == 1
        assert await filled(sides[0], ident) == set()


async def test_what_was_taken_shows_where_settings_allow_less() -> None:
    async with mesh("a", "b") as (a, b):
        ident = await a.create("one")
        await level([a, b])
        b.engine.shelf.limits = DocumentLimits(
            change_bytes_max=1024, change_ops_max=16, changes_max=2, ops_max=16,
            stored_bytes_max=4096,
        )  # fmt: skip
        await a.type(ident, " and two, which is long" * 40)
        await a.add(ident, change_of("brought", 5).data)
        for n in range(80):
            await a.type(ident, str(n))
        await level([a, b])
        assert b.text(ident) == a.text(ident)
        assert b.document(ident).aside == []
        with pytest.raises(DocumentTooLarge):
            await b.type(ident, "!")
