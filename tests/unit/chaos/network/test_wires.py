"""Proxies between three places on loopback: each pair is a wire of its own until told otherwise."""

import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trio
import trio.testing

from chaos.network.places import Place, on_loopback
from chaos.network.wires import Wires, client_hello

LONG_S = 10.0


@dataclass
class Ends:
    """A listener at every place, which keeps who came."""

    places: list[Place]
    wires: Wires
    came: dict[int, "trio.MemoryReceiveChannel[trio.SocketStream]"] = field(default_factory=dict)
    every: list[trio.SocketStream] = field(default_factory=list)

    async def dial(self, source: int, target: int) -> trio.SocketStream:
        port = self.wires._ports[source, target]
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        self.every.append(stream)
        return stream

    async def joined(self, source: int, target: int) -> tuple[trio.SocketStream, trio.SocketStream]:
        near = await self.dial(source, target)
        with trio.fail_after(LONG_S):
            far = await self.came[target].receive()
        return near, far


@asynccontextmanager
async def wired(count: int = 3) -> AsyncIterator[Ends]:
    places = on_loopback([f"n{number}" for number in range(count)])
    ends = Ends(places, Wires(places, random.Random(1)))
    async with trio.open_nursery() as nursery:
        await nursery.start(ends.wires.run)
        for at, place in enumerate(places):
            put, ends.came[at] = trio.open_memory_channel[trio.SocketStream](50)
            (listener,) = await trio.open_tcp_listeners(place.port, host="127.0.0.1")

            async def keep(
                stream: trio.SocketStream, to: trio.MemorySendChannel[trio.SocketStream] = put
            ) -> None:
                ends.every.append(stream)
                await to.send(stream)
                await trio.sleep_forever()

            nursery.start_soon(trio.serve_listeners, keep, [listener])
        try:
            yield ends
        finally:
            nursery.cancel_scope.cancel()
            for stream in ends.every:
                stream.socket.close()


def play(story: Callable[[Ends], Awaitable[None]]) -> None:
    async def run() -> None:
        with trio.fail_after(30):
            async with wired() as ends:
                await story(ends)

    trio.run(run)


async def heard(stream: trio.SocketStream, count: int) -> bytes:
    data = b""
    with trio.fail_after(LONG_S):
        while len(data) < count and (part := await stream.receive_some(count - len(data))):
            data += part
    return data


async def ended(stream: trio.SocketStream) -> bool:
    """Whether it is reset, or ends, soon."""
    try:
        with trio.fail_after(LONG_S):
            return not await stream.receive_some(1)
    except trio.BrokenResourceError:
        return True


async def silent(stream: trio.SocketStream, seconds: float = 0.15) -> bool:
    with trio.move_on_after(seconds):
        return not await stream.receive_some(1)
    return True


def test_each_pair_has_a_wire_of_its_own_and_nodes_are_told_of_it() -> None:
    async def story(ends: Ends) -> None:
        near, far = await ends.joined(0, 1)
        await near.send_all(b"there")
        assert await heard(far, 5) == b"there"
        await far.send_all(b"back")
        assert await heard(near, 4) == b"back"
        flows = ends.wires.flows
        await trio.testing.wait_all_tasks_blocked()  # bytes are counted after they were sent
        assert flows[0, 1].passed == 5
        assert flows[1, 0].passed == 4
        assert not any(flows[pair].passed for pair in flows if 2 in pair)
        assert ends.wires.accepted == {pair: int(pair == (0, 1)) for pair in flows}
        told = [one.partition("=")[0] for one in ends.wires.reach(0)]
        assert told == ends.wires.peers(0) == [ends.places[1].url, ends.places[2].url]

    play(story)


def test_a_cut_holds_one_direction_of_one_pair_whoever_dialled() -> None:
    async def story(ends: Ends) -> None:
        near, far = await ends.joined(0, 1)
        other, beside = await ends.joined(2, 1)
        ends.wires.cut(1, 0)
        await far.send_all(b"held")
        assert await silent(near)
        await near.send_all(b"through")
        assert await heard(far, 7) == b"through"
        await other.send_all(b"x")
        assert await heard(beside, 1) == b"x"
        await far.send_all(b" and more")
        ends.wires.heal()
        assert await heard(near, 13) == b"held and more"

    play(story)


def test_a_split_is_both_ways_and_between_the_sides_only() -> None:
    async def story(ends: Ends) -> None:
        ends.wires.split([0], [1, 2])
        held = {pair for pair, flow in ends.wires.flows.items() if flow.held}
        assert held == {(0, 1), (1, 0), (0, 2), (2, 0)}
        near, far = await ends.joined(0, 1)
        await near.send_all(b"x")
        assert await silent(far)
        ends.wires.heal()
        assert await heard(far, 1) == b"x"

    play(story)


