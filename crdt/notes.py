"""What happened inside the replica that somebody may want on record.

Law: notes tell, they decide nothing. They leave with the batch whose operations they are
about, and are told only when that batch is on disk.
"""

from dataclasses import dataclass
from typing import Final

from crdt.dot import Dot, dot_text
from crdt.op import DECISION_KINDS, Kind, Op
from crdt.pending import Pending

_MEMORY: Final = "memory/"


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
        detail: the kind of operation and its subject; of a decision also yes or no, and the
            pending id, the action and the record that it is about.
    """

    kind: str
    dot: Dot
    agent: str = ""
    namespace: str = ""
    detail: str = ""


def note(kind: str, op: Op, held: Pending | None = None) -> Note:
    """A note about an operation.

    Args:
        kind: see `Note`.
        op: what happened.
        held: what a decision is about, when that is known.
    """
    space = held.namespace if held is not None else op.namespace
    return Note(kind=kind, dot=op.dot, agent=op.agent, namespace=space, detail=_detail(op, held))


def _detail(op: Op, held: Pending | None) -> str:
    words = [op.kind.name.lower()]
    if op.kind is Kind.VOTE:
        words.append("yes" if op.set.get("yes") is True else "no")
    if op.target is not None and op.kind in DECISION_KINDS:
        leader = held.leader if held is not None else None
        words.append(dot_text(leader or op.target))
    if held is not None:
        words += [held.action, held.key[1:].decode().removeprefix(_MEMORY)]
    return " ".join([*words, op.id or op.namespace]).rstrip()
