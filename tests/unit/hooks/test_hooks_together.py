"""A push of many items, each written on its own, is one run of its hooks."""

import asyncio
from typing import Any

from node.contracts import Caller
from node.errors import HookFailed, HookRefused
from node.hooks.asking import Asking
from node.hooks.verdict import Outcome, Verdict
from tests.unit.hooks.hooked import Running, Told, declared
from tests.unit.hooks.test_hooks_asking import creates, reader


async def pushed(told: list[Told], count: int, agents: int = 1) -> list[Any]:
    """What becomes of so many questions that are asked in one turn."""
    async with Running() as tasks:
        asking = Asking(told, tasks, reader)  # type: ignore[arg-type]  # they run as runners do
        asked = [
            asking.writes([op], caller=Caller(agent=f"ai:{at % agents}"), action="sync")
            for at, op in enumerate(creates(count))
        ]
        waits = [one for one in asked if one is not None]
        return await asyncio.gather(*waits, return_exceptions=True)


async def test_a_thousand_questions_are_one_run() -> None:
    told = Told(declared("a", "before_store"))
    assert await pushed([told], 1000, agents=7) == [None] * 1000
    (document,) = told.got
    assert (document["count"], document["agent_id"]) == (1000, "")
    assert document["items"][8]["agent_id"] == "ai:1"


async def test_nobody_is_kept_waiting_where_nobody_wants_to_know() -> None:
    told = Told(declared("a", "before_delete"))
    assert await pushed([told], 10) == []
    assert told.got == []


class Picky(Told):
    """Refuses the first two of what it is asked about, as long as there are more."""

    async def run(self, document: Any) -> Verdict:
        self.got.append(document)
        if document["count"] < 5:
            return Verdict(outcome=Outcome.OK)
        return Verdict(outcome=Outcome.REFUSED, reason="no", items={0: "first", 1: "second"})


async def test_some_are_refused_and_the_others_are_asked_about_again() -> None:
    picky, second = Picky(declared("a", "before_store")), Told(declared("b", "before_store"))
    answers = await pushed([picky, second], 6)
    assert [getattr(one, "reason", None) for one in answers] == ["first", "second", *[None] * 4]
    assert [one["count"] for one in picky.got] == [6, 4]
    assert [one["count"] for one in second.got] == [4], "no hook is left out"


async def test_a_no_without_places_is_for_all_of_them() -> None:
    told = Told(declared("a", "before_store"), Verdict(outcome=Outcome.REFUSED, reason="no"))
    answers = await pushed([told], 3)
    assert all(isinstance(one, HookRefused) and one.reason == "no" for one in answers)
    assert len(told.got) == 1
    told.verdict = Verdict(outcome=Outcome.REFUSED, reason="no", items={77: "none such"})
    assert all(isinstance(one, HookRefused) for one in await pushed([told], 3))


async def test_a_failure_is_for_all_of_them() -> None:
    told = Told(declared("a", "before_store"), Verdict(outcome=Outcome.FAILED, why="broken"))
    assert all(isinstance(one, HookFailed) for one in await pushed([told], 3))
