"""Policies of namespaces, and what they answer.

Law: a verdict is a pure function of the operation and of the governance state below its
heads. Each concurrent version of a policy is asked on its own and the strictest answer
counts: deny over pending over allow, and of several approvers all. Comparing level names
instead would be laxer: of `owner` and `registered` neither is stricter for every caller.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

from crdt.dot import Dot
from crdt.fields import ARCHIVE_FIELDS, ARCHIVE_REASON, REVISION
from crdt.op import Kind, Op

ROOT: Final = "*"


class Answer(IntEnum):
    """Ordered by strictness, so that `max` gives the strictest."""

    ALLOW = 0
    PENDING = 1
    DENY = 2


LEVELS: Final = frozenset({"any", "allow", "registered", "owner", "approve", "deny"})
DEFAULTS: Final[Mapping[str, str]] = {"write": "any", "promote": "any", "delete": "owner"}
DEFAULT_APPROVER: Final = "human"
TIMEOUT: Final = "approval_timeout_secs"
TIMEOUT_SECONDS_MAX: Final = 2**31
_HOPS_MAX: Final = 32
ENDINGS: Final = frozenset({"deleted", "forgotten"})
"""Reasons for which a record goes into the archive in the place of a deletion."""

_OF_AN_ENDING: Final = frozenset({*ARCHIVE_FIELDS, REVISION})
_OF_A_PROMOTION: Final = frozenset({"tier", "rev"})
_ENDED_BY_A_PROMOTION: Final = frozenset({"expires_at", "updated_at", "attest_level"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One version of one namespace's policy.

    Attributes:
        namespace: `*` or a path.
        rules: write, promote, delete, approver, inherit ... as given; empty asks above.
        author: the agent who wrote it; with `owner` the owner of creations under level `owner`.
        dot: the operation that wrote it.
        parent: where to ask above; the path's own parent when empty.
        owner: the agent to whom the namespace belongs; empty for none.
        standard_id: the memory that explains it; empty for none.
        hlc: the stamp of the operation.
    """

    namespace: str
    rules: Mapping[str, Any]
    author: str
    dot: Dot | None = None
    parent: str = ""
    owner: str = ""
    standard_id: str = ""
    hlc: int = 0

    @property
    def keepers(self) -> frozenset[str]:
        """The agents who may change it without being administrators; none once it is cleared."""
        if not (self.rules or self.owner or self.standard_id):
            return frozenset()
        return frozenset({self.author, self.owner} - {""})

    @property
    def above(self) -> str:
        """The level to ask next."""
        return self.parent or parent_of(self.namespace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer for one operation.

    Attributes:
        answer: allow, pending or deny.
        approver: who may approve, when it is pending.
        timeout_seconds: how long an approval may take; 0 for ever.
    """

    answer: Answer
    approver: Any = None
    timeout_seconds: int = 0


ALLOWED: Final = Verdict(answer=Answer.ALLOW)
DENIED: Final = Verdict(answer=Answer.DENY)


def well_formed(rules: object) -> bool:
    """Whether every node can judge by these rules.

    Levels and the shape of the approver are checked, unknown keys are left to later versions.
    """
    if not isinstance(rules, Mapping) or rules.get("inherit", False) not in (True, False):
        return False
    levels = (rules[action] for action in DEFAULTS if action in rules)
    if not all(isinstance(level, str) and level in LEVELS for level in levels):
        return False
    seconds = rules.get(TIMEOUT, 1)
    if type(seconds) is not int or not 1 <= seconds <= TIMEOUT_SECONDS_MAX:
        return False
    approver = rules.get("approver", DEFAULT_APPROVER)
    if not isinstance(approver, Mapping):
        return bool(approver == DEFAULT_APPROVER)
    wanted = approver.get("consensus")
    several = type(wanted) is int and wanted >= 1
    return len(approver) == 1 and (several or isinstance(approver.get("agent"), str))


def parent_of(namespace: str) -> str:
    """The path one level up; the root above all."""
    return namespace.rpartition("/")[0] or ROOT


def chain(namespace: str) -> list[str]:
    """The levels to ask by path, nearest first: the namespace, its ancestors, the root."""
    out = [namespace]
    while out[-1] != ROOT:
        out.append(parent_of(out[-1]))
    return out


def actions_of(op: Op) -> tuple[str, ...]:
    """What an operation must be allowed to do; told by its content, never by a label."""
    if op.kind is Kind.DELETE:
        return ("delete",)
    reason = op.set.get(ARCHIVE_REASON)
    if op.kind is Kind.EDIT and isinstance(reason, str) and reason in ENDINGS:
        # It only goes into the archive, but is asked for, and felt, as an end.
        alone = op.set.keys() <= _OF_AN_ENDING and op.removed <= _ENDED_BY_A_PROMOTION
        return ("delete",) if alone else ("write", "delete")
    if op.kind is Kind.EDIT and "tier" in op.set:
        # An end of its life that is set, and all that is unset but such an end, is a change.
        alone = op.set.keys() <= _OF_A_PROMOTION and op.removed <= _ENDED_BY_A_PROMOTION
        return ("promote",) if alone else ("write", "promote")
    return ("write",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Who wants to do what to whose record."""

    action: str
    agent: str
    owner: str
    creates: bool


def judge(
    policies: Mapping[str, Sequence[Policy]],
    agents: Mapping[str, Mapping[str, Any]],
    namespace: str,
    question: Question,
) -> Verdict:
    """Ask the chain.

    Args:
        policies: per namespace its live versions; several when edited concurrently.
        agents: the registered agents.
        namespace: where the record lies.
        question: what is wanted.
    """
    return _Inquiry(policies, agents, question).at(namespace, _HOPS_MAX).verdict


def strictest(verdicts: Sequence[Verdict]) -> Verdict:
    """One answer for several that all must hold."""
    answer = max(verdict.answer for verdict in verdicts)
    if answer is not Answer.PENDING:
        return ALLOWED if answer is Answer.ALLOW else DENIED
    held = [verdict for verdict in verdicts if verdict.answer is Answer.PENDING]
    return Verdict(
        answer=answer,
        approver=_all_of([verdict.approver for verdict in held]),
        timeout_seconds=min((v.timeout_seconds for v in held if v.timeout_seconds), default=0),
    )


def _all_of(approvers: Sequence[Any]) -> Any:
    """The approver that stands for all of several; each once, in an order all nodes share."""
    flat: dict[str, Any] = {}
    for one in approvers:
        for part in one["all"] if isinstance(one, Mapping) and "all" in one else [one]:
            flat[repr(part)] = part
    parts = [flat[text] for text in sorted(flat)]
    return parts[0] if len(parts) == 1 else {"all": parts}


@dataclass(frozen=True, slots=True)
class _Found:
    """What a level answers, and the keys that levels below it may leave to it."""

    verdict: Verdict
    approver: Any
    timeout: int


_NOTHING: Final = _Found(ALLOWED, DEFAULT_APPROVER, 0)


def _together(answers: Sequence[_Found]) -> _Found:
    """What concurrent versions of one level answer."""
    return _Found(
        strictest([answer.verdict for answer in answers]),
        _all_of([answer.approver for answer in answers]),
        min((answer.timeout for answer in answers if answer.timeout), default=0),
    )


@dataclass(slots=True)
class _Inquiry:
    """One question on its way up the chain.

    The way is counted from where the question began, not by what else was asked: so no version
    changes what another one finds above it, and one version more never makes the answer laxer.
    """

    policies: Mapping[str, Sequence[Policy]]
    agents: Mapping[str, Mapping[str, Any]]
    question: Question
    found: dict[tuple[str, int], _Found] = field(default_factory=dict)

    def at(self, namespace: str, hops: int) -> _Found:
        """What holds at a namespace, asking at most so many policies one above the other."""
        level = self._nearest(namespace)
        if hops == 0:  # parents tied into a loop by concurrent edits, or endless ones
            level = ROOT
        place = (level, 0 if level == ROOT else hops)
        held = self.found.get(place)
        if held is None:
            answers = [self._version(p, level, hops) for p in self.policies.get(level, ())]
            held = self.found[place] = _together(answers) if answers else _NOTHING
        return held

    def _nearest(self, namespace: str) -> str:
        """The first level by path that has a policy; the root when none has."""
        level = namespace
        while level != ROOT and not self.policies.get(level):
            level = parent_of(level)
        return level

    def _version(self, policy: Policy, at: str, hops: int) -> _Found:
        rules = policy.rules
        inherits = not rules or rules.get("inherit") is True
        above = self.at(policy.above, hops - 1) if inherits and at != ROOT else _NOTHING
        approver = rules.get("approver", above.approver)
        timeout = rules.get(TIMEOUT, above.timeout)
        level = rules.get(self.question.action)
        if level is None and inherits:
            verdict = above.verdict
            if verdict.answer is Answer.PENDING:
                verdict = Verdict(
                    answer=verdict.answer,
                    approver=rules.get("approver", verdict.approver),
                    timeout_seconds=rules.get(TIMEOUT, verdict.timeout_seconds),
                )
            return _Found(verdict, approver, timeout)
        answer = self._level(level or DEFAULTS[self.question.action], policy)
        verdict = ALLOWED if answer is Answer.ALLOW else DENIED
        if answer is Answer.PENDING:
            verdict = Verdict(answer=answer, approver=approver, timeout_seconds=timeout)
        return _Found(verdict, approver, timeout)

    def _level(self, level: object, policy: Policy) -> Answer:
        question = self.question
        if level in {"any", "allow"}:
            return Answer.ALLOW
        if level == "registered":
            return Answer.ALLOW if question.agent in self.agents else Answer.DENY
        if level == "owner":
            owners = policy.keepers if question.creates else {question.owner}
            return Answer.ALLOW if question.agent in owners else Answer.DENY
        if level == "approve":
            return Answer.PENDING
        return Answer.DENY
