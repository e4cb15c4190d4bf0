"""A store that people would otherwise pick, running beside ours.

Law: a rival is measured by the same code as our mesh: its processes by the kernel's account,
its answers by the same sender. One that is not installed is told of, not passed over.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.benchmarks.load import press, sender_for
from tests.benchmarks.measure import figures
from tests.benchmarks.scale import Line, Scale
from tests.benchmarks.sending import Place
from tests.benchmarks.usage import Usage

Security = Literal["plain", "tls"]


def nothing_to_wait_for() -> None:
    """Its answer says all there is to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """One that runs.

    Attributes:
        name: what it is.
        security: plain or with TLS, between its processes as to its clients.
        place: where it takes requests.
        processes: ids by name; the first takes the load.
        settle: waits until all its processes hold what the first has taken.
    """

    name: str
    security: Security
    place: Place
    processes: Mapping[str, int]
    settle: Callable[[], None] = nothing_to_wait_for

    def loaded(self, scale: Scale, *, kind: str, clients: int, **wanted: Any) -> Line:
        """One load: rate, latency and what it cost."""
        usage = Usage(self.processes)
        sender = sender_for(scale, kind)
        told = press(self.place, scale, kind=kind, clients=clients, sender=sender, **wanted)
        usage.load_ended()
        self.settle()
        fields = usage.fields(told["answers"], told["driver_cpu_seconds"])
        return {**figures(told), **fields}
