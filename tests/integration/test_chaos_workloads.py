"""Every workload on a mesh that nobody breaks: nothing is found, and most of it is acknowledged."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import trio

from chaos.check.campaign import check_campaign
from chaos.check.cycle import check_cycle, count
from chaos.check.gathering import gather
from chaos.client import Client
from chaos.history import Event, Recorder, Stage, read_file
from chaos.network.places import Place
from chaos.workloads import WORKLOADS
from chaos.workloads.play import Pace
from chaos.workloads.whole import write_whole
from tests.integration.rig import RealNode, cleaned_up, until_level
from tests.integration.rig_mesh import founded, start_all

# The smoke that CI plays runs each of them too, under faults.
pytestmark = [pytest.mark.integration, pytest.mark.slow]

SECONDS = 2.5
ASKED = {
    "set": {"add": 40},
    "register": {"create": 3, "write": 15, "read": 20},
    "counter": {"create": 3, "increment": 30, "read": 10},
    "delete": {"create": 15, "edit": 10, "delete": 8},
    "governance": {"policy": 4, "add": 30},
    "causal": {"add": 25, "read": 30},
    "session": {"create": 3, "write": 15, "read": 20},
    "idempotence": {"add": 40},
    "document": {"create": 2, "edit": 20, "read": 25},
}


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RealNode]]:
    nodes = founded(
        tmp_path_factory.mktemp("mesh"), 3, config={"admin": {"agent_ids": ["ops:chaos"]}}
    )
    with cleaned_up(nodes):
        start_all(nodes)
        yield nodes


def places(nodes: Sequence[RealNode]) -> list[Place]:
    return [
        Place(name=node.name, host="127.0.0.1", port=0, agent_port=node.agent[1]) for node in nodes
    ]


async def play(
    name: str, nodes: Sequence[RealNode], path: Path, cycle: int, seconds: float = SECONDS
) -> list[Event]:
    client = Client(places(nodes))
    workload = WORKLOADS[name]()
    workload.pace = Pace(clients=4, pace_s=0.02)  # type: ignore[attr-defined]
    with Recorder(path) as recorder:
        recorder.event("cycle", cycle=cycle, workload=name, seed=cycle, **{"class": "none"})
        stage = Stage(
            client=client,
            recorder=recorder,
            nodes=[node.name for node in nodes],
            live=set(range(len(nodes))),
            rng=random.Random(cycle),
            cycle=cycle,
            namespace=f"chaos/c{cycle:06d}",
        )
        try:
            with trio.move_on_after(seconds):
                await workload.run(stage)
            await workload.final(stage)
        finally:
            client.close()
    return list(read_file(path))


async def read_whole(nodes: Sequence[RealNode], path: Path) -> None:
    client = Client(places(nodes))
    with Recorder(path) as recorder:
        stage = Stage(
            client=client,
            recorder=recorder,
            nodes=[node.name for node in nodes],
            live=set(range(len(nodes))),
            rng=random.Random(0),
            cycle=0,
            namespace="chaos",
        )
        try:
            await write_whole(stage)
        finally:
            client.close()


def test_cycles_are_still_there_at_the_end(mesh: list[RealNode], tmp_path: Path) -> None:
    path = tmp_path / "history"
    trio.run(play, "governance", mesh, path, 101, 0.7)
    trio.run(play, "delete", mesh, path, 102, 0.7)
    mesh[0].store("beside", namespace="chaos/c000102/probe")
    until_level(mesh)
    trio.run(read_whole, mesh, path)
    campaign = check_campaign(read_file(path))
    assert [each.verdict for each in campaign.judged] == ["pass", "pass"]
    assert campaign.anomalies == []
    kept = mesh[0].tell("GET", "/memories?namespace=chaos/c000102&limit=1")["memories"][0]["id"]
    mesh[0].tell("DELETE", f"/memories/{kept}")
    until_level(mesh)
    gone = path.with_name("gone")
    lines = path.read_bytes().splitlines(keepends=True)
    gone.write_bytes(b"".join(x for x in lines if b'"scope":"all"' not in x))
    trio.run(read_whole, mesh, gone)
    rules = {(one.checker, one.rule) for one in check_campaign(read_file(gone)).anomalies}
    assert rules == {("campaign", "lost")}


@pytest.mark.parametrize("name", sorted(WORKLOADS))
def test_a_whole_mesh_is_found_whole(name: str, mesh: list[RealNode], tmp_path: Path) -> None:
    number = 1 + sorted(WORKLOADS).index(name)
    events = trio.run(play, name, mesh, tmp_path / "history", number)
    cycle = gather(events)
    outcomes = Counter((each.f, each.outcome, each.status) for each in cycle.operations)
    print(name, outcomes)
    judged = check_cycle(events)
    assert judged.anomalies == ()
    assert judged.verdict == "pass"
    assert len(cycle.states()) == 1
    assert cycle.states()[0].records
    acknowledged, attempted = count(cycle)
    assert acknowledged > 0.9 * attempted
    for f, least in ASKED[name].items():
        done = sum(each.f == f and each.ok for each in cycle.operations)
        assert done >= least, f"{f}: {outcomes}"
