"""F45: a member of another version of the protocol, older, newer, and half of each.

Law: what cannot be understood is refused with a word that says so, and costs no more than the link;
what need not be understood (a topic, an operation kind that it only knows of) is passed over.
"""

import random
from typing import Any

from chaos.hostile import wire
from chaos.hostile.link import Link
from chaos.hostile.member import Member
from chaos.hostile.seen import caught_up, refused
from chaos.hostile.target import Expectation, Target, Victim
from chaos.hostile.websocket import ClosedError
from chaos.hostile.wire import Greeting, Kind, message

__all__ = ["attack"]


async def attack(target: Target, _rng: random.Random) -> list[Expectation]:
    """Greetings, frames, messages and operations of other versions, to every node."""
    broken = target.links_broken()
    unclear: list[str] = []
    intolerant: list[str] = []
    for victim in target.victims:
        await _greetings(target, victim, unclear, intolerant)
        await _messages(target, victim, unclear, intolerant)
        await _operations(target, victim, intolerant)
    return [
        Expectation("another version is refused with a word for it", not unclear, {"so": unclear}),
        Expectation("what need not be known is tolerated", not intolerant, {"not": intolerant}),
        target.links_unaffected(broken),
        await target.all_equal(),
        target.nothing_logged(),
    ]


async def _greetings(
    target: Target, victim: Victim, unclear: list[str], intolerant: list[str]
) -> None:
    member: Member = target.member
    honest = member.greeting()
    refusals: dict[str, tuple[Greeting, str]] = {
        f"protocol {spoken}": (honest.but(protocol=spoken), "protocol")
        for spoken in (0, 2, 99, -1, 2**40, "1", None, 1.5)
    }
    refusals["a field more"] = (honest.but(more=(True,)), "malformed")
    refusals["protocol 2 with a field more"] = (honest.but(protocol=2, more=(1,)), "protocol")
    refusals["kinds of texts of any length"] = (honest.but(kinds=["x"] * 600), "malformed")
    for name, (greeting, word) in refusals.items():
        reason = await _end_of(target, victim, greeting)
        if not reason.startswith(word):
            unclear.append(f"{victim.name}: {name}: {reason or 'it linked'}")
    tolerated = {
        "kinds of tomorrow": honest.but(kinds=[*wire.KINDS, 25, 99, 2**40]),
        "no kinds": honest.but(kinds=[]),
        "kinds of another type": honest.but(kinds=["a", None, 1]),
    }
    for name, greeting in tolerated.items():
        if reason := await _end_of(target, victim, greeting):
            intolerant.append(f"{victim.name}: {name}: {reason}")


async def _end_of(target: Target, victim: Victim, greeting: Greeting) -> str:
    """Why a greeting ended the link; empty when it did not."""
    member: Member = target.member
    try:
        async with member.linked(victim, greeting=greeting) as link:
            if await link.alive():
                return ""
            return link.ended.reason if link.ended else "stuck"
    except ClosedError as closed:
        return closed.reason
    except BaseExceptionGroup as group:
        return "; ".join(str(one) for one in group.exceptions)


async def _messages(
    target: Target, victim: Victim, unclear: list[str], intolerant: list[str]
) -> None:
    member: Member = target.member
    mark = target.marker
    kinds: list[Any] = [18, 255, 2**40]
    for kind in kinds:
        async with member.linked(victim) as link:
            await link.send(message(kind, mark))
            ended = await link.wait_ended() and link.ended
            if not ended or "unknown_kind" not in ended.reason:
                unclear.append(f"{victim.name}: message kind {kind}: {ended}")
    async with member.linked(victim) as link:
        await link.send_frame(wire.frame([member.hello()], version=2))
        ended = await link.wait_ended() and link.ended
        if not ended or "version" not in ended.reason:
            unclear.append(f"{victim.name}: frame version 2: {ended}")
    async with member.linked(victim) as link:
        await link.send(message(Kind.ASIDE, f"topic {mark}", mark.encode()))
        if not await link.alive():
            intolerant.append(f"{victim.name}: a topic of tomorrow")


async def _operations(target: Target, victim: Victim, intolerant: list[str]) -> None:
    """A newer operation or bundle is not taken; the link stays for what is understood."""
    member: Member = target.member
    async with member.linked(victim) as link:
        await caught_up(member, link)
        for kind in (6, 15, 25, 99):
            for lane in ("d", "g"):
                line = member.new_line(lane)
                op = line.create(f"newer-{target.marker}", member.heads)
                newer = type(op)(**{**vars(op), "kind": kind})
                await _not_taken(link, victim, line.seal(newer), f"kind {kind}", intolerant)
        line = member.new_line()
        op = line.create(f"newer-{target.marker}", member.heads)
        await _not_taken(link, victim, line.seal(op, format=2), "format 2", intolerant)


async def _not_taken(
    link: Link, victim: Victim, bundle: Any, name: str, intolerant: list[str]
) -> None:
    if not await refused(link, victim, bundle) or link.ended is not None:
        intolerant.append(f"{victim.name}: {name}")
