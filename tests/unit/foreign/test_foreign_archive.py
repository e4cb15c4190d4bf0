"""What is put away on one mesh is put away on the other, and comes back on both."""

import random

import pytest

from tests.unit.foreign.rig import Side, level


@pytest.fixture
def sides() -> tuple[Side, Side]:
    one, two = Side("mesh-a"), Side("mesh-b")
    two.clock.ms += 5
    return one, two


def said(side: Side) -> dict[str, dict[str, object]]:
    """What shows, without the time of the last change: a move is one on its own side alone."""
    return {
        ident: {name: value for name, value in row.items() if name != "updated_at"}
        for ident, row in side.all_rows().items()
    }


async def test_an_archive_and_its_end_cross_both_ways(sides: tuple[Side, Side]) -> None:
    one, two = sides
    mine, theirs = await one.store("mine"), await two.store("theirs")
    await level(one, two)
    await one.archive(mine)
    await two.archive(theirs)
    await level(one, two)
    for side in sides:
        assert side.archived(mine)
        assert side.archived(theirs)
    await one.restore(theirs)
    await two.restore(mine)
    await level(one, two)
    for side in sides:
        assert side.row(mine)["title"] == "mine"
        assert side.row(theirs)["title"] == "theirs"


async def test_what_a_peer_never_had_is_not_told_to_be_put_away(
    sides: tuple[Side, Side],
) -> None:
    one, two = sides
    hidden = await one.store("hidden")
    await one.archive(hidden)
    await level(one, two)
    assert two.ops == 0
    page = await one.foreign.page("", "", 100)
    assert (page["memories"], page["archives"]) == ([], [])
    await one.restore(hidden)
    await level(one, two)
    assert two.row(hidden)["title"] == "hidden"


async def test_an_edit_and_an_archive_on_both_sides_of_a_cut_meet(
    sides: tuple[Side, Side],
) -> None:
    one, two = sides
    ident = await one.store("first", ttl_secs=3600)
    await level(one, two)
    await one.archive(ident)
    await two.edit(ident, title="second")
    await level(one, two)
    assert one.archived(ident)
    assert two.archived(ident)
    await two.restore(ident)
    await level(one, two)
    assert one.row(ident)["title"] == two.row(ident)["title"] == "second"
    assert one.row(ident)["expires_at"] == two.row(ident)["expires_at"]


async def test_the_page_of_a_peer_tells_of_the_archive(sides: tuple[Side, Side]) -> None:
    one, two = sides
    ident = await one.store("told", ttl_secs=3600)
    page = await one.foreign.page(two.key, "", 100)
    await one.archive(ident)
    page = await one.foreign.page(two.key, page["next_since"], 100)
    assert page["archives"] == [ident]
    assert page["memories"][0]["expires_at"]
    page = await one.foreign.page(two.key, page["next_since"], 100)
    assert page["archives"] == []
    await one.restore(ident)
    page = await one.foreign.page(two.key, page["next_since"], 100)
    assert (page["restores"], page["archives"]) == ([ident], [])


@pytest.mark.parametrize("seed", range(20))
async def test_random_moves_and_edits_end_alike_on_both(
    seed: int, sides: tuple[Side, Side]
) -> None:
    chance = random.Random(seed)
    one, two = sides
    ids = [await one.store(f"m{n}") for n in range(3)]
    await level(one, two)
    for _ in range(30):
        side, ident = chance.choice(sides), chance.choice(ids)
        if side.archived(ident):
            await side.restore(ident)
        elif chance.random() < 0.5:
            await side.archive(ident)
        else:
            await side.edit(ident, title=f"t{chance.random()}")
        if chance.random() < 0.3:
            await level(one, two)
    await level(one, two, rounds=8)
    assert said(one) == said(two), f"seed {seed}"
    assert [one.archived(i) for i in ids] == [two.archived(i) for i in ids], f"seed {seed}"
