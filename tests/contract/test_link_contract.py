"""One suite for every kind of link: memory, and WebSocket over TLS in both directions."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.transport.rig import DEADLINE_S, linked, make_party, until
from transport.frames import FrameError
from transport.link import Link, LinkClosed, LinkLimits
from transport.memory import memory_pair

LIMITS = LinkLimits(frame_bytes_max=4096, message_bytes_max=2048, messages_max=16, close_s=2.0)
ROOMY = LinkLimits()


class Pair:
    """Makes connected links of one kind."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._kind = kind
        self._folder = folder

    @contextlib.asynccontextmanager
    async def open(self, limits: LinkLimits = LIMITS) -> AsyncIterator[tuple[Link, Link]]:
        if self._kind == "memory":
            yield memory_pair(limits)
            return
        server, client = make_party(self._folder, "server"), make_party(self._folder, "client")
        async with linked(server, client, limits) as (dialled, accepted):
            yield (dialled, accepted) if self._kind == "dialled" else (accepted, dialled)


@pytest.fixture(params=["memory", "dialled", "accepted"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    return Pair(request.param, tmp_path)


async def received(link: Link) -> list[bytes]:
    async with asyncio.timeout(DEADLINE_S):
        return await link.receive()


async def ending(link: Link) -> LinkClosed:
    """Receive until the link is over and return why."""
    try:
        while True:
            await received(link)
    except LinkClosed as end:
        return end


async def test_a_frame_arrives_whole_and_in_order(pair: Pair) -> None:
    async with pair.open() as (one, two):
        await one.send([b"a", b"", b"\x00" * 2048])
        await one.send([b"b"])
        assert await received(two) == [b"a", b"", b"\x00" * 2048]
        assert await received(two) == [b"b"]


async def test_both_directions_at_once(pair: Pair) -> None:
    async with pair.open() as (one, two):
        await asyncio.gather(one.send([b"to two"]), two.send([b"to one"]))
        assert await received(one) == [b"to one"]
        assert await received(two) == [b"to two"]


async def test_many_frames_under_way(pair: Pair) -> None:
    async with pair.open() as (one, two), asyncio.timeout(DEADLINE_S):

        async def write() -> None:
            for number in range(2000):
                await one.send([number.to_bytes(4), b"x" * 200])

        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            numbers = [int.from_bytes((await two.receive())[0]) for _ in range(2000)]
    assert numbers == list(range(2000))


async def test_a_slow_reader_holds_the_sender_back(pair: Pair) -> None:
    async with pair.open(ROOMY) as (one, two):
        sent = 0

        async def write() -> None:
            nonlocal sent
            while True:
                await one.send([b"x" * 1_000_000])
                sent += 1

        writer = asyncio.create_task(write())
        before = -1
        async with asyncio.timeout(DEADLINE_S):
            while sent != before:  # until there is no more progress
                before = sent
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(writer), 0.3)
        assert 0 < sent < 60
        for _ in range(sent):
            assert await received(two) == [b"x" * 1_000_000]
        writer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writer


async def test_the_fingerprints_are_each_others(pair: Pair) -> None:
    async with pair.open() as (one, two):
        assert one.peer_fingerprint == two.own_certificate_fingerprint
        assert two.peer_certificate_fingerprint == one.own_certificate_fingerprint
        assert one.peer_fingerprint == one.peer_certificate_fingerprint
        assert one.peer_fingerprint != two.peer_fingerprint


async def test_close_delivers_what_was_sent_and_then_says_why(pair: Pair) -> None:
    async with pair.open() as (one, two):
        await one.send([b"last words"])
        closing = asyncio.create_task(one.close("goodbye"))
        assert await received(two) == [b"last words"]
        end = await ending(two)
        assert (end.reason, end.detail) == ("closed_by_peer", "goodbye")
        await closing
        assert (await ending(one)).reason == "closed_by_us"


async def test_abort_ends_both_sides_at_once(pair: Pair) -> None:
    async with pair.open() as (one, two):
        waiting = asyncio.create_task(one.receive())
        await asyncio.sleep(0)
        one.abort("enough")
        with pytest.raises(LinkClosed) as caught:
            async with asyncio.timeout(DEADLINE_S):
                await waiting
        assert (caught.value.reason, caught.value.detail) == ("closed_by_us", "enough")
        assert (await ending(two)).reason == "lost"


async def test_the_first_reason_stays(pair: Pair) -> None:
    async with pair.open() as (one, two):
        one.abort("first")
        one.abort("second")
        await one.close("third")
        assert (await ending(one)).detail == "first"
        assert (await ending(one)).detail == "first"
        await ending(two)


async def test_sending_on_an_ended_link_raises(pair: Pair) -> None:
    async with pair.open() as (one, two):
        one.abort("over")
        with pytest.raises(LinkClosed):
            await one.send([b"x"])
        await ending(two)
        with pytest.raises(LinkClosed):
            await two.send([b"x"])


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "empty"),
        ([b"x" * 2049], "message_too_big"),
        ([b"x" * 2000] * 3, "too_big"),
        ([b"x"] * 17, "too_many_messages"),
    ],
)
async def test_own_limits_are_the_callers_fault_and_the_link_lives_on(
    pair: Pair, messages: list[bytes], reason: str
) -> None:
    async with pair.open() as (one, two):
        with pytest.raises(FrameError) as caught:
            await one.send(messages)
        assert caught.value.reason == reason
        await one.send([b"still here"])
        assert await received(two) == [b"still here"]


