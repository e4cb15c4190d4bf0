"""What an agent may put into a memory: one check per field.

Law: a field has its check in `CHECKS` or it is ignored; a check gives the stored form of the
value or names the field and its limit. Stored text is exactly the text that came.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from crdt.fields import TIERS
from crdt.op import Value
from node.limits import Limits
from node.memory.problems import InvalidField
from node.memory.times import MS_MAX, parse_ms

KINDS: Final = (
    "observation",
    "reflection",
    "persona",
    "concept",
    "entity",
    "claim",
    "relation",
    "event",
    "conversation",
    "decision",
    "document",
)
SCOPES: Final = frozenset(("collective", "org", "unit", "team", "private"))
PRIORITY_MAX: Final = 10
ALIASES_MAX: Final = 128
"""Most aliases of one entity, and so of one request."""

_ID: Final = re.compile(r"[A-Za-z0-9_\-:.]+")
_AGENT: Final = re.compile(r"[A-Za-z0-9_\-:@./]+")
_SMALL_TEXT_CHARS_MAX: Final = 2048
_NUMBER_MAX: Final = 2**53 - 1

_CONTAINERS: Final = frozenset((dict, list))

Check = Callable[[str, Any, Limits], Value]


def record_id(name: str, value: Any, limits: Limits) -> str:
    """An id that a client brings."""
    if not isinstance(value, str) or not _ID.fullmatch(value) or len(value) > limits.id_chars_max:
        raise InvalidField(name, f"expected 1 to {limits.id_chars_max} characters of A-Za-z0-9_-:.")
    if value in (".", ".."):
        raise InvalidField(name, "the ids . and .. cannot stand in an address")
    return value


def agent_id(name: str, value: Any, limits: Limits) -> str:
    """The name of an agent."""
    most = limits.agent_id_chars_max
    if not isinstance(value, str) or not _AGENT.fullmatch(value) or len(value) > most:
        raise InvalidField(name, f"expected 1 to {most} characters of A-Za-z0-9_-:@./")
    if ".." in value and ".." in value.split("/"):
        raise InvalidField(name, "a segment of an agent id cannot be ..")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidField(name, "expected text")
    return value


def _title(name: str, value: Any, limits: Limits) -> str:
    text = value if type(value) is str else _text(name, value)
    if not 1 <= len(text) <= limits.title_chars_max:
        raise InvalidField(
            name, f"has {len(text)} characters, expected 1 to {limits.title_chars_max}"
        )
    return text


def _content(name: str, value: Any, limits: Limits) -> str:
    text = value if type(value) is str else _text(name, value)
    if not text:
        raise InvalidField(name, "is empty")
    most = limits.content_bytes_max
    size = len(text) if text.isascii() else len(text.encode())
    if size > most:
        raise InvalidField(name, f"has {size} bytes, at most {most} are allowed")
    return text


def namespace(name: str, value: Any, limits: Limits) -> str:
    """The path of a namespace."""
    text = value if type(value) is str else _text(name, value)
    if not 1 <= len(text) <= limits.namespace_chars_max:
        raise InvalidField(
            name, f"has {len(text)} characters, expected 1 to {limits.namespace_chars_max}"
        )
    segments = text.split("/")
    if len(segments) > limits.namespace_segments_max:
        raise InvalidField(
            name, f"has {len(segments)} segments, at most {limits.namespace_segments_max}"
        )
    if "" in segments:
        raise InvalidField(name, "has an empty segment")
    return text


def _tags(name: str, value: Any, limits: Limits) -> list[str]:
    if not isinstance(value, list):
        raise InvalidField(name, "expected a list of texts")
    most = limits.tag_chars_max
    for tag in value:
        if type(tag) is not str or not 1 <= len(tag) <= most:
            raise InvalidField(name, f"a tag is a text of 1 to {most} characters")
    tags = list(dict.fromkeys(value))
    if len(tags) > limits.tags_max:
        raise InvalidField(name, f"has {len(tags)} tags, at most {limits.tags_max} are allowed")
    return tags


def _aliases(name: str, value: Any, limits: Limits) -> list[str]:
    """Further names of an entity; blank ones stand for nothing."""
    most = limits.tag_chars_max
    if not isinstance(value, list):
        raise InvalidField(name, "expected a list of texts")
    for one in value:
        if type(one) is not str or len(one) > most:
            raise InvalidField(name, f"an alias is a text of at most {most} characters")
    aliases = [one for one in dict.fromkeys(value) if one.strip()]
    if len(aliases) > ALIASES_MAX:
        raise InvalidField(name, f"has {len(aliases)}, at most {ALIASES_MAX} are allowed")
    return aliases


def depth(value: Any, most: int) -> int:
    """How deep containers nest: 0 for a plain value; stops counting beyond `most`."""
    if not isinstance(value, (dict, list)):
        return 0
    inside = value.values() if isinstance(value, dict) else value
    if not _CONTAINERS & set(map(type, inside)):
        return 1  # as nearly all are
    deepest, level = 0, [value]
    while level and deepest <= most:
        deepest += 1
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
    return deepest


def _json(name: str, value: Any, limits: Limits) -> Value:
    if depth(value, limits.metadata_depth_max) > limits.metadata_depth_max:
        raise InvalidField(name, f"nests deeper than {limits.metadata_depth_max} levels")
    size = len(orjson.dumps(value))
    if size > limits.metadata_bytes_max:
        raise InvalidField(name, f"has {size} bytes, at most {limits.metadata_bytes_max}")
    return value


def _metadata(name: str, value: Any, limits: Limits) -> dict[str, Value]:
    if not isinstance(value, dict):
        raise InvalidField(name, "expected an object")
    _json(name, value, limits)
    if "agent_id" not in value:
        return value
    # The author is the owner of the record; a second copy could only disagree with it.
    return {key: inner for key, inner in value.items() if key != "agent_id"}


def _list(name: str, value: Any, limits: Limits) -> Value:
    if not isinstance(value, list):
        raise InvalidField(name, "expected a list")
    return _json(name, value, limits)


def _object(name: str, value: Any, limits: Limits) -> Value:
    if not isinstance(value, dict):
        raise InvalidField(name, "expected an object")
    return _json(name, value, limits)


def _small(name: str, value: Any, _limits: Limits) -> str:
    text = _text(name, value)
    if len(text) > _SMALL_TEXT_CHARS_MAX:
        raise InvalidField(name, f"has {len(text)} characters, at most {_SMALL_TEXT_CHARS_MAX}")
    return text


def whole(name: str, value: Any, least: int, most: int) -> int:
    """A whole number in a range; JSON has one kind of number, so 5.0 is 5 (RFC 8259, 6)."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or not least <= value <= most:
        raise InvalidField(name, f"expected a whole number from {least} to {most}")
    return value


