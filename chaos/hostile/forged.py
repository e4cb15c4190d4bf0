"""F43 and F11: bundles that are not its to mint, claims that are not true, frames sent again.

Law: what is not signed by its author, in this cluster, at its place in the line, in its lane and
with a stamp of now, has no effect on any node, whichever way it comes. A lie about its own disk is
the member's own: it counts for the one member that it is, and harms nothing else.
"""

import os
import random
from collections.abc import Callable, Iterator

import trio
from nacl.signing import SigningKey

from chaos.hostile import wire
from chaos.hostile.link import Link, open_link
from chaos.hostile.member import Member
from chaos.hostile.minting import Bundle, Line
from chaos.hostile.seen import caught_up, held_to, holds_memory, push, refused, taken, writes_go_on
from chaos.hostile.target import Expectation, Target, Victim, until
from chaos.hostile.websocket import ClosedError
from chaos.hostile.wire import Kind, message

__all__ = ["attack", "forge", "lie", "of_tomorrow", "replay"]

_HOUR_MS = 3_600_000


async def attack(target: Target, rng: random.Random) -> list[Expectation]:
    """All of it, one after the other."""
    broken = target.links_broken()
    found = [*await forge(target, rng), *await replay(target, rng), *await lie(target, rng)]
    return [
        *found,
        target.links_unaffected(broken),
        await target.all_equal(),
        target.nothing_logged(),
    ]


# --- bundles ------------------------------------------------------------------------------


def _forgeries(target: Target, victim: Victim) -> Iterator[tuple[str, Bundle]]:
    """Bundles that look right and are not; each in its own line."""
    member: Member = target.member
    stranger = SigningKey.generate()
    name = f"forged-{target.marker}"

    def made(line: Line, ident: str, **lies: object) -> Bundle:
        op = line.create(f"{ident}-{name}", member.heads, content=target.marker)
        return line.seal(op, keep=False, **lies)

    yield "with another key", made(member.new_line(), "key", signing=stranger)
    yield "of another cluster", made(member.new_line(), "cluster", cluster="another")
    yield "with a hole before it", made(member.new_line(), "hole", first=5)
    yield "chained to nothing", made(member.new_line(), "chain", prev=os.urandom(32))
    yield "in the private lane", made(member.new_line("p"), "private")
    yield "in the governance lane", made(member.new_line("g"), "governance")
    unknown = member.new_line()
    op = unknown.create(f"heads-{name}", [(member.new_line("g").actor, 1)])
    yield "below governance that nobody knows", unknown.seal(op, keep=False)
    for actor, hashed in list(member.hashes.items()):
        if actor[:1] == b"d" and wire.node_of(actor) != member.node_id:
            line = Line(member.cluster, member.signing, actor, member.clock[actor] + 1, hashed)
            yield "of another author", made(line, "author")
            break
    else:
        line = Line.fresh(member.cluster, member.signing, os.urandom(32))
        yield "of nobody", made(line, f"nobody-{victim.name}")


async def _got_through(target: Target, victim: Victim, bundle: Bundle, before: int) -> bool:
    """Whether a forgery shows: in the line that it claims, or as what it makes.

    A line of another author moves on by itself where others write meanwhile.
    """
    member: Member = target.member
    if target.quiet or wire.node_of(bundle.actor) == member.node_id:
        return await held_to(victim, bundle.actor) != before
    return await holds_memory(victim, f"author-forged-{target.marker}")


