"""What a client says it did is what it did, in that order, also when it is stopped."""

import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio

from chaos.check.cycle import check_cycle
from chaos.check.gathering import gather
from chaos.client import Answer, outcome_of
from chaos.history import Event, FinalRead, Invoke, Recorder, Stage, read_file
from chaos.workloads import WORKLOADS
from chaos.workloads.final import short_clock, write_final
from chaos.workloads.play import Pace, Player
from chaos.workloads.session import Seen, join_tokens
from chaos.workloads.set import SetWorkload

Says = Callable[[int, str, str, Any], Answer]


def answer(status: int, body: object = None) -> Answer:
    return Answer(status, body, {}, outcome_of(status))


@dataclass
class FakeMesh:
    """Answers as a function says, and keeps what it was asked."""

    says: Says
    asked: list[tuple[int, str, str, Mapping[str, str]]] = field(default_factory=list)

    async def ask(
        self,
        node: int,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] = {},
        timeout_s: float = 5.0,
    ) -> Answer:
        self.asked.append((node, method, path, headers))
        await trio.lowlevel.checkpoint()
        assert timeout_s > 0
        return self.says(node, method, path, body)


def staged(path: Path, says: Says) -> Stage:
    recorder = Recorder(path)
    recorder.event("cycle", cycle=7, workload="set", seed=1, **{"class": "none"})
    return Stage(
        client=FakeMesh(says),
        recorder=recorder,
        nodes=["n1", "n2", "n3"],
        live={0, 2},
        rng=random.Random(1),
        cycle=7,
        namespace="chaos/c000007",
    )


def player(stage: Stage) -> Player:
    return Player(stage=stage, process="c1", rng=random.Random(2), mark="7.0.c1")


def written(stage: Stage, path: Path) -> list[Event]:
    stage.recorder.close()
    return list(read_file(path))


def test_the_invoke_is_in_the_file_when_the_request_leaves(tmp_path: Path) -> None:
    path = tmp_path / "h"

    def says(_: int, __: str, ___: str, ____: Any) -> Answer:
        assert [e.f for e in read_file(path) if isinstance(e, Invoke)] == ["add"]
        return answer(201, {"id": "x", "durability": {"dot": "a:3"}})

    stage = staged(path, says)
    trio.run(lambda: player(stage).write("add", 1, "POST", "/memories", {}, args={"fields": {}}))
    (one,) = gather(written(stage, path)).operations
    assert (one.node, one.outcome, one.status) == ("n2", "ok", 201)
    assert one.values == {"id": "x", "dot": "a:3"}
    assert stage.acknowledged == {"a": 3}


@pytest.mark.parametrize(
    ("status", "outcome"), [(503, "info"), (0, "info"), (507, "info"), (409, "fail"), (429, "fail")]
)
def test_what_is_not_certain_is_info(status: int, outcome: str, tmp_path: Path) -> None:
    stage = staged(tmp_path / "h", lambda *_: answer(status, {"error": "quorum_not_met"}))
    trio.run(lambda: player(stage).write("add", 0, "POST", "/memories", {}, args={"fields": {}}))
    (one,) = gather(written(stage, tmp_path / "h")).operations
    assert (one.outcome, one.values["error"]) == (outcome, "quorum_not_met")
    assert one.possible == (outcome == "info")


def test_what_is_held_for_approval_is_noted(tmp_path: Path) -> None:
    body = {"status": "pending", "pending_id": "p", "id": "p"}
    stage = staged(tmp_path / "h", lambda *_: answer(202, body))
    trio.run(lambda: player(stage).write("add", 0, "POST", "/memories", {}, args={"fields": {}}))
    (one,) = gather(written(stage, tmp_path / "h")).operations
    assert one.values == {"pending": True, "pending_id": "p"}


def test_a_read_of_nothing_is_an_answer(tmp_path: Path) -> None:
    stage = staged(tmp_path / "h", lambda *_: answer(404, {"error": "not_found"}))
    trio.run(lambda: player(stage).read(0, "/memories/x", dict, token="t.1", args={"id": "x"}))  # noqa: S106
    (one,) = gather(written(stage, tmp_path / "h")).operations
    assert (one.outcome, one.values) == ("ok", {"found": False})
    mesh = stage.client
    assert isinstance(mesh, FakeMesh)
    assert mesh.asked[0][3]["X-Causal-Token"] == "t.1"