async def test_the_largest_frame_fits(pair: Pair) -> None:
    async with pair.open() as (one, two):
        messages = [b"a" * 2048, b"b" * (4096 - 1 - 4 - 2048 - 4)]
        await one.send(messages)
        assert await received(two) == messages


async def inject(link: Any, frame: bytes) -> None:
    """Send raw bytes as a frame, past the codec."""
    if hasattr(link, "inject"):
        link.inject(frame)
    else:
        await link._send_bytes(frame)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "frame_empty"),
        (b"\x01", "frame_empty"),
        (b"\x02\x00\x00\x00\x01x", "frame_version"),
        (b"\x01\x00\x00", "frame_truncated"),
        (b"\x01\x00\x00\x00\x05four", "frame_truncated"),
        (b"\x01\xff\xff\xff\xffx", "frame_message_too_big"),
        (b"\x01" + b"\x00\x00\x00\x00" * 17, "frame_too_many_messages"),
        (b"\x01" + b"x" * 4096, "frame_too_big"),
    ],
)
async def test_a_broken_frame_ends_the_link_with_its_reason(
    pair: Pair, frame: bytes, reason: str
) -> None:
    async with pair.open() as (one, two):
        await inject(one, frame)
        end = asyncio.create_task(ending(two))
        assert (await ending(one)).reason in {"closed_by_peer", "lost"}
        assert (await end).reason == reason


async def test_a_cancelled_receive_loses_nothing(pair: Pair) -> None:
    async with pair.open() as (one, two):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(two.receive(), 0.01)
        await one.send([b"kept"])
        assert await received(two) == [b"kept"]


async def test_a_frame_sent_at_once_arrives_in_its_place(pair: Pair) -> None:
    async with pair.open() as (one, two):
        await one.send([b"first"])
        assert one.writable
        one.send_now([b"second", b""])
        await one.send([b"third"])
        assert await received(two) == [b"first"]
        assert await received(two) == [b"second", b""]
        assert await received(two) == [b"third"]


async def test_a_slow_reader_makes_a_link_unwritable_until_it_reads(pair: Pair) -> None:
    async with pair.open(ROOMY) as (one, two):
        sent = 0
        while one.writable:
            one.send_now([b"x" * 1_000_000])
            sent += 1
            await asyncio.sleep(0)
            assert sent < 60
        for _ in range(sent):
            assert await received(two) == [b"x" * 1_000_000]
        await until(lambda: one.writable)


async def test_sending_at_once_has_the_same_limits_and_the_same_end(pair: Pair) -> None:
    async with pair.open() as (one, two):
        with pytest.raises(FrameError):
            one.send_now([b"x"] * 17)
        one.send_now([b"still here"])
        assert await received(two) == [b"still here"]
        one.abort("over")
        with pytest.raises(LinkClosed):
            one.send_now([b"x"])
        await ending(two)
        with pytest.raises(LinkClosed):
            two.send_now([b"x"])
