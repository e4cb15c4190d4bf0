"""Two meshes that exchange: both ways, through a cut, without reverting or circling."""

import pytest

from tests.unit.foreign.rig import Side, level
from tests.unit.http.fake_node import Clock


@pytest.fixture
def pair() -> tuple[Side, Side]:
    clock = Clock()
    return Side("node-a", clock), Side("node-p", clock)


Pair = tuple[Side, Side]


async def test_memories_cross_both_ways_and_nothing_circles(pair: Pair) -> None:
    a, p = pair
    ours = await a.store("of a", tags=["x", "y"], priority=7, metadata={"k": 1})
    theirs = await p.store("of p", namespace="team/one", tier="long")
    await level(a, p)
    assert a.all_rows() == p.all_rows()
    assert set(a.all_rows()) == {ours, theirs}
    before = (a.ops, p.ops)
    counts = [await a.round(p) for _ in range(3)]
    assert (a.ops, p.ops) == before
    assert [(one.pulled, one.pushed) for one in counts] == [(0, 0)] * 3


async def test_the_author_and_the_times_stay_as_declared(pair: Pair) -> None:
    a, p = pair
    made = await a.store("t", agent="ai:zoe")
    p.clock.ms += 5_000
    await level(a, p)
    assert p.row(made)["metadata"]["agent_id"] == "ai:zoe"
    assert p.row(made)["updated_at"] == a.row(made)["updated_at"]
    assert p.row(made)["created_at"] == a.row(made)["created_at"]


async def test_edits_cross_both_ways(pair: Pair) -> None:
    a, p = pair
    made = await a.store("one")
    await level(a, p)
    await p.edit(made, title="two", tags=["new"])
    await level(a, p)
    assert a.row(made)["title"] == "two"
    await a.edit(made, content="other", tags=[])
    await level(a, p)
    assert a.all_rows() == p.all_rows()
    assert p.row(made)["content"] == "other"
    assert p.row(made)["tags"] == []
    assert "conflicts" not in p.row(made)


async def test_deletions_cross_both_ways(pair: Pair) -> None:
    a, p = pair
    first, second = await a.store("one"), await p.store("two")
    await level(a, p)
    await p.delete(first)
    await a.delete(second)
    await level(a, p)
    assert a.all_rows() == p.all_rows() == {}
    before = (a.ops, p.ops)
    await level(a, p)
    assert (a.ops, p.ops) == before


async def test_a_cut_is_made_good(pair: Pair) -> None:
    a, p = pair
    kept, ended = await a.store("kept"), await a.store("ended")
    await level(a, p)
    p.cut = True
    await a.edit(kept, title="edited behind the cut")
    await a.delete(ended)
    new = await p.store("made behind the cut")
    with pytest.raises(Exception, match="no answer"):
        await a.round(p)
    p.cut = False
    await level(a, p)
    assert a.all_rows() == p.all_rows()
    assert set(p.all_rows()) == {kept, new}
    assert p.row(kept)["title"] == "edited behind the cut"


async def test_fields_that_only_one_side_changed_are_merged(pair: Pair) -> None:
    a, p = pair
    made = await a.store("one", tags=["both"])
    await level(a, p)
    await a.edit(made, title="by a", tags=["both", "a"])
    await p.edit(made, content="by p", tags=["both", "p"])
    await level(a, p)
    assert a.all_rows()[made] | {"tags": []} == p.all_rows()[made] | {"tags": []}
    assert a.row(made)["title"] == "by a"
    assert a.row(made)["content"] == "by p"
    assert set(a.row(made)["tags"]) == set(p.row(made)["tags"]) == {"both", "a", "p"}
    assert "conflicts" not in a.row(made)
    assert "conflicts" not in p.row(made)


