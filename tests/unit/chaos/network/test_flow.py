"""Bytes of one direction: late, held, bounded, doubled or ended, and never out of order.

Time is virtual: a wait ends at once, and how long it took is known exactly.
"""

import random
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from chaos.network.flow import CHUNK_BYTES, EndOfFlowError, Flow

Stream = trio.StapledStream[trio.abc.SendStream, trio.abc.ReceiveStream]
Story = Callable[[Flow, Stream, Stream], Awaitable[None]]


def play(story: Story, **faults: object) -> Flow:
    """Tell a story between a speaker and a listener who are joined by one flow."""
    flow = Flow(rng=random.Random(1), **faults)  # type: ignore[arg-type]

    async def run() -> None:
        speaker, source = memory_stream_pair()
        sink, listener = memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flow.carry, source, sink)
            with trio.fail_after(1000):
                await story(flow, speaker, listener)
            nursery.cancel_scope.cancel()

    trio.run(run, clock=MockClock(autojump_threshold=0))
    return flow


async def passing(seconds: float) -> None:
    """Let virtual time pass."""
    await trio.sleep_until(trio.current_time() + seconds)


async def heard(listener: Stream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = await listener.receive_some(count - len(data))
        assert part, f"the end after {len(data)} of {count} bytes"
        data += part
    return data


async def silent(listener: Stream, seconds: float = 30) -> bool:
    with trio.move_on_after(seconds):
        await listener.receive_some(1)
        return False
    return True


def test_a_flow_without_faults_is_a_wire_and_tells_the_end() -> None:
    async def story(_: Flow, speaker: Stream, listener: Stream) -> None:
        data = random.Random(3).randbytes(5 * CHUNK_BYTES + 7)
        await speaker.send_all(data)
        await speaker.send_eof()
        assert await heard(listener, len(data)) == data
        assert await listener.receive_some(1) == b""
        assert trio.current_time() - began < 0.001

    began = 0.0

    async def timed(flow: Flow, speaker: Stream, listener: Stream) -> None:
        nonlocal began
        began = trio.current_time()
        await story(flow, speaker, listener)

    assert play(timed).passed == 5 * CHUNK_BYTES + 7


def test_a_delay_is_as_long_as_it_says_and_jitter_keeps_the_order() -> None:
    async def story(flow: Flow, speaker: Stream, listener: Stream) -> None:
        began = trio.current_time()
        await speaker.send_all(b"a")
        await heard(listener, 1)
        assert trio.current_time() - began == pytest.approx(0.25)
        flow.jitter_s = 1.0
        for number in range(50):
            await speaker.send_all(bytes([number]))
            await passing(0.01)
        assert await heard(listener, 50) == bytes(range(50))
        assert trio.current_time() - began < 2.5

    play(story, delay_s=0.25)


def test_what_is_cut_is_held_and_comes_in_order_once_released() -> None:
    async def story(flow: Flow, speaker: Stream, listener: Stream) -> None:
        flow.cut()
        flow.cut()
        await speaker.send_all(b"abc")
        assert await silent(listener)
        assert flow.held
        assert flow.passed == 0
        await speaker.send_all(b"def")
        flow.release()
        assert await heard(listener, 6) == b"abcdef"
        assert not flow.held

    play(story)


@pytest.mark.parametrize("at", [0, 1, 5, 64, 700, 5000])
def test_a_flow_ends_after_exactly_so_many_bytes(at: int) -> None:
    async def run() -> None:
        flow = Flow(rng=random.Random(1), truncate_after=at)
        speaker, source = memory_stream_pair()
        sink, listener = memory_stream_pair()
        got = b""
        data = random.Random(at).randbytes(6000)

        async def carried() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(flow.carry, source, sink)
                for start in range(0, len(data), 250):
                    await speaker.send_all(data[start : start + 250])
                    await passing(0.01)

        with pytest.raises(BaseExceptionGroup) as ended:
            await carried()
        assert ended.value.split(EndOfFlowError)[1] is None
        await sink.aclose()
        while part := await listener.receive_some(100):
            got += part
        assert got == data[:at]
        assert flow.passed == at
        assert flow.truncate_after is None

    trio.run(run, clock=MockClock(autojump_threshold=0))


def test_a_bound_on_bandwidth_is_kept_and_gone_with_the_heal() -> None:
    async def story(flow: Flow, speaker: Stream, listener: Stream) -> None:
        began = trio.current_time()
        await speaker.send_all(bytes(32_000))
        await heard(listener, 32_000)
        took = trio.current_time() - began
        assert 3.7 < took < 4.3, took
        await speaker.send_all(bytes(32_000))
        await heard(listener, 800)
        flow.heal()
        healed = trio.current_time()
        await heard(listener, 31_200)
        assert trio.current_time() - healed < 0.2

    play(story, bytes_per_s=8000)


def test_a_byte_a_second_is_a_byte_a_second_and_a_cut_stops_even_that() -> None:
    async def story(flow: Flow, speaker: Stream, listener: Stream) -> None:
        await speaker.send_all(bytes(100))
        began = trio.current_time()
        await heard(listener, 11)
        assert 9.5 < trio.current_time() - began < 11.5
        flow.cut()
        await passing(5)
        passed = flow.passed
        await passing(100)
        assert flow.passed <= passed

    play(story, bytes_per_s=1)


def test_a_chunk_is_sent_twice_once() -> None:
    async def story(flow: Flow, speaker: Stream, listener: Stream) -> None:
        await speaker.send_all(b"abc")
        assert await heard(listener, 6) == b"abcabc"
        assert not flow.repeat_next
        await speaker.send_all(b"def")
        assert await heard(listener, 3) == b"def"
        assert await silent(listener)

    play(story, repeat_next=True)


def test_a_heal_takes_off_everything() -> None:
    flow = Flow(
        rng=random.Random(1),
        delay_s=1,
        jitter_s=1,
        bytes_per_s=1,
        truncate_after=1,
        repeat_next=True,
    )
    flow.cut()
    flow.heal()
    assert (flow.delay_s, flow.jitter_s, flow.bytes_per_s) == (0, 0, 0)
    assert flow.truncate_after is None
    assert not flow.repeat_next
    assert not flow.held


def test_a_slow_listener_pushes_back() -> None:
    """What waits in a flow is bounded: reading stops, as TCP would make it."""

    async def story(flow: Flow, speaker: Stream, _: Stream) -> None:
        flow.cut()
        for _number in range(400):
            await speaker.send_all(bytes(CHUNK_BYTES))
            await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()
        assert flow.passed == 0

    play(story)
