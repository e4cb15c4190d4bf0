"""The one table of event names: what streams tell, webhooks deliver, and filters accept.

Law: a name stands here or it does not exist. Each row says from which operation it comes; the
first row that fits an operation names it, so the more special stand above. Other programs know
some events under other names; those are accepted in filters and never sent. Rows that no
operation stands for (`node.events.moments`) are for hooks alone, and a filter refuses them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from crdt.fields import ARCHIVED_AT
from crdt.op import ERASE, Kind
from crdt.pending import action_of
from node.events.event_name import EventName, Fits, Happening, Road
from node.events.moments import BEFORE, LIFE
from node.links.index import COLLECTION as LINK
from node.memory.drafts import COLLECTION as MEMORY
from node.memory.problems import InvalidField

MESSAGE: Final = "message"
ENTITY: Final = "entity"
EVERYTHING: Final = "*"
RESET: Final = "reset"
"""Sent in a stream, and to webhooks, in the place of what can no longer be told."""

APPROVAL_REQUESTED: Final = "approval_requested"
APPROVAL_GRANTED: Final = "approval_granted"
APPROVAL_REJECTED: Final = "approval_rejected"

_SOURCES: Final = "consolidated_from_agents"


def _of(collection: str, kind: Kind, further: Fits = lambda _: True) -> Fits:
    return lambda one: (
        one.op.collection == collection
        and one.op.kind is kind
        and not one.ends_move
        and further(one)
    )


def _governs(kind: Kind, further: Fits = lambda _: True) -> Fits:
    return lambda one: one.op.kind is kind and further(one)


def _is_entity(one: Happening) -> bool:
    return one.kind == ENTITY


def _consolidates(one: Happening) -> bool:
    metadata: Any = one.op.set.get("metadata")
    return isinstance(metadata, Mapping) and _SOURCES in metadata


def _promotes(one: Happening) -> bool:
    return action_of(one.op) == "promote"


_OPERATIONS: Final[Sequence[EventName]] = (
    EventName(
        name="entity_updated",
        meaning="an entity has other names or fields",
        fits=_of(MEMORY, Kind.EDIT, _is_entity),
    ),
    EventName(
        name="entity_created",
        meaning="an entity is known by a name",
        fits=_of(MEMORY, Kind.CREATE, lambda one: _is_entity(one) and not one.moves),
        also=("entity_store",),
    ),
    EventName(
        name="memory_moved",
        meaning="a memory lies in another namespace",
        fits=_of(MEMORY, Kind.CREATE, lambda one: one.moves),
        also=("memory_move",),
    ),
    EventName(
        name="memory_consolidated",
        meaning="a memory was made out of several",
        fits=_of(MEMORY, Kind.CREATE, _consolidates),
        also=("memory_consolidate",),
    ),
    EventName(
        name="memory_store",
        meaning="a memory was made",
        fits=_of(MEMORY, Kind.CREATE),
        also=("memory_stored", "memory_created", "memory_create", "memory.created"),
    ),
    EventName(
        name="memory_archived",
        meaning="a memory went to the archive",
        fits=_of(MEMORY, Kind.EDIT, lambda one: ARCHIVED_AT in one.op.set),
        also=("memory_archive", "memory.archived"),
    ),
    EventName(
        name="memory_restored",
        meaning="a memory came back from the archive",
        fits=_of(MEMORY, Kind.EDIT, lambda one: ARCHIVED_AT in one.op.removed),
        also=("memory_restore", "memory.restored"),
    ),
    EventName(
        name="memory_promote",
        meaning="a memory lasts longer now",
        fits=_of(MEMORY, Kind.EDIT, _promotes),
        also=("memory_promoted", "memory.promoted"),
    ),
    EventName(
        name="memory_update",
        meaning="a memory says something else",
        fits=_of(MEMORY, Kind.EDIT),
        also=("memory_updated", "memory.updated"),
    ),
    EventName(
        name="memory_erased",
        meaning="a memory was forgotten; its bytes leave every disk",
        fits=_of(MEMORY, Kind.DELETE, lambda one: one.op.set.get(ERASE) is True),
        also=("memory_erase", "memory_forget", "memory_forgotten"),
    ),
    EventName(
        name="memory_delete",
        meaning="a memory was deleted",
        fits=_of(MEMORY, Kind.DELETE),
        also=("memory_deleted", "memory.deleted"),
    ),
    EventName(
        name="memory_link_created",
        meaning="two memories belong together",
        fits=_of(LINK, Kind.CREATE),
        also=("memory_link", "link_created"),
    ),
    EventName(
        name="memory_link_invalidated",
        meaning="a link holds no longer, or only until a time",
        fits=_of(LINK, Kind.EDIT, lambda one: "valid_until" in one.op.set),
        also=("link_invalidated",),
    ),
    EventName(
        name="memory_link_updated",
        meaning="a link says something else",
        fits=_of(LINK, Kind.EDIT),
        also=("link_updated",),
    ),
    EventName(
        name="memory_link_deleted",
        meaning="a link was taken back",
        fits=_of(LINK, Kind.DELETE),
        also=("link_deleted",),
    ),
    EventName(
        name="message_received",
        meaning="somebody wrote to the caller",
        fits=_of(MESSAGE, Kind.CREATE),
        also=("notify", "memory_notify"),
    ),
    EventName(name=APPROVAL_REQUESTED, meaning="an action waits for approval"),
    EventName(name=APPROVAL_GRANTED, meaning="an action was approved and took effect"),
    EventName(name=APPROVAL_REJECTED, meaning="an action was rejected"),
    EventName(
        name="policy_cleared",
        meaning="a namespace has no rules of its own any more",
        fits=_governs(Kind.POLICY, lambda one: not one.op.set.get("governance")),
    ),
    EventName(
        name="policy_set",
        meaning="other rules hold in a namespace",
        fits=_governs(Kind.POLICY),
    ),
    EventName(
        name="agent_registered",
        meaning="an agent is known, or says something else of itself",
        fits=_governs(Kind.AGENT),
    ),
    EventName(name="role_granted", meaning="an agent has a role", fits=_governs(Kind.ROLE)),
    EventName(
        name="mode_changed",
        meaning="a member enforces governance, or does not",
        fits=_governs(Kind.MODE),
    ),
    EventName(
        name="member_added",
        meaning="a node belongs to the mesh",
        fits=lambda one: one.op.kind in {Kind.FOUND, Kind.ADD},
    ),
    EventName(
        name="member_removed",
        meaning="a node does not belong to the mesh any more",
        fits=_governs(Kind.REMOVE),
    ),
    EventName(name="member_ready", meaning="a node has caught up", fits=_governs(Kind.READY)),
)

TABLE: Final[Sequence[EventName]] = (*_OPERATIONS, *BEFORE, *LIFE)

NAMES: Final = tuple(row.name for row in TABLE if row.road is Road.EVERY)
"""What streams tell and subscriptions deliver."""

_CANONICAL: Final[Mapping[str, str]] = {
    known: row.name for row in _OPERATIONS for known in (row.name, *row.also)
}
AFTER: Final[Mapping[str, tuple[str, ...]]] = {
    row.name.replace("before_", "after_", 1): row.asks for row in BEFORE if row.asks
}
"""What may come of a question: `after_store` is all that `before_store` was asked for."""

HOOK_NAMES: Final = (*(row.name for row in TABLE), *AFTER)
"""What a hook may ask for; other spellings (`also`) are taken too."""


def name_of(one: Happening) -> str | None:
    """The event that an applied operation is; None when it is none."""
    for row in _OPERATIONS:
        if row.fits is not None and row.fits(one):
            return row.name
    return None


def hook_events(asked: str) -> tuple[str, ...]:
    """The rows that a name in a hook stands for; empty when it is the name of no event."""
    if asked in AFTER:
        return AFTER[asked]
    if asked in _CANONICAL:
        return (_CANONICAL[asked],)
    return (asked,) if any(row.name == asked for row in TABLE) else ()


def hook_spellings() -> tuple[str, ...]:
    """Every name that a hook may ask for, in every spelling."""
    return tuple(dict.fromkeys((*HOOK_NAMES, *_CANONICAL)))


def asked_names(field: str, given: Any) -> list[str]:
    """The names in a filter, as they were given: a list, or text with commas.

    Raises:
        InvalidField: one of them is the name of no event.
    """
    wanted = given.split(",") if isinstance(given, str) else given
    if not isinstance(wanted, list) or not all(isinstance(one, str) for one in wanted):
        raise InvalidField(field, "expected names of events, as a list or with commas")
    names = list(dict.fromkeys(one.strip() for one in wanted if one.strip()))
    unknown = [one for one in names if one != EVERYTHING and one not in _CANONICAL]
    if unknown:
        raise InvalidField(
            field,
            f"there is no event {unknown[0][:64]!r}; there are {EVERYTHING}, {', '.join(NAMES)}",
        )
    return names


def canonical(names: Sequence[str]) -> frozenset[str] | None:
    """The events that a filter lets through; None for all."""
    if not names or EVERYTHING in names:
        return None
    return frozenset(_CANONICAL[one] for one in names if one in _CANONICAL)
