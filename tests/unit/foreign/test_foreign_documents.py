"""Documents that two meshes exchange: changes are united, whoever knows only texts is heard too."""

from random import Random

import pytest

from tests.unit.foreign.rig import Side, level
from tests.unit.http.fake_node import Clock

Pair = tuple[Side, Side]
PAPER = {"memory_kind": "document", "content": "one"}


@pytest.fixture
def pair() -> Pair:
    clock = Clock()
    return Side("node-a", clock), Side("node-p", clock)


def document(side: Side, ident: str) -> tuple[object, ...]:
    held = side.held(ident)
    assert held is not None
    shown = side.documents._pen.opened(held)[1]
    return shown.heads, shown.value(), side.row(ident)["content"]


async def test_a_document_crosses_with_every_change(pair: Pair) -> None:
    a, p = pair
    made = await a.store("paper", **PAPER)
    await a.type(made, " two")
    await level(a, p)
    assert document(a, made) == document(p, made)
    await p.type(made, " three")
    await level(a, p)
    assert document(a, made) == document(p, made)
    assert a.row(made)["content"] == "one two three"
    before = (a.ops, p.ops)
    await level(a, p)
    assert (a.ops, p.ops) == before


async def test_what_both_wrote_at_once_is_united_and_is_no_conflict(pair: Pair) -> None:
    a, p = pair
    made = await a.store("paper", **PAPER)
    await a.type(made, "!")
    await level(a, p)
    await a.type(made, "a ", at=0)
    await a.edit(made, title="by a")
    await p.type(made, " p")
    await level(a, p)
    assert document(a, made) == document(p, made)
    assert a.row(made)["content"] == "a one! p"
    assert a.row(made)["title"] == p.row(made)["title"] == "by a"
    assert "conflicts" not in a.row(made)
    assert "conflicts" not in p.row(made)


async def test_first_edits_on_both_sides_are_united(pair: Pair) -> None:
    a, p = pair
    made = await a.store("paper", **PAPER)
    await level(a, p)
    await a.type(made, "a ", at=0)
    await p.type(made, " p")
    await level(a, p)
    await level(a, p)
    assert document(a, made) == document(p, made)
    assert a.row(made)["content"] == "a one p"


async def test_a_document_moves_and_ends_elsewhere_too(pair: Pair) -> None:
    a, p = pair
    made = await a.store("paper", **PAPER)
    await a.type(made, "!")
    await level(a, p)
    await p.type(made, "?")
    await a.edit(made, namespace="other")
    await level(a, p)
    await level(a, p)
    assert document(a, made) == document(p, made)
    assert p.row(made)["namespace"] == "other"
    assert p.row(made)["content"] == "one!?"
    await p.delete(made)
    await level(a, p)
    assert a.held(made) is None


async def test_a_peer_that_knows_only_texts_is_heard(pair: Pair) -> None:
    a = pair[0]
    old = Side("node-old", a.clock, knows_documents=False)
    made = await a.store("paper", **PAPER)
    await a.type(made, " two three")
    await level(a, old)
    assert old.row(made)["content"] == "one two three"
    old.clock.ms += 5
    row = {**old.row(made), "content": "one 2 three", "updated_at": "2026-02-02T03:00:00.000Z"}
    assert await a.statuses(old, memories=[row]) == ["applied"]
    assert a.row(made)["content"] == "one 2 three"
    assert "conflicts" not in a.row(made)
    await a.type(made, "!")
    row |= {"content": "old text", "updated_at": "2026-02-02T04:00:00.000Z"}
    assert await a.statuses(old, memories=[row]) == ["applied"]
    assert a.row(made)["content"] == "one 2 three!"
    assert a.row(made)["conflicts"] == 1


async def test_changes_that_cannot_be_read_are_refused_with_their_row(pair: Pair) -> None:
    a, p = pair
    made = await a.store("paper", **PAPER)
    await a.type(made, "!")
    for bad in ("?", "", "aGVsbG8=", 7):
        row = {**a.row(made), "document": bad, "title": "x"}
        assert await p.statuses(a, memories=[row]) == ["invalid"]
    assert p.held(made) is None


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_both_write_they_end_alike(seed: int, pair: Pair) -> None:
    print(f"seed {seed}")
    chance = Random(seed)
    made = await pair[0].store("paper", **PAPER)
    await level(*pair)
    for _ in range(14):
        side = chance.choice(pair)
        way = chance.random()
        if way < 0.6:
            await side.type(made, chance.choice("abc"), at=0 if chance.random() < 0.5 else None)
        elif way < 0.75:
            await side.edit(made, title=chance.choice("tuv"))
        elif way < 0.85:
            await side.edit(made, namespace=chance.choice(("n", "m")))
        else:
            await level(*pair)
    for _ in range(3):
        await level(*pair)
    assert document(pair[0], made) == document(pair[1], made)
    assert pair[0].row(made)["title"] == pair[1].row(made)["title"]
