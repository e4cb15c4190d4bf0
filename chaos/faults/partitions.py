"""F01 to F05: who reaches whom.

Law: a cut is made twice over where the machine lets us: the proxies hold the bytes of open
connections, and, by draw, the kernel drops the packets instead. A probe of every kind of pair
proves it: through the cut nothing comes back, beside it everything does.
"""

from collections.abc import Iterable

from chaos.campaign.cycle import Cycle
from chaos.faults.registry import fault

Pairs = set[tuple[int, int]]


def between(side: Iterable[int], other: Iterable[int]) -> Pairs:
    """All ordered pairs across two sides."""
    others = list(other)
    return {pair for a in side for b in others for pair in ((a, b), (b, a))}


async def cut(cycle: Cycle, pairs: Pairs, what: str) -> None:
    """Cut ordered pairs, by packets or by proxies, and prove it."""
    packets = cycle.mesh.packets
    by_packets = packets is not None and cycle.rng.random() < 0.5
    for source, target in sorted(pairs):
        if by_packets and packets is not None:
            packets.cut(source, target)
        else:
            cycle.mesh.wires.cut(source, target)
    cycle.inject(what, pairs=sorted(pairs), by="packets" if by_packets else "proxies")
    await prove_cut(cycle, pairs)


async def prove_cut(cycle: Cycle, pairs: Pairs) -> None:
    """Probe one pair that is cut and one that is not."""
    source, target = cycle.rng.choice(sorted(pairs))
    through = await cycle.mesh.wires.probe(source, target)
    cycle.prove("a probe through the cut is not answered", not through, pair=[source, target])
    whole = [
        (a, b)
        for a in cycle.everyone
        for b in cycle.others(a)
        if (a, b) not in pairs and (b, a) not in pairs
    ]
    if whole:
        a, b = cycle.rng.choice(whole)
        beside = await cycle.mesh.wires.probe(a, b)
        cycle.prove("a probe beside the cut is answered", beside, pair=[a, b])


@fault("F01")
async def minority(cycle: Cycle) -> None:
    """A minority is cut off from the rest, both ways."""
    few = cycle.minority()
    await cut(cycle, between(few, cycle.others(*few)), f"{len(few)} cut off")
    await cycle.expect_refusal(few[0])
    await cycle.expect_reads(few[0])
    if len(cycle.others(*few)) >= cycle.mesh.shape.quorum_writes:  # not where all must confirm
        most, _ = await cycle.probe_write(cycle.others(*few)[0])
        cycle.expect("the majority confirms", most.status == 201, got=most.status)
    await cycle.hold()


@fault("F02")
async def no_majority(cycle: Cycle) -> None:
    """Every node is alone, or in a group that is too small."""
    size = max(1, min(cycle.mesh.shape.quorum_writes - 1, cycle.rng.choice((1, 2))))
    order = cycle.rng.sample(cycle.everyone, len(cycle.everyone))
    groups = [order[at : at + size] for at in range(0, len(order), size)]
    pairs: Pairs = set()
    for group in groups:
        pairs |= between(group, cycle.others(*group))
    await cut(cycle, pairs, f"groups of {size}")
    node = cycle.pick()
    await cycle.expect_refusal(node)
    await cycle.expect_reads(node)


@fault("F03")
async def lost_acknowledgements(cycle: Cycle) -> None:
    """What a writer sends arrives; what it is told in return does not."""
    writer = cycle.pick()
    pairs = {(other, writer) for other in cycle.others(writer)}
    if cycle.mesh.packets is None or cycle.rng.random() < 0.8:
        for source, target in pairs:
            cycle.mesh.wires.cut(source, target)
        before = {
            other: cycle.mesh.wires.flows[writer, other].passed for other in cycle.others(writer)
        }
        by = "proxies"
    else:
        for source, target in pairs:
            cycle.mesh.packets.cut(source, target)
        before, by = {}, "packets"
    cycle.inject("nothing comes back to the writer", writer=writer, by=by)
    await prove_cut(cycle, pairs)
    answer, _ = await cycle.probe_write(writer)
    cycle.expect("without a quorum the answer is 503", answer.status == 503, got=answer.status)
    if before:
        moved = [n for n, was in before.items() if cycle.mesh.wires.flows[writer, n].passed > was]
        cycle.prove("bytes went out to the others meanwhile", moved, to=moved)
    await cycle.hold()


@fault("F04")
async def bridge(cycle: Cycle) -> None:
    """Two halves that reach each other only through one node."""
    order = cycle.rng.sample(cycle.everyone, len(cycle.everyone))
    middle, rest = order[0], order[1:]
    half = len(rest) // 2
    await cut(cycle, between(rest[:half], rest[half:]), f"all but node {middle} in two halves")
    await cycle.hold()


@fault("F05")
async def ring(cycle: Cycle) -> None:
    """Each reaches only the one before and the one after."""
    order = cycle.rng.sample(cycle.everyone, len(cycle.everyone))
    count = len(order)
    near = {frozenset((order[at], order[(at + 1) % count])) for at in range(count)}
    pairs = {
        (a, b) for a in cycle.everyone for b in cycle.others(a) if frozenset((a, b)) not in near
    }
    if not pairs:  # three nodes are a ring already
        pairs = between(order[:1], order[1:2])
    await cut(cycle, pairs, "neighbours only")
    await cycle.hold()
