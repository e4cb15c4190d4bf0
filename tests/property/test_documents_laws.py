"""Random agents edit documents on nodes that hear of each other in any order.

Law: a history is a function of its seed, which is printed. Nodes are real ones; folding begins
with a few chunks instead of many, so that every history folds.
"""

import asyncio
from collections.abc import Iterable
from random import Random
from typing import Any, Final

import pytest

from crdt.document.change import read_change
from crdt.document.gathering import gather
from crdt.document.model import DocumentLimits
from crdt.document.opened import Document
from crdt.document.pack import Kept, is_pack, unpack
from crdt.fields import CHUNK_MARK
from crdt.op import Op
from node.documents import folding
from node.memory.problems import RequestError
from tests.unit.node.documents.rig import Side, level, mesh

AGENTS: Final = ("ai:ann", "ai:bob", "ai:cal")
LIMITS: Final = DocumentLimits()
WORDS: Final = ("river", "é", "walrus 🦭", "\n", "x")

Told = dict[bytes, tuple[bytes, str, int]]


@pytest.fixture(autouse=True)
def _early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "SINGLES_MIN", 4)
    monkeypatch.setattr(folding, "SINGLES_MAX", 9)


def seeds(count: int) -> list[Any]:
    """The first one every day, the others when there is time."""
    return [0, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(1, count))]


def told(changes: Iterable[Kept]) -> Told:
    """What a history says: every byte of every change, who wrote it and when."""
    return {one.change.hash: (one.change.data, one.agent, one.hlc) for one in changes}


def anew(side: Side, ident: str) -> Document:
    """The document as whoever opens it for the first time sees it."""
    sheet = side.held(ident).sheet
    assert sheet is not None
    return Document.opened(gather(sheet.stored, LIMITS), LIMITS)


def drawn(chance: Random, text: str) -> dict[str, Any]:
    """One edit."""
    way = chance.random()
    if way < 0.6:
        at = chance.randint(0, len(text))
        return {"op": "splice", "path": ["text"], "index": at, "insert": chance.choice(WORDS)}
    if way < 0.75 and text:
        at = chance.randrange(len(text))
        most = min(3, len(text) - at)
        return {"op": "splice", "path": ["text"], "index": at, "delete": most, "insert": ""}
    if way < 0.9:
        return {"op": "put", "path": ["n"], "value": chance.randint(0, 9)}
    return {"op": "put", "path": [chance.choice("ab")], "value": {"deep": [1, True, None]}}


