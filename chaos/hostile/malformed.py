"""F41: a member that sends what is no message, no bundle, no frame.

Law: each variant ends the link with a reason or is passed over; nothing of it is applied, no other
link feels it, and the node goes on as if it had not been.
"""

import random
from typing import Any, Final

import trio

from chaos.hostile import mutations, websocket, wire
from chaos.hostile.link import Link
from chaos.hostile.member import Member
from chaos.hostile.mutations import Variant
from chaos.hostile.target import Expectation, Target, Victim
from chaos.hostile.websocket import ClosedError

__all__ = ["COUNT", "attack"]

COUNT: Final = 600
_END_S: Final = 10.0
_ALL_FRAMES_FROM: Final = 0.2
_FRAMES_DRAWN: Final = 6


async def attack(target: Target, rng: random.Random) -> list[Expectation]:
    """Send variants to every victim; `COUNT` of them in all, times the target's scale."""
    member: Member = target.member
    before, broken = await target.settled(), target.links_broken()
    count = max(int(COUNT * target.scale), 30)
    actor = member.new_line().actor
    made = list(mutations.variants(rng, actor, member.new_line, target.marker, count))
    seen: dict[str, list[str]] = {"closed": [], "passed over": [], "stuck": [], "no reason": []}
    async with trio.open_nursery() as nursery:
        for number, victim in enumerate(target.victims):
            share = made[number :: len(target.victims)]
            nursery.start_soon(_bend, target, victim, share, seen)
    for victim in target.victims:
        await _bent_frames(target, victim, rng, seen)
    counts = {name: len(found) for name, found in seen.items()}
    told = {"variants": len(made), **counts}
    return [
        Expectation(
            "a malformed message ends the link or is passed over",
            not seen["stuck"] and counts["closed"] > 0,
            {**told, "stuck": seen["stuck"][:5]},
        ),
        Expectation(
            "a link that ends says why", not seen["no reason"], {"silent": seen["no reason"][:5]}
        ),
        await _nothing_applied(target, before),
        target.links_unaffected(broken),
        await target.all_equal(),
        target.nothing_logged(),
    ]


async def _nothing_applied(target: Target, before: list[tuple[str, str]]) -> Expectation:
    what = "nothing of it is applied"
    if target.quiet:
        after = await target.states()
        return Expectation(what, after == before, {"digests": [digest for _, digest in after]})
    found = [
        victim.name
        for victim in target.victims
        if (await victim.ask("GET", f"/memories/bent-{target.marker}")).status == 200
    ]
    return Expectation(what, not found, {"held by": found})


async def _bend(
    target: Target, victim: Victim, share: list[Variant], seen: dict[str, list[str]]
) -> None:
    """Send variants one after the other, on a new link whenever the last one was ended."""
    member: Member = target.member
    left = list(reversed(share))
    while left:
        try:
            async with member.linked(victim) as link:
                await link.wait_heard(wire.Kind.LEVEL, 5.0)
                while left and link.ended is None:
                    variant = left.pop()
                    await _send(link, variant, seen)
        except (OSError, trio.BrokenResourceError, trio.TooSlowError) as error:
            seen["stuck"].append(f"{victim.name} lets nobody in: {error}")
            return


async def _send(link: Link, variant: Variant, seen: dict[str, list[str]]) -> None:
    try:
        await link.send(variant.data)
    except ClosedError:
        seen["stuck"].append(f"{variant.name}: the link had ended before")
        return
    if await link.alive():
        seen["passed over"].append(variant.name)
    elif link.ended is None:
        seen["stuck"].append(variant.name)
    else:
        seen["closed"].append(variant.name)
        if not link.ended.reason:
            seen["no reason"].append(variant.name)


async def _bent_frames(
    target: Target, victim: Victim, rng: random.Random, seen: dict[str, list[str]]
) -> None:
    """What is no frame, and no WebSocket message: all of it ends the link."""
    text = target.marker.encode()
    whole = wire.frame([text])
    raw: dict[str, bytes] = {
        "frame: empty": websocket.frame_bytes(b""),
        "frame: only a version": websocket.frame_bytes(b"\x01"),
        "frame: another version": websocket.frame_bytes(b"\x02" + whole[1:]),
        "frame: cut": websocket.frame_bytes(whole[: rng.randrange(2, len(whole))]),
        "frame: too long a length": websocket.frame_bytes(b"\x01\xff\xff\xff\xff" + text),
        "frame: too many messages": websocket.frame_bytes(wire.frame([b""] * 5000)),
        "socket: text": websocket.frame_bytes(text, websocket.TEXT),
        "socket: reserved bits": websocket.frame_bytes(whole, reserved=7),
        "socket: compressed": websocket.frame_bytes(whole, reserved=4),
        "socket: not masked": websocket.frame_bytes(whole, masked=False),
        "socket: unknown opcode": websocket.frame_bytes(whole, 5),
        "socket: long ping": websocket.frame_bytes(bytes(200), websocket.PING),
        "socket: ping in parts": websocket.frame_bytes(text, websocket.PING, fin=False),
        "socket: close with bad text": websocket.frame_bytes(b"\x03\xe8\xff\xfe", websocket.CLOSE),
        "socket: close of one byte": websocket.frame_bytes(b"\x03", websocket.CLOSE),
        "socket: a continuation of nothing": websocket.frame_bytes(whole, 0),
        "socket: 2^63 bytes": websocket.frame_bytes(text, declared=2**63),
        "socket: noise": rng.randbytes(200),
    }
    member: Member = target.member
    names = list(raw)
    if target.scale < _ALL_FRAMES_FROM:
        names = rng.sample(names, _FRAMES_DRAWN)
    for name, data in ((name, raw[name]) for name in names):
        async with member.linked(victim) as link:
            await _send_raw(link, name, data, seen)


async def _send_raw(link: Link, name: str, data: bytes, seen: dict[str, list[str]]) -> None:
    try:
        await link.socket.send_raw(data)
    except ClosedError:
        seen["stuck"].append(f"{name}: the link had ended before")
        return
    ended: Any = await link.wait_ended(_END_S)
    seen["closed" if ended else "stuck"].append(name)
