"""What the HTTP face is given: everything behind it, and the facts of one listener.

Law: handlers reach the node through these and nothing else, so the whole face runs over any
funnel, reader and mesh that keep the contracts.
"""

import asyncio
import hashlib
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from aiohttp import web

from crdt.dot import Dot
from crdt.governance_state import GovernanceState
from crdt.op import Value
from crdt.pending import Pending
from node.audit.keeper import unrecorded
from node.auth.credentials import Credentials
from node.auth.door import bound_key
from node.auth.keys import KeyRing
from node.contracts import Funnel, Governing
from node.doctor.finding import Section
from node.documents.documents import Documents
from node.erasing.erasing import Erasing
from node.events.streaming import Events
from node.foreign.exchange import Foreign
from node.governing.activity import LastSeen
from node.governing.feed import PendingFeed
from node.graph.names import EntityIndex
from node.hooks.hooks import Hooks
from node.http.answer import Answer
from node.http.hosts import HostRule
from node.http.intake import Intake
from node.http.streams import OpenStreams
from node.integrity.keeping import Keeping
from node.lifecycle.duplicates import Candidates
from node.lifecycle.ledger import Ledger
from node.lifecycle.lifecycle import Lifecycle
from node.lifecycle.origins import Origins
from node.lifecycle.sweeping import SweepRules
from node.limits import Limits
from node.links.index import LinkIndex
from node.links.links import Links
from node.llm.model import LanguageModel
from node.memory.access import AccessLedger
from node.memory.census import PrivateCensus
from node.memory.memories import Memories
from node.mesh_view import MeshView
from node.metrics import Metrics
from node.quota.quotas import Quotas
from node.recall.service import Recall
from node.replication.pressure import Line, Shed
from node.settings.sections import GovernanceRules

PeerUpgrade = Callable[[web.BaseRequest, str], Awaitable[web.StreamResponse]]
"""Takes a request and the peer's fingerprint, speaks WebSocket, returns when it is over."""


class Verifier(Protocol):
    """Holds what this node keeps against signatures, chains and what peers have seen."""

    async def verify_all(self) -> dict[str, Any]:
        """Both kinds of chain: `chain_holds`, and what there is to say about it."""
        ...

    async def verify_memory(self, ident: str) -> dict[str, Any]:
        """The operations of one memory that are still in the log."""
        ...


class Tools(Protocol):
    """Answers at /mcp."""

    async def answer(self, call: Any) -> Answer:
        """The answer to a `Call`, whose type stands above this module."""
        ...


class Around(Protocol):
    """Records a span around every request."""

    def around(self, answer: Any) -> Any:
        """The same answers, each in a span; the types stand above this module."""
        ...


class RequestLines(Protocol):
    """Writes a line of the log per request."""

    @property
    def wanted(self) -> bool:
        """Whether a line is to be written for the request at hand."""
        ...

    def note(self, call: Any, answer: Any, seconds: float) -> None:
        """Write it; the types of both stand above this module."""
        ...


class NoLines:
    """No line is wanted."""

    wanted: Final = False

    def note(self, call: Any, answer: Any, seconds: float) -> None:
        """Nothing."""
        del call, answer, seconds


_NO_KEYS: Final = KeyRing()
_UNGOVERNED: Final = GovernanceState(
    members={}, unbound=frozenset(), policies={}, agents={}, ready=frozenset()
)


