"""Where nodes stand: one host each, or all on loopback.

Law: what a node's own sockets see, the harness sees from the same place. With namespaces every
node is a host of its own behind a bridge, and its address says which one; without, the hosts are
ports. A socket belongs to the namespace in which it was made, so the harness makes its own
there and needs no process inside.

Sources: network_namespaces(7), setns(2).
"""

import itertools
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from chaos.sandbox import CLONE_NEWNET, libc_call

_NET: Final = "10.77.0"  # exists only inside the namespaces made here
_NAMES: Final = Path("/run/netns")
_serial = itertools.count()
_PEER_PORT: Final = 9077
_AGENT_PORT: Final = 9078


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one node stands.

    Attributes:
        name: of the node.
        host: the address it listens on for peers.
        port: for peers.
        agent_port: for agents, on 127.0.0.1 of that place.
        namespace: name of its network namespace; empty without.
    """

    name: str
    host: str
    port: int
    agent_port: int
    namespace: str = ""

    @property
    def url(self) -> str:
        """As peers are told."""
        return f"https://{self.host}:{self.port}"

    def command(self, *command: str) -> list[str]:
        """The command line that runs a command there."""
        if not self.namespace:
            return list(command)
        return ["nsenter", f"--net={_NAMES / self.namespace}", "--", *command]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Make sockets there; nothing may be awaited within, for the whole thread has moved."""
        if not self.namespace:
            yield
            return
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(_NAMES / self.namespace, os.O_RDONLY | os.O_CLOEXEC)
        try:
            libc_call("setns", there, CLONE_NEWNET)
            try:
                yield
            finally:
                libc_call("setns", home, CLONE_NEWNET)
        finally:
            os.close(there)
            os.close(home)

    def socket(self) -> socket.socket:
        """A TCP socket of that place."""
        with self.entered():
            made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made


class MakesPlaces(Protocol):
    """Makes the places of a mesh."""

    def __call__(self, names: list[str]) -> list[Place]:
        """One for each name."""


def on_loopback(names: list[str]) -> list[Place]:
    """All on 127.0.0.1, a pair of free ports each."""
    ports = free_ports(2 * len(names))
    return [
        Place(name=name, host="127.0.0.1", port=ports[2 * at], agent_port=ports[2 * at + 1])
        for at, name in enumerate(names)
    ]


def in_namespaces(names: list[str]) -> list[Place]:
    """A namespace each, all on one bridge of the harness's own namespace.

    Raises:
        OSError: the kernel said no; see `sandbox.means`.
    """
    run_tool("ip", "link", "set", "lo", "up")
    run_tool("ip", "link", "add", "mesh", "type", "bridge")
    run_tool("ip", "link", "set", "mesh", "up")
    places = []
    for number, name in enumerate(names, start=1):
        host = f"{_NET}.{number}"
        run_tool("ip", "netns", "add", name)
        run_tool("ip", "link", "add", f"to-{name}", "type", "veth", "peer", "eth0", "netns", name)
        run_tool("ip", "link", "set", f"to-{name}", "master", "mesh", "up")
        for words in (
            ("addr", "add", f"{host}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("link", "set", "lo", "up"),
        ):
            run_tool("ip", "-n", name, *words)
        places.append(
            Place(name=name, host=host, port=_PEER_PORT, agent_port=_AGENT_PORT, namespace=name)
        )
    return places


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses now, below those that the kernel gives away."""
    found: list[int] = []
    while len(found) < count:
        port = 20_000 + (os.getpid() * 37 + next(_serial)) % 10_000
        with socket.socket() as trial:
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    return found


def run_tool(*command: str, stdin: str = "") -> str:
    """Run a tool of the system and return what it printed.

    Raises:
        OSError: it is not there, or it failed; the message is the tool's own.
    """
    path = shutil.which(command[0])
    if path is None:
        raise FileNotFoundError(f"{command[0]} is not installed")
    done = subprocess.run(
        [path, *command[1:]], input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
