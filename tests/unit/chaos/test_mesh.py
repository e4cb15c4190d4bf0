"""States of a mesh are waited for with a deadline, and its files are whole or not there."""

import json
import random
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from chaos import mesh as mesh_module
from chaos.client import Answer
from chaos.mesh import CAMPAIGN_LIMITS, Mesh, NotSteadyError, Shape
from chaos.network.places import on_loopback
from chaos.network.wires import Wires


@dataclass
class Told:
    """A client whose answers are given; what changes, changes after so many questions."""

    bodies: dict[int, list[dict[str, Any]]]
    asked: list[int] = field(default_factory=list)

    async def ask(self, node: int, *_: object, **__: object) -> Answer:
        await trio.lowlevel.checkpoint()
        self.asked.append(node)
        left = self.bodies[node]
        body = left.pop(0) if len(left) > 1 else left[0]
        return Answer(200 if body else 0, body or None, {}, "ok" if body else "info")


def status(clock: int, digest: str = "d", links: str = "") -> dict[str, Any]:
    members = [{"name": f"n{c}", "state": "ready"} for c in links]
    return {"clock": {"a": clock}, "digest": digest, "members": members}


def told(bodies: Mapping[int, list[dict[str, Any]]], *, down: tuple[int, ...] = ()) -> Mesh:
    nodes = [
        SimpleNamespace(name=f"n{at}", runs=at not in down, tail=lambda: "its last words")
        for at in range(len(bodies))
    ]
    return Mesh(
        folder=Path(),
        shape=Shape(),
        places=[],
        nodes=nodes,  # type: ignore[arg-type]
        wires=None,  # type: ignore[arg-type]
        client=Told(dict(bodies)),  # type: ignore[arg-type]
        packets=None,
    )


def run(function: Any, *args: Any) -> Any:
    return trio.run(function, *args, clock=MockClock(autojump_threshold=0))


def test_level_is_one_clock_and_one_digest() -> None:
    late = [status(1), status(2), status(3)]
    took = run(told({0: [status(3)], 1: late, 2: [status(3)]}).until_level, range(3))
    assert 0 < took < 1


@pytest.mark.parametrize(
    ("bodies", "says"),
    [
        ({0: [status(3)], 1: [status(2)], 2: [status(3)]}, "clocks of n1 differ"),
        ({0: [status(3)], 1: [status(3, "e")]}, r"digests of \[1\] differ under one clock"),
        ({0: [status(3)], 1: [{}]}, "no answer of n1"),
    ],
)
def test_what_is_not_level_in_time_is_named(bodies: Any, says: str) -> None:
    with pytest.raises(NotSteadyError, match=rf"60 s in vain: all nodes are level: {says}"):
        run(told(bodies).until_level, range(len(bodies)))


def test_linked_is_every_node_with_every_other() -> None:
    bodies = {0: [status(1, links="12")], 1: [status(1, links="0"), status(1, links="02")]}
    bodies[2] = [{}, status(1, links="01")]
    assert run(told(bodies).until_linked) > 0
    apart = {0: [status(1, links="1")], 1: [status(1, links="0")], 2: [status(1)]}
    assert run(told(apart).until_linked, [0, 1]) == 0
    with pytest.raises(NotSteadyError, match="has no link to n"):
        run(told(apart).until_linked)
    with pytest.raises(NotSteadyError, match="n2 has ended: its last words"):
        run(told(apart, down=(2,)).until_linked)


def test_addresses_of_a_mesh_are_remembered(tmp_path: Path) -> None:
    names = ["n1", "n2"]
    first = mesh_module._remembered(tmp_path, names, on_loopback)
    assert mesh_module._remembered(tmp_path, names, on_loopback) == first
    assert [path.name for path in tmp_path.iterdir()] == ["places.json"]


def test_hosts_of_namespaces_are_made_again_in_a_new_room(tmp_path: Path) -> None:
    (tmp_path / "places.json").write_text(json.dumps([["10.0.0.1", 1, 2, "n1"]]))
    made = on_loopback(["n1"])
    assert mesh_module._remembered(tmp_path, ["n1"], lambda _: made) is made


def test_a_node_is_configured_as_its_shape_says(tmp_path: Path) -> None:
    places = on_loopback(["n1", "n2", "n3"])
    wires = Wires(places, random.Random(1))
    shape = Shape(
        nodes=3,
        quorum_writes=2,
        quorum_timeout_ms=700,
        config={"limits": {"ping_interval_ms": 100}, "audit": {"chain": True}},
    )
    made = mesh_module._node(tmp_path, places[0], 0, shape, wires, ("program",))
    config = tomllib.loads((made.data_dir / "config.toml").read_text())
    assert config["limits"] == {**CAMPAIGN_LIMITS, "ping_interval_ms": 100}
    assert config["admin"] == {"agent_ids": ["ops:chaos"]}
    assert config["audit"] == {"chain": True}
    assert (made.data_dir / "config.toml").stat().st_mode & 0o777 == 0o600
    flags = dict(zip(made.flags[::2], made.flags[1::2], strict=True))
    assert flags["--quorum-peers"] == f"{places[1].url},{places[2].url}"
    assert (flags["--quorum-writes"], flags["--quorum-timeout-ms"]) == ("2", "700")
    again = mesh_module._node(tmp_path, places[0], 0, shape, wires, ())
    assert again.pair == made.pair
    assert made.program == ("program",)
    assert not list(tmp_path.rglob("*.new"))
