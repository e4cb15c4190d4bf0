"""The tasks that keep exchanges going: leases, pauses, and what ends one."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from node.foreign.bridge import Counts
from node.foreign.peers import ForeignPeers, Wish
from node.foreign.problems import PeerAway, PeerIsMember
from node.limits import Limits
from node.metrics import Metrics

URL = "https://far:9077"


@dataclass
class Scripted:
    """A bridge that does what the test says, and counts."""

    outcome: Callable[[], Counts]
    rounds: int = 0
    ran: asyncio.Event = field(default_factory=asyncio.Event)

    async def round(self) -> Counts:
        self.rounds += 1
        self.ran.set()
        return self.outcome()

    async def another(self) -> None:
        self.ran.clear()
        async with asyncio.timeout(5):
            await self.ran.wait()
        await asyncio.sleep(0)


@dataclass
class World:
    group: asyncio.TaskGroup
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    now: float = 100.0
    metrics: Metrics = field(default_factory=Metrics)
    made: list[Wish] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def peers(self, bridge: Scripted) -> ForeignPeers:
        def make(wish: Wish) -> Any:
            self.made.append(wish)
            return bridge

        def spawn(work: Coroutine[Any, Any, None]) -> None:
            self.tasks.append(self.group.create_task(work))

        return ForeignPeers(
            make=make,
            spawn=spawn,
            log=lambda event, **facts: self.events.append((event, facts)),
            metrics=self.metrics,
            limits=Limits(),
            now_ms=lambda: 1_770_000_000_000,
            monotonic=lambda: self.now,
            jitter=lambda: 0.5,
        )

    def told(self, name: str) -> list[dict[str, Any]]:
        return [facts for event, facts in self.events if event == name]


def wish(**more: Any) -> Wish:
    return Wish(url=URL, interval_s=0.1, **more)


def done(**counts: Any) -> Counts:
    return Counts(**{"untaken": [], **counts})


async def test_rounds_go_on_and_are_counted() -> None:
    async with asyncio.TaskGroup() as group:
        world = World(group)
        bridge = Scripted(lambda: done(pulled=2, pushed=1, untaken=[("out", "memory", "x: y")]))
        peers = world.peers(bridge)
        peers.add(wish())
        await bridge.another()
        await bridge.another()
        (status,) = peers.status()
        assert (status["state"], status["configured"]) == ("level", True)
        assert status["pulled"] == 2 * status["rounds"]
        assert world.told("foreign_items_untaken")[0]["error"] == "x"
        assert peers.drop([URL]) == []  # the configuration wants it
        page = world.metrics.render(process=False).decode()
        assert 'mnemesh_sync_ops_total{direction="in",peer="far:9077"}' in page
        for task in world.tasks:
            task.cancel()


async def test_failures_are_told_seldom_and_never_end_the_node() -> None:
    async with asyncio.TaskGroup() as group:
        world = World(group)
        errors = iter([PeerAway("no answer"), KeyError("a bug"), PeerAway("no answer")])

        def fail() -> Counts:
            raise next(errors, PeerAway("no answer"))

        bridge = Scripted(fail)
        peers = world.peers(bridge)
        peers.add(wish())
        for _ in range(3):
            await bridge.another()
        (status,) = peers.status()
        assert status["failures"] == 3
        assert [facts["failures"] for facts in world.told("foreign_peer_failed")] == [1, 3]
        pauses = [peers._rest(peers._held[URL]) for peers._held[URL].failures in (0, 1, 2, 40)]
        assert pauses[0] < pauses[1] < pauses[2] < pauses[3] <= 60 * 1.25
        for task in world.tasks:
            task.cancel()


async def test_a_member_is_stopped_for_good() -> None:
    async with asyncio.TaskGroup() as group:
        world = World(group)

        def refuse() -> Counts:
            raise PeerIsMember("it is one of us")

        bridge = Scripted(refuse)
        peers = world.peers(bridge)
        peers.add(wish())
        async with asyncio.timeout(5):
            await world.tasks[0]
        assert peers.status()[0]["state"] == "stopped"
        assert world.told("foreign_peer_is_member") == [{"url": URL}]
        assert bridge.rounds == 1


async def test_what_was_added_is_held_as_long_as_it_is_asked_for() -> None:
    async with asyncio.TaskGroup() as group:
        world = World(group)
        bridge = Scripted(done)
        peers = world.peers(bridge)
        body = {"peers": ["https://far:9077/"], "interval": 1, "lease_secs": 10}
        assert peers.add_wish(body)[0]["url"] == URL
        world.now += 9
        peers.watch()
        peers.add_wish(body)  # the same again: nothing begins anew
        assert len(world.made) == 1
        world.now += 9
        peers.watch()
        assert peers.status()
        world.now += 2
        peers.watch()
        assert peers.status() == []
        async with asyncio.timeout(5):
            await world.tasks[0]
        peers.add_wish(body)
        assert peers.drop([URL]) == [URL]


@pytest.mark.parametrize("change", [{"interval": 5}, {"peer_id": "x"}])
async def test_another_wish_begins_anew(change: dict[str, Any]) -> None:
    async with asyncio.TaskGroup() as group:
        world = World(group)
        peers = world.peers(Scripted(done))
        peers.add_wish({"peers": [URL]})
        peers.add_wish({"peers": [URL], **change})
        assert len(world.made) == 2
        assert len(peers.status()) == 1
        peers.drop([URL])
