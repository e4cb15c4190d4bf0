"""The three nodes of the demonstration, as processes.

Law: they are made the way an operator makes them: an identity each, fingerprints on each
other's allowlists, a join through a member. A process is ended by the id it was started
under. A cut is made by allowlists, which needs no rights on the network: each side takes the
other's fingerprint off its list, and live links end at once.
"""

import contextlib
import os
import random
import signal
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from node.cli import mesh
from node.cli.join import ask_to_join, describe
from node.cli.mesh_plan import HOST, MeshPlan, planned_nodes
from node.cli.process import (
    Spawned,
    serve_command,
    signal_node,
    spawn,
    wait_for,
    wait_listening,
)
from node.errors import NodeError
from node.paths import Paths
from transport import allowlist

NODES: Final = 3
_PORTS: Final = range(20_000, 32_000)
_TRIES: Final = 200
_STOP_SECONDS: Final = 5.0


@dataclass(slots=True)
class DemoNode:
    """One node: its plan, its fingerprint, and its process while it has one."""

    known: mesh.Known
    process: Spawned | None = None
    state: str = "not started"

    @property
    def name(self) -> str:
        """What it is called."""
        return self.known.node.name

    @property
    def paths(self) -> Paths:
        """Its files."""
        return self.known.node.paths

    @property
    def url(self) -> str:
        """Where agents talk to it."""
        return f"http://{HOST}:{self.known.node.agent_port}"

    @property
    def peer_port(self) -> int:
        """Port of its mTLS listener."""
        return self.known.node.peer_port

    @property
    def api_key(self) -> str:
        """What agents present."""
        return self.paths.api_key.read_text(encoding="utf-8").strip()


@dataclass(slots=True)
class DemoMesh:
    """All of them, and whatever was started and may still run."""

    nodes: list[DemoNode] = field(default_factory=list)
    started: list[Spawned] = field(default_factory=list)

    def prepare(self, folder: Path) -> None:
        """Give every node an identity and let every one allow the others by fingerprint."""
        plan = MeshPlan(nodes=NODES, base_port=free_ports(3 * NODES), quorum_writes=None)
        planned = planned_nodes(plan, folder)
        self.nodes = [DemoNode(mesh.prepare(node, founder=node is planned[0])) for node in planned]
        for node in self.nodes:
            allow(node, (other for other in self.nodes if other is not node))

    def start(self, nodes: Sequence[DemoNode]) -> None:
        """Start processes side by side and wait until they listen."""
        for node in nodes:
            command = serve_command(["--data-dir", str(node.paths.data_dir)])
            node.process = spawn(command, node.paths)
            self.started.append(node.process)
        for node in nodes:
            assert node.process is not None  # noqa: S101 -- given a few lines above
            wait_listening(node.process, node.paths)
            node.state = "up"

    def join(self, newcomer: DemoNode, sponsor: DemoNode) -> None:
        """Let a newcomer ask a member in, which checks both fingerprints and a proof."""
        known = sponsor.known
        ask_to_join(describe(newcomer.paths), known.node.peer_url, known.fingerprint)

    def kill(self, node: DemoNode) -> None:
        """SIGKILL: no goodbye, no flush; whatever is on the disk is what there is."""
        process = node.process
        if process is None or process.poll() is not None:
            raise NodeError(f"{node.name} was to be killed and does not run")
        os.kill(process.pid, signal.SIGKILL)
        wait_for(process.poll, _STOP_SECONDS)
        node.process, node.state = None, "killed"

    def end(self) -> None:
        """End every process that was started: asked first, then not asked."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            running = [process for process in self.started if process.poll() is None]
            for process in running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, number)
            for process in running:
                wait_for(process.poll, _STOP_SECONDS)


def allow(node: DemoNode, others: Iterable[DemoNode]) -> None:
    """Put others on a node's list and tell it."""
    node.paths.allowlist.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for other in others:
        allowlist.add(node.paths.allowlist, other.known.fingerprint, other.name)
    signal_node(node.paths, signal.SIGHUP)


def deny(node: DemoNode, others: Iterable[DemoNode]) -> None:
    """Take others off a node's list and tell it; their links end."""
    for other in others:
        allowlist.remove(node.paths.allowlist, other.known.fingerprint)
    signal_node(node.paths, signal.SIGHUP)


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody uses now.

    Raises:
        NodeError: none were found.
    """
    draw = random.Random(os.getpid())  # noqa: S311 -- only spreads demonstrations apart
    for _ in range(_TRIES):
        base = draw.randrange(_PORTS.start, _PORTS.stop, count)
        if all(_is_free(base + offset) for offset in range(count)):
            return base
    raise NodeError(f"found no {count} free ports in a row", fix="Run it again")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
