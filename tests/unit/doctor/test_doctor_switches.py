"""Switches that weaken a node, and the mode that is announced to the mesh."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from crdt.governance_state import GovernanceState
from crdt.op import Kind
from node.contracts import Caller, GovernanceDraft, Receipt, RetryKey
from node.doctor.switches import SWITCHES, Switches, weakened
from node.errors import Denied, Joining, NodeError
from node.logs import EVENTS
from node.metrics import Metrics
from node.modes import ModeKeeper
from node.settings import Settings
from node.settings.sections import TABLE
from tests.unit.doctor.healthy import A, settings_with, state_with

WEAK: dict[str, dict[str, dict[str, Any]]] = {
    "federation.require_signature": {"federation": {"require_signature": False}},
    "federation.require_nonce": {"federation": {"require_nonce": False}},
    "permissions.mode": {"permissions": {"mode": "advisory"}},
    "governance.fail_open_on_error": {"governance": {"fail_open_on_error": True}},
}


@dataclass
class Ear:
    """Hears events and audit entries."""

    said: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __call__(self, event: str, **facts: Any) -> None:
        assert event in EVENTS
        self.said.append((event, facts))

    def record(self, event: str, **facts: Any) -> None:
        self.said.append((event, facts))


def gauges(metrics: Metrics) -> dict[str, float]:
    lines = metrics.render(process=False).decode().splitlines()
    found = [line for line in lines if line.startswith("mnemesh_security_switch_weakened{")]
    return {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in found}


def test_every_switch_can_be_reloaded_and_has_its_strong_value_by_default() -> None:
    reloadable = {row.name for row in TABLE if row.about.reload}
    assert {switch.name for switch in SWITCHES} == WEAK.keys()
    assert WEAK.keys() <= reloadable
    assert not list(weakened(settings_with()))


@pytest.mark.parametrize("name", WEAK)
def test_a_weakened_switch_is_a_line_a_gauge_and_an_entry(name: str) -> None:
    metrics, log, chain = Metrics(), Ear(), Ear()
    switches = Switches(metrics=metrics, log=log)
    switches.tell(settings_with())
    assert gauges(metrics) == dict.fromkeys(WEAK, 0.0)
    assert not log.said
    switches.audited_by(chain.record)
    switches.tell(settings_with(**WEAK[name]))
    assert gauges(metrics) == {**dict.fromkeys(WEAK, 0.0), name: 1.0}
    ((event, facts),) = log.said
    assert (event, facts["switch"]) == ("switch_weakened", name)
    # A reload that leaves it as it is warns again, and is nothing new for the chain.
    switches.tell(settings_with(**WEAK[name]))
    assert len(log.said) == 2
    switches.tell(settings_with())
    assert gauges(metrics)[name] == 0.0
    assert [(event, facts["switch"]) for event, facts in chain.said] == [
        ("switch_weakened", name),
        ("switch_restored", name),
    ]


def test_a_chain_that_comes_later_is_told_what_holds() -> None:
    chain = Ear()
    switches = Switches(metrics=Metrics(), log=Ear())
    switches.tell(settings_with(permissions={"mode": "off"}))
    switches.audited_by(chain.record)
    assert chain.said == [("switch_weakened", {"switch": "permissions.mode", "value": "off"})]


def test_the_type_line_is_there_before_any_switch_was_told() -> None:
    page = Metrics().render(process=False).decode()
    assert "# TYPE mnemesh_security_switch_weakened gauge" in page


# --- the mode, as the mesh knows it ------------------------------------------------------


@dataclass
class Mesh:
    """A mesh that takes a mode in, or says no; and everything a keeper asks for."""

    settings: Settings = field(default_factory=settings_with)
    state: GovernanceState | None = field(default_factory=state_with)
    refuses: NodeError | None = None
    asked: list[tuple[str, Caller]] = field(default_factory=list)
    now: float = 100.0
    log: Ear = field(default_factory=Ear)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def govern(
        self, drafts: Sequence[GovernanceDraft], *, caller: Caller, retry: RetryKey | None = None
    ) -> Receipt:
        (draft,) = drafts
        assert (draft.kind, draft.id, draft.namespace, retry) == (Kind.MODE, "", "", None)
        mode = draft.set["mode"]
        self.asked.append((mode, caller))
        if self.refuses is not None:
            raise self.refuses
        assert self.state is not None
        self.state = replace(self.state, modes={} if mode == "enforce" else {A: mode})
        return Receipt(dots=(), local=True, acks=2, needed=2, peers=(), token="-")  # noqa: S106 - an empty causal token

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))

    def keeper(self) -> ModeKeeper:
        return ModeKeeper(
            node_id=A,
            settings=lambda: self.settings,
            state=lambda: self.state,
            funnel=self,  # type: ignore[arg-type]  # the one part of it that is used
            spawn=self.spawn,
            monotonic=lambda: self.now,
            log=self.log,
        )

    async def settle(self) -> None:
        tasks, self.tasks = self.tasks, []
        await asyncio.gather(*tasks)


async def watched(mesh: Mesh, keeper: ModeKeeper) -> list[str]:
    """Watch a few times; returns the modes that were announced meanwhile."""
    before = len(mesh.asked)
    for _ in range(3):
        keeper.watch()
        keeper.watch()
        await mesh.settle()
    return [mode for mode, _ in mesh.asked[before:]]


async def test_a_mode_is_announced_once_and_taken_back_once() -> None:
    mesh = Mesh()
    keeper = mesh.keeper()
    assert await watched(mesh, keeper) == []
    mesh.settings = settings_with(
        permissions={"mode": "advisory"}, admin={"agent_ids": ("human:anna", "ai:bob")}
    )
    assert await watched(mesh, keeper) == ["advisory"]
    assert mesh.asked[0][1] == Caller(agent="human:anna", local=True)
    mesh.settings = settings_with()
    assert await watched(mesh, keeper) == ["enforce"]
    assert [facts["mode"] for _, facts in mesh.log.said] == ["advisory", "enforce"]
    assert not keeper.refused


async def test_nothing_is_announced_before_the_node_serves() -> None:
    mesh = Mesh(settings=settings_with(permissions={"mode": "off"}), state=None)
    keeper = mesh.keeper()
    assert await watched(mesh, keeper) == []
    mesh.state = state_with()
    assert await watched(mesh, keeper) == ["off"]


async def test_a_refusal_is_told_once_and_asked_again_only_when_something_changed() -> None:
    mesh = Mesh(settings=settings_with(permissions={"mode": "off"}), refuses=Denied("no"))
    keeper = mesh.keeper()
    assert await watched(mesh, keeper) == ["off"]
    assert keeper.refused
    assert [event for event, _ in mesh.log.said] == ["mode_refused"]
    mesh.refuses = None
    mesh.settings = settings_with(permissions={"mode": "off"}, admin={"agent_ids": ("human:anna",)})
    assert not keeper.refused
    assert await watched(mesh, keeper) == ["off"]
    assert not keeper.refused


async def test_going_back_to_enforce_ends_a_refusal() -> None:
    mesh = Mesh(settings=settings_with(permissions={"mode": "off"}), refuses=Denied("no"))
    keeper = mesh.keeper()
    await watched(mesh, keeper)
    mesh.settings = settings_with()
    assert await watched(mesh, keeper) == []
    assert not keeper.refused


async def test_what_could_not_be_minted_is_tried_again_after_a_pause() -> None:
    mesh = Mesh(settings=settings_with(permissions={"mode": "off"}), refuses=Joining("not yet"))
    keeper = mesh.keeper()
    assert await watched(mesh, keeper) == ["off"]
    mesh.now += 6.0
    mesh.refuses = None
    assert await watched(mesh, keeper) == ["off"]
    assert not keeper.refused