def test_who_is_stopped_in_a_request_leaves_it_open(tmp_path: Path) -> None:
    class Silent(FakeMesh):
        async def ask(self, *_: Any, **__: Any) -> Answer:
            self.says(0, "", "", None)
            await trio.sleep_forever()
            raise AssertionError

    stage = staged(tmp_path / "h", lambda *_: answer(0))

    async def run() -> None:
        with trio.CancelScope() as scope:

            def says(*_: Any) -> Answer:
                scope.cancel()
                return answer(0)

            stage.client = Silent(says)
            await SetWorkload(pace=Pace(clients=3)).run(stage)

    trio.run(run)
    operations = gather(written(stage, tmp_path / "h")).operations
    assert operations
    assert all(each.outcome == "info" and each.possible for each in operations)


def test_values_are_unique_and_none_begins_another(tmp_path: Path) -> None:
    one = player(staged(tmp_path / "h", lambda *_: answer(0)))
    values = sorted(one.fresh() for _ in range(2000))
    assert not [a for a, b in itertools.pairwise(values) if b.startswith(a)]


def test_nearly_all_requests_go_to_who_is_meant_to_answer(tmp_path: Path) -> None:
    one = player(staged(tmp_path / "h", lambda *_: answer(0)))
    picks = [one.node() for _ in range(1000)]
    assert 10 < picks.count(1) < 100
    one.stage.live.clear()
    assert {one.node() for _ in range(100)} == {0, 1, 2}


@pytest.mark.parametrize("name", sorted(WORKLOADS))
def test_a_mesh_that_only_answers_503_is_no_anomaly(name: str, tmp_path: Path) -> None:
    """Nothing was acknowledged, so nothing was lost; the cycle says nothing."""

    def says(_: int, method: str, path: str, __: Any) -> Answer:
        if path.startswith("/mesh?"):
            return answer(200, {"clock": {}, "digest": "0"})
        return answer(200, {}) if method == "GET" and "namespace=" in path else answer(503)

    stage = staged(tmp_path / "h", says)
    workload = WORKLOADS[name]()
    assert workload.name == name

    async def run() -> None:
        with trio.move_on_after(0.3):
            workload.pace = Pace(clients=2, pace_s=0.005)  # type: ignore[attr-defined]
            await workload.run(stage)
        stage.recorder.event("cycle", cycle=7, workload=name, seed=1, **{"class": "none"})
        await write_final(stage)

    trio.run(run)
    judged = check_cycle(written(stage, tmp_path / "h"))
    assert judged.anomalies == ()
    assert judged.verdict == "void"
    assert judged.attempted > 3


def test_a_node_that_cannot_be_read_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaos.workloads.final._LEVEL_S", 0.0)
    monkeypatch.setattr("chaos.workloads.final._AGAIN_S", 0.0)
    stage = staged(tmp_path / "h", lambda *_: answer(0))
    trio.run(write_final, stage)
    finals = [each for each in written(stage, tmp_path / "h") if isinstance(each, FinalRead)]
    assert [(each.node, each.error) for each in finals] == [
        ("n1", "GET /mesh: 0"),
        ("n3", "GET /mesh: 0"),
    ]


def test_a_long_clock_keeps_what_is_needed_and_a_hash_of_all() -> None:
    clock = {f"a{number}": number for number in range(1, 300)}
    assert short_clock({"a": 1}, ()) == {"a": 1}
    short = short_clock(clock, ["a7", "b"])
    assert short["a7"] == 7
    assert len(short) == 2
    assert short_clock({**clock, "a8": 9}, ["a7"]) != short_clock(clock, ["a7"])


def test_tokens_are_joined_where_they_can_be() -> None:
    assert join_tokens("a.1~b.2", "b.3~c.1") == "a.1~b.3~c.1"
    assert join_tokens("-", "a.1") == "a.1"
    assert join_tokens("a.1", "") == "a.1"
    assert join_tokens("a.1", "2.xyz") is None
    seen = Seen()
    seen.wrote("a.1", "r", "v1")
    seen.wrote("b.1", "s", "v2")
    assert (seen.token, seen.values) == ("a.1~b.1", {"r": "v1", "s": "v2"})
    seen.wrote("2.xyz", "t", "v3")
    assert (seen.token, seen.values) == ("2.xyz", {"t": "v3"})
