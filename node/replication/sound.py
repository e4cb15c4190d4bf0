"""What of a record this program can read: fields of the right shape, and no others.

Law: pure, and alike on every node. A field that holds what no node that keeps to the format
writes there is as if it had never been given, so one member that writes anything it likes
spoils its own records and nobody's answers. What a field means is decided above; here stands
only its shape. Fields without a shape hold what JSON can say.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from crdt import view as core
from crdt.fields import ARCHIVE_REASON, ARCHIVED_AT, CHUNK, ORIGINAL_EXPIRES_AT, TIERS
from crdt.op import Value
from crdt.record import Record
from crdt.view import Approvals, View

MS_MIN: Final = -62_135_596_800_000
"""The first millisecond of the year 1, the least that a text form of a moment can say."""

_INT_MAX: Final = 2**63 - 1
_PRIORITY_MAX: Final = 10
_PLAIN: Final = frozenset((str, int, float, bool, type(None)))

Shape = Callable[[Value], bool]


def _is_text(value: Value) -> bool:
    return type(value) is str


def _is_end(value: Value) -> bool:
    """Like the index rows of memories: what they do not list must not hide a memory either."""
    return type(value) is int and 0 <= value <= _INT_MAX


def _is_moment(value: Value) -> bool:
    return type(value) is int and MS_MIN <= value <= _INT_MAX


def _is_count(value: Value) -> bool:
    return type(value) is int and 0 <= value <= _INT_MAX


def _is_share(value: Value) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


def _is_map(value: Value) -> bool:
    return type(value) is dict and is_json(value)


def _is_list(value: Value) -> bool:
    return type(value) is list and is_json(value)


def _is_set(value: Value) -> bool:
    return type(value) is list and all(type(one) is str for one in value)


_SHAPES: Final[Mapping[str, Shape]] = {
    **dict.fromkeys(
        (
            *("title", "content", "source", "memory_kind", "scope", "attest_level"),
            *(ARCHIVE_REASON, "entity_id", "source_uri"),
        ),
        _is_text,
    ),
    **dict.fromkeys(("expires_at", ARCHIVED_AT, ORIGINAL_EXPIRES_AT), _is_end),
    **dict.fromkeys(("created_at", "updated_at", "valid_from", "valid_until"), _is_moment),
    **dict.fromkeys(("tags", "grants", "aliases"), _is_set),
    **dict.fromkeys(("metadata", "confidence_signals", "consolidation"), _is_map),
    "citations": _is_list,
    CHUNK: lambda value: type(value) is tuple,
    "tier": lambda value: value in TIERS,
    "priority": lambda value: type(value) is int and 1 <= value <= _PRIORITY_MAX,
    "confidence": _is_share,
    "reflection_depth": _is_count,
}


def is_json(value: Any) -> bool:
    """Whether JSON can say a value of the wire; bytes are what it cannot."""
    if type(value) in _PLAIN:
        return True
    if type(value) is dict:
        value = value.values()
    elif type(value) is not list:
        return False
    return all(type(one) in _PLAIN or is_json(one) for one in value)


def view(record: Record | None, approvals: Approvals) -> View | None:
    """The record as a reader sees it, or None when nothing of it is visible."""
    seen = core.view(record, approvals)
    if seen is not None:
        values = seen.values
        odd = [name for name, value in values.items() if not _SHAPES.get(name, is_json)(value)]
        for name in odd:
            del values[name]
    return seen