async def forge(target: Target, _rng: random.Random) -> list[Expectation]:
    """Forgeries by Push, by Spread and on a page; then one that is signed for the future."""
    member: Member = target.member
    ways: dict[str, list[str]] = {"push": [], "spread": [], "page": []}
    sent, future = 0, True
    for victim in target.victims:
        async with member.linked(victim) as link:
            await caught_up(member, link)
            for name, bundle in _forgeries(target, victim):
                sent += 1
                before = await held_to(victim, bundle.actor)
                await push(link, bundle)
                if await _got_through(target, victim, bundle, before):
                    ways["push"].append(name)
                await link.send(message(Kind.SPREAD, bundle.data, member.node_id))
                await link.alive()
                if await _got_through(target, victim, bundle, before):
                    ways["spread"].append(name)
        await _by_page(target, victim, ways["page"])
        future &= await of_tomorrow(target, victim)
    return [
        Expectation(f"no forged bundle is taken by {way}", not through, {"through": through})
        for way, through in ways.items()
    ] + [Expectation("a stamp of tomorrow is refused at its author's link", future, {"sent": sent})]


async def _by_page(target: Target, victim: Victim, through: list[str]) -> None:
    """Claim to be ahead, and answer what is wanted with forgeries."""
    member: Member = target.member
    phantom = member.new_line().actor
    member.lies, member.mute = {phantom: 3}, {Kind.WANT}
    try:
        async with member.linked(victim) as link:
            await link.wait_heard(Kind.WANT)
            forged = list(_forgeries(target, victim))
            before = {name: await held_to(victim, bundle.actor) for name, bundle in forged}
            wants = [one for one in link.heard if one.kind == Kind.WANT]
            if not wants:
                through.append(f"{victim.name} wants nothing")
                return
            page = [bundle.data for _, bundle in forged]
            await link.send(message(Kind.PAGE, wants[-1][1], page, True))
            await link.alive()
            for name, bundle in forged:
                if await _got_through(target, victim, bundle, before[name]):
                    through.append(name)
    finally:
        member.lies, member.mute = {}, set()


async def of_tomorrow(target: Target, victim: Victim) -> bool:
    """Whether a stamp of tomorrow is refused at its author's own link, with a word to it."""
    member: Member = target.member
    line = member.new_line()
    async with member.linked(victim) as link:
        await caught_up(member, link)
        at = wire.now_ms() + _HOUR_MS
        ident = f"tomorrow-{target.marker}"
        bundle = line.seal(line.create(ident, member.heads, stamp_ms=at), keep=False)
        kept_out = await refused(link, victim, bundle)
        told = any(one.kind == Kind.SKEWED and one[1] == line.actor for one in link.heard)
    return kept_out and told and not await holds_memory(victim, ident)


# --- frames sent again ---------------------------------------------------------------------


async def replay(target: Target, rng: random.Random) -> list[Expectation]:
    """F11: an honest member's frames, twice, shuffled, backwards, and on another link."""
    member: Member = target.member
    victim = target.victims[0]
    ident = f"honest-{target.marker}"
    async with member.linked(victim) as link:
        await caught_up(member, link)
        for number in range(3):
            op = member.line.create(f"{ident}-{number}", member.heads)
            await push(link, member.mint(member.line, op))
        landed = await taken(victim, member.line.held[-1])
        recorded = link.sent[1:]  # all but the greeting
    await _spread_out(target, member.line.held[-1])
    before = await target.settled()
    orders: list[Callable[[list[bytes]], list[bytes]]] = [
        list,
        lambda frames: [one for one in frames for _ in range(2)],
        lambda frames: frames[::-1],
        lambda frames: rng.sample(frames, len(frames)),
    ]
    for order in orders:
        for other in target.victims:
            async with member.linked(other, hello=False) as link:
                await _again(link, order(recorded))
    await _other_peoples_bundles(target)
    after = await target.states()
    line = member.line
    ends = [await held_to(other, line.actor) for other in target.victims]
    same = after == before if target.quiet else set(ends) == {line.held[-1].last}
    greeted = await _greeting_of_another_link(target)
    return [
        Expectation("an honest member's bundles are taken", landed, {"bundles": 3}),
        Expectation(
            "frames sent again change nothing", same, {"frames": len(recorded), "ends": ends}
        ),
        Expectation("a greeting is worth nothing on another link", not greeted, {"taken": greeted}),
    ]


