"""F47, F49, F50: who was away longer than the log, what cannot be delivered, who ruled meanwhile.

Law: that the log no longer reaches back is what the nodes say, never a guess from sizes; that an
operation is not delivered is seen where it is missing, while what came behind it is there. Verdicts
are compared on every node after the heal, record by record.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import trio

from chaos.campaign.cycle import Cycle
from chaos.client import Answer
from chaos.faults.copies import said_since
from chaos.faults.partitions import between, prove_cut
from chaos.faults.probes import CREATED, back, probes, serves
from chaos.faults.registry import fault
from chaos.process import NodeProcess

_AWAY_BYTES: Final = 3 << 20  # more than the log that a campaign's nodes keep
_PIECE_BYTES: Final = 600_000
_CUT_S: Final = 10.0
_LEVEL_S: Final = 30.0
_AHEAD_MS: Final = 11_000
_TOLERATED_MS: Final = 5_000
_DELIVERED_S: Final = 4.0
_ALONE_S: Final = 6.0
_RULER: Final = "ops:chaos"
_WRITER: Final = "ai:chaos"
_DENIED: Final = 403
_HELD: Final = 202
_GONE: Final = 404
_SHORT: Final = 503
_FOUND: Final = 200


# --- words of a node ----------------------------------------------------------------------------


def events_since(process: NodeProcess, start: int, event: str) -> list[dict[str, Any]]:
    """The lines of an event in a node's log behind a place in the file."""
    return events_in(said_since(process.log, start), event)


def events_in(text: str, event: str) -> list[dict[str, Any]]:
    """The lines of an event in a piece of a log; what is no whole line of JSON is passed over."""
    found: list[dict[str, Any]] = []
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and row.get("event") == event:
            found.append(row)
    return found


def _ends(cycle: Cycle) -> dict[int, int]:
    """Where the log of each node ends now."""
    return {at: one.log.stat().st_size for at, one in enumerate(cycle.mesh.nodes)}


# --- records ------------------------------------------------------------------------------------


async def _put(cycle: Cycle, node: int, ident: str, content: str, **more: object) -> Answer:
    body = {
        "id": ident,
        "title": ident,
        "content": content,
        "namespace": probes(cycle),
        **more,
    }
    headers = {"X-Agent-Id": _WRITER}
    return await cycle.mesh.client.ask(
        node, "POST", "/memories", body, headers=headers, timeout_s=15
    )


async def _status(cycle: Cycle, node: int, ident: str, agent: str = _WRITER) -> int:
    headers = {"X-Agent-Id": agent}
    answer = await cycle.mesh.client.ask(node, "GET", f"/memories/{ident}", headers=headers)
    return answer.status


async def _drop(cycle: Cycle, node: int, ident: str) -> int:
    headers = {"X-Agent-Id": _WRITER}
    path = f"/memories/{ident}"
    return (await cycle.mesh.client.ask(node, "DELETE", path, headers=headers)).status


async def _becomes(cycle: Cycle, node: int, ident: str, wanted: int, seconds: float) -> bool:
    """Wait until reading a record is answered so; whether it was in time."""
    with trio.move_on_after(seconds):
        while await _status(cycle, node, ident) != wanted:
            await trio.sleep(0.02)
        return True
    return False


def names(cycle: Cycle, what: str, count: int) -> list[str]:
    """Ids that nobody else has, none the beginning of another."""
    mark = f"{cycle.rng.getrandbits(40):010x}"
    return [f"{what}-{cycle.number}-{mark}-{at:03}" for at in range(count)]


# --- F47 ----------------------------------------------------------------------------------------


@fault("F47")
async def away_too_long(cycle: Cycle) -> None:
    """A node is away until the others have cut the log behind which it stands."""
    node = cycle.pick()
    others = cycle.others(node)
    process = cycle.mesh.nodes[node]
    kept, deleted = (names(cycle, what, cycle.rng.randint(2, 4)) for what in ("kept", "deleted"))
    for ident in (*kept, *deleted):
        made = await _put(cycle, node, ident, "before")
        cycle.expect("it confirms before", made.status == CREATED, got=made.status)
    cycle.stage.live.discard(node)
    await (process.stop() if cycle.rng.random() < 0.5 else process.kill())
    cycle.mesh.client.forget(node)
    ends = _ends(cycle)
    for ident in deleted:
        gone = await _drop(cycle, cycle.rng.choice(others), ident)
        cycle.expect("the others confirm a deletion", gone == _FOUND, got=gone)
    cycle.inject("a node is away, and much is written", node=node, bytes=_AWAY_BYTES)
    heavy = await _write_much(cycle, others)

    def cut() -> bool:
        return all(events_since(cycle.mesh.nodes[o], ends[o], "log_truncated") for o in others)

    cycle.prove("the others have cut their logs", await cycle.until(cut, seconds=_CUT_S))
    await cycle.hold(cycle.rng.uniform(0.0, 0.3))
    await back(cycle, node)
    cycle.expect("it serves again", await serves(cycle, node), node=node)
    level = await _becomes(cycle, node, heavy[-1], _FOUND, _LEVEL_S)
    cycle.expect("it has what was written without it", level)
    swapped = events_since(process, ends[node], "store_swapped")
    cycle.prove("a snapshot brought it level", swapped, times=len(swapped))
    back_again = [one for one in deleted if await _status(cycle, node, one) != _GONE]
    cycle.expect("what was deleted meanwhile stays deleted", not back_again, there=back_again)
    lost = [one for one in kept if await _status(cycle, node, one) != _FOUND]
    cycle.expect("what it had is there", not lost, lost=lost)
    # Else every later snapshot of the campaign would carry it.
    for ident in heavy:
        await _drop(cycle, cycle.rng.choice(others), ident)


