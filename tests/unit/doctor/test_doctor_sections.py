"""Every section, over facts with one fault planted in each."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node.doctor import SECTIONS, Facts, Finding, Section, Severity, examine, worst_of
from node.doctor import finding as told
from node.doctor.facts import (
    ChainFacts,
    ConfigFacts,
    GovernanceFacts,
    IdentityFacts,
    KeyFact,
    ListenerFact,
    NodeFacts,
    PendingFacts,
    TrustFacts,
)
from node.errors import Exit
from tests.unit.doctor.healthy import (
    DAY_MS,
    NOW_MS,
    A,
    B,
    healthy,
    members_with,
    mesh_with,
    policy,
    settings_with,
    state_with,
    store_with,
)

INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL


def key(mode: int | None, *, folder: bool = False) -> IdentityFacts:
    return IdentityFacts(
        keys=(KeyFact(path="/nowhere/keys/x", mode=mode, folder=folder),),
        certificate_expires_ms=None,
    )


def expiring(days: float) -> IdentityFacts:
    return IdentityFacts(keys=(), certificate_expires_ms=int(NOW_MS + days * DAY_MS))


def peer(**changes: Any) -> dict[str, Any]:
    return {"mesh": mesh_with(members=members_with(**changes))}


def governed(*, mode_refused: bool = False, **changes: Any) -> dict[str, Any]:
    state = state_with(**changes)
    return {"governance": GovernanceFacts(state=state, own=A, mode_refused=mode_refused)}


def ruled(agents: dict[str, Any] | None = None, **rules: Any) -> dict[str, Any]:
    changes: dict[str, Any] = {"policies": {"team": (policy("team", **rules),)}}
    if agents is not None:
        changes["agents"] = agents
    return governed(**changes)


def door(**changes: Any) -> dict[str, Any]:
    held = {"address": "127.0.0.1:9077", "tls": False, "loopback": True, "key": False}
    return {"listeners": (ListenerFact(**{**held, **changes}),)}


def switched(section: str, **keys: Any) -> dict[str, Any]:
    return {"settings": settings_with(**{section: keys})}


# what is planted -> section, severity, a word of the finding
PLANTED: list[tuple[str, dict[str, Any], str, Severity, str]] = [
    ("no process", {"node": NodeFacts(running=False, trouble="killed")}, "node", CRITICAL, "kill"),
    ("joining", {"node": NodeFacts(running=True, trouble="joining")}, "node", WARNING, "joining"),
    (
        "damage last time",
        {"node": NodeFacts(running=True, last_exit=int(Exit.INTEGRITY))},
        "node",
        WARNING,
        "damaged",
    ),
    (
        "disk error last time",
        {"node": NodeFacts(running=True, last_exit=int(Exit.DISK))},
        "node",
        WARNING,
        "disk",
    ),
    (
        "unknown variable",
        {"config": ConfigFacts(path="c", warnings=("MNEMESH_PROT is no setting",))},
        "config",
        WARNING,
        "MNEMESH_PROT",
    ),
    (
        "broken file",
        {"config": ConfigFacts(path="c", trouble="line 3")},
        "config",
        CRITICAL,
        "line 3",
    ),
    (
        "waits for a restart",
        {"config": ConfigFacts(path="c", waiting=("listen.port",))},
        "config",
        INFO,
        "listen.port",
    ),
    ("key readable by others", {"identity": key(0o640)}, "identity", CRITICAL, "0640"),
    ("folder open to others", {"identity": key(0o755, folder=True)}, "identity", WARNING, "0755"),
    ("key gone", {"identity": key(None)}, "identity", CRITICAL, "gone"),
    ("certificate expired", {"identity": expiring(-1)}, "identity", CRITICAL, "expired"),
    ("certificate near its end", {"identity": expiring(20)}, "identity", WARNING, "20 days"),
    (
        "unreadable list",
        {"trust": TrustFacts(path="l", outsiders={}, trouble="line 2")},
        "allowlist",
        CRITICAL,
        "line 2",
    ),
    ("revoked member", peer(allowed=False), "allowlist", WARNING, "node-b"),
    (
        "allowed stranger",
        {"trust": TrustFacts(path="l", outsiders={"cc" * 32: "probe"})},
        "allowlist",
        INFO,
        "probe",
    ),
    ("other content", peer(digest_agree=False), "peers", CRITICAL, "node-b"),
    ("stopped pair", peer(state="stopped"), "peers", CRITICAL, "other content"),
    ("away", peer(state="away", lag_ops=7), "peers", WARNING, "7 operations"),
    ("never came", peer(state="awaited", name=""), "peers", WARNING, "https://node-b"),
    ("clock far off", peer(skew_ms=-5001), "peers", CRITICAL, "-5.0 s"),
    ("clock drifts", peer(skew_ms=2600), "peers", WARNING, "+2.6 s"),
    ("lags", peer(lag_ops=9, lag_seconds=31.0), "peers", WARNING, "9 operations"),
    ("catching up", peer(state="joining"), "peers", INFO, "catching up"),
    ("no quorum", {"mesh": mesh_with(reach=1)}, "quorum", CRITICAL, "not confirmed"),
    ("one more stops", {"mesh": mesh_with(reach=2)}, "quorum", WARNING, "one more"),
    ("two members", {"mesh": mesh_with(n=2, reach=2)}, "quorum", INFO, "any one"),
    ("W is one", {"mesh": mesh_with(w=1, w_is_set=True)}, "quorum", WARNING, "lost"),
    ("disk error", {"store": store_with(failed=True)}, "store", CRITICAL, "disk"),
    ("disk full", {"store": store_with(full=True)}, "store", CRITICAL, "free"),
    (
        "disk nearly full",
        {"store": store_with(disk_free_bytes=1 << 20)},
        "store",
        CRITICAL,
        "1 MiB",
    ),
    ("disk low", {"store": store_with(disk_free_bytes=5 << 30)}, "store", WARNING, "5 GiB"),
    ("map used", {"store": store_with(map_used_ratio=0.85)}, "store", WARNING, "85%"),
    ("map used up", {"store": store_with(map_used_ratio=0.96)}, "store", CRITICAL, "96%"),
    (
        "nobody administers",
        governed(roles={}, admins=frozenset()),
        "governance",
        INFO,
        "no system administrator",
    ),
    (
        "nobody administers any more",
        governed(roles={}, admins=frozenset(), named=True),
        "governance",
        CRITICAL,
        "none is left",
    ),
    ("mode refused", governed(mode_refused=True), "governance", CRITICAL, "refuses"),
    ("another member is lax", governed(modes={B: "off"}), "governance", CRITICAL, "node-b"),
    ("still lax for the mesh", governed(modes={A: "off"}), "governance", CRITICAL, "node-a"),
    ("advisory", switched("permissions", mode="advisory"), "governance", CRITICAL, "advisory"),
    ("off", switched("permissions", mode="off"), "governance", CRITICAL, "mode is off"),
    (
        "fail open",
        switched("governance", fail_open_on_error=True),
        "governance",
        CRITICAL,
        "fail_open_on_error is true",
    ),
    (
        "no human",
        ruled({"ai:bob": {"agent_type": "ai:x"}}, write="approve"),
        "governance",
        WARNING,
        "human",
    ),
    (
        "unknown approver",
        ruled(delete="approve", approver={"agent": "ai:nobody"}),
        "governance",
        WARNING,
        "ai:nobody",
    ),
    (
        "consensus of too many",
        ruled(promote="approve", approver={"consensus": 3}),
        "governance",
        WARNING,
        "3 agents must approve and 2",
    ),
    ("nobody registered", ruled({}, write="registered"), "governance", WARNING, "registered"),
    (
        "approver from above",
        governed(
            policies={
                "team": (policy("team", approver={"agent": "ai:gone"}),),
                "team/x": (policy("team/x", write="approve", inherit=True),),
            }
        ),
        "governance",
        WARNING,
        "policy of team/x: ai:gone",
    ),
    (
        "many wait",
        {"pending": PendingFacts(count=101, oldest_ms=NOW_MS)},
        "pending",
        WARNING,
        "101",
    ),
    (
        "one waits long",
        {"pending": PendingFacts(count=1, oldest_ms=NOW_MS - 2 * DAY_MS)},
        "pending",
        WARNING,
        "48 hours",
    ),
    (
        "no signature",
        switched("federation", require_signature=False),
        "exposure",
        CRITICAL,
        "require_signature is false",
    ),
    (
        "no nonce",
        switched("federation", require_nonce=False),
        "exposure",
        CRITICAL,
        "require_nonce is false",
    ),
    ("no key on loopback", door(), "exposure", INFO, "every user"),
    ("certificate alone", door(tls=True, loopback=False), "exposure", INFO, "certificate"),
    ("open to the network", door(loopback=False), "exposure", CRITICAL, "open to the network"),
    (
        "chain broken",
        {"chain": ChainFacts(holds=False, length=4, countersigned=0, peers=2)},
        "audit",
        CRITICAL,
        "does not hold",
    ),
    (
        "nobody countersigned",
        {"chain": ChainFacts(holds=True, length=4, countersigned=0, peers=2)},
        "audit",
        WARNING,
        "countersigned",
    ),
]


def by_name(facts: Facts) -> dict[str, Section]:
    return {section.name: section for section in examine(facts)}


def test_a_healthy_node_is_well_in_every_section() -> None:
    sections = examine(healthy())
    assert [section.name for section in sections] == [check.name for check in SECTIONS]
    assert {section.severity for section in sections} == {Severity.OK}
    assert all(section.findings for section in sections)


@pytest.mark.parametrize(
    ("planted", "name", "severity", "word"),
    [row[1:] for row in PLANTED],
    ids=[row[0].replace(" ", "-") for row in PLANTED],
)
def test_what_is_planted_is_found_in_its_section_alone(
    planted: dict[str, Any], name: str, severity: Severity, word: str
) -> None:
    sections = by_name(healthy(**planted))
    bad = {n: section.severity for n, section in sections.items() if section.severity}
    assert bad == {name: severity}
    (found,) = [f for f in sections[name].findings if f.severity is severity]
    assert word in found.text
    assert severity is INFO or (found.fix and found.link)


def test_every_section_has_something_planted() -> None:
    assert {row[2] for row in PLANTED} == {check.name for check in SECTIONS}


def test_a_policy_that_can_be_met_is_no_finding() -> None:
    policies = {
        "a": (policy("a", write="approve"),),
        "b": (policy("b", write="approve", approver={"consensus": 2}),),
        "c": (policy("c", write="registered", delete="owner"),),
        "d": (policy("d"),),
    }
    assert by_name(healthy(**governed(policies=policies)))["governance"].severity is Severity.OK


def test_parents_in_a_loop_end() -> None:
    looped = {
        "x": (told_policy("x", "y"),),
        "y": (told_policy("y", "x"),),
    }
    assert by_name(healthy(**governed(policies=looped)))["governance"].severity is Severity.OK


def told_policy(namespace: str, parent: str) -> Any:
    return replace(policy(namespace, write="approve", inherit=True), parent=parent)


def test_an_own_weakened_mode_is_told_once() -> None:
    planted = {**governed(modes={A: "advisory"}), **switched("permissions", mode="advisory")}
    found = by_name(healthy(**planted))["governance"].findings
    assert [f.severity for f in found] == [CRITICAL]


def test_a_mode_that_the_mesh_refuses_is_not_told_as_if_it_held() -> None:
    off = switched("permissions", mode="off")
    (found,) = by_name(healthy(**governed(mode_refused=True), **off))["governance"].findings
    assert "goes on enforcing" in found.text
    kept = governed(mode_refused=True, modes={A: "advisory"})
    told_of = by_name(healthy(**kept, **off))["governance"].findings
    assert ["advisory" in f.text for f in told_of] == [True, True]


def test_a_countersignature_may_take_its_time_after_a_start() -> None:
    chain = ChainFacts(holds=True, length=4, countersigned=0, peers=2)
    young = healthy(chain=chain, node=NodeFacts(running=True, up_ms=5_000))
    assert by_name(young)["audit"].severity is Severity.OK


def test_what_cannot_be_looked_at_is_left_out() -> None:
    bare = Facts(
        now_ms=NOW_MS, node=NodeFacts(running=False, trouble="x"), config=ConfigFacts(path="c")
    )
    assert [section.name for section in examine(bare)] == ["node", "config"]


def test_a_section_is_as_bad_as_its_worst_finding() -> None:
    findings = (
        Finding(severity=Severity.WARNING, text="w"),
        Finding(severity=Severity.INFO, text="i"),
    )
    section = Section(name="x", findings=findings)
    assert section.severity is Severity.WARNING
    assert Section(name="y", findings=()).severity is Severity.OK
    assert worst_of([section, Section(name="y", findings=())]) is Severity.WARNING
    assert worst_of([]) is Severity.OK
    assert told.as_json([section]) == {
        "severity": "warning",
        "sections": [
            {
                "name": "x",
                "severity": "warning",
                "findings": [
                    {"severity": "warning", "text": "w", "fix": "", "link": ""},
                    {"severity": "info", "text": "i", "fix": "", "link": ""},
                ],
            }
        ],
    }


def test_links_into_the_operations_page_lead_somewhere() -> None:
    page = Path(__file__).resolve().parents[3] / told.OPERATIONS
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in heads}
    links = [
        v for v in vars(told).values() if isinstance(v, str) and "#" in v and v.startswith("docs/")
    ]
    assert len(links) > 4
    assert {link.partition("#")[2] for link in links} <= anchors
