"""F44: two signed bundles under one first number.

Law: nobody holds both; who sees the second one says so and keeps to the first. Detection is all
there is today: where two nodes took different ones, their states differ at equal clocks, which is
told, and the pair stops. `attack` shows both to all, first the one and then the other, so that the
mesh stays whole; `split` shows each half another one, and leaves a mesh that is to be thrown away.
"""

import random

from chaos.hostile.member import Member
from chaos.hostile.minting import Bundle
from chaos.hostile.seen import caught_up, holds_memory, push, refused, taken, writes_go_on
from chaos.hostile.target import Expectation, Target, until

__all__ = ["attack", "split"]


def _two(target: Target) -> tuple[Bundle, Bundle, str]:
    member: Member = target.member
    line = member.new_line()
    name = f"two-{target.marker}-{line.actor[5:9].hex()}"
    pair = [
        line.seal(line.create(name, member.heads, title=f"{target.marker} {side}"), keep=False)
        for side in ("left", "right")
    ]
    return pair[0], pair[1], name


async def attack(target: Target, _rng: random.Random) -> list[Expectation]:
    """The one to all, then the other to all."""
    member: Member = target.member
    broken = target.links_broken()
    before = {v.name: v.count("equivocation_found", peer=target.name) for v in target.victims}
    async with member.linked(target.victims[0]) as link:
        await caught_up(member, link)  # it knows the governance that its operations name
    left, right, name = _two(target)
    kept, told = True, True
    for victim in target.victims:
        async with member.linked(victim) as link:
            await caught_up(member, link)
            await push(link, left)
            kept &= await taken(victim, left)
    for victim in target.victims:
        async with member.linked(victim) as link:
            await caught_up(member, link)
            kept &= await refused(link, victim, right)
            kept &= await link.alive()

            async def alarmed(name: str = victim.name) -> bool:
                seen = next(v for v in target.victims if v.name == name)
                return seen.count("equivocation_found", peer=target.name) > before[name]

            told &= await until(alarmed, 5.0)
        answer = (await victim.ask("GET", f"/memories/{name}")).json()
        kept &= answer["memory"]["title"].endswith("left")
    return [
        Expectation("of two bundles under one number the first stays", kept, {}),
        Expectation("an equivocation is told by every node that sees it", told, {}),
        await writes_go_on(target, target.victims, 3),
        target.links_unaffected(broken),
        await target.all_equal(),
        target.nothing_logged(),
    ]


async def split(target: Target, _rng: random.Random) -> list[Expectation]:
    """Each half gets another one; for a mesh of its own, which is not equal any more."""
    member: Member = target.member
    async with member.linked(target.victims[0]) as link:
        await caught_up(member, link)
    left, right, name = _two(target)
    halves = (target.victims[::2], left), (target.victims[1::2], right)
    for half, bundle in halves:
        for victim in half:
            async with member.linked(victim) as link:
                await caught_up(member, link)
                await push(link, bundle)

    async def told() -> bool:
        events = ("equivocation_found", "digest_mismatch")
        return any(v.count(event) for v in target.victims for event in events)

    alarmed = await until(told)
    showing = [await holds_memory(victim, name) for victim in target.victims]
    lives = all([await victim.lives() for victim in target.victims])
    return [
        Expectation("a mesh that was told two things says so", alarmed, {"showing": showing}),
        Expectation("the nodes live", lives, {}),
        target.nothing_logged(),
    ]
