"""What a line of a history says, typed.

Law: frozen values, one class a kind, and nothing but what the file holds: whoever has the file
has all that a checker may know. The three outcomes are those of Jepsen's histories: ok, fail
(provably without effect), info (either is right). `at` is in seconds since the campaign began.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

Outcome: TypeAlias = Literal["ok", "fail", "info"]
Judgement: TypeAlias = Literal["pass", "fail", "void", "not_run"]
WHOLE: Final = "whole"
"""Note of what is amiss in the campaign so far, beside the verdicts of its cycles."""


class Anomaly(NamedTuple):
    """One thing that must not be."""

    checker: str  # which function found it
    rule: str  # which of its rules, a stable word
    detail: str  # for a person
    ops: tuple[int, ...] = ()  # the operations it is about


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """The first line of a campaign."""

    campaign: str
    seed: int
    nodes: tuple[str, ...]
    quorum_writes: int
    plan: Mapping[str, Any]
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """The harness was started again on the same stores."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleStart:
    """One fault against one workload begins; `class` in the file is `fault_class` here."""

    cycle: int
    fault_class: str
    workload: str
    seed: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoke:
    """A client is about to ask a node."""

    op: int
    cycle: int
    at: float
    process: str
    node: str
    f: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What came back: `kind` in the file is `outcome` here. Status 0 is no answer at all."""

    op: int
    at: float
    outcome: Outcome
    status: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What an injector did, and whether it could prove it."""

    cycle: int
    at: float
    phase: Literal["inject", "proof", "heal"]
    what: str
    ok: bool
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """An invariant of the class itself, judged where the fault is."""

    cycle: int
    at: float
    what: str
    ok: bool
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalRecord:
    """A record as a node shows it after the heal.

    `value` is left out where a final of the same cycle has shown the value of that hash before.
    """

    hash: str
    value: Mapping[str, Any] | None
    present: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalRead:
    """What one node holds after the heal; `error` when it was meant to answer and did not.

    Scope `cycle` is the namespace of the cycle, `all` is the whole store. `policies` are hashes,
    `standards` what they are hashes of. An entry of the clock that is no actor's is the hash of
    the whole clock, which itself would be long.
    """

    cycle: int
    at: float
    node: str
    scope: Literal["cycle", "all"]
    clock: Mapping[str, int] | str
    digest: str
    policies: Mapping[str, str]
    records: Mapping[str, FinalRecord]
    error: str | None
    standards: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How the harness judged a cycle when it ended."""

    cycle: int
    fault_class: str
    at: float
    verdict: Judgement
    why: str
    anomalies: tuple[Anomaly, ...]
    acknowledged: int
    attempted: int
    converged_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A `note`, or a `sample` of all nodes: beside the history, no checker reads it."""

    fields: Mapping[str, Any]


Event: TypeAlias = (
    Begin | Resume | CycleStart | Invoke | Completion | Fault | Expect | FinalRead | Verdict | Note
)
