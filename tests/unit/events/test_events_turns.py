"""Turns of deliveries: who is slow, or has many, holds up no other."""

import asyncio

import pytest

from node.events.webhooks.turns import Turns


class Hall:
    """Those who wait for a turn, and those who have one."""

    def __init__(self, most: int) -> None:
        self.turns = Turns(most)
        self.inside: list[str] = []
        self.over = asyncio.Event()

    async def come(self, owner: str, *, proven: bool) -> None:
        async with self.turns.turn(owner, proven=proven):
            self.inside.append(owner)
            await self.over.wait()


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("proven", "most"), [(True, 4), (False, 4)])
async def test_no_owner_has_more_than_a_quarter(most: int, *, proven: bool) -> None:
    hall = Hall(16)
    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(hall.come("mallory", proven=proven))
        await settled()
        assert hall.inside == ["mallory"] * most
        group.create_task(hall.come("alice", proven=proven))
        await settled()
        assert hall.inside[-1] == "alice"
        hall.over.set()
    assert hall.inside.count("mallory") == 100


async def test_half_is_kept_for_those_that_answered_quickly() -> None:
    hall = Hall(16)
    async with asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(hall.come(f"m{number}", proven=False))
        await settled()
        assert len(hall.inside) == 8
        for number in range(8):
            group.create_task(hall.come(f"a{number}", proven=True))
        await settled()
        assert {f"a{number}" for number in range(8)} <= set(hall.inside)
        hall.over.set()
    assert not hall.turns._owners
