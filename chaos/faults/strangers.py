"""F37, and requests of clients that break off (F13 and F14 by draw).

Law: strangers come from a node's place, for who stands outside the mesh's network reaches nobody.
The certificates that belong on the lists are there for as long as the cycle lasts, and only then;
that they are in force is seen before anything is judged.
"""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import trio

from chaos.campaign.cycle import Cycle
from chaos.faults.registry import fault
from chaos.faults.rogues import judge, target_of, victims
from chaos.hostile import shapes, strangers
from chaos.hostile.impostor import impersonate, key_of
from chaos.hostile.link import open_link
from chaos.hostile.target import Expectation, Papers, Target, until
from chaos.hostile.websocket import ClosedError

__all__ = ["cut_requests", "reset_answers"]

_LISTED_S = 10.0


@fault("F37")
async def strangers_of_every_kind(cycle: Cycle) -> None:
    """Whoever is not let in asks a node for everything; so does one on the list, no member."""
    node = cycle.pick()
    process = cycle.mesh.nodes[node]
    target = target_of(cycle, node, victims(cycle, node))
    target.victims = target.victims[:1]
    own = target.papers.member
    made = Papers.make(cycle.mesh.folder / "strangers", "stranger")
    target.papers = replace(made, member=own)
    member = await impersonate(target, key_of(process.data_dir), cycle.rng)
    listed = {f: name for f, name in target.papers.listed.items() if f != own.fingerprint}
    async with _on_the_lists(cycle, listed):
        cycle.inject("strangers at the door", at=target.victims[0].name, by=process.name)
        known = await until(lambda: _is_known(target), _LISTED_S)
        cycle.prove("the lists are in force", known)
        found = await strangers.attack(target, cycle.rng)
        judge(cycle, found)
        answers = next(one.detail["answers"] for one in found if "answers" in one.detail)
        cycle.prove("strangers of every kind came", len(answers) > len(listed), answers=answers)
        cycle.prove("the member itself is served", found[0].ok, name=member.target.name)


async def _is_known(target: Target) -> bool:
    """Whether somebody who is on the list and no member gets as far as a greeting."""
    try:
        link = await open_link(target, target.victims[0], target.papers.outsider)
    except (ClosedError, OSError, trio.BrokenResourceError, trio.TooSlowError):
        return False
    await link.close()
    return True


@asynccontextmanager
async def _on_the_lists(cycle: Cycle, listed: dict[str, str]) -> AsyncIterator[None]:
    lists = {one.allowlist for one in cycle.mesh.nodes}
    before = {path: path.read_text() for path in lists}
    more = "".join(f"{fingerprint} {name}\n" for fingerprint, name in listed.items())
    try:
        for path, text in before.items():
            _write(path, text + more)
        yield
    finally:
        for path in lists:
            kept = [
                line
                for line in path.read_text().splitlines()
                if line.partition(" ")[0] not in listed
            ]
            _write(path, "".join(f"{line}\n" for line in kept))


def _write(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


# --- clients that break off ---------------------------------------------------------------------


async def reset_answers(cycle: Cycle) -> None:
    """F13 at a client: its connection is reset in the middle of what it is told."""
    await _as_client(cycle, "answers are reset", shapes.resets, 0.2)


async def cut_requests(cycle: Cycle) -> None:
    """F14 at a client: what it asks is cut off at drawn bytes."""
    await _as_client(cycle, "requests are cut off", shapes.cut_everywhere, 0.01)


async def _as_client(
    cycle: Cycle,
    what: str,
    attack: Callable[[Target, random.Random], Awaitable[list[Expectation]]],
    scale: float,
) -> None:
    node = cycle.pick()
    target = target_of(cycle, cycle.others(node)[0], victims(cycle, cycle.others(node)[0]))
    target.victims = [one for one in target.honest if one.name == cycle.mesh.names[node]]
    target.scale = scale
    cycle.inject(what, node=node)
    found = await attack(target, cycle.rng)
    judge(cycle, found)
    cycle.prove("requests were broken off and sent again", found)
