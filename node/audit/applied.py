"""What the replicated core has applied, as entries of the chain.

Law: an entry says what this node has on its disk, whoever minted it, with the dot that names
the operation everywhere. Bodies of policies are hashed, not copied; nothing of a record is
here but its namespace and its id. Of a decision the detail says which way it went.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from crdt.dot import Dot, dot_text, node_of
from crdt.notes import Note
from crdt.op import Kind, Op

_DIGEST_CHARS: Final = 16
_OF_NOTES: Final = {
    "refused": "refused",
    "pending": "pending",
    "voted": "vote",
    "void": "vote_void",
    "sealed": "seal",
    "tolerated": "tolerated",
}


class Applied:
    """Turns the notes of the core into entries.

    Args:
        record: takes an event of `node.audit.events` and its facts.
        history: the governance operations applied here, in order of arrival.
    """

    def __init__(self, record: Callable[..., None], history: Callable[[], Iterator[Op]]) -> None:
        self._record = record
        self._history = history

    def hear(self, notes: Sequence[Note]) -> None:
        """Record what a batch brought."""
        governed = {note.dot for note in notes if note.kind == "governed"}
        ops = self._ops(governed) if governed else {}
        for note in notes:
            op = ops.get(note.dot)
            if op is not None:
                event, facts = entry_of(op)
                self._record(event, **facts, **_common(note))
            else:
                event = _OF_NOTES.get(note.kind, "governed")
                self._record(event, **_common(note), detail=note.detail)

    def _ops(self, dots: set[Dot]) -> Mapping[Dot, Op]:
        return {op.dot: op for op in self._history() if op.dot in dots}


def _common(note: Note) -> dict[str, object]:
    out: dict[str, object] = {"dot": dot_text(note.dot), "node": node_of(note.dot.actor).hex()}
    if note.agent:
        out["agent"] = note.agent
    if note.namespace:
        out["namespace"] = note.namespace
    return out


Made = tuple[str, dict[str, object]]


def entry_of(op: Op) -> Made:
    """The event, and the facts, that a change of governance becomes."""
    make = _OF_KINDS.get(op.kind)
    if make is None:
        return "governed", {"kind": op.kind.name.lower(), "subject": op.id}
    return make(op)


def _agent(op: Op) -> Made:
    return "agent_registered", {
        "id": op.id,
        "agent_type": op.set.get("agent_type", ""),
        "capabilities": tuple(op.set.get("capabilities") or ()),
        "key_bound": bool(op.set.get("public_key")),
    }


def _role(op: Op) -> Made:
    spaces = tuple(op.set.get("namespaces") or ())
    return "role_granted", {"id": op.id, "role": op.set.get("role", ""), "namespaces": spaces}


def _mode(op: Op) -> Made:
    return "mode_changed", {"mode": op.set.get("mode", "")}


def _added(op: Op) -> Made:
    node = op.set.get("node")
    member = node.hex() if isinstance(node, bytes) else ""
    founder = op.kind is Kind.FOUND
    return "member_added", {"member": member, "name": op.set.get("name", ""), "founder": founder}


def _removed(op: Op) -> Made:
    return "member_removed", {"member": op.id}


def _ready(op: Op) -> Made:
    return "member_ready", {"member": node_of(op.dot.actor).hex()}


def _policy(op: Op) -> Made:
    rules: Any = op.set.get("governance") or {}
    if not rules:
        return "policy_cleared", {}
    text = json.dumps(rules, sort_keys=True, default=str)
    facts: dict[str, object] = {
        "rules": hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARS],
        "levels": tuple(
            f"{action}={level}" for action, level in sorted(rules.items()) if isinstance(level, str)
        ),
    }
    for name in ("parent", "owner", "standard_id"):
        if op.set.get(name):
            facts[name] = op.set[name]
    return "policy_set", facts


_OF_KINDS: Final[Mapping[Kind, Callable[[Op], Made]]] = {
    Kind.POLICY: _policy,
    Kind.AGENT: _agent,
    Kind.ROLE: _role,
    Kind.MODE: _mode,
    Kind.FOUND: _added,
    Kind.ADD: _added,
    Kind.REMOVE: _removed,
    Kind.READY: _ready,
}
