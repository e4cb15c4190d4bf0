"""Pieces of the schemas of tools, so that one kind of argument reads the same everywhere.

Law: limits here are those that the node holds to; what is not bounded here is bounded there.
"""

from typing import Any, Final

Piece = dict[str, Any]


def text(says: str, **more: Any) -> Piece:
    """Some text."""
    return {"type": "string", "description": says, **more}


def choice(says: str, *allowed: str) -> Piece:
    """One of several words."""
    return {"type": "string", "enum": list(allowed), "description": says}


def whole(says: str, least: int, most: int | None = None, default: int | None = None) -> Piece:
    """A whole number."""
    said: Piece = {"type": "integer", "minimum": least, "description": says}
    if most is not None:
        said["maximum"] = most
    if default is not None:
        said["default"] = default
    return said


def number(says: str, least: float, most: float) -> Piece:
    """A number in a range."""
    return {"type": "number", "minimum": least, "maximum": most, "description": says}


def truth(says: str) -> Piece:
    """Yes or no; no when left out."""
    return {"type": "boolean", "default": False, "description": says}


def texts(says: str, least: int = 0, most: int | None = None) -> Piece:
    """Several texts."""
    said: Piece = {"type": "array", "items": {"type": "string"}, "description": says}
    if least:
        said["minItems"] = least
    if most is not None:
        said["maxItems"] = most
    return said


def anything(says: str) -> Piece:
    """A JSON object."""
    return {"type": "object", "description": says}


ID: Final = text("Id of the memory, or at least 6 characters of its beginning.")
NAMESPACE: Final = text("Namespace, a path such as team/project.")
ONLY_NAMESPACE: Final = text("Only memories in this namespace.")
TIER: Final = choice(
    "How long it lives: short 6 hours, mid 7 days, long for ever.", "short", "mid", "long"
)
ONLY_TIER: Final = choice("Only memories of this tier.", "short", "mid", "long")
TAGS: Final = texts("Labels, at most 50 of 128 characters.", most=50)
ALL_TAGS: Final = texts("Only memories that carry all of these tags.")
PRIORITY: Final = whole("1 is least, 10 most important; 5 when left out.", 1, 10)
CONFIDENCE: Final = number("How sure it is, 0 to 1; 1 when left out.", 0, 1)
METADATA: Final = anything("Further facts about it, as a JSON object.")
AGENT: Final = text("Agent on whose behalf this happens; the caller when left out.")
OF_AGENT: Final = text("Only memories that this agent wrote.")
SINCE: Final = text("Only what was created at or after this time (RFC 3339).")
UNTIL: Final = text("Only what was created at or before this time (RFC 3339).")
WHEN: Final = text("A time (RFC 3339, as 2026-01-31T12:00:00Z); now when left out.")
OFFSET: Final = whole("How many to pass over, for further pages.", 0)
MIN_PRIORITY: Final = whole("Only memories of this priority or above.", 1, 10)


def limit(default: int, most: int) -> Piece:
    """How many there may be in the answer."""
    return whole(f"At most so many, up to {most}.", 1, most, default)
