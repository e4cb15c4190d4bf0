"""The section about each member, both ways: how it is seen from here, and how it sees this node.

Law: pure. A cause is told once: a member that this very node does not allow is told with the
allowlist. What a member says is told as its word.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from node.doctor import finding as say
from node.doctor.facts import Facts, MemberFact, MeshFacts
from node.doctor.finding import CRITICAL, INFO, WARNING, Finding, Kind, kind
from node.doctor.steps import node_command, set_to

_LAG_WARNING_SECONDS: Final = 30.0
_LOOPBACK: Final = ("https://127.", "https://localhost:", "https://[::1]")

OTHER_CONTENT: Final = kind(
    "other-content",
    CRITICAL,
    means="Two members hold every operation of each other and different content. Nothing is "
    "exchanged between them, so that damage does not spread.",
    do="Find which one differs from the other members, keep both folders, and rebuild it: stop it, "
    "set its store aside, start it; it fetches everything from its peers.",
)
AWAY: Final = kind(
    "member-away",
    WARNING,
    means="A member is not linked. It gets nothing from here until it is, and does not count for a "
    "quorum.",
    do="Start it, or look at address, network and allowlists. The finding says why the last dial "
    "failed, and who else sees the member.",
)
NOT_ALLOWED_THERE: Final = kind(
    "not-allowed-there",
    WARNING,
    means="The member hangs up on this node: its allowlist lacks the certificate of this node, or "
    "holds an older one.",
    do="Allow this node's fingerprint on that member. Its log says `handshake_failed`.",
)
OUTDATED_THERE: Final = kind(
    "certificate-outdated-there",
    WARNING,
    means="The certificate of the member has expired or is not valid yet, or a clock is wrong.",
    do="Look at `mnemesh doctor` there; make it a new certificate and allow that everywhere first.",
)
OTHER_CERTIFICATE: Final = kind(
    "other-certificate",
    WARNING,
    means="Whoever answers at the member's address shows a certificate that is not on the "
    "allowlist: it has a new one, or somebody else has its address.",
    do="Ask its operator for the fingerprint, on another way than this one, and allow it.",
)
ONE_WAY: Final = kind(
    "one-way",
    WARNING,
    means="This node is linked to the member, which says that it is not linked to this node.",
    do="A link that is half dead ends by itself within seconds; when it does not, restart the node "
    "whose log says less.",
)
CLOCK_OF_MEMBER: Final = kind(
    "clock-of-member",
    WARNING,
    CRITICAL,
    means="The clocks of two machines differ by more than half of what is tolerated (warning), or "
    "more than that (critical). Beyond it stamps of the one are held back by the other.",
    do="Set both clocks right with chrony or ntpd.",
)
CATCHING_UP: Final = kind(
    "member-joining",
    INFO,
    means="The member is still fetching the state of the mesh and does not count yet.",
    do="Wait.",
)
LAGS: Final = kind(
    "member-lags",
    WARNING,
    means="The member is linked and has not acknowledged operations for half a minute or longer.",
    do="Look at the load and the disk of that node, and at the network to it.",
)
OTHER_VERSION: Final = kind(
    "other-version",
    WARNING,
    means="Members run different versions. Neighbouring versions understand each other for as long "
    "as an upgrade takes; they are not meant to stay side by side.",
    do="Finish the upgrade on the members that are behind.",
)
UNLIKE: Final = kind(
    "unlike-settings",
    WARNING,
    INFO,
    means="A setting differs between members. Limits of what travels must be equal, or members "
    "refuse what others send; W must be equal, or a confirmed write means another thing on each "
    "(warning). The time that a write waits, and whether private memories are shared, may differ "
    "(info).",
    do="Give all members the same value.",
)
NO_ANSWER: Final = kind(
    "member-silent",
    INFO,
    means="The member is linked and did not say within a second how it sees this node; an older "
    "version does not know the question.",
    do="Nothing, when it is upgraded soon or busy just now.",
)
SELF_IN_PEERS: Final = kind(
    "self-in-peers",
    WARNING,
    means="An address that is dialled for another member leads to this very node.",
    do="Correct the address in [quorum] peers or reach, or on the member that tells it.",
)
TWIN: Final = kind(
    "twin",
    CRITICAL,
    means="Two processes run with one identity: a data folder was copied. The mesh refuses the "
    "second one.",
    do="Stop the copy. To keep it as a member of its own, give it a new identity with "
    "`mnemesh init --force` and let it join.",
)
OTHER_MESH: Final = kind(
    "other-mesh",
    WARNING,
    means="A node of another mesh, or one that was removed from this one, tried to link.",
    do="See `peer_refused` in the log; correct the address, the cluster, or who is a member.",
)
LOOPBACK_TOLD: Final = kind(
    "loopback-advertised",
    WARNING,
    means="Members on other machines are told a loopback address of this node: they cannot dial "
    "it, so only links that this node makes come about.",
    do="Set [listen] advertise to an address that the others reach. The address of a member is "
    "fixed when it joins: remove it and let it join again, or name the way on each other member in "
    "[quorum] reach.",
)

KINDS: Final[tuple[Kind, ...]] = (
    OTHER_CONTENT,
    AWAY,
    NOT_ALLOWED_THERE,
    OUTDATED_THERE,
    OTHER_CERTIFICATE,
    ONE_WAY,
    CLOCK_OF_MEMBER,
    CATCHING_UP,
    LAGS,
    OTHER_VERSION,
    UNLIKE,
    NO_ANSWER,
    SELF_IN_PEERS,
    TWIN,
    OTHER_MESH,
    LOOPBACK_TOLD,
)

_WHY_NOT: Final = {
    "unresolved": "its name cannot be resolved",
    "unreachable": "nobody answers at {url}",
    "timeout": "nobody answers at {url}",
    "not_tls": "what answers at {url} speaks no TLS",
    "tls": "no TLS connection to {url} comes about",
    "upgrade": "what answers at {url} is no member",
}
# What may differ between members without harm.
_MAY_DIFFER: Final = frozenset({"quorum.timeout_ms", "federation.share_private"})


def peers(facts: Facts) -> list[Finding]:
    """Whether each member is linked, in time and equal, and says the same of this node."""
    mesh = facts.mesh
    if mesh is None:
        return []
    others = [member for member in mesh.members if not member.own]
    out = [found for member in others for found in _member(facts, mesh, member)]
    out += [*_versions(facts, others), *_unlike(facts, mesh, others)]
    out += [*_refused(mesh), *_address(facts, mesh, others)]
    if out:
        return out
    if not others:
        return [say.ok("this node is the only member")]
    return [say.ok(f"{len(others)} members are linked, in time and level, and say so too")]


def _member(facts: Facts, mesh: MeshFacts, member: MemberFact) -> Iterator[Finding]:
    if member.digest_agree is False or member.state == "stopped":
        yield OTHER_CONTENT(
            f"{member.label} holds other content at the same clock; nothing is exchanged",
            fix="Keep both folders; compare the digests of "
            f"{node_command(facts, 'node list')} on all members; rebuild the one that differs",
        )
    elif member.state in {"away", "awaited"}:
        if member.allowed is not False:
            yield _away(facts, mesh, member)
    else:
        yield from _linked(mesh, member)


def _away(facts: Facts, mesh: MeshFacts, member: MemberFact) -> Finding:
    name, own = member.label, mesh.me.name if mesh.me is not None else "NAME"
    if member.dial == "refused" and mesh.fingerprint:
        return NOT_ALLOWED_THERE(
            f"{name} does not let this node in",
            fix=f"On {name}: `mnemesh node allow {mesh.fingerprint} --name {own}`",
        )
    if member.dial == "outdated":
        return OUTDATED_THERE(
            f"the certificate of {name} has expired, or is not valid yet by the clock here",
            fix=f"Make a new certificate for {name} and allow it on every member first; "
            "compare the clocks",
        )
    if member.dial == "not_allowlisted":
        allow = node_command(facts, f"node allow FINGERPRINT --name {member.name or 'NAME'}")
        return OTHER_CERTIFICATE(
            f"{member.url} shows a certificate that is not on the allowlist for {name}",
            fix=f"Ask for the fingerprint of {name}, then {allow}",
        )
    parts = ["has never been here" if member.state == "awaited" else "is not linked"]
    if member.dial in _WHY_NOT:
        parts.append(_WHY_NOT[member.dial].format(url=member.url))
    if member.lag_ops:
        parts.append(f"{member.lag_ops} operations behind")
    seen_by = [
        other.label
        for other in mesh.members
        if other.told is not None and _sees(other, member) == "ready"
    ]
    if seen_by:
        parts.append(f"{' and '.join(seen_by)} see it")
    where = "the network between here and there" if seen_by else "address, network and allowlists"
    return AWAY(
        f"{name} {parts[0]}{''.join(f', {part}' for part in parts[1:])}",
        fix=f"Look at {where}" if seen_by else f"Start it, or check {where}",
    )


def _sees(member: MemberFact, other: MemberFact) -> str:
    sight = member.told.sees.get(other.node_id) if member.told is not None else None
    return "" if sight is None else sight.state


def _linked(mesh: MeshFacts, member: MemberFact) -> Iterator[Finding]:
    yield from _clock(member, mesh.skew_ms_max)
    if member.state == "joining":
        yield CATCHING_UP(f"{member.label} is still catching up and does not count yet")
    elif member.lag_seconds >= _LAG_WARNING_SECONDS:
        yield LAGS(
            f"{member.label} lacks {member.lag_ops} operations, "
            f"the oldest for {member.lag_seconds:.0f} s",
            fix="Check the load and the disk of that node, and the network to it",
        )
    if mesh.own is None:
        return
    if member.told is None:
        yield NO_ANSWER(f"{member.label} does not say how it sees this node")
        return
    me = mesh.me
    sight = member.told.sees.get(me.node_id) if me is not None else None
    if sight is None or me is None:
        return
    if not sight.allowed:
        yield NOT_ALLOWED_THERE(
            f"{member.label} has this node no more on its allowlist",
            fix=f"On {member.label}: `mnemesh node allow {mesh.fingerprint} --name {me.name}`",
        )
    elif sight.state in {"away", "stopped"}:
        yield ONE_WAY(
            f"{member.label} says that this node is {sight.state}, and is linked as seen from here",
            fix=f"When it lasts, restart {member.label}",
        )


def _clock(member: MemberFact, skew_ms_max: int) -> list[Finding]:
    off = abs(member.skew_ms)
    if off * 2 <= skew_ms_max:
        return []
    severity = CRITICAL if off > skew_ms_max else WARNING
    text = f"the clock of {member.label} is off by {member.skew_ms / 1000:+.1f} s"
    fix = "Set the clocks of both machines right, as with `chronyc makestep`"
    return [CLOCK_OF_MEMBER(text, fix=fix, severity=severity)]


def _versions(facts: Facts, others: list[MemberFact]) -> Iterator[Finding]:
    for member in others:
        if member.told is not None and member.told.version != facts.node.version:
            yield OTHER_VERSION(
                f"{member.label} runs version {member.told.version}, "
                f"this node {facts.node.version}",
                fix="Upgrade the older one and restart it",
            )


def _unlike(facts: Facts, mesh: MeshFacts, others: list[MemberFact]) -> Iterator[Finding]:
    if mesh.own is None:
        return
    for name, own in sorted(mesh.own.settings.items()):
        elsewhere = defaultdict(list)
        for member in others:
            value = own if member.told is None else member.told.settings.get(name, own)
            if value != own:
                elsewhere[value].append(member.label)
        if elsewhere:
            said = ", ".join(f"{v} on {' and '.join(who)}" for v, who in sorted(elsewhere.items()))
            yield UNLIKE(
                f"{name} is {own} here and {said}",
                fix=f"Give all members one value. Here: {set_to(facts, name, None)}",
                severity=INFO if name in _MAY_DIFFER else WARNING,
            )


def _refused(mesh: MeshFacts) -> Iterator[Finding]:
    reasons = set(mesh.refused)
    if "twin" in reasons:
        yield TWIN(
            "another process runs with the identity of a member, or of this node",
            fix="Stop the copy; see twin_detected in the log",
        )
    if "self" in reasons:
        yield SELF_IN_PEERS(
            "an address of another member leads to this very node",
            fix="Correct the address in [quorum] peers or [quorum] reach, "
            "or where the other member advertises it",
        )
    strange = sorted(reasons - {"twin", "self", "duplicate"})
    if strange:
        yield OTHER_MESH(
            f"links were refused lately: {', '.join(strange)}",
            fix="See peer_refused in the log: who it was, and why",
        )


def _address(facts: Facts, mesh: MeshFacts, others: list[MemberFact]) -> Iterator[Finding]:
    me = mesh.me
    if me is None or not me.url.startswith(_LOOPBACK):
        return
    elsewhere = [member.label for member in others if not member.url.startswith(_LOOPBACK)]
    if elsewhere:
        yield LOOPBACK_TOLD(
            f"this node tells {' and '.join(elsewhere)} the address {me.url}, "
            "which leads to their own machine",
            fix=f"{set_to(facts, 'listen.advertise', 'https://HOST:PORT')}; on each other member, "
            f'under [quorum]: reach = ["{me.url}=https://HOST:PORT"]',
        )


def all_here(members: tuple[MemberFact, ...]) -> bool:
    """Whether every member has a loopback address: one machine, and so one clock."""
    return all(member.url.startswith(_LOOPBACK) for member in members if member.url)
