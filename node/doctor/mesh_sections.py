"""Sections about who belongs: the allowlist, and what the quorum bears.

Law: pure; every function takes the facts and returns what follows from them.
"""

from typing import Final

from node.doctor import finding as say
from node.doctor.facts import Facts, MemberFact, TrustFacts
from node.doctor.finding import CRITICAL, INFO, WARNING, Finding, Kind, kind
from node.doctor.steps import node_command, set_to

_SHOWN_CHARS: Final = 16

ALLOWLIST_UNREADABLE: Final = kind(
    "allowlist-unreadable",
    CRITICAL,
    means="A line of the allowlist is no fingerprint. The list that was read last stays in force; "
    "a start would fail.",
    do="Correct the line that the finding names, or take it out.",
)
ALLOWLIST_WRITABLE: Final = kind(
    "allowlist-writable",
    CRITICAL,
    means="Other users of this machine can write the allowlist, and so let themselves in.",
    do="Take the right to write from them, and look at what stands in the list.",
)
ALLOWLIST_EMPTY: Final = kind(
    "allowlist-empty",
    CRITICAL,
    means="The mesh has other members and this node lets in none: nothing is exchanged.",
    do="Allow the certificate of every member; `mnemesh node fingerprint` on each prints it.",
)
NOT_ALLOWED: Final = kind(
    "member-not-allowed",
    WARNING,
    means="Membership belongs to the mesh, the allowlist to this node. This member counts in N and "
    "cannot link with this node.",
    do="Allow it again, or take it out of the mesh when it shall not come back.",
)
OUTSIDER: Final = kind(
    "outsider-allowed",
    INFO,
    means="A certificate is allowed that no member shows. It may be a newcomer on its way, a "
    "foreign peer, an operator, or a member that left.",
    do="Deny it when nobody uses it any more.",
)
NO_QUORUM: Final = kind(
    "no-quorum",
    CRITICAL,
    means="Fewer members are in reach than a write needs. Writes are kept here and answered with "
    "503 quorum_not_met.",
    do="Bring members back. Remove for good only those that will not return.",
)
REMOVED: Final = kind(
    "removed",
    CRITICAL,
    means="This node was taken out of the mesh. It reads what it has, takes no writes, and is "
    "linked to nobody.",
    do="Stop it. To come back it joins with an empty store, as any newcomer.",
)
QUORUM_IMPOSSIBLE: Final = kind(
    "quorum-impossible",
    CRITICAL,
    means="W is larger than the number of members, so no write can ever be confirmed, whoever "
    "comes back. The next start is refused with exit code 4.",
    do="Take [quorum] writes out, which gives the majority, or set it to N at most.",
)
W_ONE: Final = kind(
    "writes-one",
    WARNING,
    means="A write is confirmed by this node's disk alone. When the machine is lost before others "
    "have the write, it is gone.",
    do="Take [quorum] writes out: the majority then holds every confirmed write.",
)
ONE_MORE: Final = kind(
    "one-more-stops",
    WARNING,
    means="Members are away, and those that are left are just enough.",
    do="Bring the missing members back; the section `peers` says who and why.",
)
ANY_ONE: Final = kind(
    "any-one-stops",
    INFO,
    means="Every member is needed for every write. A mesh of two tolerates no loss, one of three "
    "tolerates one.",
    do="Add a member where that matters.",
)

ALLOWLIST_KINDS: Final[tuple[Kind, ...]] = (
    ALLOWLIST_UNREADABLE,
    ALLOWLIST_WRITABLE,
    ALLOWLIST_EMPTY,
    NOT_ALLOWED,
    OUTSIDER,
)
QUORUM_KINDS: Final[tuple[Kind, ...]] = (
    NO_QUORUM,
    REMOVED,
    QUORUM_IMPOSSIBLE,
    W_ONE,
    ONE_MORE,
    ANY_ONE,
)


def allowlist(facts: Facts) -> list[Finding]:
    """Whether those who belong may connect, and who else may."""
    trust = facts.trust
    if trust is None:
        return []
    out = []
    if trust.trouble:
        out.append(
            ALLOWLIST_UNREADABLE(
                f"the allowlist cannot be read, the old one stays in force: {trust.trouble}",
                fix=f"Correct {trust.path}",
            )
        )
    if trust.open_to_others:
        out.append(
            ALLOWLIST_WRITABLE(
                f"other users can write the allowlist {trust.path}",
                fix=f"`chmod go-w {trust.path}`",
            )
        )
    out += _members(facts, trust)
    out += [
        OUTSIDER(
            f"{name or fingerprint[:_SHOWN_CHARS]} may connect and is no member",
            fix=f"If nobody uses it any more: {node_command(facts, f'node deny {fingerprint}')}",
        )
        for fingerprint, name in sorted(trust.outsiders.items())
    ]
    return out or [say.ok("exactly the members may connect")]


def _members(facts: Facts, trust: TrustFacts) -> list[Finding]:
    members = facts.mesh.members if facts.mesh is not None else ()
    others = [member for member in members if not member.own]
    if others and not trust.entries and not trust.trouble:
        fix = "; ".join(_allow(facts, member) for member in others)
        names = ", ".join(member.label for member in others)
        return [ALLOWLIST_EMPTY(f"the allowlist is empty, and {names} cannot link", fix=fix)]
    return [
        NOT_ALLOWED(
            f"{member.label} is a member and its certificate is not on the allowlist",
            fix=f"{_allow(facts, member)}; or, when it shall not come back: "
            f"mnemesh node remove {member.name or 'NAME'}",
        )
        for member in others
        if member.allowed is False
    ]


def _allow(facts: Facts, member: MemberFact) -> str:
    which = member.fingerprint or "FINGERPRINT"
    return node_command(facts, f"node allow {which} --name {member.name or 'NAME'}")


def quorum(facts: Facts) -> list[Finding]:
    """Whether writes can be confirmed, and what more may fail."""
    mesh = facts.mesh
    if mesh is None:
        return []
    if mesh.removed:  # whose quorum it is missing is no question any more
        return [
            REMOVED(
                "this node was taken out of the mesh: it takes no writes and is linked to nobody",
                fix=f"{node_command(facts, 'stop')}; to come back, let it join with an empty store",
            )
        ]
    said = f"{mesh.reach} of {mesh.n} members in reach, a write needs {mesh.w}"
    if mesh.w > mesh.n:
        return [
            QUORUM_IMPOSSIBLE(
                f"a write needs {mesh.w} members and the mesh has {mesh.n}: none is ever confirmed",
                fix=set_to(facts, "quorum.writes", None),
            )
        ]
    if mesh.reach < mesh.w:
        return [
            NO_QUORUM(
                f"{said}: writes are not confirmed",
                fix="Bring members back, or remove for good those that will not return; "
                f"{node_command(facts, 'node list')} shows them",
            )
        ]
    out = []
    if mesh.w_is_set and mesh.w == 1 and mesh.n > 1:
        out.append(
            W_ONE(
                f"{said}: a confirmed write may be lost with this machine",
                fix=set_to(facts, "quorum.writes", None),
            )
        )
    spare = mesh.reach - mesh.w
    if mesh.reach < mesh.n and spare == 0:
        out.append(
            ONE_MORE(f"{said}: the loss of one more stops writes", fix="Bring the missing back")
        )
    elif mesh.n > 1 and spare == 0:
        out.append(ANY_ONE(f"{said}: the loss of any one stops writes"))
    return out or [say.ok(f"{said}; {spare} more may fail")]
