"""A member that offers a snapshot of its own making: what one rogue can do to a mesh today.

Law: not part of any campaign, for the mesh is lost by it. It claims one operation of its own, and
whoever asks for it is offered a frozen copy that covers every clock and holds no record; see
docs/decisions/0025-snapshots-are-believed.md. The expectation is the one that a decision is to
make true, so it fails until then.
"""

import hashlib
import os
import random

import msgpack
import trio

from chaos.hostile.link import Link
from chaos.hostile.member import Member
from chaos.hostile.seen import caught_up, held_to, holds_memory
from chaos.hostile.target import Expectation, Target, until
from chaos.hostile.wire import Kind, Said, message

__all__ = ["empty", "offer"]

_SEEN_S = 15.0


async def offer(target: Target, _rng: random.Random) -> list[Expectation]:
    """Write at one node, offer it an empty snapshot, and look for what was written."""
    member: Member = target.member
    victim = target.victims[0]
    told = await victim.ask("POST", "/memories", {"title": "held by all", "content": "text"})
    ident = str((told.json() or {}).get("id", "-"))
    await target.settled()
    async with member.linked(victim) as link:
        await caught_up(member, link)
    phantom = member.new_line().actor
    rows = empty(member, phantom)
    member.lies, member.mute = {phantom: 1}, {Kind.WANT}
    served = False
    try:
        async with member.linked(victim) as link:
            with trio.move_on_after(_SEEN_S):
                served = await _serve(link, rows)

                async def adopted() -> bool:
                    return await held_to(victim, phantom) == 1

                await until(adopted, _SEEN_S / 3)  # it joins beside what it hears
    finally:
        member.lies, member.mute = {}, set()

    async def gone() -> bool:
        return not any([await holds_memory(one, ident) for one in target.victims])

    await until(gone, _SEEN_S)  # the others ask the first one for the operation they lack
    kept = [await holds_memory(one, ident) for one in target.victims]
    alarms = sum(one.count("digest_mismatch") for one in target.victims)
    return [
        Expectation("the snapshot was fetched", served, {}),
        Expectation(
            "what was acknowledged outlives a rogue's snapshot",
            told.status == 201 and all(kept),
            {"held": kept, "alarms": alarms},
        ),
    ]


async def _serve(link: Link, rows: bytes) -> bool:
    """Answer one Want with an offer and its Fetch with all there is."""
    name = os.urandom(16)

    def said(kind: Kind) -> Said | None:
        return next((one for one in reversed(link.heard) if one.kind == kind), None)

    await link.wait_heard(Kind.WANT)
    want = said(Kind.WANT)
    if want is None:
        return False
    await link.send(message(Kind.OFFER, want[1], name))
    await link.wait_heard(Kind.FETCH)
    if said(Kind.FETCH) is None:
        return False
    await link.send(message(Kind.CHUNK, want[1], name, rows, b""))
    return await link.alive()


def empty(member: Member, phantom: bytes) -> bytes:
    """Rows of a snapshot that covers all that the member holds, and one operation more.

    Rows as in docs/protocol.md, "Snapshot rows".
    """
    rows: list[bytes] = []

    def row(kind: bytes, key: bytes, body: bytes) -> None:
        size = b"%d:" % len(key)
        summed = hashlib.blake2b(size + key + body, digest_size=16).digest()
        rows.extend((kind, key, summed + body))

    ends = {actor: (n, member.hashes[actor]) for actor, n in member.clock.items()}
    ends[phantom] = (1, os.urandom(32))
    for actor, (number, chained) in sorted(ends.items()):
        row(b"a", actor, msgpack.packb([number, chained, number, []]))
    row(b"d", b"digest", bytes(16))
    packed: bytes = msgpack.packb(rows, use_bin_type=True)
    return packed
