"""F06 to F15: links that are slow, lossy, cut in the middle, or only half there.

Law: each fault is put on drawn pairs and taken off within the cycle, and what a proxy or the
kernel did is counted: bytes that did not pass, connections that were reset, answers that took as
long as the delay. Only what was seen is called proved.
"""

from typing import Final

import trio

from chaos.campaign.cycle import Cycle
from chaos.faults.registry import fault
from chaos.faults.rogues import replayed
from chaos.faults.strangers import cut_requests, reset_answers
from chaos.network.packets import LOSSES

_DIALS_MAX_PER_S: Final = 20  # of one pair, however it flaps
_ANSWER_SLACK_S: Final = 0.25
_PATIENCE_S: Final = 8.0
_CHUNKS: Final = 4
"""So many are repeated before a link that lives on is held against the nodes."""
_ABOVE_TLS: Final = 0.5
_AT_CLIENTS: Final = 0.3


@fault("F06")
async def flapping(cycle: Cycle) -> None:
    """One pair is reset and let go, several times a second."""
    one, other = cycle.rng.sample(cycle.everyone, 2)
    wires = cycle.mesh.wires
    before = wires.accepted[one, other] + wires.accepted[other, one]
    began = trio.current_time()
    cycle.inject("a link that flaps", pair=[one, other])
    resets = 0
    for _ in range(cycle.rng.randint(4, 8)):
        resets += wires.reset(one, other)
        await cycle.hold(cycle.rng.uniform(0.05, 0.15))
    seconds = trio.current_time() - began
    dials = wires.accepted[one, other] + wires.accepted[other, one] - before
    cycle.prove("connections were reset and made again", resets and dials, resets=resets)
    cycle.expect("no storm of dials", dials <= 2 + _DIALS_MAX_PER_S * seconds, dials=dials)


