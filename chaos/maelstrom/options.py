"""What a test is told.

Law: names and meanings are those of the original where it has them.
"""

import sys
from dataclasses import dataclass

DEFAULT_COMMAND = (sys.executable, "-m", "node", "maelstrom")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One test.

    Attributes:
        workload: its name.
        command: the program that plays a node; empty for the node of this project.
        node_count: how many nodes.
        concurrency: how many clients; 0 for one a node.
        rate: requests a second, of all clients together.
        time_limit_s: how long requests are made.
        partition: whether the network is cut.
        targets: kinds of partitions.
        nemesis_interval_s: mean time between two acts of the nemesis.
        latency_ms: mean delay between nodes.
        latency_dist: how delays are spread.
        p_loss: share of messages between nodes that vanish.
        p_double: share of messages between nodes that arrive twice.
        topology: the neighbours that a broadcast is told.
        total: whether every request must succeed.
        recovery_s: how long nodes may take to agree after the last fault.
        rpc_timeout_s: how long a client waits.
        seed: draws requests, delays and partitions.
    """

    workload: str
    command: tuple[str, ...] = ()
    node_count: int = 5
    concurrency: int = 0
    rate: float = 20.0
    time_limit_s: float = 10.0
    partition: bool = False
    targets: tuple[str, ...] = ("one", "majority", "majorities-ring")
    nemesis_interval_s: float = 10.0
    latency_ms: float = 0.0
    latency_dist: str = "exponential"
    p_loss: float = 0.0
    p_double: float = 0.0
    topology: str = "grid"
    total: bool = False
    recovery_s: float = 10.0
    rpc_timeout_s: float = 5.0
    seed: int = 0

    @property
    def nodes(self) -> list[str]:
        """Their ids."""
        return [f"n{number}" for number in range(1, self.node_count + 1)]

    @property
    def argv(self) -> tuple[str, ...]:
        """What is run; the node of this project is told the workload too."""
        return self.command or (*DEFAULT_COMMAND, "--workload", self.workload)