async def _spread_out(target: Target, bundle: Bundle) -> None:
    for victim in target.victims:
        await taken(victim, bundle)


async def _again(link: Link, frames: list[bytes]) -> None:
    for frame in frames:
        try:
            await link.send_frame(frame)
        except ClosedError:
            return
    await link.alive()


async def _other_peoples_bundles(target: Target) -> None:
    """What others minted, pushed as if it were its own, and passed on unasked."""
    member: Member = target.member
    for victim in target.victims:
        async with member.linked(victim) as link:
            await caught_up(member, link)
            for bundle in member.bundles[:50]:
                await link.send(message(Kind.PUSH, bundle.data))
                await link.send(message(Kind.SPREAD, bundle.data, member.node_id))
            await link.alive()


async def _greeting_of_another_link(target: Target) -> list[str]:
    """A greeting made for one pair of certificates, shown on the link of another pair."""
    member: Member = target.member
    taken_by = []
    for victim in target.victims:
        link = await open_link(target, victim)
        others = [v.fingerprint for v in target.victims if v is not victim] or ["00" * 32]
        try:
            await link.greet(member.greeting().signed(member.signing, link.own, others[0]))
            await link.send(member.hello())
            async with trio.open_nursery() as nursery:
                nursery.start_soon(link.hear)
                if not await link.wait_ended(5.0):
                    taken_by.append(victim.name)
                nursery.cancel_scope.cancel()
        except ClosedError:
            pass
        finally:
            await link.close()
    return taken_by


# --- lies -----------------------------------------------------------------------------------


async def lie(target: Target, _rng: random.Random) -> list[Expectation]:
    """Claims of what nobody has, of another state at the same clock, of another time."""
    member: Member = target.member
    far = {actor: 2**53 - 1 for actor in member.clock if actor[:1] == b"d"}
    phantoms = {member.new_line().actor: 1_000 for _ in range(200)}
    found = []
    for lies in ({**far}, {**far, **phantoms}):
        member.lies = lies
        try:
            found.append(await _while_lying(target))
        finally:
            member.lies = {}
    member.skew_ms = 365 * 24 * _HOUR_MS
    try:
        found.append(await _while_lying(target))
    finally:
        member.skew_ms = 0
    oks = [one.ok for one in found]
    claims = {"phantoms": oks[:2], "a year ahead": oks[2:]}
    return [
        Expectation("a liar's claims stop no honest write", all(oks), claims),
        await _unlike_state(target),
    ]


async def _while_lying(target: Target) -> Expectation:
    member: Member = target.member
    async with trio.open_nursery() as nursery:
        for victim in target.victims:
            nursery.start_soon(member.follow, victim)
        await until(lambda: _linked(target), 5.0)
        result = await writes_go_on(target, target.victims, 5)
        nursery.cancel_scope.cancel()
    return result


async def _linked(target: Target) -> bool:
    for victim in target.victims:
        members = (await victim.mesh()).get("members", [])
        if not any(m["name"] == target.name and m["state"] != "down" for m in members):
            return False
    return True


async def _unlike_state(target: Target) -> Expectation:
    """At an equal clock it claims another digest: told, and only that pair stops."""
    member: Member = target.member
    victim = target.victims[0]
    before = victim.count("digest_mismatch", peer=target.name)
    async with member.linked(victim) as link:
        await caught_up(member, link)

        async def told() -> bool:
            await link.send(
                message(Kind.BEAT, 7, wire.now_ms(), True, wire.clock_hash(member.clock), bytes(16))
            )
            return victim.count("digest_mismatch", peer=target.name) > before

        alarmed = await until(told, 5.0)
        writes = await writes_go_on(target, target.victims, 2)
    return Expectation(
        "a state unlike at an equal clock is told and stops nobody else",
        alarmed and writes.ok,
        {"told": alarmed, **writes.detail},
    )
