"""Asking hooks before a write: order, failures, items, and what they are shown."""

import asyncio
import re
from typing import Any

import pytest

from crdt.dot import DATA, Dot, new_actor
from crdt.op import Kind, Op
from node.contracts import Caller
from node.errors import Draining, HookFailed, HookRefused
from node.hooks.asking import Asking
from node.hooks.verdict import Outcome, Verdict
from node.live import Tasks
from tests.unit.hooks.hooked import Running, Told, declared

ACTOR = new_actor(DATA, 1_770_000_000, bytes(8), bytes(32))
ANN = Caller(agent="ann", local=True)
NO = Verdict(outcome=Outcome.REFUSED, reason="not on Sundays")
BROKEN = Verdict(outcome=Outcome.FAILED, why="it ended with code 3")


def creates(count: int = 1, space: str = "team", **fields: Any) -> list[Op]:
    return [
        Op(
            dot=Dot(ACTOR, at + 1), kind=Kind.CREATE, collection="memory", id=f"id-{at}",
            namespace=space, owner="ann", agent="ann", set={"title": "t", "content": "c", **fields},
        )
        for at in range(count)
    ]  # fmt: skip


async def asked(runners: list[Told], ops: list[Op], action: str = "store") -> bool:
    """Whether anybody was asked; raises what they raise."""
    async with Running() as tasks:
        asking = Asking(runners, tasks, reader)  # type: ignore[arg-type]  # they run as runners do
        future = asking.writes(ops, caller=ANN, action=action)
        if future is not None:
            await asyncio.wait([future])
    if future is not None:
        future.result()
    return future is not None


def reader() -> Any:
    raise AssertionError("nothing is read of what is only made")


async def test_nobody_is_asked_about_what_nobody_waits_for() -> None:
    told = Told(declared("a", "before_delete"))
    assert not await asked([told], creates())
    assert told.got == []


async def test_a_hook_is_told_who_does_what_and_nothing_of_the_content() -> None:
    told = Told(declared("a", "before_store"))
    assert await asked([told], creates())
    (document,) = told.got
    assert (document["event"], document["agent_id"], document["count"]) == (
        "before_store",
        "ann",
        1,
    )
    (item,) = document["items"]
    assert item["memory_id"] == "id-0"
    assert (item["namespace"], item["fields"], item["bytes"]) == ("team", ["content", "title"], 2)
    assert "content" not in item


async def test_content_is_for_the_hook_that_asks_for_it() -> None:
    plain = Told(declared("a", "before_store"))
    curious = Told(declared("b", "before_store", content=True))
    await asked([plain, curious], creates())
    assert curious.got[0]["items"][0]["content"] == {"title": "t", "content": "c"}
    assert "content" not in plain.got[0]["items"][0]


async def test_a_thousand_items_are_one_run() -> None:
    told = Told(declared("a", "before_store"))
    await asked([told], creates(1000))
    assert len(told.got) == 1
    assert [item["index"] for item in told.got[0]["items"]] == list(range(1000))


async def test_the_first_no_ends_it_with_its_reason() -> None:
    first, second = Told(declared("a", "before_store"), NO), Told(declared("b", "before_store"))
    with pytest.raises(HookRefused, match="not on Sundays") as caught:
        await asked([first, second], creates())
    assert (caught.value.code, caught.value.http_status) == ("hook_refused", 403)
    assert caught.value.extra() == {"hook": "a", "reason": "not on Sundays"}
    assert second.got == []
    assert [line for line, _ in first.log] == ["hook_refused"]


async def test_some_items_are_refused_by_their_records() -> None:
    told = Told(declared("a", "before_store"))
    told.verdict = Verdict(outcome=Outcome.REFUSED, reason="r", items={1: "bad", 9: "none such"})
    with pytest.raises(HookRefused) as caught:
        await asked([told], creates(3))
    assert caught.value.items == {"id-1": "bad"}


async def test_a_hook_that_must_agree_and_fails_refuses() -> None:
    told = Told(declared("a", "before_store"), BROKEN)
    with pytest.raises(HookFailed, match=re.escape("code 3")) as caught:
        await asked([told], creates())
    assert (caught.value.code, caught.value.http_status) == ("hook_failed", 503)
    assert told.log == [("hook_failed", {"hook": "a", "error": BROKEN.why, "passed": False})]


async def test_a_hook_that_may_fail_lets_pass_and_the_log_says_so() -> None:
    told = Told(declared("a", "before_store", on_failure="open"), BROKEN)
    after = Told(declared("b", "before_store"))
    assert await asked([told, after], creates())
    assert len(after.got) == 1
    assert told.log == [("hook_failed", {"hook": "a", "error": BROKEN.why, "passed": True})]


async def test_a_no_of_a_hook_that_may_fail_is_a_no() -> None:
    with pytest.raises(HookRefused):
        await asked([Told(declared("a", "before_store", on_failure="open"), NO)], creates())


@pytest.mark.parametrize(
    ("space", "told"),
    [("legal", True), ("legal/2026", True), ("legalese", False), ("team", False)],
)
async def test_a_hook_keeps_to_its_namespaces(space: str, told: bool) -> None:  # noqa: FBT001
    one = Told(declared("a", "before_store", namespaces=("legal",)))
    assert await asked([one], creates(space=space)) is told


async def test_each_item_is_told_as_the_most_special_event_that_is_wanted() -> None:
    entity = creates(memory_kind="entity")
    told = Told(declared("a", "before_write", "before_store", "before_entity"))
    await asked([told], entity)
    assert told.got[0]["event"] == "before_entity"
    told = Told(declared("a", "before_write", "before_store"))
    await asked([told], entity)
    assert told.got[0]["event"] == "before_store"
    told = Told(declared("a", "before_write", "before_import", "before_store"))
    await asked([told], creates(), action="import")
    assert told.got[0]["event"] == "before_import"


async def test_a_defect_in_asking_refuses_and_ends_no_task_group() -> None:
    told = Told(declared("a", "before_store"))
    told.verdict = None  # type: ignore[assignment]  # a defect
    with pytest.raises(HookFailed):
        await asked([told], creates())


async def test_nothing_is_asked_while_the_node_ends() -> None:
    asking = Asking([Told(declared("a", "before_store"))], Tasks(), reader)  # type: ignore[list-item]  # runs as one
    future = asking.writes(creates(), caller=ANN, action="store")
    assert future is not None
    with pytest.raises(Draining):
        await future


async def test_who_waits_when_the_node_ends_is_told() -> None:
    told = Told(declared("a", "before_store"), hold=asyncio.Event())
    async with Running() as tasks:
        asking = Asking([told], tasks, reader)  # type: ignore[list-item]  # runs as one
        future = asking.writes(creates(), caller=ANN, action="store")
        assert future is not None
        await asyncio.sleep(0)
    with pytest.raises(Draining):
        await future
