"""Many memories in one request: what a hook refuses of them is left out, the rest is written."""

import asyncio
from collections.abc import Sequence

import pytest

from crdt.op import Op
from node.contracts import Caller
from node.errors import HookRefused
from node.memory.batch import create_many, import_many
from node.memory.memories import Ask
from tests.property.memory_histories import History, lived

ANN = Ask(caller=Caller(agent="ai:ann"), body={})


class Strict:
    """Refuses what is called bad, each by itself, or all at once."""

    def __init__(self, *, whole: bool = False) -> None:
        self.whole = whole
        self.runs = 0

    def writes(self, ops: Sequence[Op], *, caller: Caller, action: str) -> "asyncio.Future[None]":
        del caller, action
        self.runs += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        bad = {op.id: "it is bad" for op in ops if op.set.get("title") == "bad"}
        if bad:
            future.set_exception(HookRefused("strict", "no", items={} if self.whole else bad))
        else:
            future.set_result(None)
        return future


ITEMS = [{"title": title, "content": "c"} for title in ("good", "bad", "fine", "bad")]


@pytest.mark.parametrize("road", ["bulk", "import"])
def test_bad_items_are_reported_at_their_places(road: str) -> None:
    async def story(history: History) -> None:
        memories, hook = history.node.memories, Strict()
        memories.funnel.gate.hooks = hook  # type: ignore[attr-defined]  # as it is in a node
        if road == "bulk":
            written = await create_many(memories, ITEMS, ANN)
        else:
            written = await import_many(memories, ITEMS, ANN, trust=False)
        assert hook.runs == 2
        assert written.batch.places == [0, 2]
        assert [one["index"] for one in written.batch.errors] == [1, 3]
        assert {one["error"] for one in written.batch.errors} == {"hook_refused: it is bad"}
        titles = {held.view.values["title"] for held in history.node.reader.recent()}
        assert titles == {"good", "fine"}

    lived(1, story)


def test_a_no_to_the_whole_refuses_the_whole() -> None:
    async def story(history: History) -> None:
        memories, hook = history.node.memories, Strict(whole=True)
        memories.funnel.gate.hooks = hook  # type: ignore[attr-defined]  # as it is in a node
        with pytest.raises(HookRefused):
            await create_many(memories, ITEMS, ANN)
        assert hook.runs == 1
        assert [*history.node.reader.recent()] == []

    lived(1, story)


def test_nothing_is_written_where_all_are_bad() -> None:
    async def story(history: History) -> None:
        memories, hook = history.node.memories, Strict()
        memories.funnel.gate.hooks = hook  # type: ignore[attr-defined]  # as it is in a node
        written = await create_many(memories, [ITEMS[1], ITEMS[3]], ANN)
        assert (hook.runs, written.receipt) == (1, None)
        assert [one["index"] for one in written.batch.errors] == [0, 1]

    lived(1, story)
