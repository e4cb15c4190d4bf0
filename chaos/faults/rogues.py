"""F11 (by draw), F33 and F41 to F45: a member that went rogue.

Law: the membership is not touched. A node is stopped, and code that is not a node's speaks in its
place, with its certificate and its key, while the others serve their clients; then the node comes
back and comes level. What the impostor leaves is valid and the same everywhere, in a namespace of
the cycle's own. The proof is what the other nodes say of it: that it linked, and what they refused.
"""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from chaos.campaign.cycle import Cycle
from chaos.faults.probes import back, serves
from chaos.faults.registry import fault
from chaos.hostile import counting, equivocation, forged, future, malformed, oversized, versions
from chaos.hostile.impostor import impersonate, key_of
from chaos.hostile.member import Member
from chaos.hostile.seen import caught_up
from chaos.hostile.target import Expectation, Papers, Target, Victim

__all__ = ["gone_rogue", "judge", "replayed", "seen_by", "victims"]

_ATTACKED: Final = 2
_VARIANTS: Final = 60
_DETAIL_MAX: Final = 400
_COUNTING: Final = 0.2
_Attack = Callable[[Target, random.Random], Awaitable[list[Expectation]]]


# --- who attacks whom -------------------------------------------------------------------------


def victims(cycle: Cycle, by: int, *without: int) -> list[Victim]:
    """All nodes that run but those, as they are seen from the place of node `by`."""
    return [seen_by(cycle, by, node) for node in cycle.others(by, *without)]


def seen_by(cycle: Cycle, by: int, node: int) -> Victim:
    """A node as it is attacked from the place of another; its log counts from now."""
    process = cycle.mesh.nodes[node]
    place = process.place
    return Victim(
        name=process.name,
        host=place.host,
        port=place.port,
        url=place.url,
        agent=("127.0.0.1", place.agent_port),
        fingerprint=process.pair.fingerprint,
        log=process.log,
        pid=process.pid,
        headers={"X-Agent-Id": "ops:chaos"},
        heard_from=process.log.stat().st_size if process.log.exists() else 0,
        sockets=cycle.mesh.nodes[by].place.socket,
        agent_sockets=place.socket,
    )


def target_of(cycle: Cycle, node: int, honest: list[Victim]) -> Target:
    """What the one who speaks as a node attacks: two of the honest ones, drawn."""
    process = cycle.mesh.nodes[node]
    own = process.pair
    return Target(
        victims=cycle.rng.sample(honest, min(_ATTACKED, len(honest))),
        honest=honest,
        papers=Papers(
            folder=cycle.mesh.folder / "strangers",
            member=own,
            outsider=own,
            expired=own,
            early=own,
            stranger=own,
        ),
        name=process.name,
        url=process.place.url,
        marker=f"zqx{cycle.rng.getrandbits(48):012x}",
        namespace=f"{cycle.stage.namespace}/rogue",
    )


@asynccontextmanager
async def gone_rogue(cycle: Cycle, count: int = 1) -> AsyncIterator[list[Target]]:
    """Nodes are stopped, and the harness has their members; then they are started again."""
    nodes = cycle.rng.sample(cycle.everyone, count)
    for node in nodes:
        cycle.stage.live.discard(node)
        await cycle.mesh.nodes[node].stop()
        cycle.mesh.client.forget(node)
    targets: list[Target] = []
    for node in nodes:
        target = target_of(cycle, node, victims(cycle, node, *nodes))
        target.victims = targets[0].victims if targets else target.victims
        await impersonate(target, key_of(cycle.mesh.nodes[node].data_dir), cycle.rng)
        targets.append(target)
    cycle.inject("a member goes rogue", nodes=nodes, at=[v.name for v in targets[0].victims])
    for target in targets:
        await _prove_linked(cycle, target)
    yield targets
    # Not in a `finally`: what stopped a cycle half way starts them in the heal.
    await back(cycle, *nodes)
    for node in nodes:
        cycle.expect("the node itself comes back", await serves(cycle, node), node=node)


async def _prove_linked(cycle: Cycle, target: Target) -> None:
    member: Member = target.member
    victim = target.victims[0]
    async with member.linked(victim) as link:
        stood = await link.alive() and await caught_up(member, link)
    said = victim.count("peer_connected", peer=target.name)
    cycle.prove("the impostor's handshake stood", stood and said, at=victim.name, links=said)


# --- judging ----------------------------------------------------------------------------------


def judge(cycle: Cycle, found: list[Expectation]) -> None:
    """What an attack expects is what the class promises."""
    for one in found:
        detail = {name: _short(value) for name, value in one.detail.items()}
        cycle.expect(one.what, one.ok, **detail)


def _short(value: object) -> object:
    text = str(value)
    return value if len(text) <= _DETAIL_MAX else f"{text[:_DETAIL_MAX]}..."