@pytest.mark.parametrize("later", ["a", "p"])
async def test_a_double_change_is_a_conflict_on_both_and_shows_the_same(
    pair: Pair, later: str
) -> None:
    a, p = pair
    made = await a.store("one")
    await level(a, p)
    first, second = (a, p) if later == "p" else (p, a)
    await first.edit(made, title="the earlier")
    second.clock.ms += 60_000
    await second.edit(made, title="the later")
    await level(a, p)
    for side in (a, p):
        assert side.row(made)["title"] == "the later", side.name
        assert side.titles(made) == {"the earlier", "the later"}, side.name
        assert side.row(made)["conflicts"] == 1
    assert a.all_rows() == p.all_rows()
    # Whoever settles it settles it for both.
    await a.edit(made, title="settled")
    await level(a, p)
    for side in (a, p):
        assert side.titles(made) == {"settled"}, side.name
        assert "conflicts" not in side.row(made), side.name


async def test_a_deletion_wins_over_an_edit_that_did_not_know_of_it(pair: Pair) -> None:
    a, p = pair
    made = await a.store("one")
    await level(a, p)
    await a.delete(made)
    await p.edit(made, title="two")
    await level(a, p)
    assert a.held(made) is None
    assert p.held(made) is None


async def test_both_sides_may_bridge(pair: Pair) -> None:
    a, p = pair
    ids = [await a.store("of a"), await p.store("of p")]
    for _ in range(3):
        await a.round(p)
        await p.round(a)
    await a.edit(ids[0], title="a2")
    await p.edit(ids[0], content="p2")
    await p.delete(ids[1])
    for _ in range(3):
        await p.round(a)
        await a.round(p)
    assert a.all_rows() == p.all_rows()
    assert (a.row(ids[0])["title"], a.row(ids[0])["content"]) == ("a2", "p2")
    before = (a.ops, p.ops)
    await p.round(a)
    await a.round(p)
    assert (a.ops, p.ops) == before


async def test_three_meshes_in_a_ring_come_to_rest() -> None:
    clock = Clock()
    a, p, q = (Side(name, clock) for name in ("node-a", "node-p", "node-q"))
    made = await a.store("one")
    for _ in range(4):
        for near, far in ((a, p), (p, q), (q, a)):
            await near.round(far)
    assert a.all_rows() == p.all_rows() == q.all_rows()
    await q.edit(made, title="two")
    for _ in range(4):
        for near, far in ((a, p), (p, q), (q, a)):
            await near.round(far)
    assert {side.row(made)["title"] for side in (a, p, q)} == {"two"}
    before = [side.ops for side in (a, p, q)]
    for near, far in ((a, p), (p, q), (q, a)):
        await near.round(far)
    assert [side.ops for side in (a, p, q)] == before


async def test_a_lost_memory_neither_reverts_nor_brings_back(pair: Pair) -> None:
    a, p = pair
    made = await a.store("one")
    await level(a, p)
    await a.edit(made, title="two")
    a.memory._rows.clear()
    p.memory._rows.clear()
    await level(a, p)
    assert {a.row(made)["title"], p.row(made)["title"]} == {"two"}


async def test_a_private_memory_stays(pair: Pair) -> None:
    a, p = pair
    await a.store("secret", scope="private")
    turned = await a.store("open at first")
    await level(a, p)
    assert set(p.all_rows()) == {turned}
    await a.edit(turned, scope="private")
    await level(a, p)
    assert p.all_rows() == {}
    assert a.row(turned)["title"] == "open at first"


async def test_an_expired_memory_is_not_called_deleted(pair: Pair) -> None:
    a, p = pair
    made = await a.store("short", ttl_secs=60)
    await level(a, p)
    await p.edit(made, ttl_secs=86_400)
    a.clock.ms += 61_000
    assert a.held(made) is None
    page = await a.foreign.page("somebody", "", 100)
    assert (page["memories"], page["deletions"]) == ([], [])
    await level(a, p)
    assert a.row(made)["expires_at"] == p.row(made)["expires_at"]


async def test_a_move_is_a_move_there_too(pair: Pair) -> None:
    a, p = pair
    made = await a.store("one", namespace="left", tags=["t"])
    await level(a, p)
    await p.edit(made, namespace="right", title="two")
    await level(a, p)
    assert a.all_rows() == p.all_rows()
    assert (a.row(made)["namespace"], a.row(made)["tags"]) == ("right", ["t"])
    await a.edit(made, title="three")
    await level(a, p)
    assert p.row(made)["title"] == "three"