@pytest.mark.parametrize("at", [0, 1, 700])
def test_a_link_is_reset_after_byte_k_of_what_is_said(at: int) -> None:
    async def story(ends: Ends) -> None:
        near, far = await ends.joined(0, 1)
        ends.wires.flows[0, 1].truncate_after = at
        data = random.Random(at).randbytes(2000)
        await near.send_all(data)
        assert await heard_all(far) == data[:at]
        assert await ended(near)
        near, far = await ends.joined(0, 1)
        await near.send_all(b"again")
        assert await heard(far, 5) == b"again"

    play(story)


async def heard_all(stream: trio.SocketStream) -> bytes:
    data = b""
    try:
        with trio.fail_after(LONG_S):
            while part := await stream.receive_some(4096):
                data += part
    except trio.BrokenResourceError:
        pass
    return data


def test_a_reset_ends_both_sides_of_that_pair_only() -> None:
    async def story(ends: Ends) -> None:
        one = await ends.joined(0, 1)
        back = await ends.joined(1, 0)
        other = await ends.joined(0, 2)
        assert ends.wires.reset(0, 1) == 2
        for stream in (*one, *back):
            with pytest.raises(trio.BrokenResourceError), trio.fail_after(LONG_S):
                await stream.receive_some(1)
        await other[0].send_all(b"x")
        assert await heard(other[1], 1) == b"x"
        assert ends.wires.reset(0, 1) == 0

    play(story)


def test_of_a_half_open_link_only_the_far_side_is_told() -> None:
    async def story(ends: Ends) -> None:
        near, far = await ends.joined(0, 1)
        assert ends.wires.half_open(1, 0) == 1
        assert await ended(far)
        await near.send_all(b"is anybody there?")
        assert await silent(near)
        ends.wires.heal()
        assert await ended(near)

    play(story)


def test_a_refusal_resets_new_connections_and_spares_open_ones() -> None:
    async def story(ends: Ends) -> None:
        near, far = await ends.joined(0, 1)
        ends.wires.refuse(0, 1)
        # The reset may be there before the dialler is told that it is connected.
        with contextlib.suppress(OSError):
            assert await ended(await ends.dial(0, 1))
        assert ends.wires.accepted[0, 1] == 2
        await near.send_all(b"x")
        assert await heard(far, 1) == b"x"
        ends.wires.heal()
        await ends.joined(0, 1)

    play(story)


def test_who_listens_nowhere_is_a_reset_to_who_dials() -> None:
    async def run() -> None:
        places = on_loopback(["n0", "n1"])
        wires = Wires(places, random.Random(1))
        async with trio.open_nursery() as nursery:
            await nursery.start(wires.run)
            stream = await trio.open_tcp_stream("127.0.0.1", wires._ports[0, 1])
            assert await ended(stream)
            assert not await wires.probe(0, 1)
            await stream.aclose()
            nursery.cancel_scope.cancel()

    trio.run(run)


def test_the_last_bytes_of_a_link_that_ends_well_arrive() -> None:
    """Both sides have said their last word; the listener has yet to read most of it."""

    async def story(ends: Ends) -> None:
        near = await ends.dial(0, 1)
        far = await ends.came[1].receive()
        await far.send_eof()
        data = random.Random(5).randbytes(1_000_000)

        async def speak() -> None:
            await near.send_all(data)
            await near.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(speak)
            await trio.testing.wait_all_tasks_blocked(0.2)
            assert len(await heard(far, len(data))) == len(data)

    play(story)


def test_a_probe_is_answered_unless_a_direction_is_cut() -> None:
    async def story(ends: Ends) -> None:
        async def answer() -> None:
            async for far in ends.came[1]:
                hello = await far.receive_some(4096)
                assert hello[:3] == b"\x16\x03\x01"  # a TLS handshake record
                await far.send_all(b"\x15")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            assert await ends.wires.probe(0, 1)
            for pair in ((0, 1), (1, 0)):
                ends.wires.cut(*pair)
                assert not await ends.wires.probe(0, 1)
                ends.wires.heal()
            assert await ends.wires.probe(0, 1)
            nursery.cancel_scope.cancel()

    play(story)


def test_a_client_hello_is_one() -> None:
    assert client_hello()[:3] == b"\x16\x03\x01"


def test_places_on_loopback_have_ports_of_their_own() -> None:
    places = on_loopback(["a", "b", "c"])
    ports = [port for place in places for port in (place.port, place.agent_port)]
    assert len(set(ports)) == 6
    assert places[1].url == f"https://127.0.0.1:{places[1].port}"
    assert places[1].command("x", "y") == ["x", "y"]