@fault("F07")
async def stalled_and_freed(cycle: Cycle) -> None:
    """Several directions stall; they are freed one by one in a drawn order."""
    pairs = [(a, b) for a in cycle.everyone for b in cycle.others(a)]
    stalled = cycle.rng.sample(pairs, max(2, len(pairs) // 3))
    flows = cycle.mesh.wires.flows
    before = {pair: flows[pair].passed for pair in stalled}
    for pair in stalled:
        flows[pair].cut()
    cycle.inject("directions are stalled", pairs=stalled)
    await cycle.hold()
    stood = [flows[pair].passed - before[pair] for pair in stalled]
    # What was on its way when the valve closed may still have passed.
    cycle.prove("they pass next to nothing", max(stood) < 64 * 1024, bytes=max(stood))
    for pair in cycle.rng.sample(stalled, len(stalled)):
        flows[pair].release()
        await cycle.hold(cycle.rng.uniform(0.0, 0.05))


@fault("F08", needs=("namespaces", "nft"))
async def lossy(cycle: Cycle) -> None:
    """Packets between all nodes are lost by chance."""
    packets = cycle.mesh.packets
    if packets is None:
        return
    percent = cycle.rng.choice(LOSSES)
    for source in cycle.everyone:
        for target in cycle.others(source):
            packets.lose(source, target, percent)
    cycle.inject(f"{percent} of a hundred packets are lost")
    await cycle.hold(cycle.rng.uniform(0.4, 1.0))
    rules = packets.counted()
    cycle.prove("the kernel dropped packets", rules > 0 or percent == LOSSES[0], dropped=rules)
    answer, seconds = await cycle.probe_write(cycle.pick())
    cycle.expect(
        "an answer, yes or not, within timeout and slack",
        answer.status in (201, 503) and seconds < cycle.timeout_s + _ANSWER_SLACK_S + 1.0,
        got=answer.status,
        seconds=round(seconds, 3),
    )


@fault("F09")
async def latency(cycle: Cycle) -> None:
    """Every direction is slow, and not evenly so."""
    delay = cycle.rng.choice((0.05, 0.05, 0.25, 0.25, 1.0))
    wires = cycle.mesh.wires
    for flow in wires.flows.values():
        flow.delay_s, flow.jitter_s = delay / 2, delay / 2
    cycle.inject(f"up to {delay * 1000:g} ms each way")
    began = trio.current_time()
    answered = await wires.probe(*cycle.rng.sample(cycle.everyone, 2))
    took = trio.current_time() - began
    cycle.prove("a probe takes as long", not answered or took >= delay, seconds=round(took, 3))
    answer, seconds = await cycle.probe_write(cycle.pick())
    cycle.expect(
        "an answer, yes or not, within timeout and slack",
        answer.status in (201, 503) and seconds < cycle.timeout_s + 4 * _ANSWER_SLACK_S,
        got=answer.status,
        seconds=round(seconds, 3),
    )
    await cycle.hold()


@fault("F10")
async def narrow(cycle: Cycle) -> None:
    """One node hears and says at most 256 kbit/s, and has something to catch up on."""
    node = cycle.pick()
    wires = cycle.mesh.wires
    others = cycle.others(node)
    wires.split([node], others)
    cycle.inject("cut off first, so that there is something to catch up on", node=node)
    await cycle.hold()
    for other in others:
        for pair in ((node, other), (other, node)):
            wires.flows[pair].bytes_per_s = 32_000
            wires.flows[pair].release()
    cycle.inject("256 kbit/s", node=node)
    before = sum(wires.flows[other, node].passed for other in others)
    began = trio.current_time()
    await cycle.hold(cycle.rng.uniform(0.5, 1.0))
    passed = sum(wires.flows[other, node].passed for other in others) - before
    rate = passed / (trio.current_time() - began)
    bound = 1.3 * 32_000 * len(others) + 65_536
    cycle.prove("no more passes than that", rate <= bound, bytes_per_s=round(rate))
    cycle.expect("catch-up makes progress", passed > 0, bytes=passed)


@fault("F11")
async def repeated(cycle: Cycle) -> None:
    """Bytes of a link arrive twice; or, by draw, whole frames of a member do, above TLS."""
    if cycle.rng.random() < _ABOVE_TLS:
        await replayed(cycle)
        return
    one, other = cycle.rng.sample(cycle.everyone, 2)
    flow = cycle.mesh.wires.flows[one, other]
    before = cycle.mesh.wires.accepted[one, other] + cycle.mesh.wires.accepted[other, one]

    def dialled_anew() -> bool:
        now = cycle.mesh.wires.accepted[one, other] + cycle.mesh.wires.accepted[other, one]
        return now > before

    cycle.inject("a chunk is sent twice", pair=[one, other])
    chunks, anew = 0, False
    # After a cut the first chunk can be the late rest of a connection that both have given up.
    while not anew and chunks < _CHUNKS:
        flow.repeat_next = True
        if not await cycle.until(lambda: not flow.repeat_next):
            break
        chunks += 1
        anew = await cycle.until(dialled_anew, seconds=_PATIENCE_S / _CHUNKS)
    cycle.prove("a chunk was repeated", chunks, chunks=chunks)
    # TLS numbers its records: a repeated one ends the link, and nothing of it is read.
    cycle.expect("the link is made anew", anew)


@fault("F12")
async def half_open(cycle: Cycle) -> None:
    """One side of a link is gone; the other has not been told."""
    one, other = cycle.rng.sample(cycle.everyone, 2)
    wires = cycle.mesh.wires
    before = wires.accepted[one, other] + wires.accepted[other, one]
    halves = wires.half_open(one, other)
    cycle.inject("a half-open link", pair=[one, other])
    cycle.prove("a connection was halved", halves, connections=halves)

    def dialled_anew() -> bool:
        return wires.accepted[one, other] + wires.accepted[other, one] > before

    noticed = await cycle.until(dialled_anew, seconds=_PATIENCE_S)
    cycle.expect("the silence is noticed and the peer dialled anew", noticed)


@fault("F13")
async def reset_in_the_middle(cycle: Cycle) -> None:
    """Links are reset while pages and acknowledgements are on their way; or clients' are."""
    if cycle.rng.random() < _AT_CLIENTS:
        await reset_answers(cycle)
        return
    wires = cycle.mesh.wires
    resets = 0
    cycle.inject("links are reset under load")
    for _ in range(cycle.rng.randint(3, 6)):
        one, other = cycle.rng.sample(cycle.everyone, 2)
        resets += wires.reset(one, other)
        await cycle.hold(cycle.rng.uniform(0.02, 0.1))
    cycle.prove("connections were reset", resets, connections=resets)


@fault("F14")
async def cut_at_byte(cycle: Cycle) -> None:
    """Links end after byte k of what is being said, for drawn k; or requests of clients do."""
    if cycle.rng.random() < _AT_CLIENTS:
        await cut_requests(cycle)
        return
    wires = cycle.mesh.wires
    pairs = [(a, b) for a in cycle.everyone for b in cycle.others(a)]
    chosen = cycle.rng.sample(pairs, min(4, len(pairs)))
    for pair in chosen:
        wires.flows[pair].truncate_after = cycle.rng.choice((0, 1, 5, 64, 700, 5000))
    cycle.inject("links end at a byte", pairs=chosen)
    ended = await cycle.until(
        lambda: any(wires.flows[pair].truncate_after is None for pair in chosen),
        seconds=_PATIENCE_S,
    )
    cycle.prove("a link was cut inside what it said", ended)
    await cycle.hold()


@fault("F15")
async def trickle(cycle: Cycle) -> None:
    """One node hears the others at a byte a second."""
    node = cycle.pick()
    wires = cycle.mesh.wires
    for other in cycle.others(node):
        wires.flows[other, node].bytes_per_s = 1
    cycle.inject("a byte a second towards one node", node=node)
    cycle.stage.live.discard(node)
    held = {other: cycle.mesh.nodes[other].resident_bytes() for other in cycle.others(node)}
    answered = await wires.probe(cycle.others(node)[0], node)
    before = sum(wires.flows[other, node].passed for other in cycle.others(node))
    answer, _ = await cycle.probe_write(cycle.rng.choice(cycle.others(node)))
    if len(cycle.others(node)) >= cycle.mesh.shape.quorum_writes:  # not where all must confirm
        cycle.expect("the others confirm without it", answer.status == 201, got=answer.status)
    await cycle.hold(cycle.rng.uniform(0.5, 1.0))
    passed = sum(wires.flows[other, node].passed for other in cycle.others(node)) - before
    cycle.prove("next to nothing passes", not answered and passed < 64, bytes=passed)
    grown = max(cycle.mesh.nodes[other].resident_bytes() - was for other, was in held.items())
    cycle.expect("memory of the others stays bounded", grown < 64 * 2**20, bytes=grown)
