"""What happened inside the replica that somebody may want on record.

Law: notes tell, they decide nothing. They leave with the batch whose operations they are
about, and are told only when that batch is on disk.
"""

from dataclasses import dataclass

from crdt.dot import Dot
from crdt.op import Op


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One event of governance.

    Attributes:
        kind: `refused` (an operation without effect), `pending`, `voted`, `void` (a vote or a
            seal without effect), `sealed`, `governed` (a change of governance that counts), or
            `tolerated` (what a member that does not enforce let pass).
        dot: the operation.
        agent: who asked for it.
        namespace: what it is about; empty where there is none.
        detail: the kind of operation and its subject.
    """

    kind: str
    dot: Dot
    agent: str = ""
    namespace: str = ""
    detail: str = ""


def note(kind: str, op: Op) -> Note:
    """A note about an operation."""
    about = op.id or op.namespace
    detail = f"{op.kind.name.lower()} {about}".rstrip()
    return Note(kind=kind, dot=op.dot, agent=op.agent, namespace=op.namespace, detail=detail)
