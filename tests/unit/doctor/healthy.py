"""Facts of a healthy node, for tests that plant one fault at a time."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from crdt.dot import GOVERNANCE, Dot, new_actor
from crdt.governance_state import GovernanceState, Member
from crdt.policy import Policy
from crdt.roles import SYSTEM_ADMIN, Grant
from node.doctor.facts import (
    ChainFacts,
    ConfigFacts,
    Facts,
    GovernanceFacts,
    IdentityFacts,
    KeyFact,
    ListenerFact,
    MemberFact,
    MeshFacts,
    NodeFacts,
    PendingFacts,
    TrustFacts,
)
from node.doctor.machine_facts import BackupFacts, HostFacts, StoreFacts, TimeFacts
from node.doctor.telling import Sight, Told
from node.integrity.facts import IntegrityFacts
from node.paths import resolve_paths
from node.settings import Settings, load_settings

NOW_MS = 1_770_000_000_000
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
VERSION = "1.2.3"
COMPARED = {"quorum.writes": "the majority", "quorum.timeout_ms": "2000"}
A, B, C = (bytes([byte]) * 32 for byte in (0xA, 0xB, 0xC))
NAMES = {A: "node-a", B: "node-b", C: "node-c"}


def settings_with(**changes: dict[str, Any]) -> Settings:
    """Default settings; each keyword is a section with what is other in it."""
    paths = resolve_paths({}, Path("/nowhere"), data_dir=Path("/nowhere/data"))
    held = load_settings(paths, environ={})
    parts = {name: replace(getattr(held, name), **keys) for name, keys in changes.items()}
    return replace(held, **parts)


def dot_of(node: bytes, seq: int = 1) -> Dot:
    return Dot(new_actor(GOVERNANCE, 1_700_000_000, bytes(8), node), seq)


def member(node: bytes) -> Member:
    return Member(
        node_id=node,
        name=NAMES[node],
        url=f"https://{NAMES[node]}:9077",
        key=bytes(32),
        adds=frozenset((dot_of(node),)),
        ready=True,
    )


def policy(namespace: str, **rules: Any) -> Policy:
    return Policy(namespace=namespace, rules=rules, author="ai:author")


def state_with(**changes: Any) -> GovernanceState:
    """Three members, an administrator, two agents, no policy."""
    held: dict[str, Any] = {
        "members": {node: member(node) for node in NAMES},
        "unbound": frozenset(),
        "policies": {},
        "agents": {
            "human:anna": {"agent_type": "human"},
            "ai:bob": {"agent_type": "ai:claude"},
        },
        "ready": frozenset(NAMES),
        "roles": {"human:anna": Grant(role=SYSTEM_ADMIN)},
        "admins": frozenset(("human:anna",)),
    }
    return GovernanceState(**{**held, **changes})


def sight(**changes: Any) -> Sight:
    """How a member sees another one, when all is well."""
    held: dict[str, Any] = {"state": "ready", "allowed": True, "lag_ops": 0, "skew_ms": 0}
    return Sight(**{**held, **changes})


def told(sees: dict[bytes, Sight] | None = None, **changes: Any) -> Told:
    """What a member says that sees all three as they should be, with what is other."""
    seen = {node: sight() for node in NAMES} | (sees or {})
    held: dict[str, Any] = {
        "version": VERSION,
        "now_ms": NOW_MS,
        "settings": dict(COMPARED),
        "sees": {node.hex(): one for node, one in seen.items()},
    }
    return Told(**{**held, **changes})


def members_with(**changes: Any) -> tuple[MemberFact, ...]:
    """This node and two others; the changes are node-b's."""
    held: dict[str, Any] = {
        "name": "node-b",
        "node_id": B.hex(),
        "url": "https://node-b:9077",
        "digest_agree": True,
        "allowed": True,
        "fingerprint": "bb" * 32,
        "told": told(),
    }
    own = {"name": "node-a", "node_id": A.hex(), "url": "https://node-a:9077"}
    third = {"name": "node-c", "node_id": C.hex(), "url": "https://node-c:9077"}
    return (
        MemberFact(**own, own=True, state="self", allowed=True),
        MemberFact(**{**held, **changes}),
        MemberFact(**third, allowed=True, told=told()),
    )


def mesh_with(**changes: Any) -> MeshFacts:
    held: dict[str, Any] = {
        "members": members_with(),
        "n": 3,
        "w": 2,
        "reach": 3,
        "w_is_set": False,
        "skew_ms_max": 5000,
        "own": told(),
        "fingerprint": "aa" * 32,
    }
    return MeshFacts(**{**held, **changes})


def store_with(**changes: Any) -> StoreFacts:
    held: dict[str, Any] = {
        "map_used_ratio": 0.01,
        "size_bytes": 1 << 20,
        "disk_free_bytes": 50 << 30,
        "disk_bytes": 100 << 30,
        "file_system": "ext4",
        "commits": 100,
        "commit_ms_median": 5.0,
    }
    return StoreFacts(**{**held, **changes})


def host_with(**changes: Any) -> HostFacts:
    held: dict[str, Any] = {
        "files_max": 65_536,
        "files_open": 100,
        "files_wanted": 2_304,
        "memory_bytes_max": 1 << 30,
        "memory_bytes": 200 << 20,
        "memory_limit_file": "/sys/fs/cgroup/memory.max",
    }
    return HostFacts(**{**held, **changes})


def integrity_with(**changes: Any) -> IntegrityFacts:
    held: dict[str, Any] = {
        "scrub_interval_hours": 24.0,
        "last_pass_ms": NOW_MS - HOUR_MS,
        "left": {},
    }
    return IntegrityFacts(**{**held, **changes})


def healthy(**changes: Any) -> Facts:
    """A healthy member of a healthy mesh, with what is other."""
    held: dict[str, Any] = {
        "now_ms": NOW_MS,
        "node": NodeFacts(running=True, pid=4711, version=VERSION, up_ms=DAY_MS),
        "config": ConfigFacts(path="/nowhere/data/config.toml"),
        "settings": settings_with(),
        "identity": IdentityFacts(
            keys=(
                KeyFact(path="/nowhere/keys/node.key", mode=0o600),
                KeyFact(path="/nowhere/keys", mode=0o700, folder=True),
            ),
            certificate_expires_ms=NOW_MS + 365 * DAY_MS,
        ),
        "trust": TrustFacts(path="/nowhere/keys/allowlist", outsiders={}),
        "mesh": mesh_with(),
        "store": store_with(),
        "integrity": integrity_with(),
        "backup": BackupFacts(at_ms=NOW_MS - HOUR_MS, path="/backups"),
        "host": host_with(),
        "time": TimeFacts(synchronised=True),
        "governance": GovernanceFacts(state=state_with(), own=A),
        "pending": PendingFacts(count=0, oldest_ms=None),
        "listeners": (
            ListenerFact(address="127.0.0.1:9077", tls=False, loopback=True, key=True),
            ListenerFact(address="10.0.0.1:9077", tls=True, loopback=False, key=True),
        ),
        "chain": ChainFacts(holds=True, length=4, countersigned=2, peers=2),
    }
    return Facts(**{**held, **changes})
