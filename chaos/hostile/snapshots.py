"""A member that offers snapshots of its own making: what one rogue must not do to a mesh.

Law: it claims one operation that nobody else has heard of, and whoever asks for it is offered a
frozen copy that covers every clock and holds no record, or holds governance that nobody signed;
see docs/decisions/0025-snapshots-are-believed.md. What was acknowledged stays, what nobody
signed is nowhere, and an alarm tells of it. Not part of a campaign: a node that waits for others
to claim what only the rogue claims takes half a minute over it.
"""

import hashlib
import os
import random
import struct
from collections.abc import Awaitable, Callable, Sequence

import msgpack
import trio

from chaos.hostile.link import Link
from chaos.hostile.member import Member
from chaos.hostile.minting import Bundle, Line, Op, OpKind
from chaos.hostile.seen import caught_up, holds_memory
from chaos.hostile.target import Expectation, Target, until
from chaos.hostile.wire import Kind, Said, message, now_ms

__all__ = ["govern", "offer", "rows_of", "serve"]

_SEEN_S = 15.0
_TOLD_S = 60.0
_ENTRY = struct.Struct(">45sQQQI")
Before = Callable[[], Awaitable[object]]


async def offer(target: Target, _rng: random.Random) -> list[Expectation]:
    """Offer a copy without records to a node that lacks nothing but an invented operation."""
    member: Member = target.member
    phantom = member.new_line().actor
    ends = {phantom: (1, os.urandom(32))}
    return await _offered(target, ends, [], "snapshot_unclaimed")


async def govern(target: Target, _rng: random.Random) -> list[Expectation]:
    """Offer a copy in which an administrator is named, in another node's name."""
    member: Member = target.member
    victim = next(b.actor for b in member.bundles if b.actor[:1] == b"g" and b.first == 1)
    last = [bundle for bundle in member.bundles if bundle.actor == victim][-1]
    line = Line(member.cluster, member.signing, victim, last.last + 1, last.hash)
    named = Op(
        kind=OpKind.ROLE,
        collection="",
        id="mallory",
        owner="",
        namespace="",
        stamp=now_ms() << 16,
        fields={"role": "system-admin", "namespaces": ["*"]},
        heads=member.heads,
    )
    made = line.seal(named)
    ends = {victim: (made.last, made.hash)}
    found = await _offered(target, ends, [made], "snapshot_refused")
    held = [one for one in target.victims if b"mallory" in (await one.ask("GET", "/agents")).body]
    return [*found, Expectation("nobody is what nobody signed", not held, {"by": len(held)})]


async def _offered(
    target: Target, ends: dict[bytes, tuple[int, bytes]], more: Sequence[Bundle], alarm: str
) -> list[Expectation]:
    member: Member = target.member
    victim = target.victims[0]
    told = await victim.ask("POST", "/memories", {"title": "held by all", "content": "text"})
    ident = str((told.json() or {}).get("id", "-"))
    await target.settled()
    async with member.linked(victim) as link:
        await caught_up(member, link)
    rows = rows_of(member, ends, more)
    member.lies, member.mute = {actor: end[0] for actor, end in ends.items()}, {Kind.WANT}
    served = False

    async def warned() -> bool:
        return victim.count(alarm) > 0

    try:
        async with member.linked(victim) as link:
            with trio.move_on_after(_SEEN_S):
                served = await serve(link, rows)
            alarmed = await until(warned, _TOLD_S)
    finally:
        member.lies, member.mute = {}, set()
    kept = [await holds_memory(one, ident) for one in target.victims]
    return [
        Expectation("the snapshot was fetched", served, {}),
        Expectation(
            "what was acknowledged outlives a rogue's snapshot",
            told.status == 201 and all(kept),
            {"held": kept},
        ),
        Expectation("the node tells of it", alarmed, {"alarm": alarm}),
    ]


async def serve(link: Link, rows: bytes, before: Before | None = None) -> bool:
    """Answer one Want with an offer and its Fetch with all there is.

    Args:
        link: to whom.
        rows: all of the snapshot.
        before: awaited before the rows are sent.
    """
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
    if before is not None:
        await before()
    await link.send(message(Kind.CHUNK, want[1], name, rows, b""))
    return await link.alive()


def rows_of(
    member: Member, ends: dict[bytes, tuple[int, bytes]], more: Sequence[Bundle] = ()
) -> bytes:
    """Rows of a snapshot that covers all that the member holds, and holds no record.

    Rows as in docs/protocol.md, "Snapshot rows".

    Args:
        member: whose clock and governance it has.
        ends: further ends of actors, with their chain hashes.
        more: further bundles of governance.
    """
    rows: list[bytes] = []

    def row(kind: bytes, key: bytes, body: bytes) -> None:
        size = b"%d:" % len(key)
        summed = hashlib.blake2b(size + key + body, digest_size=16).digest()
        rows.extend((kind, key, summed + body))

    held = {actor: (n, member.hashes[actor]) for actor, n in member.clock.items()}
    for actor, (number, chained) in sorted({**held, **ends}.items()):
        row(b"a", actor, msgpack.packb([number, chained, number, _heads(member, actor)]))
    row(b"d", b"digest", bytes(16))
    governance = [bundle for bundle in member.bundles if bundle.actor[:1] == b"g"]
    for arrival, bundle in enumerate([*governance, *more], 1):
        head = _ENTRY.pack(bundle.actor, bundle.first, bundle.last, now_ms(), 0)
        row(b"g", arrival.to_bytes(8), head + bundle.data)
    packed: bytes = msgpack.packb(rows, use_bin_type=True)
    return packed


def _heads(member: Member, actor: bytes) -> list[bytes | int]:
    """The heads that the last operation of an actor named, flat."""
    last = [bundle for bundle in member.bundles if bundle.actor == actor][-1:]
    if not last:
        return []
    actors, sets, rows = msgpack.unpackb(last[0].body, raw=False, strict_map_key=False)
    flat = sets[rows[-1][11]]
    return [
        part for place in range(0, len(flat), 2) for part in (actors[flat[place]], flat[place + 1])
    ]
