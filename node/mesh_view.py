"""What the agent-facing side may ask about peers and membership.

Law: everything above this line learns about peers through `MeshView` alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from crdt.op import Value
from node.contracts import Caller, Receipt, RetryKey


class Clocks(StrEnum):
    """Whose clocks are asked for; they have an entry for every process that ever wrote."""

    NONE = "none"
    OWN = "own"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberStatus:
    """One member of the mesh as this node sees it.

    Attributes:
        clock: what it is known to hold; None when that was not asked for.
        lag_ops: operations on this node's disk that it has not acknowledged.
        lag_seconds: for how long, at least, it has not acknowledged the oldest of them.
        standing: `member`, or `revoked` when its certificate is not on the allowlist here.
        fingerprint: of the certificate it last showed here; empty when it never did.
        skew_ms: its clock minus the local one, as last measured.
    """

    node_id: str
    name: str
    peer_url: str
    state: str
    clock: Mapping[str, int] | None
    lag_ops: int
    lag_seconds: float
    digest_agree: bool | None
    last_success_at: int | None
    standing: str = "member"
    fingerprint: str = ""
    skew_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsiderStatus:
    """Somebody who is no member.

    Attributes:
        standing: `allowed` (may connect, never was a member) or `retired` (was removed).
        allowed: whether the certificate is on the allowlist of this node.
        by_node: through which member it was removed.
        by_agent: who asked for that; empty when nobody said.
        at_ms: when, milliseconds since the epoch.
    """

    standing: str
    node_id: str
    name: str
    peer_url: str
    fingerprint: str
    allowed: bool
    by_node: str = ""
    by_agent: str = ""
    at_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshStatus:
    """This node and its mesh: the answer of GET /mesh.

    Attributes:
        clock: what this node holds; None when that was not asked for.
        reach: members that count and are on present links, this node included.
        others: who is allowed or was removed, and is no member.
    """

    node_id: str
    name: str
    cluster: str
    clock: Mapping[str, int] | None
    digest: str
    n: int
    w: int
    members: Sequence[MemberStatus]
    reach: int = 0
    others: Sequence[OutsiderStatus] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A member was taken out, and how durable that is."""

    node_id: str
    name: str
    receipt: Receipt


class MeshView(Protocol):
    """What this node knows of its mesh, and the two operations on its membership."""

    def status(self, clocks: Clocks = Clocks.NONE) -> MeshStatus:
        """This node, its quorum and every member."""
        ...

    def ready(self) -> str | None:
        """None when reads and writes are served, else the reason (`joining`, ...)."""
        ...

    def quorum_in_reach(self) -> bool:
        """Whether W members are on present links right now."""
        ...

    def introduce(self, certificate_pem: str) -> str:
        """Keep the certificate of an allowlisted newcomer; returns its fingerprint."""
        ...

    async def admit(
        self, request: Mapping[str, Value], peer_fingerprint: str, *, caller: Caller
    ) -> dict[str, Value]:
        """Add a newcomer that proved its key to the membership; returns what it must know."""
        ...

    async def remove(
        self, node: str, *, force: bool, caller: Caller, retry: RetryKey | None = None
    ) -> Removal:
        """Take a member out of the membership, by node id or name."""
        ...
