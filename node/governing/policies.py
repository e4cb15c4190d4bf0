"""Governance values: from what somebody sends to what is stored, and back to what is shown.

Law: what is stored can be judged alike by every node, so everything that would depend on a
node's settings (the time an approval may take) is written into the value when it is made. A
value that cannot be judged by is refused by the name of its field. Unknown keys are left out
and reported, never guessed at.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from crdt.policy import DEFAULT_APPROVER, DEFAULTS, LEVELS, ROOT, TIMEOUT, Policy, parent_of
from node.governing.problems import PolicyLoop, UnknownApprover
from node.limits import Limits
from node.memory.problems import InvalidField
from node.memory.rules import agent_id, one_of, whole
from node.settings.sections import GovernanceRules

CONSENSUS_MAX: Final = 1000
_KEYS: Final = (*DEFAULTS, "approver", "inherit", TIMEOUT)
_INHERIT: Final = "inherit"
_FIELD: Final = "governance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A governance value that was understood.

    Attributes:
        rules: as it is stored.
        ignored: keys that mean nothing here.
    """

    rules: Mapping[str, Any]
    ignored: tuple[str, ...] = ()


def read_governance(
    value: object, *, agents: Collection[str], times: GovernanceRules, limits: Limits
) -> Read:
    """Check a governance value.

    Args:
        value: what was sent.
        agents: the registered agents.
        times: how long approvals may take.
        limits: bounds of names.

    Raises:
        InvalidField: it cannot be judged by; names the field.
    """
    if not isinstance(value, Mapping):
        raise InvalidField(_FIELD, 'expected an object, as {"write": "approve"}')
    given = {key: inner for key, inner in value.items() if inner is not None}
    rules: dict[str, Any] = {}
    for action in DEFAULTS:
        if action in given:
            level = one_of(f"{_FIELD}.{action}", given[action], LEVELS)
            rules[action] = "any" if level == "allow" else level
    if "approver" in given:
        rules["approver"] = _approver(given["approver"], agents, limits)
    # An empty value would mean "ask above"; who sends one means the defaults.
    if _INHERIT in given or not rules:
        rules[_INHERIT] = _flag(given.get(_INHERIT, False))
    seconds = _seconds(given.get(TIMEOUT), rules, times)
    if seconds is not None:
        rules[TIMEOUT] = seconds
    ignored = sorted(str(key) for key in given.keys() - set(_KEYS))
    return Read(rules=rules, ignored=tuple(ignored))


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidField(f"{_FIELD}.{_INHERIT}", "expected true or false")
    return value


def _seconds(given: object, rules: Mapping[str, Any], times: GovernanceRules) -> int | None:
    most = times.approval_timeout_secs_max
    if given is not None:
        return whole(f"{_FIELD}.{TIMEOUT}", given, 1, most)
    asks = any(rules.get(action) == "approve" for action in DEFAULTS)
    return min(times.approval_timeout_secs, most) if asks else None


def _approver(value: object, agents: Collection[str], limits: Limits) -> Any:
    name = f"{_FIELD}.approver"
    if value == DEFAULT_APPROVER:
        return DEFAULT_APPROVER
    if isinstance(value, Mapping) and len(value) == 1:
        if "agent" in value:
            agent = agent_id(f"{name}.agent", value["agent"], limits)
            if agent not in agents:
                raise UnknownApprover(f"{name}.agent", f"no agent {agent!r} is registered")
            return {"agent": agent}
        if "consensus" in value:
            return {"consensus": whole(f"{name}.consensus", value["consensus"], 1, CONSENSUS_MAX)}
    raise InvalidField(name, 'expected "human", {"agent": id} or {"consensus": n}')


def shown_rules(rules: Mapping[str, Any]) -> dict[str, Any]:
    """A stored value as agents see it: with its defaults, unless those come from above."""
    inherits = not rules or rules.get(_INHERIT) is True
    out: dict[str, Any] = {} if inherits else {**DEFAULTS, "approver": DEFAULT_APPROVER}
    out.update((key, rules[key]) for key in _KEYS if key in rules)
    out[_INHERIT] = inherits
    return out


def is_standing(policy: Policy) -> bool:
    """Whether a policy says anything; one that was cleared only asks above."""
    return bool(policy.rules or policy.standard_id or policy.parent or policy.owner)


def levels_above(policies: Mapping[str, Sequence[Policy]], namespace: str) -> list[str]:
    """The levels that are asked about a namespace: itself first, the root last.

    Where concurrent versions name different parents, all of them are asked.
    """
    found = {namespace: None}
    pending = [namespace]
    while pending:
        for above in _next(policies, pending.pop(0)):
            if above not in found:
                found[above] = None
                pending.append(above)
    levels = [level for level in found if level != ROOT]
    return [*levels, ROOT]


def ruled_by(policies: Mapping[str, Sequence[Policy]], namespace: str) -> str | None:
    """The nearest level whose policy has rules, itself or one above; None when all is allowed."""
    for level in levels_above(policies, namespace):
        rules = [policy.rules for policy in policies.get(level, ())]
        if any(one and one != {_INHERIT: True} for one in rules):
            return level
    return None


def check_parent(policies: Mapping[str, Sequence[Policy]], namespace: str, parent: str) -> None:
    """Refuse a parent from which the chain would come back.

    Raises:
        PolicyLoop: it would.
    """
    if namespace == ROOT or namespace in levels_above(policies, parent):
        raise PolicyLoop(
            "parent", f"the chain from {parent!r} leads back to {namespace!r}; name one above it"
        )


def _next(policies: Mapping[str, Sequence[Policy]], level: str) -> list[str]:
    if level == ROOT:
        return []
    versions = policies.get(level, ())
    return sorted({policy.above for policy in versions}) or [parent_of(level)]
