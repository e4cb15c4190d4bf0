"""What the doctor looks at, as one value.

Law: plain values, gathered once; nothing here reads a clock, a file or a socket. A part that
could not be looked at (no node runs, no TLS) is None and its section is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from crdt.governance_state import GovernanceState
from node.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """The process.

    Attributes:
        trouble: why it does not serve; empty when it does.
        running: whether there is a process at all.
        last_exit: exit code of the process before this one; 0 when it ended well or is unknown.
        up_ms: for how long it has run.
        options: what leads a command to its folder, after a space; empty for the usual one.
        faults: folder of the faults that this process obeys; empty in a service.
        wrong_orders: what lies there and can never be carried out.
    """

    running: bool
    up_ms: int = 0
    trouble: str = ""
    last_exit: int = 0
    options: str = ""
    faults: str = ""
    wrong_orders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFacts:
    """The configuration.

    Attributes:
        path: of the file.
        warnings: what the settings in force say about themselves.
        trouble: why the file, as it stands now, could not be used for a start; empty when
            it could.
        waiting: settings that differ in the file and wait for a reload or a restart.
    """

    path: str
    warnings: tuple[str, ...] = ()
    trouble: str = ""
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFact:
    """A file or folder that only its owner may reach; no mode when it is not there."""

    path: str
    mode: int | None
    folder: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityFacts:
    """Keys and certificate; the expiry is in milliseconds since the epoch, None without TLS."""

    keys: tuple[KeyFact, ...]
    certificate_expires_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberFact:
    """One member as this node sees it.

    Attributes:
        own: whether it is this very node.
        state: as in GET /mesh: ready, joining, away, stopped, awaited.
        allowed: whether its certificate is on the allowlist; None when it was never seen.
        fingerprint: of the certificate it last showed; empty when it never did.
    """

    name: str
    url: str
    own: bool = False
    state: str = "ready"
    skew_ms: int = 0
    lag_ops: int = 0
    lag_seconds: float = 0.0
    digest_agree: bool | None = None
    allowed: bool | None = None
    fingerprint: str = ""

    @property
    def label(self) -> str:
        """What to call it."""
        return self.name or self.url


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustFacts:
    """The allowlist.

    Attributes:
        path: of the file.
        outsiders: allowed certificates that no member showed: fingerprint -> name.
        trouble: why the file cannot be read now; empty when it can.
    """

    path: str
    outsiders: Mapping[str, str]
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshFacts:
    """The mesh as seen from here.

    Attributes:
        members: all, this node too, and founding places not taken yet.
        n: members that count.
        w: members that must hold a write.
        reach: members that count and are linked, this node included.
        w_is_set: whether an operator set W.
        skew_ms_max: how far clocks may differ.
    """

    members: tuple[MemberFact, ...]
    n: int
    w: int
    reach: int
    w_is_set: bool
    skew_ms_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """The store and its disk."""

    map_used_ratio: float
    size_bytes: int
    disk_free_bytes: int
    disk_bytes: int
    full: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernanceFacts:
    """What holds.

    Attributes:
        state: below the present heads.
        own: id of this node.
        mode_refused: whether the mesh refused the mode that this node is set to.
    """

    state: GovernanceState
    own: bytes
    mode_refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingFacts:
    """What waits for approval: how many, and since when the oldest (ms since the epoch)."""

    count: int
    oldest_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerFact:
    """One listener; `key` says whether callers must present an API key."""

    address: str
    tls: bool
    loopback: bool
    key: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainFacts:
    """The audit chain.

    Attributes:
        holds: whether every entry fits the one before it, as far as was looked.
        length: entries.
        countersigned: how many peers have signed the head, or one close to it.
        peers: how many could have.
    """

    holds: bool
    length: int
    countersigned: int
    peers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything, at one moment (`now_ms`, since the epoch)."""

    now_ms: int
    node: NodeFacts
    config: ConfigFacts
    settings: Settings | None = None
    identity: IdentityFacts | None = None
    trust: TrustFacts | None = None
    mesh: MeshFacts | None = None
    store: StoreFacts | None = None
    governance: GovernanceFacts | None = None
    pending: PendingFacts | None = None
    listeners: tuple[ListenerFact, ...] | None = None
    chain: ChainFacts | None = None
