"""The story of the demonstration, act by act.

Law: each act does something real and fails when it does not go as the words say. Waits are
for states, with a deadline. What is broken is broken for real: links by taking fingerprints
off the lists, processes by SIGKILL. What is measured is measured, not assumed.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from node.cli.demo_agents import Agents, Said
from node.cli.demo_ledger import Verdict, judge
from node.cli.demo_mesh import DemoMesh, DemoNode, allow, deny
from node.cli.demo_stage import Row, Stage
from node.cli.demo_stranger import Refusals, try_the_door
from node.cli.demo_text import Texts
from node.errors import NodeError

_LOAD_SECONDS: Final = 5.0
_KILL_AFTER_SECONDS: Final = 1.5
_HANDS: Final = 6
_WAIT_SECONDS: Final = 25.0
_STEP_SECONDS: Final = 0.02
_WATCH_SECONDS: Final = 0.25


@dataclass(slots=True)
class Story:
    """What the acts share.

    Attributes:
        catchup_ops: operations that the restarted nodes took from the one that stayed.
        catchup_seconds: from starting their processes until all nodes were level.
    """

    mesh: DemoMesh
    agents: Agents
    stage: Stage
    texts: Texts
    turns: Iterator[Mapping[str, Any]]
    catchup_ops: int = 0
    catchup_seconds: float = 0.0
    documents: list[str] = field(default_factory=list)

    # --- looking -------------------------------------------------------------------

    async def look(self) -> None:
        """Bring the table up to date."""
        self.stage.show([await self._row(node) for node in self.mesh.nodes])

    async def _row(self, node: DemoNode) -> Row:
        told = await self.agents.mesh(node)
        confirmed = str(self.agents.wrote.get(node.name, 0))
        if told is None:
            return Row(name=node.name, state=node.state, confirmed=confirmed)
        try:
            total = str((await self.agents.ask(node, "GET", "/stats")).body["total"])
        except (OSError, TimeoutError, KeyError, TypeError):
            total = ""
        linked = sum(member["state"] == "ready" for member in told["members"])
        return Row(
            name=node.name,
            state=node.state,
            links=str(linked),
            memories=total,
            confirmed=confirmed,
            digest=told["digest"][:12],
        )

    async def watch(self) -> None:
        """Keep the table up to date until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_WATCH_SECONDS)

    async def until_linked(self, node: DemoNode, count: int, members: int = 3) -> None:
        """Wait until a node is linked to so many others, and all agree who the members are."""

        async def linked() -> bool:
            told = await self.agents.mesh(node)
            if told is None or told["quorum"]["n"] != members:
                return False
            ready = [member for member in told["members"] if member["state"] == "ready"]
            return len(ready) == count

        await _until(linked, f"{node.name} has {count} links")

    async def until_level(self) -> dict[str, Any]:
        """Wait until all nodes have one clock and one digest; returns what one of them says."""
        last: dict[str, Any] = {}

        async def level() -> bool:
            told = [await self.agents.mesh(node) for node in self.mesh.nodes]
            clocks = [one["clock"] if one else None for one in told]
            if None in clocks or any(clock != clocks[0] for clock in clocks):
                return False
            digests = {one["digest"] for one in told if one}
            if len(digests) > 1:
                raise NodeError("nodes with equal clocks have different digests", why=str(digests))
            last.update(told[0] or {})
            return True

        await _until(level, "all nodes are level")
        return last

    @asynccontextmanager
    async def load(self, nodes: Sequence[DemoNode]) -> AsyncIterator[None]:
        """Agents write on these nodes for as long as the block lasts."""
        ends = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(
                self.agents.keep_writing(nodes, self.turns, ends, hands=_HANDS), name="load"
            )
            try:
                yield
            finally:
                ends.set()


async def _until(state: Callable[[], Awaitable[bool]], words: str) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not await state():
        if time.monotonic() > deadline:
            raise NodeError(f"waited {_WAIT_SECONDS:.0f} s in vain: {words}")
        await asyncio.sleep(_STEP_SECONDS)


# --- the acts ----------------------------------------------------------------------


