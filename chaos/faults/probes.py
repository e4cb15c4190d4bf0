"""What injectors of several families ask of a node they have hurt.

Law: a probe is a write with a retry key, under a title that nobody else writes; after the fault it
has one effect or none, and one if it was confirmed. Waiting is for a state, with an end.
"""

from typing import Final, NamedTuple

import trio

from chaos.campaign.cycle import Cycle

OK: Final = 200
CREATED: Final = 201
_DEATH_S: Final = 10.0
_SERVES_S: Final = 30.0


class Probe(NamedTuple):
    """A write with a retry key.

    Attributes:
        title: nobody else writes it.
        status: 0 when there was no answer.
    """

    title: str
    status: int


async def write(cycle: Cycle, node: int, title: str, *, timeout_s: float = 8.0) -> Probe:
    """Write one memory under a title that is its retry key too."""
    body = {"title": title, "content": "probe", "namespace": probes(cycle)}
    answer = await cycle.mesh.client.ask(
        node, "POST", "/memories", body, headers={"idempotency-key": title}, timeout_s=timeout_s
    )
    return Probe(title, answer.status)


async def confirmed(cycle: Cycle, node: int, title: str) -> Probe:
    """Ask again with the same key, as a client does, until it is confirmed; at the end as it is."""
    told = Probe(title, 0)
    with trio.move_on_after(_SERVES_S):
        while (told := await write(cycle, node, title)).status not in (OK, CREATED):
            await trio.sleep(0.05)
    return told


async def several(cycle: Cycle, node: int, what: str) -> list[Probe]:
    """A few writes of our own on a node."""
    count = cycle.rng.randint(2, 5)
    return [await write(cycle, node, title_of(cycle, what)) for _ in range(count)]


def probes(cycle: Cycle) -> str:
    """Where the injectors of a cycle write."""
    return f"{cycle.stage.namespace}/probe"


def title_of(cycle: Cycle, what: str) -> str:
    """A title that nobody else writes."""
    return f"{what} {cycle.number} {cycle.rng.getrandbits(48):012x}"


async def titles(cycle: Cycle, node: int) -> list[str] | None:
    """Titles of the injectors' own writes, as a node has them; None when it does not answer."""
    path = f"/memories?namespace={probes(cycle)}&limit=1000"
    answer = await cycle.mesh.client.ask(node, "GET", path)
    if answer.status != OK or not isinstance(answer.body, dict):
        return None
    return [row["title"] for row in answer.body.get("memories", [])]


async def death(cycle: Cycle, node: int, seconds: float = _DEATH_S) -> int | None:
    """Wait for the end of a node that was told to die; its exit code, None when it lives on."""
    process = cycle.mesh.nodes[node]
    if not await cycle.until(lambda: not process.runs, seconds=seconds):
        return None
    cycle.stage.live.discard(node)
    cycle.mesh.client.forget(node)
    return await process.ended()


async def serves(cycle: Cycle, node: int, seconds: float = _SERVES_S) -> bool:
    """Wait until a node says that it is ready; whether it did in time, and did not end."""
    process = cycle.mesh.nodes[node]
    with trio.move_on_after(seconds):
        while process.runs:
            answer = await cycle.mesh.client.ask(node, "GET", "/readyz", timeout_s=2)
            if answer.outcome == "ok":
                return True
            await trio.sleep(0.05)
    return False


async def back(cycle: Cycle, *nodes: int) -> None:
    """Start nodes and let clients ask them again."""
    await cycle.mesh.start(*nodes)
    cycle.stage.live |= set(nodes)


async def expect_once(cycle: Cycle, node: int, told: list[Probe]) -> None:
    """What had a yes is there once; what had none has one effect when it is asked again."""
    ready = await serves(cycle, node)
    cycle.expect("the node serves again", ready)
    again = told[-1].title if told and told[-1].status != CREATED else ""
    if again:
        # Not within one try: its links may be a second old, and a quorum has a deadline.
        answer = await confirmed(cycle, node, again)
        cycle.expect(
            "a retry with its key is confirmed", answer.status in (OK, CREATED), got=answer
        )
    sure = [one.title for one in told if one.status == CREATED]
    held = await _titles_with(cycle, node, sure)
    lost = [title for title in sure if title not in held]
    cycle.expect("what had a yes is there", not lost, lost=lost)
    doubled = [one.title for one in told if held.count(one.title) > 1]
    cycle.expect("nothing is there twice", not doubled, doubled=doubled)
    if again:
        cycle.expect("what was asked twice is there once", held.count(again) == 1)


async def _titles_with(cycle: Cycle, node: int, sure: list[str]) -> list[str]:
    """Titles on a node as soon as it has all that are sure; at the deadline as they are."""
    held: list[str] = []
    with trio.move_on_after(_SERVES_S):
        while True:
            held = await titles(cycle, node) or held
            if set(sure) <= set(held):
                break
            await trio.sleep(0.05)
    return held
