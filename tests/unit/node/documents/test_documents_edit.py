"""Editing documents of one node: what an agent does, and what is stored of it."""

import base64

import pytest

from node.documents.problems import BadEdit, DocumentStructured, NotADocument, UnknownHeads
from node.memory.problems import NotFound, NotOwner, StaleVersion
from tests.unit.node.documents.rig import ANN, mesh

BOB = "ai:bob"


async def test_a_document_begins_with_its_content_and_its_first_edit_takes_that_away() -> None:
    async with mesh("a") as (a,):
        ident = await a.create("a plan", title="p")
        held, document = a.documents.read(ident, a.ask().caller)
        assert (a.text(ident), document.value(), a.names(ident)) == (
            "a plan", {"text": "a plan"}, [],
        )  # fmt: skip
        edited = await a.type(ident, " for two", agent=BOB)
        assert (a.text(ident), edited.document.value()) == (
            "a plan for two", {"text": "a plan for two"},
        )  # fmt: skip
        assert len(a.names(ident)) == 2
        sheet = a.held(ident).sheet
        assert sheet is not None
        assert sheet.content is None
        first, second = edited.document.history()
        assert (first.agent, second.agent) == (ANN, BOB)
        assert first.hlc == held.view.created
        assert second.change.hash == edited.change_hash
        assert a.held(ident).view.version == 2
        assert next(a.reader.recent("team")).view.values["content"] == "a plan for two"


async def test_an_actor_goes_on_while_its_last_change_is_to_be_seen() -> None:
    async with mesh("a") as (a,):
        ident = await a.create("x")
        first = await a.type(ident, "1")
        second = await a.type(ident, "2")
        heads = [first.change_hash.hex()]
        third = await a.edit(
            ident, {"op": "splice", "path": ["text"], "index": 0, "insert": "0"}, heads=heads
        )
        by = {one.change.hash: one.change for one in third.document.history()}
        one, two, three = (by[e.change_hash] for e in (first, second, third))
        assert (one.actor, two.actor) == (two.actor, one.actor)
        assert (one.seq, two.seq, three.seq) == (1, 2, 1)
        assert three.actor != one.actor
        assert three.deps == (one.hash,)
        assert a.text(ident) == "0x12"


async def test_what_cannot_be_edited_is_refused_and_nothing_is_written() -> None:
    async with mesh("a") as (a,):
        ident, fact = await a.create("x"), await a.create("y", memory_kind="claim")
        for wanted, body, error in (
            (fact, {"ops": [{"op": "delete", "path": ["text"]}]}, NotADocument),
            (ident, {"ops": []}, BadEdit),
            (ident, {"ops": [{"op": "no", "path": ["text"]}]}, BadEdit),
            (ident, {"ops": [{"op": "delete", "path": ["a", "b"]}]}, BadEdit),
            (
                ident,
                {"ops": [{"op": "put", "path": ["a"], "value": 1}], "heads": ["00" * 32]},
                UnknownHeads,
            ),
            ("nobody", {"ops": [{"op": "put", "path": ["a"], "value": 1}]}, NotFound),
        ):
            with pytest.raises(error):
                await a.documents.edit(wanted, a.ask(**body), None)
        with pytest.raises(StaleVersion):
            await a.documents.edit(
                ident, a.ask(ops=[{"op": "put", "path": ["a"], "value": 1}]), '"x"'
            )
        assert (a.held(ident).view.version, a.names(ident)) == (1, [])


async def test_only_its_author_edits_a_private_document() -> None:
    async with mesh("a") as (a,):
        ident = await a.create("x", scope="private")
        with pytest.raises(NotFound):
            await a.type(ident, "y", agent=BOB)
        await a.memories.change(
            a.held(ident),
            [a.memories.rules.rewritten(a.held(ident), {f"grants/{BOB}": 0}, ())[0]],
            a.ask(),
            "store",
        )
        with pytest.raises(NotOwner):
            await a.type(ident, "y", agent=BOB)
        await a.type(ident, "y")
        assert a.text(ident) == "xy"


