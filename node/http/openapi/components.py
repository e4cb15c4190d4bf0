"""The values that many answers share.

Law: as `node.memory.record`, `node.links.link` and `node.http.problems` write them.
"""

from typing import Final

from crdt.fields import TIERS
from node.http.openapi.schema import (
    Schema,
    all_there,
    anything,
    flag,
    many,
    maybe,
    moment,
    named,
    one_of,
    real,
    table,
    text,
    thing,
    whole,
)
from node.http.openapi.shapes import AGENT_ID, NAMESPACE, RECORD_ID
from node.limits import Limits
from node.memory.rules import KINDS, PRIORITY_MAX, SCOPES

ERROR: Final = named("Error")
MEMORY: Final = named("Memory")
LINK: Final = named("Link")
DURABLE: Final = named("Durable")
PENDING: Final = named("Pending")
NEW_MEMORY: Final = named("NewMemory")
MEMORY_FIELDS: Final = named("MemoryFields")
STANDARD: Final = named("Standard")
GOVERNANCE: Final = named("Governance")

_NUMBER_MAX: Final = 2**53 - 1


def written(**fields: Schema) -> Schema:
    """An answer to a write: these fields, and how durable it is."""
    return {"allOf": [all_there(**fields), DURABLE]}


def fields_of(limits: Limits) -> dict[str, Schema]:
    """The fields of a memory that a request may bring, with the bounds of this node."""
    return {
        "title": text(least=1, most=limits.title_chars_max),
        "content": text(least=1, most=limits.content_bytes_max, about="bounded in UTF-8 bytes"),
        "tags": many(text(least=1, most=limits.tag_chars_max), most=limits.tags_max),
        "tier": one_of(*TIERS, about="never goes down"),
        "namespace": NAMESPACE,
        "priority": whole(1, PRIORITY_MAX),
        "confidence": real(0, 1),
        "source": text(most=2048),
        "metadata": table(anything(), about="at most 64 KiB and 32 levels"),
        "memory_kind": one_of(*sorted(KINDS)),
        "document": text(
            pattern="^[A-Za-z0-9+/=]*$",
            about="base64 of all changes of a document, as an export has it; in place of content",
        ),
        "scope": one_of(*sorted(SCOPES), about="only `private` hides"),
        "expires_at": moment(about="in the future"),
        "ttl_secs": whole(1, 3_155_760_000),
        "reflection_depth": whole(0, _NUMBER_MAX),
        "entity_id": text(most=2048),
        "citations": many(anything()),
        "source_uri": text(most=2048),
        "source_span": anything(),
        "persona_version": anything(),
        "confidence_source": anything(),
        "confidence_signals": table(anything()),
        "confidence_decayed_at": anything(),
        "agent_id": AGENT_ID,
    }


_LEVELS: Final = ("any", "allow", "registered", "owner", "approve", "deny")
_SHARED: Final[dict[str, Schema]] = {
    "Error": thing(
        ("error",),
        error=text(about="a stable code, or a sentence that clients know"),
        detail=text(about="what happened, why, and what to do"),
        field=text(about="of the request, when one is at fault"),
    ),
    "DurabilityFacts": all_there(
        local=flag(about="whether this node's disk holds it"),
        acks=whole(0, about="members whose disks hold it, this one counted"),
        needed=whole(0),
        peers=many(text(), about="names of the others among them"),
        dot=maybe(text(about="<actor>:<seq>")),
        token=text(about="causal token, for X-Causal-Token"),
    ),
    "Durable": all_there(quorum_acks=whole(0), durability=named("DurabilityFacts")),
    "Pending": {
        "allOf": [
            all_there(
                status=one_of("pending"),
                pending_id=text(),
                id=text(about="that the memory will have"),
                action=text(),
            ),
            DURABLE,
        ]
    },
    "ConcurrentValue": all_there(value=anything(), dot=text(), hlc=anything(), agent_id=text()),
    "Link": thing(
        ("source_id", "target_id", "relation", "created_at", "valid_from"),
        source_id=text(),
        target_id=text(),
        relation=text(pattern="^[a-z][a-z0-9_]{0,63}$"),
        created_at=moment(),
        valid_from=moment(),
        valid_until=moment(),
        observed_by=text(),
        signature=text(),
        attest_level=text(),
    ),
    "Governance": thing(
        write=one_of(*_LEVELS),
        promote=one_of(*_LEVELS),
        delete=one_of(*_LEVELS),
        approver={
            "anyOf": [
                one_of("human"),
                all_there(agent=AGENT_ID),
                all_there(consensus=whole(1, 100)),
            ]
        },
        inherit=flag(),
        approval_timeout_secs=whole(1, 2_592_000),
    ),
    "Standard": thing(
        ("namespace", "governance"),
        namespace=text(),
        id=text(),
        title=text(),
        content=text(),
        governance=anything(),
    ),
}
"""Those that no limit shapes."""


def components(limits: Limits) -> dict[str, Schema]:
    """Every named schema of the document."""
    given = fields_of(limits)
    # Asked for in the past, a moment is refused; no schema can say so.
    settable = {name: schema for name, schema in given.items() if name != "expires_at"}
    new = {"id": RECORD_ID, **given}
    return {
        **_SHARED,
        "Memory": _memory(given),
        "MemoryFields": thing(**{**settable, "expires_at": maybe(given["expires_at"])}),
        "NewMemory": thing(
            ("title", "content"),
            **new,
            on_conflict=one_of("none", "update", "error", about="about an equal title"),
        ),
    }


def _memory(given: dict[str, Schema]) -> Schema:
    shown = {name: schema for name, schema in given.items() if name not in _NOT_SHOWN}
    return thing(
        (
            "id",
            "tier",
            "namespace",
            "title",
            "content",
            "tags",
            "priority",
            "confidence",
            "source",
            "access_count",
            "created_at",
            "updated_at",
            "metadata",
            "memory_kind",
            "version",
        ),
        id=text(),
        **{**shown, "expires_at": moment()},
        access_count=whole(0, about="reads on this node"),
        created_at=moment(),
        updated_at=moment(),
        last_accessed_at=moment(),
        version=whole(1),
        conflicts=whole(1, about="fields with concurrent values"),
    )


_NOT_SHOWN: Final = frozenset(("ttl_secs", "agent_id", "expires_at", "document"))
