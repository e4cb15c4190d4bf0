"""The stream of held actions: places, states instead of steps, and what nobody may see."""

from typing import Any

import orjson
import pytest

from node.event_stream import Event
from node.governing.feed import PendingFeed, PendingSource
from tests.unit.governing.rig import Governed, asked, at_home


@pytest.fixture
async def node() -> Governed:
    node = Governed()
    await node.register("hana")
    await node.register("hugo")
    await node.policy("team", write="approve", approval_timeout_secs=60)
    return node


def source(node: Governed, cursor: str | None = None, agent: str = "hana") -> PendingSource:
    return PendingSource(node.feed, node.actions, at_home(agent), cursor)


def told(events: list[Event]) -> list[tuple[str, str]]:
    """(name of the event, id of the action) of those that say something."""
    rows: list[dict[str, Any]] = [orjson.loads(e.data) for e in events if e.data]
    names = [e.name for e in events if e.data]
    assert names == [row["status"] for row in rows]
    return [(row["status"], row["id"]) for row in rows]


def last(events: list[Event]) -> str:
    return [e.id for e in events if e.id][-1]


async def test_without_a_place_it_begins_with_what_waits(node: Governed) -> None:
    done, first, second = [await node.held() for _ in range(3)]
    await node.actions.decide(done, asked("hana"), yes=True)
    new = source(node)
    events = new.take()
    assert told(events) == [("pending", first), ("pending", second)]
    assert [e.id for e in events[:-1]] == ["", ""], "who is cut meanwhile begins again"
    assert new.take() == []


async def test_every_change_is_told_once_in_order(node: Governed) -> None:
    new = source(node)
    new.take()
    ident = await node.held()
    assert told(new.take()) == [("pending", ident)]
    await node.actions.decide(ident, asked("hana"), yes=False)
    assert told(new.take()) == [("rejected", ident)]
    assert new.take() == []


async def test_a_slow_follower_is_told_states_not_steps(node: Governed) -> None:
    new = source(node)
    new.take()
    first, second = await node.held(), await node.held()
    await node.actions.decide(first, asked("hana"), yes=True)
    assert told(new.take()) == [("pending", second), ("approved", first)]


async def test_a_place_goes_on_exactly_there(node: Governed) -> None:
    new = source(node)
    place = last(new.take())
    first = await node.held()
    place_one = last(new.take())
    second = await node.held()
    assert told(source(node, place).take()) == [("pending", first), ("pending", second)]
    assert told(source(node, place_one).take()) == [("pending", second)]
    assert source(node, node.feed.place(node.feed.number)).take() == []


@pytest.mark.parametrize("place", ["", "x", "other-3", "lifea-", "lifea--1", "lifea-9e9", "-"])
async def test_a_place_of_another_life_begins_with_everything(node: Governed, place: str) -> None:
    done, waits = await node.held(), await node.held()
    await node.actions.decide(done, asked("hana"), yes=True)
    assert told(source(node, place or "?").take()) == [("pending", waits), ("approved", done)]


async def test_a_place_beyond_the_last_change_waits_for_the_next(node: Governed) -> None:
    new = source(node, node.feed.place(10**6))
    assert new.take() == []
    ident = await node.held()
    assert told(new.take()) == [("pending", ident)]


async def test_the_end_of_a_time_is_told_without_any_commit(node: Governed) -> None:
    new = source(node)
    new.take()
    ident = await node.held()
    assert told(new.take()) == [("pending", ident)]
    wait = new.seconds()
    assert wait is not None
    assert 59 < wait <= 61
    node.pass_ms(60_500)
    assert new.seconds() == 0
    assert told(new.take()) == [("expired", ident)]
    assert new.seconds() is None


async def test_nobody_is_told_about_what_it_may_not_see(node: Governed) -> None:
    hers, his = source(node, agent="hana"), source(node, agent="bob")
    hers.take()
    his.take()
    for _ in range(200):
        await node.held(scope="private", agent="bob")
    seen = await node.held(agent="bob")
    assert told(hers.take()) == [("pending", seen)]
    count = 0
    while batch := his.take():
        assert len(batch) <= 64
        count += len(batch)
    assert count == 201


async def test_a_first_batch_of_invisible_ones_does_not_end_the_beginning(
    node: Governed,
) -> None:
    for _ in range(100):
        await node.held(scope="private", agent="bob")
    seen = await node.held(agent="bob")
    assert told(source(node).take()) == [("pending", seen)]


async def test_followers_are_woken_until_they_leave(node: Governed) -> None:
    woken: list[int] = []
    leave = node.feed.follow(lambda: woken.append(1))
    await node.held()
    assert woken
    leave()
    woken.clear()
    await node.held()
    assert woken == []


async def test_a_new_process_knows_what_was_held_before(node: Governed) -> None:
    first = await node.held()
    await node.actions.decide(first, asked("hana"), yes=True)
    second = await node.held()
    feed = PendingFeed(node.pendings, lambda: node.node.now_ms, "next")
    new = PendingSource(feed, node.actions, at_home("hana"), node.feed.place(1))
    assert told(new.take()) == [("approved", first), ("pending", second)]


async def test_after_another_store_took_over_everything_is_told_again(node: Governed) -> None:
    ident = await node.held()
    new = source(node)
    new.take()
    assert new.take() == []
    node.node.started()  # another replica over the same disk
    assert told(new.take()) == [("pending", ident)]
    assert new.take() == []


def test_an_event_is_written_as_the_standard_says() -> None:
    assert Event(id="a-1", name="pending", data=b"{}").encoded() == (
        b"id: a-1\nevent: pending\ndata: {}\n\n"
    )
    assert Event(id="a-1").encoded() == b"id: a-1\n\n"
