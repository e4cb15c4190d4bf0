"""F42: too large, too many, too slow, and never to end.

Law: everything that can grow is refused at its bound, and a node that is asked for more than is
read does not keep the answers: its memory grows by a bounded amount whatever is sent.
"""

import random
from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio

from chaos.hostile import http, websocket, wire
from chaos.hostile.link import Link, open_link
from chaos.hostile.member import Member
from chaos.hostile.seen import caught_up, refused
from chaos.hostile.target import Expectation, Target, Victim
from chaos.hostile.websocket import ClosedError, frame_bytes
from chaos.hostile.wire import Kind, message

__all__ = ["GROWTH_BYTES_MAX", "attack", "flood", "unread"]

GROWTH_BYTES_MAX: Final = 160 * 2**20
_MIB: Final = 2**20
_FRAME: Final = 4 * _MIB
_FLOOD: Final = 64 * _MIB
_SAMPLE_S: Final = 0.05
_CLOCK_ENTRIES: Final = 70_000
_Do = Callable[[], Awaitable[None]]


async def attack(target: Target, rng: random.Random) -> list[Expectation]:
    """Every limit, on every node; memory is looked at all the while."""
    broken = target.links_broken()
    found = [*await limits(target), *await flood(target, rng), *await unread(target, rng)]
    return [
        *found,
        target.links_unaffected(broken),
        await target.all_equal(),
        target.nothing_logged(),
    ]


async def _growth(victim: Victim, do: _Do) -> int:
    """By how many bytes the memory of a node grows at most while something is done to it."""
    start = top = victim.rss_bytes()

    async def watch() -> None:
        nonlocal top
        while True:
            top = max(top, victim.rss_bytes())
            await trio.sleep(_SAMPLE_S)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await do()
        nursery.cancel_scope.cancel()
    return max(top, victim.rss_bytes()) - start


# --- over a limit ---------------------------------------------------------------------------


async def limits(target: Target) -> list[Expectation]:
    """One frame, message, bundle or request over each limit: refused, and the node goes on."""
    through: list[str] = []
    for victim in target.victims:
        await _frames(target, victim, through)
        await _bundles(target, victim, through)
        await _requests(target, victim, through)
    return [Expectation("what is over a limit is refused", not through, {"through": through})]


async def _frames(target: Target, victim: Victim, through: list[str]) -> None:
    member: Member = target.member
    text = target.marker.encode()
    beat = message(Kind.BEAT, 1, 1, True, b"", b"")
    frames = {
        "a frame over its limit": wire.frame([bytes(_FRAME)]),
        "a message over its limit": wire.frame([bytes(_FRAME - 8)]),
        "too many messages": wire.frame([beat] * 4097),
        "an aside over its limit": wire.frame([message(Kind.ASIDE, "t", text * 8000)]),
        "a topic over its limit": wire.frame([message(Kind.ASIDE, target.marker * 9, b"")]),
        "too many groups": wire.frame([message(Kind.ASK, list(range(10_001)))]),
    }
    for name, frame in frames.items():
        async with member.linked(victim) as link:
            try:
                await link.send_frame(frame)
            except ClosedError:
                continue
            if not await link.wait_ended():
                through.append(f"{victim.name}: {name}")


async def _bundles(target: Target, victim: Victim, through: list[str]) -> None:
    member: Member = target.member
    async with member.linked(victim) as link:
        await caught_up(member, link)
        many = member.new_line()
        ops = [many.create(f"many-{n}", member.heads) for n in range(1025)]
        if not await refused(link, victim, many.seal(*ops, keep=False)):
            through.append(f"{victim.name}: a bundle of 1025 operations")
        large = member.new_line()
        # It fits a message, and would fit none with what stands around it when it is passed on.
        content = target.marker * (_FRAME // len(target.marker))
        op = large.create("large", member.heads, content=content)
        spare = len(large.seal(op, keep=False).data) - (_FRAME - 500)
        op = large.create("large", member.heads, content=content[:-spare])
        if not await refused(link, victim, large.seal(op, keep=False)):
            through.append(f"{victim.name}: a bundle that could not be passed on")


async def _requests(target: Target, victim: Victim, through: list[str]) -> None:
    """At the interface of agents: bodies, headers, addresses."""
    host, mark = victim.agent[0], target.marker
    sent = dict(victim.headers)
    body = {"title": "t", "content": mark * (200 * 1024)}
    path = "/api/v1/memories"
    requests = {
        "a body over its limit": http.request_bytes(host, "POST", path, body, sent),
        "a body announced over its limit": http.request_bytes(
            host, "POST", path, headers={**sent, "Content-Length": str(10**12)}
        ),
        "an endless body": http.request_bytes(
            host, "POST", path, headers={**sent, "Transfer-Encoding": "chunked"}
        )
        + (b"fffff\r\n" + bytes(0xFFFFF) + b"\r\n") * 4,
        "a header of 1 MiB": http.request_bytes(
            host, "GET", path, headers={**sent, "X-Long": mark * (64 * 1024)}
        ),
        "20,000 headers": http.request_bytes(
            host, "GET", path, headers={**sent, **{f"X-{n}": mark for n in range(20_000)}}
        ),
        "an address of 1 MiB": http.request_bytes(host, "GET", path + "?q=" + mark * (64 * 1024)),
    }
    for name, data in requests.items():
        status = await _told(victim, data)
        if not (status == 0 or 400 <= status < 500):
            through.append(f"{victim.name}: {name}: {status}")


async def _told(victim: Victim, data: bytes) -> int:
    """The status for raw bytes; 0 when the connection ended without one."""
    stream = await victim.agent_stream()
    status = 0
    with trio.move_on_after(20):
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_send_all, stream, data)
                answer, _ = await http.read_answer(stream)
                status = answer.status
                nursery.cancel_scope.cancel()
        except (OSError, http.BadAnswerError, trio.BrokenResourceError, ExceptionGroup):
            pass
    await trio.aclose_forcefully(stream)
    return status


