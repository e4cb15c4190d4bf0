"""A memory as agents see it: the view of a record, with defaults and in API words.

Law: the same view gives the same fields on every node, except `access_count` and
`last_accessed_at`, which are this node's own. What was never given shows its default; an
optional field that was never given is left out. Whether a caller may know of a memory is
decided here alone, by `visible_to`; every way of reading asks it.
"""

import base64
import hashlib
from collections.abc import Callable
from typing import Any, Final

import orjson

from crdt.dot import dot_text
from crdt.fields import ARCHIVE_REASON, ARCHIVED_AT, ORIGINAL_EXPIRES_AT
from crdt.hlc import millis
from crdt.op import Op, Value
from crdt.roles import within
from node.contracts import Caller, ConcurrentValue, Held
from node.documents.sheet import DOCUMENT
from node.memory.problems import NotOwner
from node.memory.times import format_ms

TIER_DEFAULT: Final = "mid"
PRIORITY_DEFAULT: Final = 5
CONFIDENCE_DEFAULT: Final = 1.0
SOURCE_DEFAULT: Final = "api"
KIND_DEFAULT: Final = "observation"
PRIVATE_SCOPE: Final = "private"
GRANTS: Final = "grants"
ALIASES: Final = "aliases"
CREATED_AT: Final = "created_at"
UPDATED_AT: Final = "updated_at"
ATTEST_LEVEL: Final = "attest_level"
ATTESTED: Final = "attested"
CLAIMED: Final = "claimed"


_AS_GIVEN: Final = (
    "entity_id",
    "source_uri",
    "source_span",
    "persona_version",
    "confidence_source",
    "confidence_signals",
    "confidence_decayed_at",
    "scope",
    ALIASES,
)
_SELDOM: Final = frozenset(_AS_GIVEN)
_MOMENTS: Final = frozenset(
    ("expires_at", CREATED_AT, UPDATED_AT, ARCHIVED_AT, ORIGINAL_EXPIRES_AT)
)
_IDENTITY: Final = (
    "title",
    "content",
    "metadata",
    "entity_id",
    "citations",
    "source_uri",
    "source_span",
    "persona_version",
)
"""Fields of its author that say what a memory is; those of its keeping (tier, priority, scope,
the end of its life) may change without making it another one."""

Access = tuple[int, int]
"""(how often read on this node, when last: milliseconds since the epoch)."""

UNREAD: Final[Access] = (0, 0)


def visible_to(held: Held, viewer: Caller, *, everything: bool = False) -> bool:
    """Whether a caller may know that the memory exists: the one rule of every read.

    Args:
        held: the memory.
        viewer: who looks. A key that is limited to subtrees sees nothing outside them.
        everything: what is private to others too: an administrator's export and grants.
    """
    if viewer.namespaces is not None and not within(held.view.namespace, viewer.namespaces):
        return False
    if everything or held.view.values.get("scope") != PRIVATE_SCOPE:
        return True
    return is_party(held, viewer.agent)


def is_party(held: Held, agent: str) -> bool:
    """Whether an agent wrote the memory or was let in by name; no name is nobody."""
    return bool(agent) and (agent == held.view.owner or agent in held.view.values.get(GRANTS, ()))


def check_author(held: Held, agent: str) -> None:
    """Hold a change of a private memory to its author; who was let in may see it, no more.

    Raises:
        NotOwner: another agent wants to change it, end it, or show it to others.
    """
    if held.view.values.get("scope") == PRIVATE_SCOPE and agent != held.view.owner:
        raise NotOwner("only the author of a private memory changes or deletes it")


def created_ms(held: Held) -> int:
    """When the memory was made, milliseconds since the epoch; a move or an import keeps it."""
    kept = held.view.values.get(CREATED_AT)
    born = millis(held.view.created)
    return min(kept, born) if isinstance(kept, int) else born


def updated_ms(held: Held) -> int:
    """When the memory was last changed; what came from elsewhere keeps the time it brought."""
    brought = held.view.values.get(UPDATED_AT)
    changed = millis(held.view.updated)
    return min(brought, changed) if isinstance(brought, int) else changed


