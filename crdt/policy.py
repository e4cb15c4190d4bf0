"""Policies of namespaces, and what they answer.

Law: a verdict is a pure function of the operation and of the governance state below its
heads. Each concurrent version of a policy is asked on its own and the strictest answer
counts: deny over pending over allow. Comparing level names instead would be laxer: of
`owner` and `registered` neither is stricter for every caller.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One version of one namespace's policy.

    Attributes:
        namespace: `*` or a path.
        rules: write, promote, delete, approver, inherit ... as given; empty asks above.
        author: the agent who wrote it; the owner of creations under level `owner`.
    """

    namespace: str
    rules: Mapping[str, Any]
    author: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer for one operation, and who may approve when it is pending."""

    answer: Answer
    approver: Any = None


ALLOWED: Final = Verdict(answer=Answer.ALLOW)
DENIED: Final = Verdict(answer=Answer.DENY)


def well_formed(rules: object) -> bool:
    """Whether rules can be judged by; what cannot is refused and has no effect.

    Unknown keys are left to later versions.
    """
    if not isinstance(rules, Mapping) or rules.get("inherit", False) not in (True, False):
        return False
    levels = (rules[action] for action in DEFAULTS if action in rules)
    if not all(isinstance(level, str) and level in LEVELS for level in levels):
        return False
    approver = rules.get("approver", DEFAULT_APPROVER)
    if not isinstance(approver, Mapping):
        return bool(approver == DEFAULT_APPROVER)
    wanted = approver.get("consensus")
    several = type(wanted) is int and wanted >= 1
    return len(approver) == 1 and (several or isinstance(approver.get("agent"), str))


def chain(namespace: str) -> Iterator[str]:
    """The levels to ask, nearest first: the namespace, its ancestors, the root."""
    part = namespace
    while part and part != ROOT:
        yield part
        part = part.rpartition("/")[0]
    yield ROOT


def actions_of(op: Op) -> tuple[str, ...]:
    """What an operation must be allowed to do; told by its content, never by a label."""
    if op.kind is Kind.DELETE:
        return ("delete",)
    if op.kind is Kind.EDIT and "tier" in op.set:
        return (
            ("promote",) if set(op.set) <= {"tier", "rev", "expires_at"} else ("write", "promote")
        )
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
    return _ask(policies, agents, list(chain(namespace)), question)


def _ask(
    policies: Mapping[str, Sequence[Policy]],
    agents: Mapping[str, Mapping[str, Any]],
    levels: list[str],
    question: Question,
) -> Verdict:
    for place, level in enumerate(levels):
        versions = policies.get(level)
        if versions:
            above = levels[place + 1 :]
            answers = [_version(policies, agents, above, question, v) for v in versions]
            return max(answers, key=_strictness)
    return ALLOWED


def _strictness(verdict: Verdict) -> tuple[int, str]:
    return verdict.answer, repr(verdict.approver)


def _version(
    policies: Mapping[str, Sequence[Policy]],
    agents: Mapping[str, Mapping[str, Any]],
    above: list[str],
    question: Question,
    policy: Policy,
) -> Verdict:
    rules = policy.rules
    level = rules.get(question.action)
    if level is None:
        if not rules or rules.get("inherit") is True:
            return _ask(policies, agents, above, question)
        level = DEFAULTS[question.action]
    answer = _level(level, agents, question, policy)
    if answer is not Answer.PENDING:
        return ALLOWED if answer is Answer.ALLOW else DENIED
    return Verdict(answer=answer, approver=rules.get("approver", DEFAULT_APPROVER))


def _level(
    level: object, agents: Mapping[str, Mapping[str, Any]], question: Question, policy: Policy
) -> Answer:
    if level in {"any", "allow"}:
        return Answer.ALLOW
    if level == "registered":
        return Answer.ALLOW if question.agent in agents else Answer.DENY
    if level == "owner":
        owner = policy.author if question.creates else question.owner
        return Answer.ALLOW if question.agent == owner else Answer.DENY
    if level == "approve":
        return Answer.PENDING
    return Answer.DENY