async def _send_all(stream: trio.abc.SendStream, data: bytes) -> None:
    try:
        await stream.send_all(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return  # refused in the middle, which is what is hoped for


# --- without end ----------------------------------------------------------------------------


async def flood(target: Target, rng: random.Random, ways: int = 3) -> list[Expectation]:
    """Parts of a message without end, a frame that never ends, claims without end.

    Args:
        target: as of every attack.
        rng: draws.
        ways: so many of the three, drawn.
    """
    growth: dict[str, int] = {}
    open_still: list[str] = []
    all_ways: dict[str, Callable[[Link], Awaitable[None]]] = {
        "a message in parts without end": _parts,
        "a frame of 2^40 bytes": _one_frame,
        "claims about actors without end": lambda link: _claims(link, rng),
    }
    member: Member = target.member
    for victim in target.victims:
        for name in rng.sample(list(all_ways), ways):

            async def do(
                victim: Victim = victim,
                way: Callable[[Link], Awaitable[None]] = all_ways[name],
                name: str = name,
            ) -> None:
                async with member.linked(victim, honest=False) as link:
                    try:
                        await way(link)
                    except ClosedError:
                        return
                    if not await link.wait_ended(5.0):
                        open_still.append(f"{victim.name}: {name}")

            growth[f"{victim.name}: {name}"] = await _growth(victim, do) // _MIB
    small = all(size * _MIB < GROWTH_BYTES_MAX for size in growth.values())
    return [
        Expectation("memory is bounded, whatever is sent", small, {"grew_mib": growth}),
        Expectation("what has no end is ended", not open_still, {"open": open_still}),
    ]


async def _parts(link: Link) -> None:
    part = bytes(256 * 1024)
    await link.socket.send_raw(frame_bytes(part, websocket.BINARY, fin=False))
    for _ in range(_FLOOD // len(part)):
        await link.socket.send_raw(frame_bytes(part, 0, fin=False))


async def _one_frame(link: Link) -> None:
    part = bytes(256 * 1024)
    await link.socket.send_raw(frame_bytes(part, declared=2**40))
    for _ in range(_FLOOD // len(part)):
        await link.socket.send_raw(part)


async def _claims(link: Link, rng: random.Random) -> None:
    """Acknowledgements of actors that nobody has: what is kept of a peer's row has a bound."""
    tail = rng.randbytes(32)
    for turn in range(24):
        clock = {
            b"d" + (turn * _CLOCK_ENTRIES + n).to_bytes(12) + tail: 1 for n in range(_CLOCK_ENTRIES)
        }
        await link.send(message(Kind.ACK, clock, b""))
        await link.alive(10.0)
        if link.ended is not None:
            return


# --- asked for and not read -----------------------------------------------------------------


async def unread(target: Target, rng: random.Random) -> list[Expectation]:
    """Ask for page after page and read none."""
    del rng
    growth: dict[str, int] = {}
    member: Member = target.member
    for victim in target.victims[:1]:
        await _fill(target, victim)

        async def do(victim: Victim = victim) -> None:
            await _ask_and_not_read(target, member, victim)

        growth[victim.name] = await _growth(victim, do) // _MIB
    small = all(size * _MIB < GROWTH_BYTES_MAX for size in growth.values())
    lives = all([await victim.lives() for victim in target.victims])
    what = "who asks for more than it reads does not fill the memory"
    return [Expectation(what, small and lives, {"grew_mib": growth, "lives": lives})]


async def _fill(target: Target, victim: Victim) -> None:
    """Have something to ask for: a page of catch-up is half a megabyte."""
    for number in range(3):
        body: Any = {"title": f"filling {number}", "content": "f" * (250 * 1024)}
        await victim.ask("POST", "/memories", {**body, "namespace": target.namespace})


async def _ask_and_not_read(target: Target, member: Member, victim: Victim) -> None:
    wants = [message(Kind.WANT, number, {}) for number in range(2_000)]
    async with member.linked(victim, honest=False) as link:
        await link.wait_heard(Kind.HELLO)
    # The link above showed that it is let in; this one is not read at all.
    deaf = await _deaf_link(target, member, victim)
    try:
        with trio.move_on_after(8.0):
            for start in range(0, len(wants), 100):
                await deaf.send(*wants[start : start + 100])
            await trio.sleep(2.0)
    except ClosedError:
        pass
    finally:
        await deaf.close()


async def _deaf_link(target: Target, member: Member, victim: Victim) -> Link:

    link = await open_link(target, victim)
    await link.greet(member.greeting().signed(member.signing, link.own, link.peer))
    await link.send(member.hello())
    return link