async def _write_much(cycle: Cycle, nodes: Sequence[int]) -> list[str]:
    """Write more than the log may hold, on drawn nodes; returns the ids."""
    idents = names(cycle, "heavy", _AWAY_BYTES // _PIECE_BYTES + 1)
    for ident in idents:
        # Random digits: what repeats could be packed some day.
        content = cycle.rng.randbytes(_PIECE_BYTES // 2).hex()
        made = await _put(cycle, cycle.rng.choice(nodes), ident, content)
        cycle.expect("the others confirm without it", made.status == CREATED, got=made.status)
    return idents


# --- F49 ----------------------------------------------------------------------------------------


@fault("F49")
async def undeliverable(cycle: Cycle) -> None:
    """One operation cannot be delivered: it is private, or its stamp is ahead of all clocks."""
    if cycle.rng.random() < 0.5:
        await _kept_private(cycle)
    else:
        await _stamped_ahead(cycle)


async def _kept_private(cycle: Cycle) -> None:
    """Operations that never leave their node, between others that do."""
    node = cycle.pick()
    hidden, shown = (names(cycle, what, cycle.rng.randint(3, 6)) for what in ("own", "open"))
    cycle.inject("operations that never leave their node", node=node, count=len(hidden))
    for own, open_ in zip(hidden, shown, strict=False):
        await _put(cycle, node, own, "own", scope="private")
        made = await _put(cycle, node, open_, "open")
        cycle.expect("what comes behind is confirmed", made.status == CREATED, got=made.status)
        for other in cycle.others(node):
            there = await _becomes(cycle, other, open_, _FOUND, _DELIVERED_S)
            cycle.expect("what comes behind is delivered", there, node=other)
    here = [await _status(cycle, node, own) for own in hidden[: len(shown)]]
    elsewhere = [await _status(cycle, n, own) for n in cycle.others(node) for own in hidden]
    undelivered = set(here) == {_FOUND} and set(elsewhere) == {_GONE}
    cycle.prove("they are on no other node", undelivered, here=here, elsewhere=elsewhere)


async def _stamped_ahead(cycle: Cycle) -> None:
    """A node that nobody hears starts with a wrong clock, and writes; then it is heard again."""
    node = cycle.pick()
    process, wires = cycle.mesh.nodes[node], cycle.mesh.wires
    ends = _ends(cycle)
    cycle.stage.live.discard(node)
    await process.stop()
    for other in cycle.others(node):
        wires.refuse(node, other)
        wires.refuse(other, node)
    process.order(
        "clock", str(_AHEAD_MS)
    )  # a jump would not be followed, a start takes it as it is
    await cycle.mesh.start(node)
    stuck = names(cycle, "ahead", 1)[0]
    made = await _put(cycle, node, stuck, "ahead")
    code = made.body.get("error") if isinstance(made.body, dict) else None
    cycle.inject("an operation is stamped ahead of all clocks", node=node, by_ms=_AHEAD_MS)
    minted = made.status == _SHORT and await _status(cycle, node, stuck) == _FOUND
    cycle.prove("it was made, and nobody heard of it", minted, got=made.status, code=code)
    process.clear_orders()
    wires.refused.clear()

    def refused() -> bool:
        logs = [(cycle.mesh.nodes[other], ends[other]) for other in cycle.others(node)]
        return any(events_since(one, end, "peer_skewed") for one, end in logs)

    seen = await cycle.until(refused, seconds=_ALONE_S)
    cycle.prove("it is refused at its author's link", seen)
    await _expect_nothing_waits(cycle, cycle.others(node))
    waits = [await _status(cycle, other, stuck) for other in cycle.others(node)]
    cycle.prove("it is delivered nowhere meanwhile", set(waits) == {_GONE}, got=waits)
    cycle.healed("the clock is right again", node=node)
    for other in cycle.others(node):
        there = await _becomes(cycle, other, stuck, _FOUND, (_AHEAD_MS + _TOLERATED_MS) / 1000)
        cycle.expect("it arrives when its time has come", there, node=other)


async def _expect_nothing_waits(cycle: Cycle, writers: Sequence[int]) -> None:
    """What others write is confirmed, and is on every node soon."""
    for ident in names(cycle, "behind", 3):
        writer = cycle.rng.choice(writers)
        done = await _put(cycle, writer, ident, "behind")
        cycle.expect("the others confirm", done.status == CREATED, got=done.status)
        for reader in cycle.others(writer):
            there = await _becomes(cycle, reader, ident, _FOUND, _DELIVERED_S)
            cycle.expect("what others write is delivered", there, node=reader)


# --- F50 ----------------------------------------------------------------------------------------


@fault("F50", workloads=("governance",))
async def tightened(cycle: Cycle) -> None:
    """One side of a cut forbids what the other side goes on doing."""
    few = cycle.minority()
    most = cycle.others(*few)
    ruler, writer = cycle.rng.sample((cycle.rng.choice(few), cycle.rng.choice(most)), 2)
    level, refusal = cycle.rng.choice((("deny", _DENIED), ("approve", _HELD)))
    space = f"{probes(cycle)}/ruled"
    await _rule(cycle, cycle.pick(), space, "any")
    first = names(cycle, "before", 1)[0]
    made = await _put(cycle, writer, first, "before", namespace=space)
    cycle.expect("it is allowed before", made.status == CREATED, got=made.status)
    pairs = between(few, most)
    cycle.mesh.wires.split(few, most)
    cycle.inject("a policy is tightened on one side", ruler=ruler, writer=writer, level=level)
    await prove_cut(cycle, pairs)
    beside = names(cycle, "beside", cycle.rng.randint(2, 3))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_rule, cycle, ruler, space, level)
        for ident in beside:
            nursery.start_soon(_write_beside, cycle, writer, ident, space)
    bound = await _put(cycle, ruler, names(cycle, "bound", 1)[0], "bound", namespace=space)
    cycle.expect("it binds who has it", bound.status in {refusal, _SHORT}, got=bound.status)
    await cycle.hold()
    for one, other in pairs:
        cycle.mesh.wires.flows[one, other].release()
    cycle.healed("the cut is over")
    await _expect_one_verdict(cycle, [first, *beside], space, level, refusal)


async def _rule(cycle: Cycle, node: int, space: str, level: str) -> None:
    body = {"namespace": space, "governance": {"write": level}}
    headers = {"X-Agent-Id": _RULER}
    answer = await cycle.mesh.client.ask(
        node, "POST", "/namespaces", body, headers=headers, timeout_s=8
    )
    # Behind a cut its quorum may be missing; it stands there all the same.
    stands = answer.status in {200, CREATED, _SHORT}
    cycle.expect("the policy is set", stands, got=answer.status, level=level)


async def _write_beside(cycle: Cycle, node: int, ident: str, space: str) -> None:
    made = await _put(cycle, node, ident, "beside", namespace=space)
    cycle.prove("it was written beside the cut", made.status in {CREATED, _SHORT}, got=made.status)


async def _expect_one_verdict(
    cycle: Cycle, idents: Sequence[str], space: str, level: str, refusal: int
) -> None:
    """Every node shows the same of every record, and holds the same policy over it."""
    seen: dict[int, tuple[object, ...]] = {}
    with trio.move_on_after(_LEVEL_S):
        while len(set(seen.values())) != 1 or len(seen) < len(cycle.everyone):
            for node in cycle.everyone:
                shown = [await _status(cycle, node, ident) for ident in idents]
                seen[node] = (*shown, await _levels(cycle, node, space))
    same = len(set(seen.values())) == 1
    told = {cycle.mesh.names[node]: [*each] for node, each in seen.items()}
    cycle.expect("the verdict is the same on every node", same, seen=told)
    first = next(iter(seen.values()))
    stands = set(first[:-1]) == {_FOUND}
    cycle.expect("what was written beside the cut stands", stands, seen=told)
    cycle.expect("the stricter policy holds", level in str(first[-1]), seen=told)
    for node in cycle.everyone:
        late = await _put(cycle, node, names(cycle, "late", 1)[0], "late", namespace=space)
        cycle.expect("it binds everybody now", late.status == refusal, got=late.status, node=node)


async def _levels(cycle: Cycle, node: int, space: str) -> str:
    """The versions of a policy, as a node tells them."""
    path = f"/namespaces?namespace={quote(space, safe='')}"
    answer = await cycle.mesh.client.ask(node, "GET", path)
    return levels_of(answer.body if isinstance(answer.body, dict) else {})


def levels_of(body: Mapping[str, Any]) -> str:
    """The `write` of every version in the answer of `GET /namespaces`, in one order."""
    found = [(one.get("governance") or {}).get("write") for one in body.get("standards") or []]
    return " ".join(sorted(map(str, found)))
