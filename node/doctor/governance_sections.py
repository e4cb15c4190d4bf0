"""Sections about who may do what: governance, what waits for approval, and the audit chain.

Law: pure; every function takes the facts and returns what follows from them.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from crdt.governance_state import ENFORCE, GovernanceState
from crdt.policy import DEFAULT_APPROVER, DEFAULTS, ROOT, Policy, parent_of
from node.doctor import finding as say
from node.doctor.exposure_sections import switched
from node.doctor.facts import Facts, GovernanceFacts
from node.doctor.finding import CRITICAL, INFO, WARNING, Finding, Kind, kind
from node.doctor.steps import node_command, set_to
from node.doctor.switches import MODE

_MS_PER_HOUR: Final = 3_600_000
_PENDING_OLD_MS: Final = 24 * _MS_PER_HOUR
_COUNTERSIGNED_WITHIN_MS: Final = 120_000
_PENDING_MANY: Final = 100
_LEVELS_MAX: Final = 64

MODE_REFUSED: Final = kind(
    "mode-refused",
    CRITICAL,
    means="This node is set to obey policies less than the mesh allows. The mesh refused that, and "
    "the node goes on as before.",
    do="Set permissions.mode back to enforce, or let an administrator of the mesh allow it.",
)
LAX_MEMBER: Final = kind(
    "member-does-not-enforce",
    CRITICAL,
    means="A member counts or ignores what policies forbid: there it is written all the same, and "
    "replicated.",
    do="Set permissions.mode to enforce on that member, and reload it.",
)
UNMET: Final = kind(
    "policy-cannot-be-met",
    WARNING,
    means="A policy asks for somebody who does not exist, so it holds everybody off for ever.",
    do="Register the agents that it asks for, or change the policy.",
)
NONE_LEFT: Final = kind(
    "no-administrator-left",
    CRITICAL,
    means="Administrators withdrew each other on two sides of a cut. Roles cannot be given any "
    "more; policies are left to their keepers and to administrators of teams.",
    do="Export memories and governance, and found a mesh with administrators.",
)
NEVER_NAMED: Final = kind(
    "no-administrator",
    INFO,
    means="No system administrator was ever named: whoever reaches a node over loopback, with its "
    "key when it has one, may give roles, and set policies where nobody keeps one.",
    do="Give an agent the role system-admin, or name administrators when a mesh is founded.",
)
MANY_PENDING: Final = kind(
    "pending-many",
    WARNING,
    means="More than 100 actions wait for approval. Nobody may be looking.",
    do="Approve or reject them.",
)
OLD_PENDING: Final = kind(
    "pending-old",
    WARNING,
    means="An action has waited for approval for more than a day. It has no effect until it is "
    "decided, and ends by itself when its time is over.",
    do="Approve or reject it.",
)
CHAIN_BROKEN: Final = kind(
    "chain-broken",
    CRITICAL,
    means="The chain of events of this node was changed, or lost something in its middle.",
    do="Keep the folder as it is, and see where.",
)
NOT_COUNTERSIGNED: Final = kind(
    "chain-not-countersigned",
    WARNING,
    means="Nobody else has signed the end of the chain of events, so nobody could tell if it were "
    "cut off.",
    do="Look at the links; a countersignature comes within a minute of a link.",
)

GOVERNANCE_KINDS: Final[tuple[Kind, ...]] = (
    MODE_REFUSED,
    LAX_MEMBER,
    UNMET,
    NONE_LEFT,
    NEVER_NAMED,
)
PENDING_KINDS: Final[tuple[Kind, ...]] = (MANY_PENDING, OLD_PENDING)
AUDIT_KINDS: Final[tuple[Kind, ...]] = (CHAIN_BROKEN, NOT_COUNTERSIGNED)


def governance(facts: Facts) -> list[Finding]:
    """Who may set policies, whether they are obeyed, and whether they can be met."""
    about = facts.governance
    if about is None:
        return switched(facts, "governance")  # no process knows what holds; the file says this much
    # What the mesh refuses has no effect here either: it is told as refused, not as weak.
    out = switched(facts, "governance", but=MODE if about.mode_refused else "")
    if about.mode_refused:
        out.append(
            MODE_REFUSED(
                f"the mesh refuses the permissions.mode of this node, {_goes_on(about)}",
                fix=set_to(facts, MODE, "enforce"),
            )
        )
    out += [*_weak_members(about.state, facts), *_unmet(about.state)]
    if not about.state.admins and not about.state.first_days:
        out.append(
            NONE_LEFT(
                "administrators withdrew each other behind a cut and none is left: roles cannot "
                "be given any more, and policies are left to their keepers and to team "
                "administrators",
                fix="Export memories and governance, and found a mesh with mnemesh init --admin ID",
            )
        )
    elif about.state.first_days:
        out.append(
            NEVER_NAMED(
                "no system administrator was ever named: whoever reaches a node over loopback, "
                "with its key when it has one, may give roles, and set policies where nobody "
                "keeps one",
                fix=f"{node_command(facts, 'agent role AGENT system-admin --agent-id AGENT')}; "
                "a new mesh: mnemesh init --admin ID",
            )
        )
    return out or [say.ok("policies are enforced, and administrators are named")]


def _goes_on(about: GovernanceFacts) -> str:
    mode = about.state.modes.get(about.own, ENFORCE)
    return "which goes on enforcing" if mode == ENFORCE else f"where {mode} goes on to hold"


def _weak_members(state: GovernanceState, facts: Facts) -> Iterator[Finding]:
    own = facts.governance.own if facts.governance is not None else b""
    for node_id, mode in sorted(state.modes.items()):
        member = state.members.get(node_id)
        if member is None or (node_id == own and _told_already(facts)):
            continue
        yield LAX_MEMBER(
            f"{member.name} does not enforce policies: permissions.mode is {mode} there",
            fix=f"Set permissions.mode to enforce on {member.name} and reload it",
        )


def _told_already(facts: Facts) -> bool:
    """Whether this node's own setting says the same."""
    refused = facts.governance is not None and facts.governance.mode_refused
    weak = facts.settings is not None and facts.settings.permissions.mode != "enforce"
    return weak and not refused


