"""F40: a second process with the identity of a member whose first link lives.

Law: the first one stays, the second is refused as a twin and told so; the operator is told. Once
the first is gone the same identity links again, for then it is a restart.
"""

import os
import random

from chaos.hostile.member import Member
from chaos.hostile.target import Expectation, Target
from chaos.hostile.websocket import ClosedError

__all__ = ["attack"]


async def attack(target: Target, _rng: random.Random) -> list[Expectation]:
    """Two processes of one identity at every node, one after the other."""
    member: Member = target.member
    broken = target.links_broken()
    refused, stays, told, restarted = True, True, True, True
    reasons: list[str] = []
    for victim in target.victims:
        before = victim.count("twin_detected")
        second = member.greeting().but(process=os.urandom(8))
        async with member.linked(victim) as first:
            stays &= await first.alive()
            reason = ""
            try:
                async with member.linked(victim, greeting=second, honest=False) as link:
                    refused &= await link.wait_ended()
                    reason = link.ended.reason if link.ended else "it linked"
            except ClosedError as closed:
                reason = closed.reason
            reasons.append(reason)
            refused &= reason.startswith("twin")
            stays &= await first.alive()
        told &= victim.count("twin_detected") > before
        async with member.linked(victim, greeting=second) as link:
            restarted &= await link.alive()
    return [
        Expectation("a twin is refused as one", refused, {"reasons": reasons}),
        Expectation("the first process keeps its link", stays, {}),
        Expectation("a twin is told to the operator", told, {}),
        Expectation("a restart after the first is gone links", restarted, {}),
        target.links_unaffected(broken),
        await target.all_equal(),
        target.nothing_logged(),
    ]