def prove_said(cycle: Cycle, target: Target, *events: str) -> None:
    """The attack is proved by what the nodes say that they refused, and why."""
    said: dict[str, int] = {}
    for victim in target.honest:
        for line in victim.log_lines():
            if line.get("event") in events:
                name = f"{line['event']} {line.get('reason', '')}".strip()
                said[name] = said.get(name, 0) + 1
    cycle.prove("the nodes say that they refused it", said, said=said)


async def _play(cycle: Cycle, attack: _Attack, *events: str, scale: float = 1.0) -> None:
    async with gone_rogue(cycle) as (target,):
        target.scale = scale
        judge(cycle, await attack(target, cycle.rng))
        prove_said(cycle, target, *events)


# --- classes ----------------------------------------------------------------------------------


async def replayed(cycle: Cycle) -> None:
    """F11 above TLS: frames of a member, twice, backwards, shuffled, on other links."""
    async with gone_rogue(cycle) as (target,):
        found = await forged.replay(target, cycle.rng)
        judge(cycle, [*found, await target.all_equal(), target.nothing_logged()])
        # What was recorded was taken once, so what came again was whole.
        cycle.prove("the frames are whole ones", found[0].ok)


@fault("F33")
async def from_the_future(cycle: Cycle) -> None:
    """Operations stamped ahead of time, by their author and by way of another member."""
    shape = cycle.mesh.shape
    two = shape.nodes - 2 >= shape.quorum_writes
    async with gone_rogue(cycle, 2 if two else 1) as targets:
        author, relay = targets[0], targets[1] if two else None
        judge(cycle, await future.attack(author, cycle.rng, relay))
        prove_said(cycle, author, "peer_skewed")


@fault("F41")
async def malformed_peer(cycle: Cycle) -> None:
    """Messages, bundles and frames that are none, drawn anew each time."""
    await _play(cycle, malformed.attack, "peer_refused", scale=_VARIANTS / malformed.COUNT)


@fault("F42")
async def oversized_peer(cycle: Cycle) -> None:
    """Too large, without end, or asked for and not read; by draw."""
    async with gone_rogue(cycle) as (target,):
        target.victims = target.victims[:1]
        # What is refused by its size is in each cycle; what fills memory takes turns.
        found = await oversized.limits(target)
        if cycle.rng.random() < 0.25:
            found += await oversized.unread(target, cycle.rng)
        else:
            found += await oversized.flood(target, cycle.rng, ways=1)
        judge(cycle, [*found, await target.all_equal(), target.nothing_logged()])
        prove_said(cycle, target, "peer_refused")


@fault("F43")
async def forging_peer(cycle: Cycle) -> None:
    """Bundles that are not its to mint; or claims that are not true; by draw."""
    enough = cycle.mesh.shape.quorum_writes > 2  # its own disk and the liar's
    drawn = cycle.rng.random()
    if enough and drawn < _COUNTING:
        await _lonely(cycle)
    elif drawn < 0.5:
        await _play(cycle, _lies, "digest_mismatch")
    else:
        await _play(cycle, _forgeries, "peer_bundle_refused")


async def _forgeries(target: Target, rng: random.Random) -> list[Expectation]:
    broken = target.links_broken()
    found = await forged.forge(target, rng)
    return [*found, *await _aftermath(target, broken)]


async def _lies(target: Target, rng: random.Random) -> list[Expectation]:
    broken = target.links_broken()
    found = await forged.lie(target, rng)
    return [*found, *await _aftermath(target, broken)]


async def _aftermath(target: Target, broken: int) -> list[Expectation]:
    return [
        target.links_unaffected(broken),
        await target.all_equal(),
        target.nothing_logged(),
    ]


async def _lonely(cycle: Cycle) -> None:
    """All honest nodes but one stand still, and the liar vouches for all of them."""
    async with gone_rogue(cycle) as (target,):
        target.victims = cycle.rng.sample(target.honest, len(target.honest))
        running = set(cycle.stage.live)
        cycle.stage.live &= {cycle.mesh.names.index(target.victims[0].name)}
        try:
            found = await counting.attack(target, cycle.rng)
        finally:
            cycle.stage.live |= running
        judge(cycle, found)
        cycle.prove("the liar was asked to vouch", found)


@fault("F44")
async def equivocating_peer(cycle: Cycle) -> None:
    """Two signed bundles in one place: all see the one first, and then the other.

    Not played here is the one that shows each half of a mesh another bundle: it leaves a mesh that
    says so and stays unequal, which the tests of the hostile peer play on a mesh of their own.
    """
    await _play(cycle, equivocation.attack, "equivocation_found")


@fault("F45")
async def other_versions(cycle: Cycle) -> None:
    """Greetings, frames, messages and operations of versions that are not ours."""
    async with gone_rogue(cycle) as (target,):
        target.victims = target.victims[:1]
        judge(cycle, await versions.attack(target, cycle.rng))
        prove_said(cycle, target, "peer_incompatible")
