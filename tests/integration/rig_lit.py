"""Faults played on a real mesh while a real Prometheus judges the shipped rules, in a hurry.

Law: which alerts may light is asked of the table that is shipped (`deploy/prometheus/faults.toml`)
and of nothing else. A fault lasts until all that must be lit is, and a little longer; whatever is
lit meanwhile and stands in neither list fails the test. Between two faults all is dark.
"""

import json
import random
import time
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trio
import yaml

from chaos.mesh import Mesh, Shape, opened
from chaos.network.places import Place, on_loopback
from tests.integration.rig_prometheus import RULES, SHIPPED, Prometheus, hurried, scraping

FACTOR: Final = 240.0
# Where an expression counts seconds: those of the rules -> those of a test.
THRESHOLDS: Final = {
    "mnemesh_replication_lag_seconds > 60": "mnemesh_replication_lag_seconds > 3",
    "mnemesh_replication_lag_seconds > 300": "mnemesh_replication_lag_seconds > 6",
    "process_start_time_seconds < 3600": "process_start_time_seconds < 15",
    "mnemesh_pending_oldest_seconds > 86400": "mnemesh_pending_oldest_seconds > 3",
}
ARMED: Final = frozenset({"FaultsArmed"})
"""Every node of a harness is a test build, and says so."""
_LIGHTS_S: Final = 45.0
_LASTS_S: Final = 4.0
_DARKENS_S: Final = 60.0
_LOOK_S: Final = 0.5
_WRITE_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Row:
    """What the table says of one fault."""

    must: frozenset[str]
    may: frozenset[str]
    after: frozenset[str]
    played: bool


def table() -> dict[str, Row]:
    """The shipped table, by fault."""
    told = tomllib.loads((SHIPPED / "faults.toml").read_text())
    always = frozenset(told.pop("always_may"))
    return {
        name: Row(
            must=frozenset(row.get("must", ())),
            may=frozenset(row.get("may", ())) | always,
            after=frozenset(row.get("after", ())),
            played=row.get("played", False),
        )
        for name, row in told.items()
    }


@dataclass
class Watched:
    """A mesh, and the Prometheus that scrapes it.

    Attributes:
        seen: what was lit under each fault.
        live: nodes that are written to.
    """

    mesh: Mesh
    prometheus: Prometheus
    seen: dict[str, set[str]] = field(default_factory=dict)
    live: set[int] = field(default_factory=set)

    def firing(self) -> set[str]:
        """What is lit, but for what a harness always lights."""
        return self.prometheus.firing() - ARMED

    async def until_dark(self, why: str) -> None:
        """Wait until nothing is lit."""
        await self.until(lambda: not self.firing(), f"all is dark {why}", _DARKENS_S)

    async def play(
        self,
        fault: str,
        begin: Callable[[], Awaitable[None]],
        end: Callable[[], Awaitable[None]],
    ) -> None:
        """Let a fault last until what must be lit is, heal it, and hold all to the table."""
        row = table()[fault]
        assert row.played, f"the table does not say that {fault} is played"
        began = time.monotonic()

        def told(what: str, lit: set[str]) -> None:
            names = ", ".join(sorted(lit)) or "nothing"
            print(f"{fault}: {what} after {time.monotonic() - began:.0f} s: {names}", flush=True)

        await self.until_dark(f"before {fault}")
        seen = self.seen[fault] = set()

        def lit() -> bool:
            seen.update(self.prometheus.firing())
            return row.must <= seen

        await begin()
        await self.until(lit, f"{fault}: {sorted(row.must)} light", _LIGHTS_S)
        lasts = time.monotonic() + _LASTS_S
        await self.until(lambda: lit() and time.monotonic() > lasts, fault, _LIGHTS_S)
        told("lit", seen)
        stray = seen - row.must - row.may - ARMED
        assert not stray, f"{fault}: {sorted(stray)} must stay dark; lit were {sorted(seen)}"
        await end()
        allowed = row.must | row.may | row.after
        left: set[str] = set()

        def over() -> bool:
            left.update(self.firing())
            return row.after <= left

        await self.until(over, f"{fault}: {sorted(row.after)} light afterwards", _LIGHTS_S)
        told("lit afterwards", left)
        assert left <= allowed, f"after {fault}: {sorted(left - allowed)} must stay dark"
        await self.until_dark(f"after {fault}")
        told("dark", set())

    async def until(self, holds: Callable[[], bool], what: str, seconds: float) -> None:
        """Wait for a state, with a deadline."""
        # Asked beside the loop: the proxies between the nodes run in it.
        deadline = time.monotonic() + seconds
        while not await trio.to_thread.run_sync(holds):
            assert time.monotonic() < deadline, f"waited {seconds:g} s: {what}. {self._lit()}"
            await trio.sleep(_LOOK_S)

    def _lit(self) -> str:
        told = self.prometheus.ask("alerts")["alerts"]
        return str([(one["labels"], one["state"], one["value"]) for one in told])

    async def write(self) -> None:
        """Agents write everywhere, until cancelled."""
        async with trio.open_nursery() as nursery:
            for node in range(len(self.mesh.nodes)):
                nursery.start_soon(self._write_to, node)

    async def _write_to(self, node: int) -> None:
        number = 0
        while True:
            number += 1
            with trio.move_on_after(_WRITE_S):
                await trio.sleep_forever()
            if node in self.live:
                body = {"title": f"{node} {number}", "content": "c", "namespace": f"w{node}"}
                await self.mesh.client.ask(node, "POST", "/memories", body, timeout_s=3)


def note_backup(data_dir: Path, at: float) -> None:
    """What a backup that succeeded leaves behind."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = data_dir / "backup.new"
    fresh.write_text(json.dumps({"at_ms": int(at * 1000), "path": "none", "id": "none"}))
    fresh.replace(data_dir / "last_backup.json")


def config_for(places: list[Place]) -> str:
    """Every node by its plain listener, once a second."""
    job = {
        "job_name": "mnemesh",
        "static_configs": [{"targets": [f"127.0.0.1:{place.agent_port}" for place in places]}],
    }
    spans = dict.fromkeys(("scrape_interval", "evaluation_interval"), "1s")
    told = {"global": spans, "rule_files": [RULES.name], "scrape_configs": [job]}
    return yaml.safe_dump(told, sort_keys=False)


@asynccontextmanager
async def watched(
    folder: Path, *, before: Callable[[Path], None] = lambda _folder: None, **sections: Any
) -> AsyncIterator[Watched]:
    """Three nodes that need two, written to all the time, with nothing lit.

    Args:
        folder: of the test.
        before: called with the folder of the mesh before it is opened.
        sections: of every node's configuration.
    """
    config: Mapping[str, Mapping[str, Any]] = sections
    shape = Shape(nodes=3, quorum_writes=2, quorum_timeout_ms=500, config=config)
    home = folder / "mesh"
    for name in ("n1", "n2", "n3"):
        note_backup(home / name, time.time())
    before(home)
    rules = hurried(RULES.read_text(), FACTOR, THRESHOLDS)
    async with opened(home, shape, on_loopback, rng=random.Random(7)) as mesh:
        with scraping(folder / "prometheus", config_for(mesh.places), rules) as prometheus:
            found = Watched(mesh, prometheus, live={0, 1, 2})
            async with trio.open_nursery() as nursery:
                nursery.start_soon(found.write)
                await found.until(
                    lambda: set(prometheus.targets().values()) == {"up"}, "targets are up", 30
                )
                yield found
                nursery.cancel_scope.cancel()
