"""The seams inside a node: what the agent-facing side may ask of the replicated side.

Law: everything above this line (HTTP, CLI, later MCP) reads through `Reader`, writes through
`Funnel` and learns about peers through `MeshView`; nothing above it touches the core, the
store or a link. There is one funnel, so no lane can bypass gate, log or quorum.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from crdt.dot import Dot
from crdt.governance_state import GovernanceState
from crdt.op import Draft, Kind, Op, Value
from crdt.pending import Pending
from crdt.view import View
from node.documents.sheet import Sheet


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryKey:
    """A client's Idempotency-Key with the hash of the request it came with.

    Attributes:
        agent: who retries.
        key: the header's text, up to 128 characters.
        body: 32 bytes, SHA-256 of the request as received (method, path, body).
    """

    agent: str
    key: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, and by what right.

    Attributes:
        agent: the name that acts; empty for a nameless reader.
        role: of the API key it came with (one of `crdt.roles.ROLES`); None for the node's own
            key and where no key is configured: then the replicated role alone counts.
        namespaces: subtrees that the key is limited to; None for no limit.
        local: whether the request came over loopback.
        attested: whether the agent's own bound key signed the request.
    """

    agent: str
    role: str | None = None
    namespaces: tuple[str, ...] | None = None
    local: bool = False
    attested: bool = False

    @property
    def nameless(self) -> bool:
        """Whether the request named no agent."""
        return not self.agent or self.agent.startswith("anonymous:")


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernanceDraft:
    """A wanted change of governance; the core fills in what it supersedes, heads and stamp.

    Attributes:
        kind: POLICY (of `namespace`), AGENT (registration of `id`), ROLE (of `id`) or MODE.
        namespace: for a policy, `*` or a path.
        id: for an agent or a role, the agent.
        set: the body, as `crdt.governance` describes it for each kind.
    """

    kind: Kind
    namespace: str = ""
    id: str = ""
    set: Mapping[str, Value]


@dataclass(slots=True, kw_only=True)  # never changed; freezing costs a call a field
class Receipt:
    """What is known about the durability of a write when it is answered.

    Attributes:
        dots: the operations that the write became, in the order of its drafts.
        local: whether this node's disk holds them.
        acks: distinct ready members (this node counted) whose disks hold them.
        needed: how many the quorum needs.
        peers: names of the other nodes among them.
        token: causal token that covers the write.
        replayed: whether this was a retry of a request already known.
        pending_id: set when governance holds the write for approval.
        held: record id -> pending id of every operation that is held.
    """

    dots: tuple[Dot, ...]
    local: bool
    acks: int
    needed: int
    peers: tuple[str, ...]
    token: str
    replayed: bool = False
    pending_id: str | None = None
    held: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)  # never changed; freezing costs a call a field
class Held:
    """One visible record; `memo` keeps what is made of just this state, `sheet` is a document's."""

    collection: str
    id: str
    private: bool
    view: View
    sheet: Sheet | None = field(default=None, compare=False, repr=False)
    memo: dict[str, Any] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcurrentValue:
    """One of several values of a register that no edit has settled."""

    value: Value
    dot: Dot
    hlc: int
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEntry:
    """One record that changed, at its latest arrival on this node; no view when it is gone."""

    arrival: int
    collection: str
    id: str
    held: Held | None


class Place(NamedTuple):
    """Where an operation stands in the order in which operations arrived on this node.

    `arrival` is the number of its bundle, `step` its place in the bundle, from 0.
    """

    arrival: int
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """One operation as it arrived.

    Attributes:
        place: where.
        op: the operation.
        effect: `applied`, `held` (for approval, decided since or not), or `refused`.
    """

    place: Place
    op: Op
    effect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """Operations in order of arrival.

    Attributes:
        rows: the operations.
        missing: whether others stood before the first of them, and are no longer in the log.
        before: the operation in front of the first row in its bundle.
        behind: the operation behind the last row in its bundle.
    """

    rows: Sequence[Applied] = ()
    missing: bool = False
    before: Op | None = None
    behind: Op | None = None


