"""What is written down every few seconds of a soak, one JSON line a moment.

Law: a node that is down at that moment has no figures, not zeros; a figure of a process is
kept with its id, for a new process starts from nothing.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.benchmarks import sizes
from tests.benchmarks.mesh import Node
from tests.benchmarks.openloop import spread
from tests.benchmarks.soak_load import Ledger

_MIB: Final = 2**20


class Sampler:
    """Takes samples and keeps them.

    Args:
        nodes: of the mesh.
        ledger: whose latencies are taken.
        path: file of JSON lines.
    """

    def __init__(self, nodes: Sequence[Node], ledger: Ledger, path: Path) -> None:
        self._nodes, self._ledger, self._path = nodes, ledger, path
        self._began = time.monotonic()
        self._last = self._began
        self.samples: list[dict[str, Any]] = []
        path.write_text("", encoding="utf-8")

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def take(self) -> dict[str, Any]:
        """One moment."""
        now = time.monotonic()
        taken = self._ledger.take()
        by_kind = {
            kind: spread([took for one, took in taken if one == kind])
            for kind in ("write", "read", "recall")
        }
        writes = sum(kind == "write" for kind, _ in taken)
        sample = {
            "seconds": round(now - self._began, 1),
            "writes_per_second": round(writes / max(now - self._last, 1e-9), 1),
            "ms": by_kind,
            "nodes": {node.name: of_node(node) for node in self._nodes},
        }
        self._last = now
        self._keep(sample)
        self.samples.append(sample)
        return sample

    def mark(self, what: str, node: str) -> None:
        """Something was done to a node."""
        self._keep({"seconds": round(self.seconds, 1), "event": what, "node": node})

    def _keep(self, line: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def of_node(node: Node) -> dict[str, Any] | None:
    """The figures of one node; None while it is down."""
    try:
        pid = node.pid
        memory = sizes.memory_bytes(pid)
        disk = sizes.disk_bytes(node.data_dir)
        return {
            "pid": pid,
            "anonymous_mib": round(memory["anonymous"] / _MIB, 1),
            "files": sizes.handles(pid),
            "threads": sizes.threads(pid),
            "store_mib": round(disk["store"] / _MIB, 1),
            "recall_mib": round(disk["recall"] / _MIB, 1),
        }
    except (OSError, ValueError, KeyError):
        return None
