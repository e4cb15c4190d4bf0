"""Why a request about governance cannot be served.

Law: each says which field, which agent or which decision is in the way, and carries the HTTP
status and the stable code. All are raised before anything is minted.

    InvalidField 400
    |- UnknownApprover       the approver is nobody that is registered
    |- PolicyLoop            the parents would lead back to the namespace
    '- MalformedKey          no Ed25519 key under which a signature proves anything
    RequestError
    |- NotAnApprover 403
    '- KeyBoundElsewhere 409, AlreadyDecided 409, AlreadyVoted 409, ApprovalExpired 409,
       SeveralActions 409, PayloadMismatch 409

What only the gate may refuse (`node.gate`) is not here.
"""

# ruff: noqa: N818 - the names say what happened, as in node/errors.py

from collections.abc import Sequence
from typing import Any

from node.errors import Exit
from node.memory.problems import InvalidField, RequestError


class UnknownApprover(InvalidField):
    """The approver names an agent that nobody has registered."""

    code = "unknown_approver"


class PolicyLoop(InvalidField):
    """The chain of parents would come back to where it starts."""

    code = "policy_loop"


class MalformedKey(InvalidField):
    """A public key that is none, or under which a signature proves nothing."""

    code = "malformed_key"


class NotAnApprover(RequestError):
    """The rule gives the decision to others."""

    exit_code = Exit.REFUSED
    http_status = 403
    code = "not_an_approver"


class KeyBoundElsewhere(RequestError):
    """One key stands for one agent; this one stands for another already."""

    http_status = 409
    code = "key_bound_elsewhere"


class AlreadyDecided(RequestError):
    """The action was approved or rejected before.

    Args:
        status: `approved` or `rejected`.
        decided_by: whose decision it was.
    """

    http_status = 409
    code = "already_decided"

    def __init__(self, status: str, decided_by: str | None) -> None:
        super().__init__(f"this action was {status} before", fix="Nothing more can be decided")
        self.status = status
        self.decided_by = decided_by

    def extra(self) -> dict[str, Any]:
        """How it ended, and by whom."""
        return {"status": self.status, "decided_by": self.decided_by}


class AlreadyVoted(RequestError):
    """The agent has cast its vote about this action."""

    http_status = 409
    code = "already_voted"


class ApprovalExpired(RequestError):
    """The time for an approval is over."""

    http_status = 409
    code = "expired"


class SeveralActions(RequestError):
    """A memory's id stands for several actions about it.

    Args:
        memory: the id.
        actions: ids of the actions.
        waiting: whether they wait, or all of them are decided.
    """

    http_status = 409
    code = "ambiguous_id"

    def __init__(self, memory: str, actions: Sequence[str], *, waiting: bool) -> None:
        state = "wait for approval" if waiting else "were held, and none waits any more"
        super().__init__(
            f"{len(actions)} actions about {memory!r} {state}: {', '.join(actions)}",
            fix="Name one by its own id",
        )
        self.actions = list(actions)

    def extra(self) -> dict[str, Any]:
        """The actions it may mean."""
        return {"candidates": self.actions}


class PayloadMismatch(RequestError):
    """The decision is about other content than what is pending.

    Args:
        actual: the hash of what is pending, in hex.
    """

    http_status = 409
    code = "payload_mismatch"

    def __init__(self, actual: str) -> None:
        super().__init__(
            "the hash is not that of the pending action", fix="Look at the action again"
        )
        self.actual = actual

    def extra(self) -> dict[str, Any]:
        """The hash a decision would have to name."""
        return {"hash": self.actual}
