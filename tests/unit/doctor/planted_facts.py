"""Facts with one fault each, and what has to be found: the kind, its severity, a word of it.

Law: every kind of the table has a row here, with each severity that it may have.
"""

from dataclasses import replace
from typing import Any, Final

from node.doctor import Severity
from node.doctor.facts import (
    ChainFacts,
    ConfigFacts,
    DocumentFacts,
    ForeignFact,
    GovernanceFacts,
    IdentityFacts,
    KeyFact,
    ListenerFact,
    NodeFacts,
    PendingFacts,
    TrustFacts,
)
from node.doctor.machine_facts import BackupFacts, TimeFacts
from node.documents.troubles import FULL, SET_ASIDE, UNFOLDED, Trouble
from node.errors import Exit
from node.settings.hook_tables import Hook, HookTable
from tests.unit.doctor.healthy import (
    COMPARED,
    DAY_MS,
    HOUR_MS,
    NOW_MS,
    VERSION,
    A,
    B,
    host_with,
    integrity_with,
    members_with,
    mesh_with,
    policy,
    settings_with,
    sight,
    state_with,
    store_with,
    told,
)

INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL
Row = tuple[str, dict[str, Any], Severity, str]


def key(mode: int | None, *, folder: bool = False) -> IdentityFacts:
    return IdentityFacts(
        keys=(KeyFact(path="/nowhere/keys/x", mode=mode, folder=folder),),
        certificate_expires_ms=None,
    )


def certificate(**changes: Any) -> dict[str, Any]:
    held = {"keys": (), "certificate_expires_ms": NOW_MS + 365 * DAY_MS}
    return {"identity": IdentityFacts(**{**held, **changes})}


def expiring(days: float) -> dict[str, Any]:
    return certificate(certificate_expires_ms=int(NOW_MS + days * DAY_MS))


def process(**changes: Any) -> dict[str, Any]:
    held = {"running": True, "pid": 4711, "version": VERSION, "up_ms": HOUR_MS}
    return {"node": NodeFacts(**{**held, **changes})}


def file(**changes: Any) -> dict[str, Any]:
    return {"config": ConfigFacts(path="/nowhere/data/config.toml", **changes)}


def listed(**changes: Any) -> dict[str, Any]:
    return {"trust": TrustFacts(**{"path": "/nowhere/keys/allowlist", "outsiders": {}, **changes})}


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


def documents(*names: str, **told: Any) -> dict[str, Any]:
    """Two documents in trouble, of which one may be named."""
    troubles = {name: Trouble(count=2, named=("plan",)) for name in names}
    return {"documents": DocumentFacts(troubles=troubles, **told)}


def hooked(**changes: Any) -> dict[str, Any]:
    table = HookTable(on=("before_store",), command=("/bin/true",), **changes)
    hook = Hook(name="gate", table=table, events=frozenset(("before_store",)))
    return {"settings": replace(settings_with(), hooks=(hook,))}


def machine(**changes: Any) -> dict[str, Any]:
    return {"host": host_with(**changes)}


def whole(**changes: Any) -> dict[str, Any]:
    return {"integrity": integrity_with(**changes)}


def disk(**changes: Any) -> dict[str, Any]:
    return {"store": store_with(**changes)}


def apart() -> tuple[Any, ...]:
    """Members as of a mesh whose first node tells a loopback address."""
    own, *others = members_with()
    return (
        type(own)(name=own.name, url="https://127.0.0.1:9077", own=True, node_id=A.hex()),
        *others,
    )


