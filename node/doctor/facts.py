"""What the doctor looks at, as one value.

Law: plain values, gathered once; nothing here reads a clock, a file or a socket. A part that
could not be looked at (no node runs, no TLS) is None and its section is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from crdt.governance_state import GovernanceState
from node.doctor.machine_facts import BackupFacts, HostFacts, StoreFacts, TimeFacts
from node.doctor.telling import Told
from node.documents.troubles import Trouble
from node.integrity.facts import IntegrityFacts
from node.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """The process.

    Attributes:
        running: whether there is a process at all.
        pid: its id; 0 without one.
        version: of the program that it runs.
        up_ms: for how long it has run.
        trouble: why it does not serve; empty when it does.
        recovering: whether it was restored and has not yet heard what it lacks.
        last_exit: exit code of the process before this one; 0 when it ended well or is unknown.
        killed: whether the process before this one ended without a word.
        options: what leads a command to its folder, after a space; empty for the usual one.
        start: what `mnemesh serve` wants beside; all of its places, after a space each.
        log: where its words go, for people to read; empty when that is unknown.
        faults: folder of the faults that this process obeys; empty in a service.
        wrong_orders: what lies there and can never be carried out.
    """

    running: bool
    pid: int = 0
    version: str = ""
    up_ms: int = 0
    trouble: str = ""
    recovering: bool = False
    last_exit: int = 0
    killed: bool = False
    options: str = ""
    start: str = ""
    log: str = ""
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
        reloadable: settings that differ in the file, and that a reload takes.
        waiting: settings that differ in the file and wait for a restart.
        open_to_others: whether other users can write the file.
    """

    path: str
    warnings: tuple[str, ...] = ()
    trouble: str = ""
    reloadable: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    open_to_others: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFact:
    """A file or folder that only its owner may reach; no mode when it is not there."""

    path: str
    mode: int | None
    folder: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityFacts:
    """Keys and certificate.

    Attributes:
        keys: what only the owner may reach.
        certificate_expires_ms: of the one in force, since the epoch; None without TLS.
        certificate_trouble: why the files, as they stand now, cannot be used together.
        certificate_waits: whether the file holds another certificate than is in force.
    """

    keys: tuple[KeyFact, ...]
    certificate_expires_ms: int | None
    certificate_trouble: str = ""
    certificate_waits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberFact:
    """One member as this node sees it.

    Attributes:
        node_id: lowercase hex; empty for a founding place that nobody took.
        own: whether it is this very node.
        state: as in GET /mesh: ready, joining, away, stopped, awaited.
        allowed: whether its certificate is on the allowlist; None when it was never seen.
        fingerprint: of the certificate it last showed; empty when it never did.
        dial: why the last dial to it failed; empty when none did or it is linked.
        told: what it answered to the question how it is; None when it did not.
    """

    name: str
    url: str
    node_id: str = ""
    own: bool = False
    state: str = "ready"
    skew_ms: int = 0
    lag_ops: int = 0
    lag_seconds: float = 0.0
    digest_agree: bool | None = None
    allowed: bool | None = None
    fingerprint: str = ""
    dial: str = ""
    told: Told | None = None

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
        entries: how many certificates are allowed.
        trouble: why the file cannot be read now; empty when it can.
        open_to_others: whether other users can write the file.
    """

    path: str
    outsiders: Mapping[str, str]
    entries: int = 1
    trouble: str = ""
    open_to_others: bool = False


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
        own: what this node answers to the question that it asks the others.
        fingerprint: of this node's certificate.
        refused: reasons for which a link was refused in the last minutes.
        removed: whether this node was taken out of the membership.
    """

    members: tuple[MemberFact, ...]
    n: int
    w: int
    reach: int
    w_is_set: bool
    skew_ms_max: int
    own: Told | None = None
    fingerprint: str = ""
    refused: tuple[str, ...] = ()
    removed: bool = False

    @property
    def me(self) -> MemberFact | None:
        """This node among the members."""
        return next((member for member in self.members if member.own), None)


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
class DocumentFacts:
    """Documents that this node has opened, and who cannot read any.

    Attributes:
        troubles: how many are in which trouble, and some of them.
        without: names of the members whose program knows no documents.
        away: names of the members that are not linked.
    """

    troubles: Mapping[str, Trouble]
    without: tuple[str, ...] = ()
    away: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerFact:
    """One listener; `key` says whether callers must present an API key."""

    address: str
    tls: bool
    loopback: bool
    key: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignFact:
    """One foreign peer: its address, how it goes (`level`, `away`, ...), failures in a row."""

    url: str
    state: str
    failures: int = 0
    error: str = ""


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
    integrity: IntegrityFacts | None = None
    backup: BackupFacts | None = None
    host: HostFacts | None = None
    time: TimeFacts | None = None
    governance: GovernanceFacts | None = None
    pending: PendingFacts | None = None
    listeners: tuple[ListenerFact, ...] | None = None
    foreign: tuple[ForeignFact, ...] | None = None
    chain: ChainFacts | None = None
    documents: DocumentFacts | None = None