async def act(side: Side, ident: str, chance: Random) -> None:
    """One agent does one thing; nothing that was there before is lost by it."""
    before = side.document(ident)
    was, heads, agent = told(before.history()), before.heads, chance.choice(AGENTS)
    text = str(before.value().get("text", ""))
    if chance.random() < 0.1 and before.is_plain() and side.pen.begun(side.held(ident)):
        await side.put(ident, agent, content=text[: len(text) // 2] + "put" or "put")
    elif chance.random() < 0.2:
        past = chance.choice(list(was)).hex()
        op = {"op": "put", "path": ["past"], "value": chance.random()}
        await side.edit(ident, op, agent=agent, heads=[past])
    else:
        await side.edit(ident, drawn(chance, text), agent=agent)
    after = side.document(ident)
    now = told(after.history())
    assert was.items() <= now.items(), "a fold or an edit has lost something"
    assert {one.change.hash for one in after.since(heads)} == now.keys() - was.keys()
    assert told(anew(side, ident).history()) == now
    assert anew(side, ident).text() == after.text()


async def hear(sides: list[Side], chance: Random) -> None:
    """One node takes some of what another one has."""
    one, other = chance.sample(sides, 2)
    await other.engine.drain()
    one.take_from(other, chance.choice((1, 2000, 1 << 20)))


@pytest.mark.parametrize("seed", seeds(6))
async def test_nodes_that_hold_the_same_show_the_same_whatever_came_first(seed: int) -> None:
    print(f"seed {seed}")
    chance = Random(seed)
    async with mesh("a", "b", "c", seed=seed) as sides:
        ident = await sides[0].create("begin")
        await level(sides)
        for _ in range(45):
            side = chance.choice(sides)
            await act(side, ident, chance)
            while chance.random() < 0.5:
                await hear(sides, chance)
        await level(sides)
        shown = [
            (s.document(ident).heads, s.text(ident), told(s.document(ident).history()),
             s.held(ident).view.etag, s.names(ident))
            for s in sides
        ]  # fmt: skip
        assert shown[0] == shown[1] == shown[2]
        for side in sides:
            assert side.document(ident).value() == anew(side, ident).value()
            assert not side.document(ident).aside
        folds = sum(
            is_pack(data) and len(unpack(data, LIMITS)) > 1
            for op in sides[0].minted()
            for data in chunks_of(op).values()
        )
        assert folds > 2
        alone(op for side in sides for op in side.minted())


def chunks_of(op: Op) -> dict[str, bytes]:
    return {name: data for name, data in op.set.items() if name.startswith(CHUNK_MARK)}


def alone(ops: Iterable[Op]) -> None:
    """Every number of every actor stands for one change."""
    found: dict[tuple[bytes, int], set[bytes]] = {}
    for op in ops:
        for data in chunks_of(op).values():
            changes = (
                [one.change for one in unpack(data, LIMITS)]
                if is_pack(data)
                else [read_change(data, LIMITS)]
            )
            for change in changes:
                found.setdefault((change.actor, change.seq), set()).add(change.hash)
    assert found
    assert all(len(hashes) == 1 for hashes in found.values())


@pytest.mark.parametrize("seed", seeds(3))
async def test_folds_on_both_sides_of_a_cut_lose_nothing(seed: int) -> None:
    print(f"seed {seed}")
    chance = Random(seed)
    async with mesh("a", "b", seed=seed) as sides:
        a, b = sides
        ident = await a.create("begin")
        for _ in range(5):
            await act(a, ident, chance)
        await level(sides)
        whole = told(a.document(ident).history())
        for side in sides:
            for _ in range(chance.randint(10, 25)):  # folded though nobody else holds them
                await act(side, ident, chance)
            whole |= told(side.document(ident).history())
            packs = [one for one in side.held(ident).view.values["chunk"] if is_pack(one.data)]
            assert any(len(unpack(one.data, LIMITS)) > 4 for one in packs)
        await level(sides)
        for side in sides:
            assert told(side.document(ident).history()) == whole
        heads = a.document(ident).heads
        assert heads == b.document(ident).heads
        await act(a, ident, chance)
        await level(sides)
        await act(b, ident, chance)
        await level(sides)
        assert whole.items() <= told(a.document(ident).history()).items()
        assert len(a.names(ident)) < 12


@pytest.mark.parametrize("seed", seeds(4))
async def test_a_deletion_wins_over_edits_and_leaves_nothing_of_the_document(seed: int) -> None:
    print(f"seed {seed}")
    chance = Random(seed)
    async with mesh("a", "b", "c", seed=seed) as sides:
        ident = await sides[0].create("begin")
        await level(sides)
        for _ in range(6):
            await act(chance.choice(sides), ident, chance)
        await level(sides)
        deleting, *rest = chance.sample(sides, 3)
        await deleting.memories.delete(ident, deleting.ask(), None)
        for side in rest:
            for _ in range(chance.randint(1, 7)):
                await act(side, ident, chance)
        for _ in range(chance.randrange(6)):
            await hear(sides, chance)
        await level(sides)
        for side in sides:
            assert side.engine.replica.read(f"dmemory/{ident}".encode()) is None


@pytest.mark.parametrize("seed", seeds(4))
async def test_a_content_put_beside_the_first_edit_is_never_lost(seed: int) -> None:
    print(f"seed {seed}")
    chance = Random(seed)
    async with mesh("a", "b", seed=seed) as sides:
        a, b = chance.sample(sides, 2)
        ident = await sides[0].create("begin")
        await level(sides)
        await b.put(ident, content="said meanwhile")
        for _ in range(chance.randint(1, 6)):
            await act(a, ident, chance)
        text = a.text(ident)
        await level(sides)
        for side in sides:
            assert side.text(ident) == text
            found = side.memories.conflicts(ident, side.ask().caller)[1]
            assert [one.value for one in found["content"]] == [text, "said meanwhile"]


@pytest.mark.parametrize("seed", seeds(4))
async def test_edits_made_at_once_on_one_node_share_no_name(seed: int) -> None:
    print(f"seed {seed}")
    chance = Random(seed)
    async with mesh("a", seed=seed) as (a,):
        ident = await a.create("begin")
        done = await asyncio.gather(
            *(a.type(ident, chance.choice(WORDS), agent=chance.choice(AGENTS)) for _ in range(12)),
            return_exceptions=True,
        )
        assert not [one for one in done if isinstance(one, BaseException)]
        for ops in ([{"op": "no"}], [{"op": "delete", "path": ["a", "b"]}]):
            with pytest.raises(RequestError):
                await a.edit(ident, *ops)
        await a.type(ident, "end")
        assert len(a.document(ident).history()) == 14
        await a.engine.drain()
        alone(a.minted())