async def found(story: Story, folder: Path) -> None:
    """Three nodes become one mesh."""
    story.stage.act("Three nodes on this machine become one mesh")
    mesh = story.mesh
    await asyncio.to_thread(mesh.prepare, folder)
    for node in mesh.nodes:
        story.stage.say(f"{node.name} has the fingerprint {node.known.fingerprint[:16]}...")
    first, *others = mesh.nodes
    await asyncio.to_thread(mesh.start, [first])
    for node in others:
        await asyncio.to_thread(mesh.join, node, first)
        story.stage.say(
            f"{node.name} checked the fingerprint of {first.name}, proved its own key, and joined"
        )
    await asyncio.to_thread(mesh.start, others)
    for node in mesh.nodes:
        await story.until_linked(node, len(others))
    told = await story.until_level()
    quorum = told["quorum"]
    if (quorum["n"], quorum["w"]) != (3, 2):
        raise NodeError("the mesh is not what it should be", why=str(quorum))
    story.stage.say("All pairs are linked over mutual TLS. N = 3, W = 2: a write is confirmed")
    story.stage.say("once it is on the disks of two nodes, the one that took it included.")


async def write_everywhere(story: Story) -> None:
    """Agents write on all nodes at once."""
    stage, nodes = story.stage, story.mesh.nodes
    stage.act("Agents write on all three nodes at once")
    stage.say(f"The texts: {story.texts.told}.")
    async with story.load(nodes):
        story.documents = await story.agents.store_all(nodes[0], story.texts.documents)
        stage.say(f"{len(story.documents)} sections went in through the bulk route of node-1.")
        await asyncio.sleep(_LOAD_SECONDS)
    wrote = ", ".join(f"{name} {count}" for name, count in sorted(story.agents.wrote.items()))
    stage.say(f"Confirmed so far, by the node that was asked: {wrote}.")
    await story.look()
    stage.picture()


async def edit_across_a_cut(story: Story) -> None:
    """One record is edited on both sides of a cut, and nothing is thrown away."""
    stage, agents = story.stage, story.agents
    one, two, three = story.mesh.nodes
    await story.until_level()
    stage.act("One memory is edited on both sides of a cut")
    stage.say("node-3 and the others take each other off their allowlists: live links end at once.")
    for node, others in ((three, [one, two]), (one, [three]), (two, [three])):
        deny(node, others)
    await story.until_linked(three, 0)
    await story.until_linked(one, 1)
    ident = story.documents[0]
    before = (await agents.tell(one, "GET", f"/memories/{ident}")).body["memory"]
    here = {**before, "title": before["title"] + " (edited on node-1)"}
    there = {**before, "title": before["title"] + " (edited on node-3)"}
    confirmed = await agents.edit(one, ident, here)
    _expect(confirmed, HTTPStatus.OK, "the edit on the side with two nodes")
    stage.say(f"node-1 and node-2 confirm theirs: {here['title']!r}")
    alone = await agents.edit(three, ident, there)
    _expect(alone, HTTPStatus.SERVICE_UNAVAILABLE, "the edit on the side with one node")
    stage.say(
        f"node-3 alone keeps its edit and says so: 503 {alone.body['error']}, "
        f"durability.local {alone.body['durability']['local']}"
    )
    for node, others in ((three, [one, two]), (one, [three]), (two, [three])):
        allow(node, others)
    await story.until_linked(three, 2)
    await story.until_level()
    stage.say("The lists are whole again. Every node now shows the same value and keeps the other:")
    await _show_conflict(story, ident, {here["title"], there["title"]})
    settled = {**before, "title": before["title"] + " (edited on both sides)"}
    _expect(await agents.edit(two, ident, settled), HTTPStatus.OK, "the edit that settles it")
    await story.until_level()
    for node in story.mesh.nodes:
        left = (await agents.tell(node, "GET", f"/memories/{ident}/conflicts")).body["fields"]
        if left:
            raise NodeError(f"{node.name} still shows a conflict", why=str(left))
    stage.say(f"An edit that saw both settles it: {settled['title']!r}")


async def _show_conflict(story: Story, ident: str, wanted: set[str]) -> None:
    shown: set[tuple[str, str]] = set()
    for node in story.mesh.nodes:
        memory = (await story.agents.tell(node, "GET", f"/memories/{ident}")).body["memory"]
        fields = (await story.agents.tell(node, "GET", f"/memories/{ident}/conflicts")).body
        others = {row["value"] for row in fields["fields"].get("title", [])}
        if {memory["title"], *others} != wanted or len(others) != 1:
            raise NodeError(f"{node.name} does not keep both edits", why=str(fields)[:300])
        shown.add((memory["title"], *others))
    if len(shown) != 1:
        raise NodeError("the nodes show different values", why=str(shown))
    value, other = shown.pop()
    story.stage.say(f"   shown: {value!r}, in conflict with it: {other!r}")


