"""A request that is sent to two sides of a cut, with its key and its heads, is one edit."""

import hashlib
from typing import Any

from crdt.document.model import ACTOR_BYTES
from node.contracts import RetryKey
from node.documents.documents import Edited
from tests.unit.node.documents.rig import ANN, Side, level, mesh

WORD = {"op": "splice", "path": ["text"], "index": 2, "insert": "b"}


async def sent(side: Side, ident: str, key: str, *ops: dict[str, Any], **body: Any) -> Edited:
    ask = side.ask(ANN, ops=list(ops), **body)
    named = hashlib.sha256(repr((ops, sorted(body.items()))).encode()).digest()
    ask.retry = RetryKey(agent=ANN, key=key, body=named)
    return await side.documents.edit(ident, ask, None)


def heads_of(side: Side, ident: str) -> list[str]:
    return [one.hex() for one in side.document(ident).heads]


async def test_both_sides_of_a_cut_make_one_change_of_it() -> None:
    async with mesh("a", "b", "c") as sides:
        a, b, c = sides
        ident = await a.create("ac")
        await level(sides)
        for turn in range(3):  # from the plain content on, then upon changes
            heads = heads_of(a, ident)
            await b.type(ident, f" b{turn}")  # who takes the retry may have gone on
            await c.put(ident, "ai:ben", priority=3 + turn)
            made = [await sent(one, ident, f"k{turn}", WORD, heads=heads) for one in sides]
            assert len({one.change_hash for one in made}) == 1
            await level(sides)
            assert a.text(ident) == b.text(ident) == c.text(ident)
            assert a.text(ident).partition(" ")[0] == "ac" + "b" * (turn + 1)
        assert not a.document(ident).aside
        assert len(a.document(ident).history()) == 1 + 3 + 3


async def test_a_counter_counts_a_request_once() -> None:
    async with mesh("a", "b") as sides:
        a, b = sides
        ident = await a.create("x")
        await a.edit(ident, {"op": "put", "path": ["n"], "value": 0, "type": "counter"})
        await level(sides)
        up = {"op": "increment", "path": ["n"], "by": 2}
        heads = heads_of(a, ident)
        for one in (*sides, *sides):
            await sent(one, ident, "k", up, heads=heads)
        await level(sides)
        assert a.document(ident).value()["n"] == b.document(ident).value()["n"] == 2


async def test_without_heads_two_sides_make_two_edits() -> None:
    """There is nothing that both could make one of: what they have is not the same."""
    async with mesh("a", "b") as sides:
        a, b = sides
        ident = await a.create("x")
        await level(sides)
        for one in (*sides, *sides):
            await sent(one, ident, "k", {"op": "splice", "path": ["text"], "insert": "y"})
        await level(sides)
        assert a.text(ident) == b.text(ident) == "xyy"


async def test_what_is_here_already_is_not_written_again() -> None:
    """The key is forgotten after some hours; the change is not."""
    async with mesh("a") as (a,):
        ident = await a.create("ac")
        heads = heads_of(a, ident)
        first = await sent(a, ident, "k", WORD, heads=heads)
        before = len(a.minted())
        a.documents._memories.known = lambda _retry: None  # type: ignore[method-assign]
        again = await sent(a, ident, "k", WORD, heads=heads)
        assert (a.text(ident), len(a.minted())) == ("acb", before)
        assert first.change_hash is not None
        assert again.change_hash == first.change_hash


async def test_other_requests_are_other_changes() -> None:
    async with mesh("a", "b") as sides:
        a, b = sides
        ident = await a.create("ac")
        await level(sides)
        heads = heads_of(a, ident)
        one = await sent(a, ident, "k", WORD, heads=heads)
        other = await sent(b, ident, "k", {**WORD, "insert": "d"}, heads=heads)
        third = await sent(b, ident, "l", WORD, heads=heads)
        assert len({one.change_hash, other.change_hash, third.change_hash}) == 3
        await level(sides)
        assert sorted(a.text(ident)) == sorted("acbdb")
        assert not a.document(ident).aside
        actors = {kept.change.actor for kept in a.document(ident).history()}
        assert {len(actor) for actor in actors} == {ACTOR_BYTES}
