"""Deliveries over histories: failures, crashes, and homes that leave the mesh.

Law: a subscription hears every event at least once and in order; a crash repeats and skips
nothing; while its home is a member no other member delivers, and when it is one no more,
exactly one other does, and skips nothing of the last day.
"""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, cast

import orjson
import pytest

from crdt.op import Draft, Kind
from node.contracts import Caller, Reader
from node.events.subscriptions import Roster
from node.events.telling import Teller
from node.events.webhooks import courier as couriers
from node.events.webhooks.courier import Courier, Surroundings
from node.events.webhooks.ledger import Ledger
from node.events.webhooks.sending import DELIVERED, FAILED, Outcome, Try
from node.http.services import NothingGoverned
from node.logs import EventLog
from node.metrics import Metrics
from node.settings.sections import Subscriptions as Rules
from tests.property.test_governance_planted import Patch, planted
from tests.unit.events.test_events_webhooks import Nobody
from tests.unit.http.fake_node import FakeNode

MEMBERS = ("aa" * 32, "bb" * 32, "cc" * 32)


class CrashError(Exception):
    """The process ended in the middle of a delivery."""


class Member:
    """One member that may deliver; all of them share what replicates."""

    def __init__(self, mesh: "Mesh", me: str) -> None:
        self.mesh, self.me = mesh, me
        self.work: list[Coroutine[Any, Any, None]] = []
        self.ledger: Ledger | None = None
        self.restart()

    def restart(self) -> None:
        """End at once, and begin over what is on the disk."""
        if self.ledger is not None:
            self.ledger.close()
        self.ledger = Ledger(self.mesh.folder / self.me[:2])
        reader = cast("Callable[[], Reader]", self.mesh.node.reader)
        self.courier = Courier(
            reader=reader,
            teller=Teller(reader, NothingGoverned()),
            roster=Roster(reader),
            ledger=self.ledger,
            resolver=Nobody(),
            around=Surroundings(
                me=self.me,
                members=lambda: self.mesh.members,
                rules=lambda: Rules(retry_hours=1000.0),
                now_ms=self.mesh.node.clock.now_ms,
                draw=self.mesh.chance.random,
                spawn=self.work.append,
                metrics=Metrics(),
                log=cast("EventLog", lambda *_, **__: None),
            ),
        )

    async def round(self) -> None:
        self.courier.watch()
        work, self.work[:] = list(self.work), []
        self.mesh.sending = self.me
        for one in work:
            try:
                await one
            except CrashError:
                self.restart()


class Mesh:
    """Members over one log, and a receiver that fails at times."""

    def __init__(self, folder: Path, chance: Random) -> None:
        self.folder, self.chance = folder, chance
        self.node = FakeNode()
        self.members = frozenset(MEMBERS)
        self.sending = ""
        self.heard: list[tuple[str, str, frozenset[str]]] = []
        self.written: list[str] = []
        self.calm = False
        self.all = [Member(self, me) for me in MEMBERS]

    async def send(self, wanted: Try, _resolver: object) -> Outcome:
        drawn = 1.0 if self.calm else self.chance.random()
        if drawn < 0.15:
            return Outcome(kind=FAILED)
        if drawn < 0.25:
            raise CrashError  # nobody has heard it
        told = orjson.loads(wanted.body)
        if "memory_id" in told:
            self.heard.append((told["memory_id"], self.sending, self.members))
        if drawn < 0.35:
            raise CrashError  # it was heard, and nobody noted that
        return Outcome(kind=DELIVERED)

    async def write(self, collection: str, ident: str, **fields: Any) -> None:
        draft = Draft(
            kind=Kind.CREATE, collection=collection, id=ident, namespace="team", owner="ai:a",
            set=fields,
        )  # fmt: skip
        await self.node.write([draft], caller=Caller(agent="ai:a"), action="store")

    async def store(self) -> None:
        self.written.append(f"m{len(self.written):03}")
        await self.write("memory", self.written[-1], title="t", content="c", tier="long")

    async def rounds(self) -> None:
        for member in self.chance.sample(self.all, len(self.all)):
            await member.round()

    def close(self) -> None:
        for member in self.all:
            assert member.ledger is not None
            member.ledger.close()


