"""How a field merges, told by its name.

Law: the kind of a field is a function of its name alone, so two versions of the program
never merge one field in two ways.

    title           register  the version with the largest (stamp, actor) shows
    tags/urgent     element   of the set `tags`: there while any version lives (add wins)
    +visits         counter   sum of live versions; an increment supersedes its own actor's
    chunk/3d60      chunk     bytes of a document: all versions count, none is chosen
    tier            tier      the largest of short, mid, long
    rev             revision  the largest, plus one for every sibling
"""

from enum import Enum
from typing import Final

REVISION: Final = "rev"
TIERS: Final = ("short", "mid", "long")

_NUMBER_MAX: Final = 2**53
"""Beyond it neither counters nor revisions come honestly, and numbers of JSON lose digits."""

ARCHIVED_AT: Final = "archived_at"
ARCHIVE_REASON: Final = "archive_reason"
ORIGINAL_EXPIRES_AT: Final = "original_expires_at"
ARCHIVE_FIELDS: Final = (ARCHIVED_AT, ARCHIVE_REASON, ORIGINAL_EXPIRES_AT)
"""What puts a memory into the archive; milliseconds since the epoch, and words."""

ELEMENT_MARK: Final = "/"
CHUNK: Final = "chunk"
CHUNK_MARK: Final = CHUNK + ELEMENT_MARK
COUNTER_MARK: Final = "+"


class FieldKind(Enum):
    """The six ways of merging."""

    REGISTER = "register"
    ELEMENT = "element"
    CHUNK = "chunk"
    COUNTER = "counter"
    TIER = "tier"
    REVISION = "revision"


def kind_of(name: str) -> FieldKind:
    """The kind of a field."""
    if name == REVISION:
        return FieldKind.REVISION
    if name == "tier":
        return FieldKind.TIER
    if name.startswith(COUNTER_MARK):
        return FieldKind.COUNTER
    if ELEMENT_MARK in name:
        return FieldKind.CHUNK if name.startswith(CHUNK_MARK) else FieldKind.ELEMENT
    return FieldKind.REGISTER


def is_counter(name: str) -> bool:
    """Whether a field is a counter."""
    return name.startswith(COUNTER_MARK)


def element_field(name: str, element: str) -> str:
    """The field that stands for one element of the set `name`."""
    return f"{name}{ELEMENT_MARK}{element}"


def number(value: object) -> int | float:
    """The value of a counter or revision; what a faulty member wrote there counts nothing."""
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if known and -_NUMBER_MAX <= value <= _NUMBER_MAX else 0  # type: ignore[operator,return-value]  # `known` says that it is a number


def tier_rank(tier: object) -> int:
    """The order of tiers; what is no tier ranks below all."""
    return TIERS.index(tier) if tier in TIERS else -1