def _confidence(name: str, value: Any, _limits: Limits) -> float:
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise InvalidField(name, "expected a number from 0 to 1")
    return float(value)


def one_of(name: str, value: Any, allowed: frozenset[str] | tuple[str, ...]) -> str:
    """One of several words."""
    if not isinstance(value, str) or value not in allowed:
        raise InvalidField(name, f"expected one of {', '.join(sorted(allowed))}")
    return value


def moment(name: str, value: Any) -> int:
    """Milliseconds since the epoch of an RFC 3339 text."""
    try:
        return parse_ms(_text(name, value))
    except ValueError as error:
        raise InvalidField(name, str(error)) from error


def life_ms(name: str, value: Any, now_ms: int) -> int:
    """When something that lives for so many seconds ends."""
    return now_ms + 1000 * whole(name, value, 1, (MS_MAX - now_ms) // 1000)


CHECKS: Final[Mapping[str, Check]] = {
    "title": _title,
    "content": _content,
    "tags": _tags,
    "aliases": _aliases,
    "tier": lambda name, value, _: one_of(name, value, TIERS),
    "scope": lambda name, value, _: one_of(name, value, SCOPES),
    "memory_kind": lambda name, value, _: one_of(name, value, KINDS),
    "priority": lambda name, value, _: whole(name, value, 1, PRIORITY_MAX),
    "reflection_depth": lambda name, value, _: whole(name, value, 0, _NUMBER_MAX),
    "expires_at": lambda name, value, _: moment(name, value),
    "confidence": _confidence,
    "source": _small,
    "metadata": _metadata,
    "entity_id": _small,
    "citations": _list,
    "source_uri": _small,
    "source_span": _json,
    "persona_version": _json,
    "confidence_source": _json,
    "confidence_signals": _object,
    "confidence_decayed_at": _json,
}


def checked(body: Mapping[str, Any], limits: Limits) -> dict[str, Value]:
    """The known fields of a request in stored form; a null stays None.

    Raises:
        InvalidField: one of them cannot be taken.
    """
    out: dict[str, Value] = {}
    get = CHECKS.get
    for name, value in body.items():
        check = get(name)
        if check is not None:
            out[name] = None if value is None else check(name, value, limits)
    return out
