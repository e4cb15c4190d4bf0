"""Which members' snapshots were refused, and whose word is to be taken: an operator's file.

Law: what was refused stays refused through restarts, with the proof that was given, until an
operator takes it out of the file; the file is read whenever a snapshot is weighed. Nothing here
decides.

The file is JSON: `{"refused": {node id: {...}}, "trusted": [node id, ...]}`. In `trusted` stand the
nodes whose snapshot may be adopted although members are there that do not claim as much.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from crdt.dot import NODE_ID_BYTES, NodeId
from crdt.effects import Alarm
from crdt.trial import Trial
from node.facts import read_note, write_note

FILE: Final = "snapshot_sources.json"
ALARMS: Final = frozenset(
    {"snapshot_disputed", "snapshot_refused", "snapshot_unclaimed", "snapshot_unconfirmed"}
)


class Refusals:
    """Keeps the file.

    Args:
        path: where it is.
        record: adds an entry to the chain of events.
        trouble: told when the file cannot be read or written.
        now_ms: wall clock.
    """

    def __init__(
        self,
        path: Path,
        *,
        record: Callable[..., None],
        trouble: Callable[[str], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._path = path
        self._record = record
        self._trouble = trouble
        self._now_ms = now_ms

    def tell(self, trial: Trial) -> None:
        """Tell the core what the file says; one that cannot be read changes nothing."""
        said = read_note(self._path)
        if said is None and self._path.exists():
            self._trouble(f"{self._path} cannot be read")
            return
        trial.passed_over = set(_nodes((said or {}).get("refused")))
        trial.trusted = set(_nodes((said or {}).get("trusted")))

    def hear(self, alarm: Alarm, node: NodeId, name: str, manifest: bytes) -> None:
        """An alarm about a snapshot of a node: record it, and keep it when it was refused."""
        if alarm.name not in ALARMS:
            return
        facts = {"node": node.hex(), "name": name, "why": alarm.detail}
        self._record(alarm.name, **facts, signed=bool(manifest))
        if alarm.name == "snapshot_refused":
            said = read_note(self._path) or {}
            held = {**facts, "at_ms": self._now_ms(), "manifest": manifest.hex()}
            said["refused"] = {**_table(said.get("refused")), node.hex(): held}
            try:
                write_note(self._path, said)
            except OSError as error:
                self._trouble(str(error))


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _nodes(value: object) -> list[NodeId]:
    out = []
    for text in value if isinstance(value, dict | list) else ():
        try:
            node = bytes.fromhex(str(text))
        except ValueError:
            continue
        if len(node) == NODE_ID_BYTES:
            out.append(node)
    return out