async def test_a_plain_content_edits_the_text_where_it_differs() -> None:
    async with mesh("a", "b") as (a, b):
        ident = await a.create("one two three")
        await a.type(ident, "!")
        b.take_from(a)
        await a.put(ident, content="one 2 three!")
        await b.put(ident, content="one two 3!", priority=9)
        a.take_from(b)
        b.take_from(a)
        assert a.text(ident) == b.text(ident) == "one 2 3!"
        assert a.held(ident).view.values["priority"] == 9
        assert a.held(ident).view.conflicts == 0


async def test_a_plain_content_is_refused_where_there_are_several_texts() -> None:
    async with mesh("a") as (a,):
        ident = await a.create("one")
        await a.edit(ident, {"op": "put", "path": ["more"], "value": "two"})
        assert a.text(ident) == "one\ntwo"
        with pytest.raises(DocumentStructured):
            await a.put(ident, content="three")
        await a.put(ident, title="still")
        assert a.text(ident) == "one\ntwo"


async def test_a_document_becomes_a_plain_memory_and_a_document_again() -> None:
    async with mesh("a") as (a,):
        ident = await a.create("one")
        await a.type(ident, " two")
        await a.put(ident, memory_kind="claim")
        assert (a.text(ident), a.names(ident), a.held(ident).sheet) == ("one two", [], None)
        await a.put(ident, memory_kind="document", content="new")
        await a.type(ident, "er")
        assert a.text(ident) == "newer"
        await a.put(ident, memory_kind="claim", content="said")
        assert (a.text(ident), a.names(ident)) == ("said", [])


async def test_a_move_takes_every_change_along_with_who_made_it() -> None:
    async with mesh("a") as (a,):
        ident = await a.create("one")
        await a.type(ident, " two", agent=BOB)
        before = a.documents.read(ident, a.ask().caller)[1]
        told = [(one.change.data, one.agent, one.hlc) for one in before.history()]
        heads = before.heads
        await a.put(ident, "ai:cal", namespace="other")
        held, after = a.documents.read(ident, a.ask().caller)
        assert held.view.namespace == "other"
        assert after.heads == heads
        assert [(one.change.data, one.agent, one.hlc) for one in after.history()] == told
        await a.memories.promote(ident, a.ask(to_namespace="third"))
        held, after = a.documents.read(ident, a.ask().caller)
        assert [(one.change.data, one.agent, one.hlc) for one in after.history()] == told
        assert (a.text(ident), held.view.namespace) == ("one two", "third")
        await a.put(ident, namespace="fourth", content="one 2")
        assert (a.text(ident), a.held(ident).view.namespace) == ("one 2", "fourth")
        await a.put(ident, namespace="fifth", memory_kind="claim")
        assert (a.text(ident), a.names(ident)) == ("one 2", [])


async def test_an_export_brings_every_change_to_another_mesh() -> None:
    async with mesh("a") as (a,), mesh("z", seed=1) as (z,):
        ident = await a.create("one")
        await a.edit(ident, {"op": "put", "path": ["n"], "value": 3, "type": "counter"})
        changes = await a.memories.changes_of(a.held(ident))
        given = base64.b64encode(changes).decode()
        other = await z.create("ignored", document=given)
        assert z.text(other) == "one"
        mine, theirs = (
            side.documents.read(one, side.ask().caller)[1] for side, one in ((a, ident), (z, other))
        )
        assert (mine.heads, mine.value()) == (theirs.heads, theirs.value())
        await z.type(other, " more")
        changes = await z.memories.changes_of(z.held(other))
        added = await a.add(ident, changes)
        assert (added.added, added.known) == (1, 2)
        assert a.text(ident) == "one more"
        assert (await a.add(ident, changes)).receipt is None