NODE: Final[list[Row]] = [
    ("not-running", process(running=False, trouble="killed"), CRITICAL, "killed"),
    ("not-serving", process(trouble="joining"), WARNING, "joining"),
    ("recovering", process(recovering=True), WARNING, "restored"),
    ("faults-armed", process(faults="/f"), CRITICAL, "by order"),
    ("fault-order-wrong", process(wrong_orders=("no point x",)), WARNING, "no point x"),
    ("ended-damaged", process(last_exit=int(Exit.INTEGRITY)), WARNING, "damaged"),
    ("ended-disk-error", process(last_exit=int(Exit.DISK)), WARNING, "disk"),
    ("ended-crash", process(last_exit=int(Exit.ERROR)), WARNING, "with an error"),
    ("ended-crash", process(killed=True), WARNING, "without a word"),
    ("setting-warning", file(warnings=("MNEMESH_PROT is no setting",)), WARNING, "MNEMESH_PROT"),
    ("config-unusable", file(trouble="line 3"), CRITICAL, "line 3"),
    ("config-not-reloaded", file(reloadable=("logging.level",)), INFO, "logging.level"),
    ("config-not-in-force", file(waiting=("listen.port",)), INFO, "listen.port"),
    ("config-writable", file(open_to_others=True), WARNING, "config.toml"),
    ("log-debug", switched("logging", level="debug"), INFO, "debug"),
    ("key-gone", {"identity": key(None)}, CRITICAL, "gone"),
    ("key-readable", {"identity": key(0o640)}, CRITICAL, "0640"),
    ("key-folder-open", {"identity": key(0o755, folder=True)}, WARNING, "0755"),
    ("certificate-expired", expiring(-1), CRITICAL, "expired"),
    ("certificate-expires", expiring(20), WARNING, "20 days"),
    ("certificate-expires", expiring(5), CRITICAL, "5 days"),
    ("certificate-key-mismatch", certificate(certificate_trouble="no match"), CRITICAL, "no match"),
    ("certificate-not-in-force", certificate(certificate_waits=True), INFO, "another certificate"),
]

MESH: Final[list[Row]] = [
    ("allowlist-unreadable", listed(trouble="line 2"), CRITICAL, "line 2"),
    ("allowlist-writable", listed(open_to_others=True), CRITICAL, "other users"),
    ("allowlist-empty", listed(entries=0), CRITICAL, "node-b, node-c"),
    ("member-not-allowed", peer(allowed=False, state="away"), WARNING, "node-b"),
    ("outsider-allowed", listed(outsiders={"cc" * 32: "probe"}), INFO, "probe"),
    ("other-content", peer(digest_agree=False), CRITICAL, "node-b"),
    ("other-content", peer(state="stopped"), CRITICAL, "other content"),
    ("member-away", peer(state="away", lag_ops=7, told=None), WARNING, "7 operations behind"),
    ("member-away", peer(state="away", told=None), WARNING, "node-c see it"),
    ("member-away", peer(state="awaited", name="", node_id=""), WARNING, "https://node-b"),
    ("not-allowed-there", peer(state="away", dial="refused"), WARNING, "not let this node in"),
    ("not-allowed-there", peer(told=told({A: sight(allowed=False)})), WARNING, "no more"),
    ("certificate-outdated-there", peer(state="away", dial="outdated"), WARNING, "expired"),
    ("other-certificate", peer(state="away", dial="not_allowlisted"), WARNING, "shows a"),
    ("one-way", peer(told=told({A: sight(state="away")})), WARNING, "says that this node is away"),
    ("clock-of-member", peer(skew_ms=-5001), CRITICAL, "-5.0 s"),
    ("clock-of-member", peer(skew_ms=2600), WARNING, "+2.6 s"),
    ("member-joining", peer(state="joining"), INFO, "catching up"),
    ("member-lags", peer(lag_ops=9, lag_seconds=31.0), WARNING, "9 operations"),
    ("other-version", peer(told=told(version="0.9.9")), WARNING, "0.9.9"),
    (
        "unlike-settings",
        peer(told=told(settings={**COMPARED, "quorum.writes": "1"})),
        WARNING,
        "quorum.writes is the majority here and 1 on node-b",
    ),
    (
        "unlike-settings",
        peer(told=told(settings={**COMPARED, "quorum.timeout_ms": "9"})),
        INFO,
        "9 on node-b",
    ),
    ("member-silent", peer(told=None), INFO, "does not say"),
    ("self-in-peers", {"mesh": mesh_with(refused=("self",))}, WARNING, "this very node"),
    ("twin", {"mesh": mesh_with(refused=("twin",))}, CRITICAL, "identity"),
    ("other-mesh", {"mesh": mesh_with(refused=("wrong_mesh",))}, WARNING, "wrong_mesh"),
    ("loopback-advertised", {"mesh": mesh_with(members=apart())}, WARNING, "127.0.0.1:9077"),
    ("no-quorum", {"mesh": mesh_with(reach=1)}, CRITICAL, "not confirmed"),
    ("removed", {"mesh": mesh_with(reach=0, removed=True)}, CRITICAL, "taken out"),
    ("quorum-impossible", {"mesh": mesh_with(w=4, w_is_set=True)}, CRITICAL, "none is ever"),
    ("writes-one", {"mesh": mesh_with(w=1, w_is_set=True)}, WARNING, "lost"),
    ("one-more-stops", {"mesh": mesh_with(reach=2)}, WARNING, "one more"),
    ("any-one-stops", {"mesh": mesh_with(n=2, reach=2)}, INFO, "any one"),
]