async def kill_under_load(story: Story) -> None:
    """A node dies while agents write on it."""
    stage, mesh = story.stage, story.mesh
    _, two, _ = mesh.nodes
    stage.act("A node is killed while agents write on it")
    before = len(story.agents.ledger.acknowledged)
    async with story.load(mesh.nodes):
        await asyncio.sleep(_KILL_AFTER_SECONDS)
        await asyncio.to_thread(mesh.kill, two)
        at = len(story.agents.ledger.acknowledged)
        stage.say(f"kill -9 {two.name}, {at - before} writes after the load began")
        await asyncio.sleep(_LOAD_SECONDS - _KILL_AFTER_SECONDS)
    after = len(story.agents.ledger.acknowledged)
    stage.say(f"The two others confirmed {after - at} more writes without it.")
    stage.say(
        f"{story.agents.ledger.retried} writes broke off and were sent again to another node "
        "under the same key."
    )
    if after <= at:
        raise NodeError("nothing was confirmed after one of three nodes died")
    await story.look()
    stage.picture()


async def fall_short(story: Story) -> None:
    """Two of three nodes are down: a write is kept, and not confirmed."""
    stage, mesh = story.stage, story.mesh
    one, _, three = mesh.nodes
    stage.act("A second node dies: the last one cannot confirm, and says so")
    await asyncio.to_thread(mesh.kill, three)
    ident = "demo-shortfall"
    text = {"title": "Written with two nodes down", "content": "Kept here, not confirmed."}
    story.agents.ledger.doubt(ident)
    began = time.monotonic()
    said = await story.agents.ask(one, "POST", "/memories", {**text, "id": ident})
    took = time.monotonic() - began
    _expect(said, HTTPStatus.SERVICE_UNAVAILABLE, "a write with two of three nodes down")
    body = said.body
    if body["error"] != "quorum_not_met" or body["durability"]["local"] is not True:
        raise NodeError("the shortfall is not told as it should be", why=str(body))
    stage.say(
        f"503 {body['error']} after {took:.2f} s: got {body['got']} of {body['needed']}, "
        f"reason {body['reason']}, durability.local true"
    )
    stage.say("The write stays on node-1 and spreads when the others are back.")


async def refuse_a_stranger(story: Story, folder: Path) -> None:
    """A certificate that nobody allowed gets nowhere."""
    one, two, _ = story.mesh.nodes
    story.stage.act("A stranger with a certificate of its own knocks")
    found_out: Refusals = await asyncio.to_thread(try_the_door, one, two, folder / "stranger")
    story.stage.say(f"its certificate {found_out.fingerprint[:16]}... is on nobody's list")
    story.stage.say(f"on the mTLS listener of {one.name}: {found_out.door}")
    story.stage.say(f"asking to be introduced first: {found_out.introduction}")
    story.stage.say("the same request with the certificate of a member is let in, as it should be")


async def come_back(story: Story) -> None:
    """The dead start again on what they had, and catch up."""
    stage, mesh = story.stage, story.mesh
    _, two, three = mesh.nodes
    stage.act("Both nodes start again and catch up")
    began = time.monotonic()
    await asyncio.to_thread(mesh.start, [two, three])
    listening = time.monotonic() - began
    await story.until_level()
    story.catchup_seconds = round(time.monotonic() - began, 3)
    story.catchup_ops = sum([await story.agents.taken_in(node) for node in (two, three)])
    if not story.catchup_ops:
        raise NodeError("the nodes that were down took nothing in, so nothing was shown")
    for node in mesh.nodes:
        await story.until_linked(node, 2)
    stage.say(
        f"{story.catchup_ops} operations in {story.catchup_seconds:.2f} s, "
        f"of which {listening:.2f} s to start the processes"
    )


async def judge_all(story: Story) -> Verdict:
    """Is every confirmed write on every node, with the very text that was confirmed?"""
    stage, nodes = story.stage, story.mesh.nodes
    stage.act("The judge compares every memory on every node")
    told = await story.until_level()
    verdict = judge(story.agents.ledger, [await story.agents.held(node) for node in nodes])
    promised = len(story.agents.ledger.acknowledged)
    held = ", ".join(str(count) for count in verdict.memories)
    stage.say(f"{promised} writes were confirmed. The nodes hold {held} memories.")
    stage.say(
        f"missing or different: {len(verdict.lost)}, unequal between nodes: "
        f"{len(verdict.differing)}, never written by anybody: {len(verdict.strangers)}"
    )
    stage.say(f"The digest of all three nodes is {told['digest']}.")
    await story.look()
    stage.picture()
    return verdict


def _expect(said: Said, status: HTTPStatus, what: str) -> None:
    if said.status != status:
        raise NodeError(f"{what} was answered with {said.status}", why=str(said.body)[:300])
