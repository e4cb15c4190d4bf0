"""A mesh of real nodes, founded by flags, wired through the proxies of the harness.

Law: certificates, allowlists and configuration are those of a real mesh; nothing is weakened for
the campaign but what its plan says. The stores live as long as the campaign's folder: a mesh that
is opened again goes on where it stood.
"""

import json
import random
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trio

from chaos.certs import Pair, fingerprint_of, make_pair
from chaos.client import Client
from chaos.config_file import config_text
from chaos.network.packets import Packets
from chaos.network.places import Place
from chaos.network.wires import Wires
from chaos.process import NodeEndedError, NodeProcess

ADMINISTRATOR: Final = "ops:chaos"
_POLL_S: Final = 0.02
_STEADY_S: Final = 60.0


class NotSteadyError(RuntimeError):
    """The mesh did not reach a state in time; the message says which node lacked what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a mesh is founded with.

    Attributes:
        nodes: how many.
        quorum_writes: members that must hold a write.
        quorum_timeout_ms: how long a write waits for them.
        config: sections of every configuration file.
    """

    nodes: int = 5
    quorum_writes: int = 3
    quorum_timeout_ms: int = 1000
    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


# Silence is noticed sooner than in the default, so that thousands of cycles end in a day.
CAMPAIGN_LIMITS: Final = {
    "ping_interval_ms": 500,
    "connect_timeout_ms": 1500,
    "handshake_timeout_ms": 1500,
    "session_timeout_ms": 2000,
    "backoff_ms_max": 500,
}


@dataclass(kw_only=True)
class Mesh:
    """The nodes, their wires and a client.

    Attributes:
        folder: of all their files.
        shape: what it was founded with.
        packets: rules of the kernel; None without namespaces.
    """

    folder: Path
    shape: Shape
    places: list[Place]
    nodes: list[NodeProcess]
    wires: Wires
    client: Client
    packets: Packets | None

    @property
    def names(self) -> list[str]:
        """Of the nodes, in order."""
        return [node.name for node in self.nodes]

    # --- states -----------------------------------------------------------------------

    async def status(self, node: int) -> dict[str, Any]:
        """Its `GET /mesh`, without the clocks of others; empty when it does not answer."""
        answer = await self.client.ask(node, "GET", "/mesh?clocks=own", timeout_s=3)
        return answer.body if answer.status == 200 and isinstance(answer.body, dict) else {}

    async def statuses(self, nodes: Iterable[int]) -> dict[int, dict[str, Any]]:
        """Of several nodes, asked side by side."""
        found: dict[int, dict[str, Any]] = {}

        async def one(node: int) -> None:
            found[node] = await self.status(node)

        async with trio.open_nursery() as nursery:
            for node in nodes:
                nursery.start_soon(one, node)
        return found

    async def until(
        self,
        holds: Callable[[], Awaitable[str]],
        what: str,
        *,
        seconds: float = _STEADY_S,
    ) -> float:
        """Wait for a state; returns how long it took, in seconds.

        Args:
            holds: returns what is still missing; an empty text when the state is there.
            what: is waited for.
            seconds: at most.

        Raises:
            NotSteadyError: it did not come.
        """
        began = trio.current_time()
        pause = _POLL_S
        while missing := await holds():
            if trio.current_time() - began > seconds:
                raise NotSteadyError(f"waited {seconds:g} s in vain: {what}: {missing}")
            await trio.sleep(pause)
            pause = min(pause * 1.3, 0.25)
        return trio.current_time() - began

    async def until_linked(self, nodes: Iterable[int] | None = None) -> float:
        """Wait until nodes are linked to one another and serve.

        Raises:
            NotSteadyError: they are not in time.
        """
        wanted = list(range(len(self.nodes)) if nodes is None else nodes)
        names = {self.nodes[n].name for n in wanted}

        async def holds() -> str:
            for node in wanted:
                if not self.nodes[node].runs:
                    return f"{self.nodes[node].name} has ended: {self.nodes[node].tail()}"
            for node, body in (await self.statuses(wanted)).items():
                here = {m["name"] for m in body.get("members", []) if m["state"] == "ready"}
                lack = names - here - {self.nodes[node].name}
                if not body or lack:
                    return f"{self.nodes[node].name} has no link to {', '.join(sorted(lack))}"
            return ""

        return await self.until(holds, "all nodes are linked")

    async def until_level(self, nodes: Iterable[int], *, seconds: float = _STEADY_S) -> float:
        """Wait until nodes have one clock and one digest.

        Raises:
            NotSteadyError: they have not in time.
        """
        wanted = list(nodes)

        async def holds() -> str:
            told = await self.statuses(wanted)
            silent = [self.nodes[n].name for n, body in told.items() if not body]
            if silent:
                return f"no answer of {', '.join(silent)}"
            first = told[wanted[0]]
            other = [n for n in wanted if told[n]["clock"] != first["clock"]]
            if other:
                return f"clocks of {', '.join(self.nodes[n].name for n in other)} differ"
            unequal = [n for n in wanted if told[n]["digest"] != first["digest"]]
            return f"digests of {unequal} differ under one clock" if unequal else ""

        return await self.until(holds, "all nodes are level", seconds=seconds)

    # --- members ----------------------------------------------------------------------

    async def start(self, *nodes: int) -> None:
        """Start nodes side by side and wait until they answer.

        Raises:
            NotSteadyError: one does not.
        """
        for node in nodes:
            self.client.forget(node)
            self.nodes[node].start()

        async def holds() -> str:
            for node in nodes:
                if not self.nodes[node].runs:
                    raise NodeEndedError(
                        f"{self.nodes[node].name} ended: {self.nodes[node].tail()}"
                    )
                answer = await self.client.ask(node, "GET", "/livez", timeout_s=2)
                if answer.status != 200:
                    return self.nodes[node].name
            return ""

        await self.until(holds, "the started nodes answer")

    async def kill(self, *nodes: int) -> None:
        """SIGKILL to all of them, then wait."""
        async with trio.open_nursery() as nursery:
            for node in nodes:
                nursery.start_soon(self.nodes[node].kill)
        for node in nodes:
            self.client.forget(node)

    async def heal(self) -> None:
        """Undo whatever is on the wires and on the nodes, and start who does not run."""
        self.wires.heal()
        if self.packets is not None:
            self.packets.heal()
        for node in self.nodes:
            node.note_death()
            node.clear_orders()
            node.resume()
            await node.untrace()
        down = [at for at, node in enumerate(self.nodes) if not node.runs]
        if down:
            await self.start(*down)

    async def end(self) -> None:
        """End all nodes, decently where they let us."""
        for node in self.nodes:
            node.resume()
            node.signal(signal.SIGTERM)
        for node in self.nodes:
            try:
                await node.ended()
            except NodeEndedError:
                continue
        self.client.close()