def _unmet(state: GovernanceState) -> Iterator[Finding]:
    """Policies that hold everybody off for ever."""
    for namespace, versions in sorted(state.policies.items()):
        for policy in versions:
            why = _why_unmet(state, policy)
            if why:
                yield UNMET(
                    f"nobody can meet the policy of {namespace}: {why}",
                    fix="Register the agents that it asks for, or change it",
                )


def _why_unmet(state: GovernanceState, policy: Policy) -> str:
    levels = {policy.rules.get(action) for action in DEFAULTS}
    if "registered" in levels and not state.agents:
        return "it asks for registered agents and there are none"
    if "approve" not in levels:
        return ""
    return _why_nobody_approves(state.agents, _approver(state, policy))


def _why_nobody_approves(agents: Mapping[str, Mapping[str, Any]], approver: Any) -> str:
    if approver == DEFAULT_APPROVER:
        humans = any(fields.get("agent_type") == "human" for fields in agents.values())
        return "" if humans else "a human must approve and none is registered"
    if not isinstance(approver, Mapping):
        return ""
    named, wanted = approver.get("agent"), approver.get("consensus")
    if named is not None and named not in agents:
        return f"{named} must approve and is not registered"
    if isinstance(wanted, int) and wanted > len(agents):
        return f"{wanted} agents must approve and {len(agents)} are registered"
    return ""


def _approver(state: GovernanceState, policy: Policy) -> Any:
    """Whom a version asks: its own word, else that of the levels above when it inherits."""
    for _ in range(_LEVELS_MAX):
        rules = policy.rules
        if "approver" in rules:
            return rules["approver"]
        if (rules and rules.get("inherit") is not True) or policy.namespace == ROOT:
            break
        above = policy.above
        while above not in state.policies and above != ROOT:
            above = parent_of(above)
        if not state.policies.get(above):
            break
        policy = state.policies[above][0]
    return DEFAULT_APPROVER


def pending(facts: Facts) -> list[Finding]:
    """Whether decisions are made."""
    about = facts.pending
    if about is None:
        return []
    out = []
    fix = f"See {node_command(facts, 'pending list')}; approve or reject"
    if about.count > _PENDING_MANY:
        out.append(MANY_PENDING(f"{about.count} actions wait for approval", fix=fix))
    age_ms = 0 if about.oldest_ms is None else facts.now_ms - about.oldest_ms
    if age_ms > _PENDING_OLD_MS:
        text = f"an action has waited for approval for {age_ms / _MS_PER_HOUR:.0f} hours"
        out.append(OLD_PENDING(text, fix=fix))
    return out or [say.ok(f"{about.count} actions wait for approval")]


def audit(facts: Facts) -> list[Finding]:
    """Whether the chain of events holds, and others could tell if its end were cut off."""
    chain = facts.chain
    if chain is None:
        return []
    if not chain.holds:
        return [
            CHAIN_BROKEN(
                "the audit chain of this node does not hold",
                fix=f"{node_command(facts, 'verify')} shows where; keep the folder as it is",
            )
        ]
    late = facts.node.up_ms > _COUNTERSIGNED_WITHIN_MS
    if late and chain.peers and chain.length and not chain.countersigned:
        return [
            NOT_COUNTERSIGNED(
                "no peer has countersigned the head of the audit chain",
                fix="Check the links; a countersignature comes within a minute of a link",
            )
        ]
    said = f"{chain.length} entries, the head countersigned by {chain.countersigned} peers"
    return [say.ok(said)]
