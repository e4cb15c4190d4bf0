"""The index steps back for writes, and not for ever."""

import asyncio
import os
import threading
from pathlib import Path

import pytest
import tantivy

from node.recall import cadence, schema, threads
from node.recall.cadence import Cadence
from node.recall.overlay import Overlay
from node.recall.part import Part
from node.recall.threads import Manners


async def _rests(one: Cadence, seconds: float) -> bool:
    """Whether it still rests after so long."""
    task = asyncio.create_task(one.rest())
    done, _ = await asyncio.wait({task}, timeout=seconds)
    task.cancel()
    return not done


async def test_at_rest_the_next_round_begins_soon() -> None:
    one = Cadence(0.001, lambda: 1)
    one.saw(1)
    assert not await _rests(one, 10)


async def test_while_there_are_many_writes_it_waits_until_somebody_asks() -> None:
    one = Cadence(0.001, lambda: 1)
    loop = asyncio.get_running_loop()
    many, told = asyncio.Event(), 0

    def write() -> None:
        nonlocal timer, told
        one.saw(1_000)
        told += 1
        if told == 50:
            many.set()
        timer = loop.call_later(0.0001, write)

    timer = loop.call_soon(write)
    task = asyncio.create_task(one.rest())
    async with asyncio.timeout(10):
        await many.wait()
        assert not task.done()
        one.hurry()
        await task
    one.asked()
    assert not await _rests(one, 10)
    timer.cancel()


async def test_so_many_that_wait_are_a_round_of_their_own() -> None:
    one = Cadence(0.001, lambda: cadence.PIECE_OPS)
    loop = asyncio.get_running_loop()

    def write() -> None:
        nonlocal timer
        one.saw(1_000)
        timer = loop.call_later(0.0001, write)

    timer = loop.call_soon(write)
    assert not await _rests(one, 10)
    timer.cancel()


@pytest.mark.parametrize(("waiting", "urgent"), [(1, False), (cadence.LATE_OPS + 1, True)])
async def test_what_is_late_steps_back_for_nothing(waiting: int, urgent: bool) -> None:  # noqa: FBT001 - a row of the table
    one = Cadence(0.001, lambda: waiting)
    one.begin()
    assert one.manners.urgent is urgent
    one.hurry()
    one.begin()
    assert one.manners.urgent


def test_a_slice_rests_longer_while_there_are_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(threads.time, "sleep", slept.append)
    manners = Manners()
    manners.give_way(0.001)
    manners.written += 1
    manners.give_way(0.001)
    manners.written += 1
    manners.urgent = True
    manners.give_way(0.001)
    assert slept[1] > 0.001 > slept[0] == slept[2]


def _niceness() -> dict[str, int]:
    """Of every thread of this process, by its name."""
    return {
        (task / "comm").read_text().strip(): os.getpriority(os.PRIO_PROCESS, int(task.name))
        for task in Path("/proc/self/task").iterdir()
    }


def test_what_holds_no_interpreter_runs_at_a_low_priority_and_nothing_else(tmp_path: Path) -> None:
    part = Part(tmp_path, schema.build_schema(), 15_000_000)
    here = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    part.add("k", tantivy.Document(key="k"))
    part.commit()
    # A thread that has just begun has no name yet; the next commit finds it.
    part.add("l", tantivy.Document(key="l"))
    part.commit()
    found = _niceness()
    assert found["segment_updater"] == max(threads.NICE, here)
    assert {nice for name, nice in found.items() if name.startswith("python")} == {here}
    part.close()


def test_it_runs_all_the_same_where_priorities_cannot_be_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse)
    part = Part(tmp_path, schema.build_schema(), 15_000_000)
    part.add("k", tantivy.Document(key="k"))
    part.commit()
    assert part.show()
    part.close()


def test_keys_that_are_marked_together_are_known_apart() -> None:
    over = Overlay(entries_max=3)
    over.mark_all(["one", "two"])
    before = over.marks
    over.mark_all(["two", "three"])
    over.settle({"one": before, "two": before})
    assert over.keys() == {"two", "three"}
    over.mark_all(["four", "five"])
    assert over.keys() == {"three", "four", "five"}
