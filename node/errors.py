"""Every way the node can say no, with the code a script reads and the code a client reads.

Law: an error says what happened, why, and what to do about it. Its class carries the exit
code of the command line and, where agents can meet it, the HTTP status and stable code.
Certainty is part of the type: an indefinite error means the write may still surface.

    NodeError (1)
    |- UsageError (2)            the caller or the configuration is wrong
    |  '- ConfigError
    |- WriteError                what the funnel can answer to one write
    |  |- Denied 403             governance said no                       definite
    |  |  '- HookRefused         a hook of this node said no              definite
    |  |- GateFailed 500         the gate itself failed                   definite
    |  |- RetryKeyReused 409                                              definite
    |  |- QuotaExceeded 429 (4)  the agent has used up what it may add    definite
    |  |- QuorumNotMet 503 (3)   stored here, not confirmed by W         indefinite
    |  '- Unavailable 503       nothing was minted
    |     |- ClockSkew, Joining, Recovering, Draining, Overloaded          definite
    |     |- HookFailed, ChangedMeanwhile                                  definite
    |     '- DiskFull 507        retried when there is room              indefinite
    |- Refused (4)               a state in which starting would do harm
    |  |- LockHeld, LooseModes, ImpossibleQuorum, TwinDetected
    |- IntegrityError (5)        bytes are not what was written
    |- Unreachable (6)           nobody answers
    |- DowngradeRefused (7)      the data is newer than this program
    |- OutOfMemory (1)           a change was left half made; the process ends
    '- DiskError (10)            the disk said EIO; nothing may be acknowledged any more
"""

# ruff: noqa: N818 -- the names say what happened; "Error" would only repeat the base class

from collections.abc import Mapping
from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """Exit codes of the command line and of the node process."""

    OK = 0
    ERROR = 1
    USAGE = 2
    QUORUM = 3
    REFUSED = 4
    INTEGRITY = 5
    UNREACHABLE = 6
    DOWNGRADE = 7
    DOCTOR_WARNS = 8
    DOCTOR_CRITICAL = 9
    DISK = 10


class NodeError(Exception):
    """Root of the tree.

    Args:
        what: what happened, as a sentence without a full stop.
        why: the reason, when it adds something.
        fix: what the reader can do next.
    """

    exit_code: ClassVar[Exit] = Exit.ERROR
    http_status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    indefinite: ClassVar[bool] = False

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        parts = [self.what if not self.why else f"{self.what}: {self.why}"]
        if self.fix:
            parts.append(self.fix)
        # A part may end in a full stop that is its own, as the name of a folder or `..` does.
        return " ".join(part if part.endswith(".") else f"{part}." for part in parts)

    def facts(self) -> dict[str, object]:
        """The error as plain data, for `--json` and for the last-exit note."""
        return {
            "error": self.code,
            "what": self.what,
            "why": self.why,
            "fix": self.fix,
            "exit_code": int(self.exit_code),
        }


class UsageError(NodeError):
    """The command line cannot mean anything sensible."""

    exit_code = Exit.USAGE
    http_status = 400
    code = "usage"


class ConfigError(UsageError):
    """A setting is unknown, malformed or contradicts another one."""

    code = "bad_config"


class Refused(NodeError):
    """The node could start, and would do harm."""

    exit_code = Exit.REFUSED
    http_status = 409
    code = "refused"


class LockHeld(Refused):
    """Another process owns the data directory."""

    code = "lock_held"


class LooseModes(Refused):
    """A secret can be read by somebody other than its owner."""

    code = "loose_modes"


class ImpossibleQuorum(Refused):
    """W is larger than N, so no write could ever be confirmed."""

    code = "impossible_quorum"


class TwinDetected(Refused):
    """Another live process answers under the same node id."""

    code = "twin"


class IntegrityError(NodeError):
    """A checksum, a signature or a chain does not hold."""

    exit_code = Exit.INTEGRITY
    code = "integrity"


class Unreachable(NodeError):
    """No node answers where one was expected."""

    exit_code = Exit.UNREACHABLE
    http_status = 503
    code = "unreachable"


class DowngradeRefused(NodeError):
    """The store or the configuration was written by a newer version."""

    exit_code = Exit.DOWNGRADE
    code = "downgrade_refused"


class OutOfMemory(NodeError):
    """Memory ran out in the middle of a change; the process ends, and its disk is believed."""

    code = "out_of_memory"
    indefinite = True


class DiskError(NodeError):
    """The disk reported an error after which durability is unknown (EIO)."""

    exit_code = Exit.DISK
    code = "disk_error"
    indefinite = True


class WriteError(NodeError):
    """What the funnel can answer to one write; `http_status` and `code` go to the client."""

    http_status = 503
    retry_after_seconds: ClassVar[int | None] = None


