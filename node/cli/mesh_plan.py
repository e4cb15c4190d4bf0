"""What a local mesh consists of: names, folders and ports.

Law: pure but for one look at which ports are free. Of a base port P and N nodes only the ports
P to P+3N-1 are ever used: agents at P.., peers at P+N.., the rest is kept for later. A folder
that holds a mesh keeps its plan, so that starting it again needs no arguments.
"""

import socket
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from node.cli.options import paths_of
from node.errors import NodeError, UsageError
from node.facts import read_note, write_note
from node.paths import Paths
from node.settings import check_quorum_possible

HOST: Final = "127.0.0.1"
NODES_MAX: Final = 50
_PORTS_PER_NODE: Final = 3
_PORT_MAX: Final = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedNode:
    """One node of a mesh that is made in one go.

    Attributes:
        host: what it binds.
        peer_url: address that its peers dial.
    """

    name: str
    paths: Paths
    host: str
    agent_port: int
    peer_port: int
    peer_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshPlan:
    """What `mesh up` was asked for; kept as `mesh.json` in the folder."""

    nodes: int
    base_port: int
    quorum_writes: int | None

    def write(self, directory: Path) -> None:
        """Keep the plan."""
        write_note(directory / "mesh.json", asdict(self))


def read_plan(directory: Path) -> MeshPlan | None:
    """The plan of a folder, or None when it holds no mesh."""
    data = read_note(directory / "mesh.json")
    try:
        return None if data is None else MeshPlan(**data)
    except TypeError:
        return None


def make_plan(
    kept: MeshPlan | None, *, nodes: int | None, base_port: int | None, writes: int | None
) -> MeshPlan:
    """Put what was asked for and what the folder holds together.

    Raises:
        UsageError: they contradict each other, or the ports do not fit.
        ImpossibleQuorum: W > N.
    """
    plan = MeshPlan(
        nodes=nodes if nodes is not None else (kept.nodes if kept else 3),
        base_port=base_port if base_port is not None else (kept.base_port if kept else 9077),
        quorum_writes=writes if writes is not None else (kept.quorum_writes if kept else None),
    )
    if kept is not None and (kept.nodes, kept.base_port) != (plan.nodes, plan.base_port):
        raise UsageError(
            f"this folder holds a mesh of {kept.nodes} nodes on ports from {kept.base_port}",
            why="a mesh keeps its nodes and ports",
            fix="Leave --nodes and --base-port out, or use another --dir",
        )
    if not 1 <= plan.nodes <= NODES_MAX:
        raise UsageError(f"--nodes is {plan.nodes}", why=f"expected 1 to {NODES_MAX}")
    last = plan.base_port + _PORTS_PER_NODE * plan.nodes - 1
    if plan.base_port < 1 or last > _PORT_MAX:
        raise UsageError(
            f"--base-port is {plan.base_port}",
            why=f"{plan.nodes} nodes would use ports up to {last}; the last port is {_PORT_MAX}",
        )
    check_quorum_possible(plan.quorum_writes, plan.nodes)
    return plan


def planned_nodes(plan: MeshPlan, directory: Path) -> tuple[PlannedNode, ...]:
    """The nodes of a plan, in the order in which they start."""
    return tuple(
        PlannedNode(
            name=f"node-{index + 1}",
            paths=node_paths(directory.absolute() / f"node-{index + 1}"),
            host=HOST,
            agent_port=plan.base_port + index,
            peer_port=plan.base_port + plan.nodes + index,
            peer_url=f"https://{HOST}:{plan.base_port + plan.nodes + index}",
        )
        for index in range(plan.nodes)
    )


def node_paths(folder: Path) -> Paths:
    """The paths of a node that lies whole in a folder."""
    # Named outright, for the environment may name another node's folders.
    return paths_of(folder, folder / "keys", folder / "config.toml")


def check_ports_free(ports: Iterable[int]) -> None:
    """Refuse before anything is started when somebody else listens.

    Raises:
        NodeError: names the port.
    """
    for port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            # As the node itself binds: a port in TIME_WAIT is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                raise NodeError(
                    f"cannot use port {port} of {HOST}",
                    why=error.strerror or str(error),
                    fix="Stop what listens there, or give another --base-port",
                ) from error