class NothingGoverned:
    """A `Governing` for a face without governance: no agent, no policy, nothing pending."""

    def state(self) -> GovernanceState:
        """Nothing."""
        return _UNGOVERNED

    def pendings(self) -> Mapping[Dot, Pending]:
        """Nothing."""
        return {}

    def together(self, pending: Dot) -> Sequence[Dot]:
        """Itself."""
        return (pending,)

    def shown(self, pending: Dot) -> bool:
        """Nothing is."""
        del pending
        return False

    def payload(self, pending: Dot) -> dict[str, Value]:
        """Nothing."""
        del pending
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The node behind the HTTP face.

    Attributes:
        memories: what agents do.
        mesh: peers and membership.
        limits: bounds.
        access: counts of reads on this node.
        metrics: the table of metrics.
        log: writes one event of `node.logs.EVENTS` with its facts.
        version: of the program.
        protocol_version: of the mesh protocol.
        now_ms: wall clock, milliseconds since the epoch.
        monotonic: seconds that only grow.
        administrators: agent ids that may do everything, asked anew each time.
        doctor: finds what is wrong with the node; None where there is nobody to ask.
        documents: memories that many write at once; None where they are plain ones.
        store_trouble: None while the store can be used, else why not.
        permissions_mode: enforce, advisory or off.
        governing: what holds and what waits for approval.
        credentials: by what senders of requests are known.
        approval_times: how long approvals may take, asked anew each time.
        last_seen: when agents were last active here.
        pending_feed: numbers the changes of held actions.
        streams: the streams of events that are open.
        link_index: which links end at a memory.
        entity_index: which entities answer to a name.
        quotas: what agents have used up here.
        census: private memories that figures leave out.
        audit: writes an entry of the audit chain: an event of `node.audit.events`, then facts.
        verifier: verifies the chains of this node; None where there is nothing to verify.
        foreign: the exchange with nodes of other meshes; None where there is none.
        sweep_rules: what becomes of expired and of archived memories in the end.
        alike: finds memories that may be like a text; None looks at the newest.
        erasing: whether erased bytes are gone; None where there is no store of one's own.
        integrity: passes over the store; None where there is no store of one's own.
        events: what streams and subscriptions need of this node.
        llm: the language model of the node; None where there is none.
        mcp: the tools at /mcp; None where there are none.
        recall: finds memories by what they say; None where there is no index.
        hooks: asked before a recall, and told of it; None where there are none.
        forgetting: what was begun to be forgotten and is not finished.
        origins: which consolidations have words of which memories.
        intake: the line in which requests wait for their turn.
        pressed: why a write would be refused that has waited so in that line; None when it
            would not.
        requests: writes a line of the log per request, where that is wanted.
        tracing: records spans of requests; None where nobody asked for them.
    """

    memories: Memories
    mesh: MeshView
    limits: Limits
    access: AccessLedger
    metrics: Metrics
    log: Callable[..., None]
    version: str
    protocol_version: int
    now_ms: Callable[[], int]
    monotonic: Callable[[], float]
    administrators: Callable[[], frozenset[str]]
    store_trouble: Callable[[], str | None]
    permissions_mode: Callable[[], str] = field(default=lambda: "enforce")
    doctor: Callable[[], Awaitable[Sequence[Section]]] | None = None
    documents: Documents | None = None
    governing: Governing = field(default_factory=NothingGoverned)
    credentials: Credentials = field(default_factory=Credentials)
    approval_times: Callable[[], GovernanceRules] = GovernanceRules
    last_seen: LastSeen = field(default_factory=LastSeen)
    pending_feed: PendingFeed = field(default_factory=PendingFeed)
    streams: OpenStreams = field(default_factory=OpenStreams)
    link_index: LinkIndex = field(default_factory=LinkIndex)
    entity_index: EntityIndex = field(default_factory=EntityIndex)
    quotas: Quotas = field(default_factory=Quotas)
    census: PrivateCensus = field(default_factory=PrivateCensus)
    audit: Callable[..., None] = unrecorded
    verifier: Verifier | None = None
    foreign: Foreign | None = None
    sweep_rules: SweepRules = field(default_factory=SweepRules)
    alike: Candidates | None = None
    erasing: Erasing | None = None
    integrity: Keeping | None = None
    events: Events = field(default_factory=Events)
    llm: LanguageModel | None = None
    mcp: Tools | None = None
    recall: Recall | None = None
    hooks: Hooks | None = None
    forgetting: Ledger = field(default_factory=Ledger)
    origins: Origins = field(default_factory=Origins)
    intake: Intake = field(default_factory=Intake)
    pressed: Callable[[Line | None], Shed | None] = lambda _line: None
    requests: RequestLines = field(default_factory=NoLines)
    tracing: Around | None = None

    def bound_key(self, agent: str) -> bytes | None:
        """The public key that an agent has bound to its name; None when it has none."""
        return bound_key(self.governing, agent)

    def requires_signature(self, agent: str) -> bool:
        """Whether writes in the name of an agent must be signed by it."""
        return self.bound_key(agent) is not None

    @property
    def links(self) -> Links:
        """What can be done with links."""
        return Links(self.memories, self.link_index)

    @property
    def lifecycle(self) -> Lifecycle:
        """What becomes of memories after they were made."""
        return Lifecycle(
            memories=self.memories,
            index=self.link_index,
            rules=self.sweep_rules,
            ledger=self.forgetting,
            governing=self.governing,
            origins=self.origins,
        )

    @property
    def funnel(self) -> Funnel:
        """The one way to change anything."""
        return self.memories.funnel


def certificate_fingerprint(transport: asyncio.BaseTransport) -> str | None:
    """SHA-256 (lowercase hex) of the certificate that the other side showed, if it did."""
    tls: Any = transport.get_extra_info("ssl_object")
    if not isinstance(tls, (ssl.SSLObject, ssl.SSLSocket)):
        return None
    certificate = tls.getpeercert(binary_form=True)
    return hashlib.sha256(certificate).hexdigest() if certificate else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One listener.

    Attributes:
        tls: whether it speaks TLS; without, it is bound to loopback only.
        hosts: under which names it answers.
        api_keys: SHA-256 digests of the node's own keys, asked anew each time; empty when it
            has none.
        key_ring: the keys given out beside them, asked anew each time.
        newest_key_ring: the same, read anew for a key that is in none of them.
        peer_allowed: whether a certificate fingerprint is on the allowlist now.
        peer_fingerprint: reads it from a connection.
        accept_peer: takes over `GET /api/v1/peer`; None where peers cannot come in.
    """

    tls: bool
    hosts: Callable[[], HostRule]
    api_keys: Callable[[], tuple[bytes, ...]]
    key_ring: Callable[[], KeyRing] = field(default=lambda: _NO_KEYS)
    newest_key_ring: Callable[[], KeyRing] | None = None
    peer_allowed: Callable[[str], bool] = field(default=lambda _fingerprint: False)
    peer_fingerprint: Callable[[asyncio.BaseTransport], str | None] = certificate_fingerprint
    accept_peer: PeerUpgrade | None = None
