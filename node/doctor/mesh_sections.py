"""Sections about the others: the allowlist, each member, and what the quorum bears.

Law: pure; every function takes the facts and returns what follows from them.
"""

from typing import Final

from node.doctor import finding as say
from node.doctor.facts import Facts, MemberFact
from node.doctor.finding import Finding

_LAG_WARNING_SECONDS: Final = 30.0
_SHOWN_CHARS: Final = 16


def allowlist(facts: Facts) -> list[Finding]:
    """Whether those who belong may connect, and who else may."""
    trust = facts.trust
    if trust is None:
        return []
    out = []
    if trust.trouble:
        out.append(
            say.critical(
                f"the allowlist cannot be read, the old one stays in force: {trust.trouble}",
                fix=f"Correct {trust.path}",
                link=say.MEMBERS,
            )
        )
    members = facts.mesh.members if facts.mesh is not None else ()
    out += [
        say.warning(
            f"{member.label} is a member and its certificate is not on the allowlist",
            fix=_allow(member),
            link=say.MEMBERS,
        )
        for member in members
        if member.allowed is False
    ]
    out += [
        say.info(
            f"{name or fingerprint[:_SHOWN_CHARS]} may connect and is no member",
            fix=f"If nobody uses it any more: mnemesh node deny {fingerprint}",
            link=say.MEMBERS,
        )
        for fingerprint, name in sorted(trust.outsiders.items())
    ]
    return out or [say.ok("exactly the members may connect")]


def _allow(member: MemberFact) -> str:
    which = member.fingerprint or "FINGERPRINT"
    return (
        f"mnemesh node allow {which} --name {member.name or 'NAME'}, "
        f"or take it out: mnemesh node remove {member.name or 'NAME'}"
    )


def peers(facts: Facts) -> list[Finding]:
    """Whether each member is linked, in time and equal."""
    mesh = facts.mesh
    if mesh is None:
        return []
    others = [member for member in mesh.members if not member.own]
    out = [found for member in others for found in _member(member, mesh.skew_ms_max)]
    if out:
        return out
    if not others:
        return [say.ok("this node is the only member")]
    return [say.ok(f"{len(others)} members are linked, in time and level")]


def _member(member: MemberFact, skew_ms_max: int) -> list[Finding]:
    if member.digest_agree is False or member.state == "stopped":
        return [
            say.critical(
                f"{member.label} holds other content at the same clock; nothing is exchanged",
                fix="See the log for digest_mismatch; the node with the damaged store is rebuilt",
                link=say.TROUBLE,
            )
        ]
    if member.state in {"away", "awaited"}:
        missing = f", {member.lag_ops} operations behind" if member.lag_ops else ""
        why = "has never been here" if member.state == "awaited" else "is not linked"
        return [
            say.warning(
                f"{member.label} {why}{missing}",
                fix="Start it, or check address, allowlists and network; see mnemesh node list",
                link=say.MEMBERS,
            )
        ]
    out = _clock(member, skew_ms_max)
    if member.state == "joining":
        out.append(say.info(f"{member.label} is still catching up and does not count yet"))
    elif member.lag_seconds >= _LAG_WARNING_SECONDS:
        out.append(
            say.warning(
                f"{member.label} lacks {member.lag_ops} operations, "
                f"the oldest for {member.lag_seconds:.0f} s",
                fix="Check the load and the disk of that node, and the network to it",
                link=say.TROUBLE,
            )
        )
    return out


def _clock(member: MemberFact, skew_ms_max: int) -> list[Finding]:
    off = abs(member.skew_ms)
    text = f"the clock of {member.label} is off by {member.skew_ms / 1000:+.1f} s"
    fix = "Set the clocks of both machines right (chrony or ntpd)"
    if off > skew_ms_max:
        return [say.critical(text, fix=fix, link=say.TROUBLE)]
    if off * 2 > skew_ms_max:
        return [say.warning(text, fix=fix, link=say.TROUBLE)]
    return []


def quorum(facts: Facts) -> list[Finding]:
    """Whether writes can be confirmed, and what more may fail."""
    mesh = facts.mesh
    if mesh is None:
        return []
    said = f"{mesh.reach} of {mesh.n} members in reach, a write needs {mesh.w}"
    if mesh.reach < mesh.w:
        return [
            say.critical(
                f"{said}: writes are not confirmed",
                fix="Bring members back, or remove for good those that will not return",
                link=say.TROUBLE,
            )
        ]
    out = []
    if mesh.w_is_set and mesh.w == 1 and mesh.n > 1:
        out.append(
            say.warning(
                f"{said}: a confirmed write may be lost with this machine",
                fix="Leave [quorum] writes out for the majority",
                link=say.SETTINGS,
            )
        )
    spare = mesh.reach - mesh.w
    if mesh.reach < mesh.n and spare == 0:
        out.append(
            say.warning(
                f"{said}: the loss of one more stops writes",
                fix="Bring the missing members back",
                link=say.TROUBLE,
            )
        )
    elif mesh.n > 1 and spare == 0:
        out.append(say.info(f"{said}: the loss of any one stops writes", link=say.TROUBLE))
    return out or [say.ok(f"{said}; {spare} more may fail")]