class Reader(Protocol):
    """Local reads: the newest local state, committed or not. Nothing here waits."""

    def get(self, collection: str, record_id: str) -> Held | None:
        """One record, or None when nothing visible and unexpired has that id."""
        ...

    def own(self, collection: str, record_id: str) -> Held | None:
        """The same of the lane that never leaves this node."""
        ...

    def knows(self, collection: str, record_id: str) -> bool:
        """Whether a record of this id is here, shown or not, or was and is in the feed as gone."""
        ...

    def rivals(self, collection: str, record_id: str, *, whole: bool = False) -> list[Held]:
        """Births of other owners or namespaces under an id; `whole`: all, in both lanes."""
        ...

    def archived(self, collection: str, record_id: str, *, own: bool = False) -> Held | None:
        """One record of the archive, or None; `own`: of the lane that never leaves this node."""
        ...

    def ended(self) -> Iterator[Held]:
        """Memories whose life is over and that are not deleted yet, the earliest end first."""
        ...

    def whole(self, collection: str, record_id: str, *, private: bool) -> Held | None:
        """One record of one lane, although it lies in the archive or its life is over."""
        ...

    def every(self, collection: str) -> Iterator[Held]:
        """Visible records of a collection that is none of memories, in the order of their ids."""
        ...

    def written(self, dots: Sequence[Dot]) -> list[Op]:
        """Operations by their names, in order; those that are no longer in the log are left out."""
        ...

    def text_after(self, op: Op) -> Callable[[], str]:
        """What makes, in any thread, the content a memory has after an operation not minted yet."""
        ...

    def archive(self, before_ms: int | None = None) -> Iterator[Held]:
        """Archived memories, the last archived first; those from before a millisecond only."""
        ...

    def archive_counts(self) -> Mapping[str, int]:
        """{namespace: archived memories}."""
        ...

    def with_prefix(
        self, collection: str, prefix: str, limit: int, *, archived: bool = False
    ) -> list[str]:
        """Ids of visible (or archived) records that start with a prefix, at most `limit`."""
        ...

    def recent(self, namespace: str | None = None) -> Iterator[Held]:
        """Visible memories, newest creation first, of one namespace or of all."""
        ...

    def named(self, collection: str, prefix: str, limit: int) -> list[str]:
        """Ids of records that start with a prefix, at most `limit`; some may not show."""
        ...

    def fresh(self, collection: str) -> bool:
        """Whether records of a collection may have changed that indexes do not know of yet."""
        ...

    def conflicts(self, collection: str, record_id: str) -> dict[str, list[ConcurrentValue]]:
        """Per register in conflict: all its values, the shown one first."""
        ...

    def history(self, collection: str, record_id: str, limit: int) -> list[Op]:
        """Operations on a record that are still in the log, newest first."""
        ...

    def counts(self) -> Mapping[tuple[str, str], int]:
        """{(namespace, tier): visible, unexpired memories}."""
        ...

    def expiring_before(self, ms: int) -> int:
        """How many unexpired memories expire before that millisecond."""
        ...

    def size_bytes(self) -> int:
        """Bytes of the store's data file in use."""
        ...

    def feed(self, after: int, limit: int, *, own: bool = False) -> Sequence[FeedEntry]:
        """Records changed after an arrival number, oldest first; `own`: of the private lane too."""
        ...

    def operations(self, after: Place, limit: int) -> Operations:
        """Operations of all lanes that arrived after a place, in that order, at most `limit`."""
        ...

    def latest_place(self) -> Place:
        """A place after which everything stands that arrives from now on."""
        ...

    def place_of(self, dot: Dot) -> Place | None:
        """Where an operation stands; None when it is not in the log."""
        ...

    def place_since(self, ms: int) -> Place:
        """A place after which everything stands that arrived since a millisecond."""
        ...

    def arrival_at(self, ms: int) -> int:
        """The arrival number from which everything arrived at or after that millisecond."""
        ...

    @property
    def store_id(self) -> str:
        """Names this copy of the store; feed positions are only valid within one."""
        ...

    def token(self) -> str:
        """A causal token that covers everything this node shows."""
        ...


class Funnel(Protocol):
    """The one way to change anything: gate, operation, quorum."""

    def reader(self) -> Reader:
        """Reads that see every write this node has accepted."""
        ...

    async def write(
        self,
        drafts: Sequence[Draft],
        *,
        caller: Caller,
        action: str,
        retry: RetryKey | None = None,
    ) -> Receipt:
        """Gate the drafts, mint one operation each, and wait for the quorum.

        Minting happens before the first await: read and call without awaiting in between and
        the write supersedes exactly what was read. All drafts of a call land in one bundle.

        Raises:
            node.errors.Denied: governance refuses.
            node.errors.QuorumNotMet: fewer than W members confirmed in time; carries the
                receipt; the write stays and spreads.
            node.errors.Unavailable: joining, recovering, draining, overloaded, clock skew, or
                disk full; nothing was minted.
            node.errors.RetryKeyReused: the key came with another request before.
        """
        ...

    def refusal(self, draft: Draft, *, caller: Caller) -> str | None:
        """Why one creation of many would be refused now: `code: words`, or None."""
        ...

    async def decide(
        self,
        pending: Dot,
        *,
        yes: bool,
        reason: str = "",
        caller: Caller,
        retry: RetryKey | None = None,
    ) -> Receipt:
        """Gate a vote, mint it, wait as `write` does; LookupError: nothing such is pending."""
        ...

    async def govern(
        self,
        drafts: Sequence[GovernanceDraft],
        *,
        caller: Caller,
        retry: RetryKey | None = None,
    ) -> Receipt:
        """Gate changes of governance, mint one operation each, and wait for the quorum.

        Raises node.errors.WriteError: as `write`; `Denied` when the caller may not govern there.
        """
        ...

    def known(self, retry: RetryKey) -> tuple[Dot, ...] | None:
        """The dots of an earlier request with this key and body; None when it is new.

        Raises node.errors.RetryKeyReused: the key came with another request before.
        """
        ...

    def draw_id(self, retry: RetryKey | None, index: int) -> str:
        """A new record id: random, or the same for every retry of one request."""
        ...

    async def reached(self, token: str, wait_ms: int) -> bool:
        """Whether this node covers a causal token, waiting up to `wait_ms` for it.

        Raises ValueError: the text is no token of this mesh.
        """
        ...


class Governing(Protocol):
    """What holds, and what waits for approval, on this node now. Nothing here waits."""

    def state(self) -> GovernanceState:
        """Members, policies, agents, roles and keys as this node has applied them."""
        ...

    def pendings(self) -> Mapping[Dot, Pending]:
        """Every pending operation known, decided ones too."""
        ...

    def together(self, pending: Dot) -> Sequence[Dot]:
        """The pending operations that are decided with one, the first of them first."""
        ...

    def shown(self, pending: Dot) -> bool:
        """Whether a pending operation is approved, with all of its request."""
        ...

    def payload(self, pending: Dot) -> dict[str, Value]:
        """The fields that a pending operation writes, as far as they are still kept."""
        ...
