"""Hooks between the gate and minting, over random histories: a hook only narrows.

Law: what a hook refuses is never minted. What it lets pass is minted as it was asked about, and
only while the records it rests on are as they were when it was asked; else nothing is. Others
write while a hook thinks.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from crdt.dot import DATA, PRIVATE, lane_of
from crdt.op import Op, record_key
from crdt.record import Record
from node.contracts import Caller
from node.errors import ChangedMeanwhile, HookRefused, NodeError
from tests.property.memory_histories import CHANGES, History, lived

STEPS = 40
DEEDS = {name: CHANGES[name] for name in CHANGES if name != "wait"}


class Oracle:
    """A hook that thinks for a while, in which others write, and then says something.

    Attributes:
        asked: the operations it was asked about last.
        before: the records they are about, as they were then.
        minted: how many operations had arrived when it answered.
    """

    def __init__(self, story: History) -> None:
        self.story = story
        self.asked: list[Op] = []
        self.before: dict[bytes, Record | None] = {}
        self.minted = 0
        self.says = True
        self._tasks: set[asyncio.Task[None]] = set()

    def writes(self, ops: Sequence[Op], *, caller: Caller, action: str) -> "asyncio.Future[None]":
        del caller, action
        self.asked = list(ops)
        self.before = self.records()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._think(future))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return future

    def records(self) -> dict[bytes, Record | None]:
        """The records that it was asked about, as they are now."""
        read = self.story.node.engine.replica.read
        keys = {record_key(lane_of(op.dot.actor), op.collection, op.id) for op in self.asked}
        assert all(key[:1] in {DATA, PRIVATE} for key in keys)
        return {key: read(key) for key in sorted(keys)}

    async def _think(self, future: "asyncio.Future[None]") -> None:
        node, draw = self.story.node, self.story.chance
        node.funnel.gate.hooks = None
        for _ in range(draw.randrange(2)):
            await self.story.step(DEEDS)
        if draw.random() < 0.5:
            await node.engine.drain()
        node.funnel.gate.hooks = self  # type: ignore[assignment]  # asked about records alone
        await node.engine.drain()
        self.minted = len(node.arrived)
        self.says = draw.random() < 0.7
        if self.says:
            future.set_result(None)
        else:
            future.set_exception(HookRefused("oracle", "no"))


async def story(history: History) -> None:  # noqa: C901 - one outcome after the other
    """Deeds that a hook is asked about, with others in between."""
    node, oracle = history.node, Oracle(history)
    seen = {"minted": 0, "refused": 0, "changed": 0}
    for _ in range(6):
        await history.step({"create": 1})
    for _ in range(STEPS):
        deed = history.chance.choices([*DEEDS], weights=[*DEEDS.values()])[0]
        node.funnel.gate.hooks = oracle  # type: ignore[assignment]  # asked about records alone
        oracle.asked, error = [], None
        unchanged = False
        try:
            await getattr(history, deed)()
        except (NodeError, LookupError) as raised:
            error = raised
        except Exception as raised:
            if type(raised).__module__.partition(".")[0] != "node":
                raise
            error = raised
        await node.engine.drain()
        if not oracle.asked:
            continue
        fresh = [op for _, op in node.arrived[oracle.minted :]]
        if isinstance(error, HookRefused):
            assert not oracle.says
            assert fresh == [], "minted although it was refused"
            seen["refused"] += 1
        elif isinstance(error, ChangedMeanwhile):
            assert oracle.says
            assert fresh == [], "minted on what has changed"
            unchanged = oracle.records() == oracle.before
            assert not unchanged, "refused although nothing had changed"
            seen["changed"] += 1
        elif error is None:
            assert oracle.says, "minted although it was refused"
            # A request of both lanes arrives lane by lane.
            assert sorted(map(_name, fresh)) == sorted(map(_name, oracle.asked))
            then_by_name = {_name(op): op for op in oracle.asked}
            for op in fresh:
                then = then_by_name[_name(op)]
                assert op.supersedes == then.supersedes, "it rests on what nobody was asked about"
                assert op.set == then.set
            seen["minted"] += 1
    assert seen["minted"], seen
    assert seen["refused"], seen
    TOTAL.append(seen)


def _name(op: Op) -> tuple[bytes, int, str, str]:
    return lane_of(op.dot.actor), op.kind.value, op.collection, op.id


TOTAL: list[dict[str, int]] = []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_a_hook_only_narrows(seed: int) -> None:
    lived(seed, story)


def test_the_histories_reach_every_outcome() -> None:
    for seed in range(7, 17):
        lived(seed, story)
        sums: dict[str, Any] = {name: sum(one[name] for one in TOTAL) for name in TOTAL[0]}
        if all(sums.values()):
            return
    raise AssertionError(sums)
