"""Telling hooks afterwards: in order, together, within bounds, and never in the way."""

import asyncio

from node.hooks.telling import TOGETHER_MAX, Moment, Telling
from node.hooks.verdict import Outcome, Verdict
from node.live import Tasks
from tests.unit.hooks.hooked import Running, Told, declared


def moment(number: int, **further: object) -> Moment:
    return Moment(event="memory_store", about={"n": number}, **further)  # type: ignore[arg-type]


def telling(told: Told, tasks: Tasks) -> Telling:
    return Telling([told], tasks)  # type: ignore[list-item]  # it runs as a runner does


async def test_what_comes_up_meanwhile_is_told_together_and_in_order() -> None:
    told = Told(declared("a", "after_store"), hold=asyncio.Event())
    async with Running() as tasks:
        line = telling(told, tasks)
        line.tell(moment(0))
        await asyncio.sleep(0)
        for number in range(1, 251):
            line.tell(moment(number))
        assert told.hold is not None
        told.hold.set()
        await line.settled(5)
    assert [doc["count"] for doc in told.got] == [1, TOGETHER_MAX, TOGETHER_MAX, 50]
    assert [item["n"] for doc in told.got for item in doc["items"]] == list(range(251))
    assert told.got[0]["event"] == "memory_store"


async def test_what_finds_no_room_is_counted_and_lost() -> None:
    told = Told(declared("a", "after_store", queue_max=10), hold=asyncio.Event())
    async with Running() as tasks:
        line = telling(told, tasks)
        line.tell(moment(0))
        await asyncio.sleep(0)
        for number in range(1, 31):
            line.tell(moment(number))
        assert told.hold is not None
        told.hold.set()
        await line.settled(5)
    counter = told.around.metrics.counter("hook_events_lost_total", "a")
    assert counter._value.get() == 20
    assert told.log == [("hook_events_lost", {"hook": "a", "lost": 1})]
    assert [item["n"] for doc in told.got for item in doc["items"]] == list(range(11))


async def test_a_no_to_what_has_happened_changes_nothing_and_is_said() -> None:
    told = Told(declared("a", "after_store"), Verdict(outcome=Outcome.REFUSED, reason="no"))
    async with Running() as tasks:
        line = telling(told, tasks)
        line.tell(moment(0))
        await line.settled(5)
    assert [name for name, _ in told.log] == ["hook_failed"]


async def test_what_others_took_is_for_those_who_want_everything() -> None:
    here = Told(declared("a", "after_store"))
    all_of_it = Told(declared("b", "after_store", everywhere=True, namespaces=("team",)))
    async with Running() as tasks:
        line = Telling([here, all_of_it], tasks)  # type: ignore[list-item]  # they run as runners do
        line.tell(moment(0, here=False, namespace="team/x"))
        line.tell(moment(1, here=False, namespace="other"))
        line.tell(moment(2, namespace="team"))
        await line.settled(5)
    assert [item["n"] for doc in here.got for item in doc["items"]] == [2]
    assert [item["n"] for doc in all_of_it.got for item in doc["items"]] == [0, 2]


async def test_telling_waits_no_longer_than_it_may() -> None:
    told = Told(declared("a", "after_store"), hold=asyncio.Event())
    async with Running() as tasks:
        line = telling(told, tasks)
        line.tell(moment(0))
        await line.settled(0.05)
        assert told.got[0]["count"] == 1
