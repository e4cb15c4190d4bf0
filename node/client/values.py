"""What a node answers, as types.

Law: names and meanings are those of the HTTP API; a field that a node leaves out is not
required here. Nothing is converted, so what was stored is what is read.
"""

from typing import Any, Literal, NotRequired, TypedDict

Tier = Literal["short", "mid", "long"]


class Durability(TypedDict):
    """Where a write is.

    Attributes:
        local: on the disk of the node that took it.
        acks: members that hold it, that node included.
        needed: members that had to.
        peers: names of the others that do.
        dot: name of the operation.
        token: what a read has to have reached to see it.
    """

    local: bool
    acks: int
    needed: int
    peers: list[str]
    dot: str | None
    token: str


class NewMemory(TypedDict, total=False):
    """Fields of a create besides title and content."""

    id: str
    namespace: str
    tier: Tier
    tags: list[str]
    priority: int
    confidence: float
    source: str
    memory_kind: str
    metadata: dict[str, Any]
    citations: list[Any]
    source_uri: str
    source_span: Any
    entity_id: str
    reflection_depth: int
    persona_version: Any
    confidence_source: Any
    confidence_signals: dict[str, Any]
    confidence_decayed_at: Any
    ttl_secs: int
    expires_at: str
    scope: Literal["collective", "org", "unit", "team", "private"]
    on_conflict: Literal["none", "update", "error"]
    created_at: str


class MemoryBody(NewMemory):
    """A whole memory to make; one item of `store_many`."""

    title: str
    content: str


class Changes(NewMemory, total=False):
    """Fields of an update; what is left out stays."""

    title: str
    content: str


class Memory(TypedDict):
    """A memory as a node shows it."""

    id: str
    tier: Tier
    namespace: str
    title: str
    content: str
    tags: list[str]
    priority: int
    confidence: float
    source: str
    access_count: int
    created_at: str
    updated_at: str
    metadata: dict[str, Any]
    memory_kind: str
    reflection_depth: int
    citations: list[Any]
    version: int
    attest_level: str
    last_accessed_at: NotRequired[str]
    expires_at: NotRequired[str]
    conflicts: NotRequired[int]
    scope: NotRequired[str]
    entity_id: NotRequired[str]
    source_uri: NotRequired[str]
    source_span: NotRequired[Any]
    persona_version: NotRequired[Any]
    confidence_source: NotRequired[Any]
    confidence_signals: NotRequired[dict[str, Any]]
    confidence_decayed_at: NotRequired[Any]
    score: NotRequired[float]
    links: NotRequired[list["Link"]]
    etag: NotRequired[str]


class Link(TypedDict):
    """How two memories belong together."""

    source_id: str
    target_id: str
    relation: str
    created_at: str
    valid_from: NotRequired[str]
    valid_until: NotRequired[str]
    observed_by: NotRequired[str]
    signature: NotRequired[str]
    attest_level: NotRequired[str]
    durability: NotRequired[Durability]
    quorum_acks: NotRequired[int]


class Stored(TypedDict):
    """The answer to a create; `status` is `pending` when it waits for approval."""

    id: str
    durability: Durability
    quorum_acks: int
    tier: NotRequired[Tier]
    namespace: NotRequired[str]
    title: NotRequired[str]
    agent_id: NotRequired[str]
    status: NotRequired[str]
    pending_id: NotRequired[str]


class Written(TypedDict):
    """The answer to a change; `status` is `pending` when it waits for approval.

    What else there is depends on the method: `memory` after an update, `deleted` after a
    deletion (how many, of `forget`), `missing` for ids that named nothing.
    """

    durability: Durability
    quorum_acks: int
    id: NotRequired[str]
    memory: NotRequired[Memory]
    tier: NotRequired[Tier]
    deleted: NotRequired[bool | int]
    promoted: NotRequired[bool]
    archived: NotRequired[int]
    restored: NotRequired[bool]
    consolidated: NotRequired[int]
    missing: NotRequired[list[str]]
    derived: NotRequired[int]
    recomposed: NotRequired[int]
    links_deleted: NotRequired[int]
    others_deleted: NotRequired[int]
    agent_id: NotRequired[str]
    granted: NotRequired[bool]
    grants: NotRequired[list[str]]
    source_id: NotRequired[str]
    target_id: NotRequired[str]
    relation: NotRequired[str]
    status: NotRequired[str]
    pending_id: NotRequired[str]


class Recalled(TypedDict):
    """The answer to a recall."""

    memories: list[Memory]
    count: int
    tokens_used: NotRequired[int]
    budget_tokens: NotRequired[int | None]
    meta: NotRequired[dict[str, Any]]


class Filters(TypedDict, total=False):
    """What narrows a list; times are RFC 3339."""

    namespace: str
    tier: Tier
    tags: list[str]
    since: str
    until: str
    min_priority: int
    agent_id: str
    session_id: str


class RecallFilters(TypedDict, total=False):
    """What narrows a recall."""

    namespace: str
    tags: list[str]
    since: str
    until: str
    as_agent: str
    budget_tokens: int
    min_score: float


class BulkResult(TypedDict):
    """What became of the items of `store_many`; indexes are places in the whole input."""

    created: int
    ids: list[str]
    errors: list[dict[str, Any]]
    pending: list[dict[str, Any]]


class ImportResult(TypedDict):
    """What became of an import."""

    imported: int
    skipped: int
    errors: list[dict[str, Any]]


class Forgetting(TypedDict, total=False):
    """Which memories to erase; all that is given has to fit."""

    ids: list[str]
    namespace: str
    pattern: str
    tier: Tier
    agent_id: str


class Consolidating(TypedDict, total=False):
    """What to make of which memories; without a summary the node composes one."""

    ids: list[str]
    title: str
    summary: str
    namespace: str
    tier: Tier


class Comparing(TypedDict, total=False):
    """What to hold a text against."""

    title: str
    namespace: str
    threshold: float
    limit: int


class Match(TypedDict):
    """A memory that comes close to a text; similarity is from 0 to 1."""

    id: str
    title: str
    namespace: str
    similarity: float


class Compared(TypedDict):
    """The answer to `check_duplicate`; matches nearest first, below the threshold too."""

    is_duplicate: bool
    threshold: float
    nearest: Match | None
    candidates_scanned: int
    matches: list[Match]


Message = TypedDict(
    "Message",
    {
        "id": str,
        "from": str,
        "to": str,
        "title": str,
        "subject": str,
        "payload": str,
        "content": str,
        "body": str,
        "priority": int,
        "tier": Tier,
        "created_at": str,
        "received_at": str,
        "read": bool,
        "expires_at": NotRequired[str],
    },
)
"""A message of an inbox; title and subject, payload, content and body say the same."""
