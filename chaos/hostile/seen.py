"""What an attack looks at to know whether it got through.

Law: by the interface of agents and the log files alone: which clocks a node shows, whether it holds
a memory, whether it takes writes.
"""

import base64
import itertools
from collections.abc import Sequence

from chaos.hostile.link import Link
from chaos.hostile.member import Member
from chaos.hostile.minting import Bundle
from chaos.hostile.target import Expectation, Target, Victim, until
from chaos.hostile.wire import Kind, message

__all__ = [
    "caught_up",
    "held_to",
    "holds_memory",
    "push",
    "refused",
    "taken",
    "unapplied",
    "writes_go_on",
]

_serial = itertools.count()


async def held_to(victim: Victim, actor: bytes) -> int:
    """How far a node holds an actor's line."""
    clock = (await victim.mesh()).get("clock", {})
    named = {base64.urlsafe_b64decode(text): number for text, number in clock.items()}
    return int(named.get(actor, 0))


async def holds_memory(victim: Victim, ident: str) -> bool:
    """Whether a memory shows."""
    return (await victim.ask("GET", f"/memories/{ident}")).status == 200


async def caught_up(member: Member, link: Link) -> bool:
    """Wait until the member holds what the node's Hello showed, and may push."""

    def level() -> bool:
        rows = [one[1] for one in link.heard if one.kind == Kind.HELLO]
        levels = any(one.kind == Kind.LEVEL for one in link.heard)
        clock = member.clock
        return levels and all(clock.get(a, 0) >= n for row in rows for a, n in row.items())

    return await link.wait(level)


async def push(link: Link, bundle: Bundle) -> bool:
    """Push a bundle; tells whether the link lives on."""
    await link.send(message(Kind.PUSH, bundle.data))
    return await link.alive()


async def taken(victim: Victim, bundle: Bundle) -> bool:
    """Wait until a node holds a bundle."""

    async def held() -> bool:
        return await held_to(victim, bundle.actor) >= bundle.last

    return await until(held)


async def refused(link: Link, victim: Victim, bundle: Bundle) -> bool:
    """Push what must not be applied; tells whether it was not."""
    before = await held_to(victim, bundle.actor)
    await push(link, bundle)
    return await held_to(victim, bundle.actor) == before


async def unapplied(target: Target, ident: str) -> bool:
    """Whether no node shows a memory."""
    return not any([await holds_memory(victim, ident) for victim in target.victims])


async def writes_go_on(target: Target, victims: Sequence[Victim], tries: int = 10) -> Expectation:
    """Honest writes at each of these nodes are acknowledged by others than the liar as well."""
    statuses: list[int] = []
    for _ in range(tries):
        for victim in victims:
            title = f"honest {next(_serial)} {target.name}"
            body = {"title": title, "content": "honest text", "namespace": target.namespace}
            answer = await victim.ask("POST", "/memories", body)
            statuses.append(answer.status)
    acknowledged = sum(status == 201 for status in statuses)
    detail = {"acknowledged": acknowledged, "attempted": len(statuses)}
    return Expectation("honest writes go on", acknowledged == len(statuses), detail)
