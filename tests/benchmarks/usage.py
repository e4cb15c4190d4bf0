"""What processes use between two moments, per operation; the same for every side.

Law: read from the kernel, from before the first request until the side has settled, so that
nothing is left out that a write causes. The first process takes the load and is called the
coordinator, whoever's it is: a node, the leader of etcd, the master of Redis.
"""

import time
from collections.abc import Mapping

from tests.benchmarks.machine import Cpu, busy_seconds, cpu_of, resident_mib
from tests.benchmarks.scale import Line

_MICRO = 1_000_000


def per_op(cpu: Cpu, ops: int) -> dict[str, float]:
    """CPU microseconds per operation: in all, of the loop, of other threads, of the kernel."""
    return {
        "total": round(cpu.total * _MICRO / ops, 1),
        "loop": round(cpu.loop * _MICRO / ops, 1),
        "other_threads": max(0.0, round(cpu.rest * _MICRO / ops, 1)),  # two files, a tick apart
        "kernel": round(cpu.system * _MICRO / ops, 1),
    }


class Usage:
    """An account that is opened when it is made."""

    def __init__(self, processes: Mapping[str, int]) -> None:
        self._pids = dict(processes)
        self._cpu = self._now()
        self._busy = busy_seconds()
        self._began = time.monotonic()
        self._load_ended: tuple[float, float] | None = None

    def _now(self) -> dict[str, Cpu]:
        return {name: cpu_of(pid) for name, pid in self._pids.items()}

    def load_ended(self) -> None:
        """Others' share of the machine is told up to here; waiting is not part of it."""
        self._load_ended = (time.monotonic() - self._began, busy_seconds() - self._busy)

    def fields(self, ops: int, driver_seconds: float) -> Line:
        """What was used up to now, per operation.

        Args:
            ops: operations that were made.
            driver_seconds: CPU seconds of what sent the load.
        """
        used = {name: cpu - self._cpu[name] for name, cpu in self._now().items()}
        first, *others = used.values()
        if self._load_ended is None:
            self.load_ended()
        seconds, busy = self._load_ended or (1.0, 0.0)
        ours = sum(cpu.total for cpu in used.values()) + driver_seconds
        return {
            "all_cpu_us": round(sum(cpu.total for cpu in used.values()) * _MICRO / ops, 1),
            "coordinator_cpu_us": per_op(first, ops),
            "replica_cpu_us": [per_op(cpu, ops) for cpu in others],
            "driver_cpu_us": round(driver_seconds * _MICRO / ops, 1),
            "resident_mib": [resident_mib(pid) for pid in self._pids.values()],
            "cores_used_by_others": round(max(busy - ours, 0.0) / seconds, 2),
        }

    def totals(self, ops: int) -> dict[str, float]:
        """CPU microseconds per operation of each process up to now."""
        return {
            name: round((cpu - self._cpu[name]).total * _MICRO / ops, 1)
            for name, cpu in self._now().items()
        }