@asynccontextmanager
async def opened(
    folder: Path,
    shape: Shape,
    makes_places: Callable[[list[str]], list[Place]],
    *,
    rng: random.Random,
    program: tuple[str, ...] = (),
) -> AsyncIterator[Mesh]:
    """A mesh whose nodes run and are linked; ended when the block is left.

    Args:
        folder: kept; stores that are there are gone on with.
        shape: of the mesh.
        makes_places: `on_loopback` or `in_namespaces`.
        rng: draws what the wires need.
        program: runs a node; this Python's `node` without.

    Raises:
        NotSteadyError: it does not come up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"n{number + 1}" for number in range(shape.nodes)]
    places = _remembered(folder, names, makes_places)
    wires = Wires(places, rng)
    packets = Packets(places) if places[0].namespace and shutil.which("nft") else None
    client = Client(places, ADMINISTRATOR)
    nodes = [_node(folder, place, at, shape, wires, program) for at, place in enumerate(places)]
    pairs = {node.name: node.pair for node in nodes}
    for node in nodes:
        if not node.allowlist.exists():
            _write_whole(
                node.allowlist, "".join(f"{p.fingerprint} {n}\n" for n, p in pairs.items())
            )
    mesh = Mesh(
        folder=folder,
        shape=shape,
        places=places,
        nodes=nodes,
        wires=wires,
        client=client,
        packets=packets,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(wires.run)
        try:
            await mesh.start(*range(shape.nodes))
            await mesh.until_linked()
            yield mesh
        finally:
            with trio.CancelScope(shield=True):
                await mesh.end()
            nursery.cancel_scope.cancel()


def _remembered(
    folder: Path, names: list[str], makes_places: Callable[[list[str]], list[Place]]
) -> list[Place]:
    """The addresses of a mesh stay: they are in its governance."""
    note = folder / "places.json"
    if not note.exists():
        places = makes_places(names)
        rows = [[p.host, p.port, p.agent_port, p.namespace] for p in places]
        _write_whole(note, json.dumps(rows))
        return places
    rows = json.loads(note.read_text())
    if rows[0][3]:
        return makes_places(names)  # the same hosts, in a new room
    return [
        Place(name=name, host=host, port=port, agent_port=agent)
        for name, (host, port, agent, _) in zip(names, rows, strict=True)
    ]


def _node(
    folder: Path,
    place: Place,
    at: int,
    shape: Shape,
    wires: Wires,
    program: tuple[str, ...],
) -> NodeProcess:
    data_dir = folder / place.name
    data_dir.mkdir(exist_ok=True, mode=0o700)
    _write_config(data_dir / "config.toml", shape)
    flags = [
        *("--quorum-peers", ",".join(wires.peers(at)), "--reach", ",".join(wires.reach(at))),
        *("--quorum-writes", str(shape.quorum_writes)),
        *("--quorum-timeout-ms", str(shape.quorum_timeout_ms)),
        *("--cluster", "chaos"),
    ]
    made = NodeProcess(
        place=place,
        data_dir=data_dir,
        pair=_pair(folder / "certs", place),
        allowlist=folder / f"{place.name}.allowlist",
        flags=flags,
    )
    if program:
        made.program = program
    return made


def _pair(folder: Path, place: Place) -> Pair:
    certificate, key = folder / f"{place.name}.crt", folder / f"{place.name}.key"
    if certificate.exists():
        return Pair(certificate=certificate, key=key, fingerprint=fingerprint_of(certificate))
    return make_pair(folder, place.name, sans=[place.host, "127.0.0.1", "localhost"])


def _write_config(path: Path, shape: Shape) -> None:
    sections: dict[str, dict[str, Any]] = {
        "admin": {"agent_ids": [ADMINISTRATOR]},
        "limits": dict(CAMPAIGN_LIMITS),
    }
    for name, rows in shape.config.items():
        sections[name] = sections.get(name, {}) | dict(rows)
    _write_whole(path, config_text(sections))


def _write_whole(path: Path, text: str) -> None:
    """All of it or nothing: the harness itself may be killed at any moment."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text)
    fresh.chmod(0o600)
    fresh.replace(path)
