"""Where a workload plays, and what it needs of the harness.

Law: seams only. A workload sees the mesh through `Asks`, writes what it did through a
`Recorder`, and draws every choice from the stage's `rng`, so a cycle can be played again.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from chaos.events import Outcome
from chaos.recorder import Recorder


class Reply(Protocol):
    """What a client makes of an answer; see `Asks`."""

    @property
    def status(self) -> int:
        """HTTP status, 0 when there was no answer."""

    @property
    def body(self) -> Any:
        """Decoded JSON, else text, else None."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Of the answer; names in lower case."""

    @property
    def outcome(self) -> Outcome:
        """2xx is ok; 4xx but 408 is fail; everything else is info."""


class Asks(Protocol):
    """The seam to the HTTP client of the harness."""

    async def ask(
        self,
        node: int,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] = {},  # never written to
        timeout_s: float = 5.0,
    ) -> Reply:
        """Ask a node for a path below `/api/v1`; never raises for trouble of the network."""


@dataclass(kw_only=True)
class Stage:
    """Where a workload plays: the mesh of one cycle.

    Attributes:
        nodes: names; a node's number is its place.
        live: numbers of the nodes that are meant to answer now; changed while a fault lasts.
        namespace: everything of this cycle is written here or below.
        acknowledged: actors of acknowledged dots, with the largest number of each.
    """

    client: Asks
    recorder: Recorder
    nodes: Sequence[str]
    live: set[int]
    rng: random.Random
    cycle: int
    namespace: str
    acknowledged: dict[str, int] = field(default_factory=dict)


class Workload(Protocol):
    """Clients that write and read, and the reads after the heal."""

    @property
    def name(self) -> str:
        """As the cycle line says it."""

    async def run(self, stage: Stage) -> None:
        """One task a client, until cancelled."""

    async def final(self, stage: Stage) -> None:
        """Write a `final` line for every live node."""
