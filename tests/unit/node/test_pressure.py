"""Back-pressure: bursts are taken, a steady excess is turned away with a time to come back."""

import asyncio
from pathlib import Path
from random import Random

import pytest

from crdt.op import Draft, Kind
from node.contracts import Caller
from node.errors import Overloaded
from node.replication.pressure import Pressure, Queue
from tests.property.memory_histories import LoneNode

BOUND_S = 1.0
BYTES = 1_000_000


def pressure() -> Pressure:
    return Pressure(BOUND_S, BYTES)


def paced(per_second: float, *, seconds: int = 5) -> Pressure:
    """One that has confirmed so many a second, in ten passes a second, until loop time 0."""
    one = pressure()
    for step in range(-10 * seconds, 1):
        one.settled(int(per_second / 10), since=(step - 1) / 10, now=step / 10)
    return one


def test_a_pace_is_what_was_confirmed_in_busy_time() -> None:
    one = paced(1_000)
    assert one.wait_seconds(Queue(500, 0, 0.0), 0.0) == pytest.approx(0.5, rel=0.05)
    assert one.wait_seconds(Queue(0, 0, 0.0), 0.0) == 0.0


def test_an_idle_hour_changes_nothing() -> None:
    one = paced(1_000)
    later = 3600.0
    assert one.wait_seconds(Queue(500, 0, later), later) == pytest.approx(0.5, rel=0.05)


def test_a_change_of_pace_is_known_after_a_few_seconds() -> None:
    one = paced(1_000)
    for step in range(1, 100):
        one.settled(10, since=0.0, now=step / 10)
    assert one.wait_seconds(Queue(100, 0, 9.9), 9.9) == pytest.approx(1.0, rel=0.1)


def test_a_burst_from_rest_is_taken_whatever_the_pace_was() -> None:
    assert paced(10).refuses(Queue(5_000, 0, 0.0), 0.0) is None
    assert pressure().refuses(Queue(5_000, 0, 0.0), 0.0) is None


def test_a_steady_excess_is_refused_with_a_time_to_come_back() -> None:
    one = paced(1_000)
    queue = Queue(3_500, 0, since=-0.9)
    shed = one.refuses(queue, 0.0)
    assert shed is not None
    assert (shed.reason, shed.retry_seconds) == ("wait", 3)
    assert one.refuses(Queue(900, 0, since=-0.9), 0.0) is None


def test_a_stalled_quorum_refuses_once_the_first_has_waited_for_long() -> None:
    one = paced(1_000)
    assert one.refuses(Queue(500, 0, since=0.0), 0.4) is None
    shed = one.refuses(Queue(500, 0, since=0.0), 5.0)
    assert shed is not None
    assert shed.reason == "wait"


def test_few_are_never_refused_for_the_time_they_wait() -> None:
    assert paced(1).refuses(Queue(100, 0, since=-50.0), 0.0) is None


def test_a_late_loop_counts_as_waiting() -> None:
    one = paced(1_000)
    queue = Queue(500, 0, since=-0.9)
    assert one.refuses(queue, 0.0) is None
    one.lag_seconds = 0.7
    assert one.refuses(queue, 0.0) is not None


def test_bytes_are_bounded_however_few_they_are_of() -> None:
    shed = paced(1_000).refuses(Queue(2, BYTES + 1, since=0.0), 0.0)
    assert shed is not None
    assert (shed.reason, shed.retry_seconds) == ("bytes", 1)


def test_nobody_is_told_to_come_back_in_more_than_half_a_minute() -> None:
    shed = paced(10).refuses(Queue(100_000, 0, since=-1.0), 0.0)
    assert shed is not None
    assert shed.retry_seconds == 30


async def test_the_funnel_turns_away_and_takes_again(tmp_path: Path) -> None:
    node = LoneNode(tmp_path, Random(1))
    caller = Caller(agent="writer")
    try:
        await node.engine.drain()
        node.engine.waiting.pressure.bytes_max = 100

        async def write(number: int) -> None:
            draft = Draft(
                collection="memory",
                kind=Kind.CREATE,
                id=f"m-{number}",
                namespace="team",
                set={"content": "x" * 50},
            )
            await node.funnel.write([draft], caller=caller, action="create")

        first = asyncio.create_task(write(1))
        second = asyncio.create_task(write(2))
        third = asyncio.create_task(write(3))
        done = await asyncio.gather(first, second, third, return_exceptions=True)
        assert done[0] is None
        assert [type(one) for one in done].count(Overloaded) >= 1
        refused = next(one for one in done if isinstance(one, Overloaded))
        assert refused.retry_after_seconds == 1
        assert node.metrics.counter("writes_shed_total", "bytes")._value.get() >= 1
        await write(4)
    finally:
        await node.end()
