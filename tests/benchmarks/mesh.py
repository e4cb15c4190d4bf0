"""Real meshes for the benchmarks: made, asked and ended by the command line and by HTTP.

Law: what is measured is what ships, started as an operator starts it. Every process that was
started here is ended here, whatever happens between.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.sending import BenchmarkError, Place, own

__all__ = ["BenchmarkError", "Mesh", "Node", "drive", "free_base", "running", "waited"]

_PORTS: Final = range(20_000, 32_000)
_PLAIN: Final[Mapping[str, str]] = {}
_COMMAND_SECONDS: Final = 300.0
_SETTLE_SECONDS: Final = 120.0
_INDEX_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node of a mesh under test."""

    name: str
    url: str
    peer_port: int
    key: str
    data_dir: Path

    @property
    def tls_url(self) -> str:
        """Where agents are served over TLS: the listener of the peers takes both."""
        return f"https://127.0.0.1:{self.peer_port}"

    @property
    def pid(self) -> int:
        """The process that serves at present."""
        notes = json.loads((self.data_dir / "listener.json").read_text(encoding="utf-8"))
        return int(notes["pid"])

    def ask(self, path: str, headers: Mapping[str, str] = _PLAIN) -> bytes:
        """The body of a GET."""
        sent = {"X-Api-Key": self.key, **headers}
        request = urllib.request.Request(self.url + path, headers=sent)  # noqa: S310 - our own loopback URL
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            body: bytes = answer.read()
        return body

    def mesh(self) -> dict[str, Any]:
        """What the node says about itself and its peers."""
        told: dict[str, Any] = json.loads(self.ask("/api/v1/mesh"))
        return told

    def index_level(self) -> bool:
        """Whether recall knows all that the store holds."""
        told = json.loads(self.ask("/api/v1/index"))
        return not told["lag_ops"] and told["state"] == "ready"

    def gauge(self, name: str) -> float | None:
        """One value without labels; None where the node has no such metric."""
        for line in self.ask("/api/v1/metrics").decode().splitlines():
            series, _, value = line.rpartition(" ")
            if series == "mnemesh_" + name:
                return float(value)
        return None

    def metric(self, name: str) -> float:
        """The sum of all series of one metric."""
        total = 0.0
        for line in self.ask("/api/v1/metrics").decode().splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == "mnemesh_" + name:
                total += float(value)
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """A running mesh."""

    folder: Path
    nodes: tuple[Node, ...]
    environment: Mapping[str, str]

    @property
    def peer_ports(self) -> set[int]:
        """Where the nodes take links from each other."""
        return {node.peer_port for node in self.nodes}

    def command(self, *arguments: str) -> str:
        """Run a command of the program; what it prints."""
        return _command(*arguments, environment=self.environment)

    def stop(self, node: Node) -> None:
        """Stop one node."""
        self.command("stop", "--data-dir", str(node.data_dir))

    def start(self, node: Node) -> None:
        """Start one node; returns when it listens."""
        config = str(node.data_dir / "config.toml")
        keys = str(node.data_dir / "keys")
        where = ("--data-dir", str(node.data_dir), "--config", config, "--key-dir", keys)
        self.command("serve", *where, "--detach")

    def processes(self) -> dict[str, int]:
        """Process ids by name; the first takes the load."""
        return {node.name: node.pid for node in self.nodes}

    def ops(self) -> int:
        """Operations that the first node holds or has held."""
        return sum(self.nodes[0].mesh()["clock"].values())

    def settle(self) -> None:
        """Wait until all nodes have the same clock and digest."""
        if not waited(self.level, _SETTLE_SECONDS):
            raise BenchmarkError("the nodes did not become equal in time")

    def settle_index(self) -> float | None:
        """Wait until recall on all nodes knows what the store holds.

        Returns:
            The seconds it took; None when it took longer than anybody should wait.
        """
        began = time.monotonic()
        level = waited(lambda: all(node.index_level() for node in self.nodes), _INDEX_SECONDS)
        return time.monotonic() - began if level else None

    def level(self) -> bool:
        """Whether all nodes show the same clock and digest."""
        told = [node.mesh() for node in self.nodes]
        return all(
            (one["clock"], one["digest"]) == (told[0]["clock"], told[0]["digest"])
            for one in told[1:]
        )


def waited(reached: Callable[[], bool], seconds: float) -> bool:
    """Look again and again; whether it was so in time."""
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _command(*arguments: str, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "node", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=_COMMAND_SECONDS,
        check=False,
    )
    if done.returncode:
        raise BenchmarkError(f"mnemesh {' '.join(arguments[:2])}: {done.stderr.strip()[-400:]}")
    return done.stdout


def free_base(count: int) -> int:
    """The first of so many ports in a row that nobody uses, looked for from a place of our own."""
    start = os.getpid() * 31 % (len(_PORTS) - count)
    for step in range(0, len(_PORTS), count):
        base = _PORTS.start + (start + step) % (len(_PORTS) - count)
        if all(_is_free(port) for port in range(base, base + count)):
            return base
    raise BenchmarkError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def running(
    folder: Path, *, nodes: int = 3, writes: int = 2, environment: Mapping[str, str] | None = None
) -> Iterator[Mesh]:
    """A mesh of local nodes with mTLS between them and an API key on each.

    Args:
        folder: an empty place for it.
        nodes: N.
        writes: W.
        environment: settings for the nodes, as MNEMESH_... variables.
    """
    settings = environment or {}
    where = ("--dir", str(folder))
    base = free_base(3 * nodes)
    plan = ("--nodes", str(nodes), "--base-port", str(base), "--quorum-writes", str(writes))
    try:
        told = json.loads(_command("mesh", "up", *where, *plan, "--json", environment=settings))
        yield Mesh(
            folder=folder,
            nodes=tuple(_node(row) for row in told["nodes"]),
            environment=settings,
        )
    finally:
        if (folder / "mesh.json").exists():
            _command("mesh", "down", *where, "--force", "--json", environment=settings)


def _node(row: dict[str, Any]) -> Node:
    return Node(
        name=row["name"],
        url=row["url"],
        peer_port=int(row["peer_url"].rpartition(":")[2]),
        key=Path(row["api_key_file"]).read_text(encoding="utf-8").strip(),
        data_dir=Path(row["data_dir"]),
    )


def drive(node: Node, **wanted: Any) -> dict[str, Any]:
    """Put load on one node from a process of its own; what the driver measured."""
    return own(Place(url=node.url, key=node.key), **wanted)
