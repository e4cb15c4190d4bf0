"""What the API's own words say about answers: names and types of fields, as checks.

Law: written from the contract alone, as its reader would write a client; nothing here comes
from the node. Fields beyond those named may be there; a named one never lacks or changes type,
and one with a question mark is left out when it is unset, never null.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

Kind = Callable[[Any], bool]

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_DOT = re.compile(r"[A-Za-z0-9_-]+:[0-9]+")


def text(value: Any) -> bool:
    """A text."""
    return isinstance(value, str)


def whole(value: Any) -> bool:
    """A whole number, zero or more."""
    return type(value) is int and value >= 0


def number(value: Any) -> bool:
    """Any number."""
    return type(value) in (int, float)


def share(value: Any) -> bool:
    """A number from 0 to 1."""
    return number(value) and 0 <= value <= 1


def flag(value: Any) -> bool:
    """True or false."""
    return isinstance(value, bool)


def moment(value: Any) -> bool:
    """RFC 3339 in UTC with milliseconds and Z."""
    return isinstance(value, str) and _MOMENT.fullmatch(value) is not None


def uuid(value: Any) -> bool:
    """A UUID of version 4."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def texts(value: Any) -> bool:
    """A list of texts."""
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def thing(value: Any) -> bool:
    """An object."""
    return isinstance(value, dict)


def things(value: Any) -> bool:
    """A list of objects."""
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def dot(value: Any) -> bool:
    """`<actor>:<seq>`."""
    return isinstance(value, str) and _DOT.fullmatch(value) is not None


def maybe(kind: Kind) -> Kind:
    """That, or null."""
    return lambda value: value is None or kind(value)


def one_of(*values: Any) -> Kind:
    """One of these."""
    return lambda value: value in values


def each(fields: Mapping[str, Kind]) -> Kind:
    """A list of objects with these fields."""

    def check(value: Any) -> bool:
        assert isinstance(value, list), value
        for one in value:
            shaped(one, fields)
        return True

    return check


def having(fields: Mapping[str, Kind]) -> Kind:
    """An object with these fields."""

    def check(value: Any) -> bool:
        shaped(value, fields)
        return True

    return check


def shaped(value: Any, fields: Mapping[str, Kind]) -> Any:
    """Hold an object to its fields; returns it."""
    assert isinstance(value, dict), value
    for name, kind in fields.items():
        key = name.removesuffix("?")
        if name.endswith("?") and key not in value:
            continue
        assert key in value, f"{key} lacks in {sorted(value)}"
        assert kind(value[key]), f"{key} is {value[key]!r}"
    return value


MEMORY: dict[str, Kind] = {
    "id": text,
    "tier": one_of("short", "mid", "long"),
    "namespace": text,
    "title": text,
    "content": text,
    "tags": texts,
    "priority": one_of(*range(1, 11)),
    "confidence": share,
    "source": text,
    "access_count": whole,
    "created_at": moment,
    "updated_at": moment,
    "last_accessed_at?": moment,
    "expires_at?": moment,
    "metadata": thing,
    "memory_kind": one_of(
        *("observation", "reflection", "persona", "concept", "entity", "claim", "relation"),
        *("event", "conversation", "decision", "document"),
    ),
    "reflection_depth": whole,
    "entity_id?": text,
    "citations": lambda value: isinstance(value, list),
    "source_uri?": text,
    "confidence_signals?": thing,
    "version": lambda value: whole(value) and value >= 1,
    "conflicts?": lambda value: whole(value) and value >= 1,
}
LINK: dict[str, Kind] = {
    "source_id": text,
    "target_id": text,
    "relation": text,
    "created_at": moment,
    "valid_from": moment,
    "valid_until?": moment,
    "observed_by?": text,
    "signature?": text,
    "attest_level?": text,
}
DURABLE: dict[str, Kind] = {
    "quorum_acks": whole,
    "durability": having(
        {
            "local": lambda value: value is True,
            "acks": whole,
            "needed": whole,
            "peers": texts,
            "token": text,
        }
    ),
}
"""What every write answers with; one that wrote something has a dot as well."""

WRITTEN: dict[str, Kind] = {**DURABLE, "durability": having({"dot": dot, "token": text})}
ARCHIVED: dict[str, Kind] = {
    **MEMORY,
    "archived_at": moment,
    "archive_reason": text,
    "original_tier": one_of("short", "mid", "long"),
    "original_expires_at": maybe(moment),
}
MESSAGE: dict[str, Kind] = {
    **dict.fromkeys(("id", "from", "to", "title", "subject", "payload", "body"), text),
    "priority": one_of(*range(1, 11)),
    "tier": one_of("short", "mid", "long"),
    "created_at": moment,
    "received_at": moment,
    "read": flag,
}
SUBSCRIPTION: dict[str, Kind] = {
    "id": uuid,
    "url": text,
    "namespace": text,
    "agent_id": text,
    "created_at": moment,
    "dispatch_count": whole,
    "failure_count": whole,
}
PENDING: dict[str, Kind] = {
    "id": text,
    "action_type": one_of("store", "promote", "delete"),
    "memory_id": text,
    "namespace": text,
    "payload": thing,
    "requested_by": text,
    "requested_at": moment,
    "status": one_of("pending", "approved", "rejected", "expired"),
    "decided_by": maybe(text),
    "decided_at": maybe(moment),
    "approvals": lambda value: isinstance(value, list),
}
AGENT: dict[str, Kind] = {
    "agent_id": text,
    "agent_type": text,
    "capabilities": texts,
    "registered_at": moment,
    "last_seen_at": moment,
}
STANDARD: dict[str, Kind] = {
    **dict.fromkeys(("namespace", "id", "title", "content"), text),
    "governance": thing,
}
REFUSED: dict[str, Kind] = {"error": text, "detail": text}