class Denied(WriteError):
    """Governance refused the action; `code` says which part of it."""

    exit_code = Exit.REFUSED
    http_status = 403
    code = "denied"

    def __init__(self, what: str, *, why: str = "", fix: str = "", code: str = "") -> None:
        super().__init__(what, why=why, fix=fix)
        if code:
            self.code = code  # type: ignore[misc]  # here it depends on the reason


class HookRefused(Denied):
    """A hook of this node refused; its reason is for the caller.

    Args:
        hook: its name.
        reason: what it said.
        items: record id -> reason, where it refused only these of several.
    """

    code = "hook_refused"

    def __init__(self, hook: str, reason: str, *, items: Mapping[str, str] | None = None) -> None:
        super().__init__(f"the hook {hook} refused this", why=reason)
        self.hook = hook
        self.reason = reason
        self.items = dict(items or {})

    def extra(self) -> dict[str, object]:
        """Further fields of the answer."""
        return {"hook": self.hook, "reason": self.reason}


class GateFailed(WriteError):
    """A part of this node's own gate failed; nothing was written."""

    http_status = 500
    code = "gate_failed"


class RetryKeyReused(WriteError):
    """The retry key was used before with another body."""

    http_status = 409
    code = "idempotency_key_reused"


class QuotaExceeded(WriteError):
    """The agent may add no more at this node for now; nothing was minted.

    Args:
        name: the setting that says so.
        limit: how much it allows.
        current: how much the agent has used.
        wanted: how much more this request would add.
        reset_at: when the count starts again, as RFC 3339 text; empty when it does not.
        seconds: until then, or until it is worth trying again.
    """

    exit_code = Exit.REFUSED
    http_status = 429
    code = "quota_exceeded"

    def __init__(
        self, name: str, *, limit: int, current: int, wanted: int, reset_at: str, seconds: int
    ) -> None:
        super().__init__(
            f"{name} is {limit}, {current} are used, and this request would add {wanted}",
            fix=f"Come back at {reset_at}" if reset_at else "Delete what is not needed any more",
        )
        self.name = name
        self.limit = limit
        self.current = current
        self.reset_at = reset_at
        # Shadows the class attribute: here it depends on the time of day.
        self.retry_after_seconds = seconds  # type: ignore[misc]  # see above

    def extra(self) -> dict[str, object]:
        """Further fields of the answer."""
        return {
            "quota": self.name,
            "limit": self.limit,
            "current": self.current,
            "reset_at": self.reset_at or None,
        }


class QuorumNotMet(WriteError):
    """The local commit stands; fewer than W members confirmed it in time.

    Args:
        receipt: what the write did achieve; the HTTP layer shows it as `durability`.
        reason: `unreachable` or `timeout`.
        got: members that hold the write, the writer included.
        needed: members that had to hold it.
    """

    exit_code = Exit.QUORUM
    code = "quorum_not_met"
    indefinite = True
    retry_after_seconds = 2

    def __init__(self, receipt: object, *, reason: str, got: int, needed: int) -> None:
        super().__init__(
            f"{got} of {needed} needed members hold the write",
            why="peers did not confirm in time" if reason == "timeout" else "peers are away",
            fix="The write is stored here and spreads later; retry with the same idempotency key",
        )
        self.receipt = receipt
        self.reason = reason
        self.got = got
        self.needed = needed


class Unavailable(WriteError):
    """The node takes no writes now, and says when to come back."""

    code = "unavailable"
    retry_after_seconds = 1


class ClockSkew(Unavailable):
    """The local clock is too far from the median of the peers to mint anything."""

    code = "clock_skew"
    retry_after_seconds = 5


class Joining(Unavailable):
    """The node is still learning the state of its mesh."""

    code = "joining"


class Recovering(Unavailable):
    """The node is swapping stores after a snapshot, or was restored and has not pulled yet."""

    code = "recovering"


class Draining(Unavailable):
    """The node is shutting down."""

    code = "draining"


class Overloaded(Unavailable):
    """A bounded queue is full; `seconds` says when there will be room, where that is known."""

    code = "overloaded"

    def __init__(
        self, what: str, *, why: str = "", fix: str = "", seconds: int | None = None
    ) -> None:
        super().__init__(what, why=why, fix=fix)
        if seconds is not None:
            self.retry_after_seconds = seconds  # type: ignore[misc]  # here it depends on the queue


class HookFailed(Unavailable):
    """A hook that must agree gave no answer; nothing was minted."""

    code = "hook_failed"


class ChangedMeanwhile(Unavailable):
    """What the write rests on changed while a hook was asked; nothing was minted."""

    code = "changed_meanwhile"


class DiskFull(Unavailable):
    """There is no room for the write now; it is retried when there is."""

    http_status = 507
    code = "disk_full"
    indefinite = True
    retry_after_seconds = 5
