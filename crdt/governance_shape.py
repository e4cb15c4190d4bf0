"""Which governance operations count.

Law: a pure function of the operation and of the state below its heads. What counts has a body
that every node can rely on, and comes from somebody who may say so; all else is kept, moves
the clock, and has no effect.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

from crdt.governance_state import ENFORCE, MODES, GovernanceState
from crdt.op import Kind, Op
from crdt.policy import ROOT, well_formed
from crdt.roles import read_grant

KEY_BYTES: Final = 32
TEXT_CHARS_MAX: Final = 512


def is_proper(op: Op) -> bool:
    """Whether the body of an operation has the shape that others will rely on."""
    check = _SHAPES.get(op.kind)
    return check is None or check(op)


def _is_policy(op: Op) -> bool:
    texts = (op.set.get("parent", ""), op.set.get("owner", ""), op.set.get("standard_id", ""))
    if not all(isinstance(text, str) and len(text) <= TEXT_CHARS_MAX for text in texts):
        return False
    if not op.namespace or (op.namespace == ROOT and texts[0]):
        return False
    return well_formed(op.set.get("governance", {}))


def _is_registration(op: Op) -> bool:
    key = op.set.get("public_key")
    if key is not None and (not isinstance(key, bytes) or len(key) != KEY_BYTES):
        return False
    registered = op.set.get("registered_at", 0)
    return type(registered) is int and isinstance(op.set.get("agent_type", ""), str)


def is_authorised(op: Op, state: GovernanceState) -> bool:
    """Whether the agent who asked may change this, given the history below the heads."""
    if op.kind is Kind.POLICY:
        return state.may_govern(op.agent, op.namespace)
    if op.kind is Kind.ROLE:
        return state.may_administer(op.agent)
    if op.kind is Kind.MODE:
        return op.set["mode"] == ENFORCE or state.may_administer(op.agent)
    if op.kind is Kind.AGENT:
        held = state.agents.get(op.id, {}).get("public_key")
        if held is not None and op.agent != op.id and op.agent not in state.admins:
            return False
        wanted = op.set.get("public_key")
        return wanted in {None, held} or not state.binds(wanted)
    return True


def _names_a_member(op: Op) -> bool:
    """A node id is the hash of its key, so who holds the id needs no other witness."""
    node, key = op.set.get("node"), op.set.get("key")
    texts = (op.set.get("name", ""), op.set.get("url", ""))
    admins = op.set.get("admins", [])
    if not isinstance(admins, list) or not all(isinstance(a, str) and a for a in admins):
        return False
    if not all(isinstance(text, str) and len(text) <= TEXT_CHARS_MAX for text in texts):
        return False
    return (
        isinstance(node, bytes)
        and isinstance(key, bytes)
        and len(key) == KEY_BYTES
        and hashlib.sha256(key).digest() == node
    )


def _is_mode(op: Op) -> bool:
    return op.set.get("mode") in MODES


def _is_role(op: Op) -> bool:
    try:
        read_grant(op.set)
    except ValueError:
        return False
    return bool(op.id)


_SHAPES: Final[Mapping[Kind, Callable[[Op], bool]]] = {
    Kind.FOUND: _names_a_member,
    Kind.ADD: _names_a_member,
    Kind.POLICY: _is_policy,
    Kind.AGENT: _is_registration,
    Kind.MODE: _is_mode,
    Kind.ROLE: _is_role,
}