KEPT: Final[list[Row]] = [
    ("disk-failed", disk(failed=True), CRITICAL, "disk"),
    ("fsync-errors", disk(fsync_errors=2), CRITICAL, "2 commits"),
    ("disk-low", disk(full=True), CRITICAL, "free"),
    ("disk-low", disk(disk_free_bytes=1 << 20), CRITICAL, "1 MiB"),
    ("disk-low", disk(disk_free_bytes=5 << 30), WARNING, "5 GiB"),
    ("inodes-low", disk(inodes_free_ratio=0.01), WARNING, "1.0%"),
    ("map-nearly-full", disk(map_used_ratio=0.85), WARNING, "85%"),
    ("map-nearly-full", disk(map_used_ratio=0.96), CRITICAL, "96%"),
    ("store-on-network", disk(file_system="nfs4"), CRITICAL, "nfs4"),
    ("store-in-memory", disk(file_system="tmpfs"), INFO, "tmpfs"),
    ("commits-slow", disk(commit_ms_median=200.0), WARNING, "100 ms"),
    ("store-set-aside", disk(aside=("/d/aside-1",)), WARNING, "/d/aside-1"),
    ("damage-found", whole(left={"records": 3}, quarantined=2), CRITICAL, "3 stored rows"),
    ("damage-mended", whole(corrupt=3, repaired=3), WARNING, "whole again"),
    ("scrub-off", whole(scrub_interval_hours=0.0), WARNING, "never"),
    ("scrub-late", whole(last_pass_ms=NOW_MS - 49 * HOUR_MS), WARNING, "49 hours"),
    ("scrub-late", process(up_ms=3 * DAY_MS) | whole(last_pass_ms=None), WARNING, "never"),
    ("backup-never", {"backup": BackupFacts()}, WARNING, "never"),
    ("backup-stale", {"backup": BackupFacts(at_ms=NOW_MS - 2 * DAY_MS)}, WARNING, "48 hours"),
]

MACHINE: Final[list[Row]] = [
    ("nofile-low", machine(files_max=256), WARNING, "256 descriptors"),
    ("nofile-low", machine(files_open=60_000), WARNING, "60000"),
    ("nofile-below-connections", machine(files_max=1024), INFO, "2304"),
    ("file-max-near", machine(system_files_ratio=0.95), WARNING, "95%"),
    ("core-dumps", machine(core_bytes_max=None), INFO, "core"),
    (
        "address-space-limited",
        machine(address_bytes_max=1 << 30, map_bytes=1 << 40),
        WARNING,
        "1024",
    ),
    ("file-size-limited", machine(file_bytes_max=1 << 30), WARNING, "1024 MiB"),
    ("memory-limit-near", machine(memory_bytes=int(0.95 * 2**30)), WARNING, "95%"),
    ("memory-limit-near", machine(memory_bytes=int(0.98 * 2**30)), CRITICAL, "98%"),
    ("memory-short", machine(memory_free_ratio=0.02), WARNING, "2.0%"),
    ("overcommit-strict", machine(overcommit=2), INFO, "overcommit"),
    ("runs-as-root", machine(root=True), INFO, "root"),
    ("clock-not-trusted", {"time": TimeFacts(trusted=False, skew_ms=9000)}, CRITICAL, "+9.0 s"),
    ("clock-leapt", {"time": TimeFacts(ahead_ms=60_000)}, WARNING, "+60.0 s"),
    ("clock-not-synchronised", {"time": TimeFacts(synchronised=False)}, WARNING, "no time source"),
    (
        "clock-not-synchronised",
        {"time": TimeFacts(synchronised=False), "mesh": mesh_with(n=1, w=1, reach=1, members=())},
        INFO,
        "no time source",
    ),
]