def content_id(held: Held) -> str:
    """Lowercase hex of the SHA-256 over what the author said, in canonical JSON.

    The same on every node and for every copy of the same words by the same author; no stamp,
    counter or place of this mesh is in it.
    """
    get = held.view.values.get
    said = {name: value for name in _IDENTITY if (value := get(name)) is not None}
    said["agent_id"] = held.view.owner
    said["memory_kind"] = get("memory_kind", KIND_DEFAULT)
    said["tags"] = sorted(get("tags", ()))
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def record_of(held: Held, access: Access = UNREAD) -> dict[str, Any]:
    """The memory record of the API."""
    view = held.view
    values = view.values
    get = values.get
    metadata = get("metadata")
    created, updated = created_ms(held), updated_ms(held)
    made = format_ms(created)
    out: dict[str, Any] = {
        "id": held.id,
        "tier": get("tier", TIER_DEFAULT),
        "namespace": view.namespace,
        "title": get("title", ""),
        "content": get("content", ""),
        "tags": get("tags", []),
        "priority": get("priority", PRIORITY_DEFAULT),
        "confidence": get("confidence", CONFIDENCE_DEFAULT),
        "source": get("source", SOURCE_DEFAULT),
        "access_count": access[0],
        "created_at": made,
        "updated_at": made if updated == created else format_ms(updated),
        "metadata": {**metadata, "agent_id": view.owner} if metadata else {"agent_id": view.owner},
        "memory_kind": get("memory_kind", KIND_DEFAULT),
        "reflection_depth": get("reflection_depth", 0),
        "citations": get("citations", []),
        "version": view.version,
        ATTEST_LEVEL: get(ATTEST_LEVEL, CLAIMED),
    }
    expires = get("expires_at")
    if expires is not None:
        out["expires_at"] = format_ms(expires)
    if access[1]:
        out["last_accessed_at"] = format_ms(access[1])
    if view.conflicts:
        out["conflicts"] = view.conflicts
    if not _SELDOM.isdisjoint(values):
        for name in _AS_GIVEN:
            value = get(name)
            if value is not None:
                out[name] = value
    return out


def exported_of(changes: bytes | None) -> dict[str, str]:
    """What an export says of a document beside its text: all its changes, as base64."""
    return {} if changes is None else {DOCUMENT: base64.b64encode(changes).decode("ascii")}


def archived_of(held: Held, access: Access = UNREAD) -> dict[str, Any]:
    """The record of the API of a memory that lies in the archive."""
    get = held.view.values.get
    ends = original_end(held)
    out = record_of(held, access)
    out.pop("expires_at", None)  # what somebody set behind a cut takes hold with the return
    return {
        **out,
        ARCHIVED_AT: format_ms(get(ARCHIVED_AT, 0)),
        ARCHIVE_REASON: get(ARCHIVE_REASON, ""),
        "original_tier": out["tier"],
        ORIGINAL_EXPIRES_AT: None if ends is None else format_ms(ends),
    }


def is_archived(held: Held) -> bool:
    """Whether a memory lies in the archive."""
    return type(held.view.values.get(ARCHIVED_AT)) is int


def original_end(held: Held) -> int | None:
    """When an archived memory was to end, milliseconds; an end set meanwhile goes first."""
    get = held.view.values.get
    for value in (get("expires_at"), get(ORIGINAL_EXPIRES_AT)):
        if type(value) is int:
            return value
    return None


def shown_value(name: str, value: Value) -> Value:
    """One stored value in API words; of bytes, as chunks of a document are, their number."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return format_ms(value) if name in _MOMENTS and isinstance(value, int) else value


def concurrent_of(name: str, one: ConcurrentValue) -> dict[str, Any]:
    """One of several concurrent values."""
    return {
        "value": shown_value(name, one.value),
        "dot": dot_text(one.dot),
        "hlc": one.hlc,
        "agent_id": one.agent,
    }


def operation_of(op: Op) -> dict[str, Any]:
    """One applied operation."""
    return {
        "dot": dot_text(op.dot),
        "kind": op.kind.name.lower(),
        "agent_id": op.agent,
        "at": format_ms(millis(op.hlc)),
        "hlc": op.hlc,
        "namespace": op.namespace,
        "fields": {name: shown_value(name, value) for name, value in op.set.items()},
        "removed": sorted(op.removed),
    }


def records_of(held: list[Held], access: Callable[[str], Access]) -> list[dict[str, Any]]:
    """Several memories."""
    return [record_of(one, access(one.id)) for one in held]