async def delivers(folder: Path, seed: int) -> None:
    chance = Random(seed)
    mesh = Mesh(folder, chance)
    with planted((couriers, "send", mesh.send)):
        await mesh.write(
            "subscription", "s-1", url="https://h.example.org/", events="*", namespace="",
            home=MEMBERS[0],
        )  # fmt: skip
        for _ in range(40):
            mesh.node.clock.ms += chance.choice((1, 500, 20_000))
            deed = chance.random()
            if deed < 0.6:
                await mesh.store()
            elif deed < 0.65 and len(mesh.members) > 1:
                mesh.members -= {chance.choice(sorted(mesh.members))}
            elif deed < 0.75:
                chance.choice(mesh.all).restart()
            await mesh.rounds()
        mesh.calm = True
        for _ in range(4):
            mesh.node.clock.ms += 3_600_000
            await mesh.rounds()
    mesh.close()
    check(mesh, seed)


def check(mesh: Mesh, seed: int) -> None:
    first = list(dict.fromkeys(ident for ident, _, _ in mesh.heard))
    assert first == mesh.written, f"seed {seed}: skipped, or out of order"
    for me in MEMBERS:
        own = [ident for ident, by, _ in mesh.heard if by == me]
        assert all(after >= before for before, after in pairwise(own)), (
            f"seed {seed}: out of order from one member"
        )
    for _, by, members in mesh.heard:
        assert by in members, f"seed {seed}: a stranger delivered"
        assert by == MEMBERS[0] or MEMBERS[0] not in members, f"seed {seed}: home was there"
    for members in {at for _, _, at in mesh.heard}:
        assert len({by for _, by, at in mesh.heard if at == members}) == 1, f"seed {seed}: two"


@pytest.mark.parametrize("seed", range(6))
def test_deliveries_over_histories(tmp_path: Path, seed: int) -> None:
    asyncio.run(delivers(tmp_path, seed))


@pytest.mark.slow
def test_deliveries_over_many_histories(tmp_path: Path) -> None:
    for seed in range(1000, 1150):
        asyncio.run(delivers(tmp_path / str(seed), seed))


# --- planted bugs ------------------------------------------------------------------------


def eager() -> Patch:
    """How far it is is noted before the receiver has confirmed."""
    plain = Courier._try

    async def attempt(self: Courier, one: Any, told: Any) -> Outcome:
        nearest = self._next(one)
        await self._keep(one, nearest.after)
        return await plain(self, one, told)

    return Courier, "_try", attempt


def everybody() -> Patch:
    return Courier, "delivers", lambda self, _one, members: self._around.me in members


def homeless() -> Patch:
    """Nobody takes over."""
    return Courier, "delivers", lambda self, one, _members: one.home == self._around.me


def from_now_on() -> Patch:
    """Who takes over begins with what comes next."""
    plain = Courier._begin

    def begin(self: Courier, one: Any) -> Any:
        row = plain(self, one)
        if one.home == self._around.me:
            return row
        latest = self._reader().latest_place()
        return couriers.replace(row, arrival=latest.arrival, index=latest.step)

    return Courier, "_begin", begin


@pytest.mark.parametrize("bug", [eager, everybody, homeless, from_now_on])
def test_the_law_notices(tmp_path: Path, bug: Callable[[], Patch]) -> None:
    with planted(bug()):
        for seed in range(30):
            try:
                asyncio.run(delivers(tmp_path / str(seed), seed))
            except AssertionError:
                print(f"{bug.__name__}: caught by seed {seed}")
                return
    pytest.fail("the law sleeps")