GOVERNED: Final[list[Row]] = [
    ("no-administrator", governed(roles={}, admins=frozenset()), INFO, "no system administrator"),
    (
        "no-administrator-left",
        governed(roles={}, admins=frozenset(), named=True),
        CRITICAL,
        "none is left",
    ),
    ("mode-refused", governed(mode_refused=True), CRITICAL, "refuses"),
    ("member-does-not-enforce", governed(modes={B: "off"}), CRITICAL, "node-b"),
    ("member-does-not-enforce", governed(modes={A: "off"}), CRITICAL, "node-a"),
    ("switch-weakened", switched("permissions", mode="advisory"), CRITICAL, "advisory"),
    ("switch-weakened", switched("permissions", mode="off"), CRITICAL, "mode is off"),
    ("switch-weakened", switched("governance", fail_open_on_error=True), CRITICAL, "is true"),
    ("switch-weakened", switched("federation", require_signature=False), CRITICAL, "is false"),
    ("switch-weakened", switched("federation", require_nonce=False), CRITICAL, "require_nonce"),
    (
        "policy-cannot-be-met",
        ruled({"ai:bob": {"agent_type": "ai:x"}}, write="approve"),
        WARNING,
        "human",
    ),
    (
        "policy-cannot-be-met",
        ruled(delete="approve", approver={"agent": "ai:nobody"}),
        WARNING,
        "ai:nobody",
    ),
    (
        "policy-cannot-be-met",
        ruled(promote="approve", approver={"consensus": 3}),
        WARNING,
        "3 agents must approve and 2",
    ),
    ("policy-cannot-be-met", ruled({}, write="registered"), WARNING, "registered"),
    (
        "policy-cannot-be-met",
        governed(
            policies={
                "team": (policy("team", approver={"agent": "ai:gone"}),),
                "team/x": (policy("team/x", write="approve", inherit=True),),
            }
        ),
        WARNING,
        "policy of team/x: ai:gone",
    ),
    ("pending-many", {"pending": PendingFacts(count=101, oldest_ms=NOW_MS)}, WARNING, "101"),
    (
        "pending-old",
        {"pending": PendingFacts(count=1, oldest_ms=NOW_MS - 2 * DAY_MS)},
        WARNING,
        "48 hours",
    ),
    ("listener-without-key", door(), INFO, "every user"),
    ("certificate-opens-all", door(tls=True, loopback=False), WARNING, "certificate"),
    ("certificate-opens-all", door(tls=True), INFO, "certificate"),
    ("listener-open", door(loopback=False), CRITICAL, "open to the network"),
    (
        "webhook-test-switch",
        switched("subscriptions", allow_loopback_webhooks=True),
        WARNING,
        "allow_loopback_webhooks",
    ),
    (
        "foreign-away",
        {"foreign": (ForeignFact(url="https://f:1", state="away", failures=3),)},
        WARNING,
        "3 times",
    ),
    (
        "foreign-is-member",
        {"foreign": (ForeignFact(url="https://f:1", state="stopped"),)},
        WARNING,
        "is a member",
    ),
    ("hook-fails-open", hooked(on_failure="open"), WARNING, "the hook gate"),
    (
        "chain-broken",
        {"chain": ChainFacts(holds=False, length=4, countersigned=0, peers=2)},
        CRITICAL,
        "does not hold",
    ),
    (
        "chain-not-countersigned",
        {"chain": ChainFacts(holds=True, length=4, countersigned=0, peers=2)},
        WARNING,
        "countersigned",
    ),
    ("documents-set-aside", documents(SET_ASIDE), WARNING, "2 documents (plan, ...)"),
    ("documents-nearly-full", documents(FULL), WARNING, "four fifths"),
    ("documents-not-folded", documents(UNFOLDED, away=("c",)), INFO, "c is away"),
    ("documents-wait-for-upgrade", documents(without=("c",)), WARNING, "c cannot read"),
]

PLANTED: Final[list[Row]] = [*NODE, *MESH, *KEPT, *MACHINE, *GOVERNED]
