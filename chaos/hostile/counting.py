"""F43, the lie about a disk: what it can do is to count as one member.

Law: W counts distinct members. A member that claims everything, over and over and on several links,
stands for one disk, so a write with fewer honest ones than W - 1 is not acknowledged.
"""

import os
import random
import signal

import trio

from chaos.hostile.member import Member
from chaos.hostile.target import Expectation, Target, until

__all__ = ["attack"]


async def attack(target: Target, _rng: random.Random) -> list[Expectation]:
    """Stop all honest nodes but one, claim all there is, and write at that one.

    Needs the process ids of the victims and W of at least three; else there is nothing to see.
    """
    alone, *others = target.victims
    needed = (await alone.mesh()).get("quorum", {}).get("w", 0)
    if needed <= 2 or not all(victim.pid for victim in others):  # its own disk and the liar's
        return []
    member: Member = target.member
    stopped = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(member.follow, alone)

        async def linked() -> bool:
            members = (await alone.mesh()).get("members", [])
            return any(m["name"] == target.name and m["state"] == "ready" for m in members)

        await until(linked)
        try:
            for victim in others:
                os.kill(victim.pid, signal.SIGSTOP)
                stopped.append(victim.pid)
            own = [actor for actor in (member.clock) if actor[:1] == b"d"]
            member.lies = dict.fromkeys(own, 2**53 - 1)
            answer = await alone.ask(
                "POST",
                "/memories",
                {"title": "lonely", "content": "text", "namespace": target.namespace},
            )
        finally:
            member.lies = {}
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        nursery.cancel_scope.cancel()
    detail = {"status": answer.status, "needed": needed}
    return [
        Expectation("a liar counts once", answer.status == 503, detail),
        await target.all_equal(),
    ]
