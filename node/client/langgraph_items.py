"""How an item of a LangGraph store is a memory, and back.

Law: pure, and exact both ways: namespace, key and value come back as they were put. An item
has one id on every node, so two agents that put the same key change one memory. Each prefix
of its namespace is a tag, so a node finds everything below a prefix by itself.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from node.client.errors import BadArgument, BrokenAnswer

Path = tuple[str, ...]

ROOT: Final = "langgraph"
FACTS: Final = "langgraph"
_SEGMENTS_MAX: Final = 8
_CHARS_MAX: Final = 512
_CUT: Final = "%"
_DEPTH_MAX: Final = 48
_KEY_CHARS_MAX: Final = 512
_SECONDS_PER_MINUTE: Final = 60
# A life is prolonged when this part of it has passed: not every read has to be a write.
_REFRESH_AFTER: Final = 0.1


def _digest(root: str, parts: Iterable[str]) -> str:
    framed = b"".join(
        len(raw).to_bytes(8) + raw for raw in (part.encode() for part in (root, *parts))
    )
    return hashlib.sha256(framed).hexdigest()[:40]


def item_id(root: str, namespace: Path, key: str) -> str:
    """The id of the memory that holds an item.

    Raises:
        BadArgument: a text that cannot be stored.
    """
    try:
        return "lg-" + _digest(root, (*namespace, "", key))
    except UnicodeEncodeError as error:
        raise BadArgument(f"a namespace or key is no text: {error}") from error


def prefix_tag(root: str, prefix: Path) -> str:
    """The tag of everything below a prefix."""
    return "lg-" + _digest(root, prefix)


def space_of(root: str, namespace: Path) -> str:
    """The namespace of the memory, for people and for policies.

    A node takes so many parts and characters; what goes beyond ends in a part of its own, which
    no label can be, and stands in the metadata alone.
    """
    quoted = [label.replace("%", "%25").replace("/", "%2F") for label in namespace]
    whole = "/".join([root, *quoted])
    if len(quoted) < _SEGMENTS_MAX and len(whole) <= _CHARS_MAX:
        return whole
    kept = quoted[: _SEGMENTS_MAX - 2]
    while len("/".join([root, *kept, _CUT])) > _CHARS_MAX:
        kept.pop()
    return "/".join([root, *kept, _CUT])


def labels_of(root: str, space: str) -> Path | None:
    """The labels that the namespace of a memory says; None for one elsewhere."""
    if not space.startswith(f"{root}/"):
        return None
    labels = space.removeprefix(f"{root}/").split("/")
    return tuple(label.replace("%2F", "/").replace("%25", "%") for label in labels)


def is_cut(space: str) -> bool:
    """Whether a namespace says less than all labels of the items in it."""
    return space.endswith(f"/{_CUT}")


def body_of(
    root: str, namespace: Path, key: str, value: Mapping[str, Any], ttl_minutes: float | None
) -> dict[str, Any]:
    """The fields of the memory that holds an item.

    Raises:
        BadArgument: the value is no JSON, or the namespace too deep.
    """
    if len(namespace) > _DEPTH_MAX:
        raise BadArgument(f"a namespace has at most {_DEPTH_MAX} labels")
    try:
        content = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadArgument(f"the value of {key!r} is no JSON: {error}") from error
    seconds = None
    if ttl_minutes is not None:
        seconds = max(1, round(ttl_minutes * _SECONDS_PER_MINUTE))
    facts: dict[str, Any] = {"namespace": list(namespace), "key": key}
    if seconds is not None:
        facts["ttl_secs"] = seconds
    # Without a life of its own it ends an earlier one, too.
    life = {"expires_at": None} if seconds is None else {"ttl_secs": seconds}
    return {
        "title": key[:_KEY_CHARS_MAX] or "-",
        "content": content,
        "namespace": space_of(root, namespace),
        "tier": "long",
        "source": "langgraph",
        "tags": [prefix_tag(root, namespace[:depth]) for depth in range(len(namespace) + 1)],
        "metadata": {FACTS: facts},
        **life,
    }


def facts_of(memory: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a memory says about the item in it; None when it holds none."""
    metadata = memory.get("metadata")
    facts = metadata.get(FACTS) if isinstance(metadata, dict) else None
    if not isinstance(facts, dict) or not isinstance(facts.get("namespace"), list):
        return None
    return facts if isinstance(facts.get("key"), str) else None


def fields_of(memory: Mapping[str, Any]) -> dict[str, Any] | None:
    """Arguments of an item; None for a memory that holds none.

    Raises:
        BrokenAnswer: its content was changed to something else by somebody else.
    """
    facts = facts_of(memory)
    if facts is None:
        return None
    try:
        value = json.loads(memory["content"])
    except ValueError as error:
        raise BrokenAnswer(f"memory {memory['id']} is no item of a store: {error}") from error
    if not isinstance(value, dict):
        raise BrokenAnswer(f"memory {memory['id']} is no item of a store")
    return {
        "value": value,
        "key": facts["key"],
        "namespace": tuple(facts["namespace"]),
        "created_at": datetime.fromisoformat(memory["created_at"]),
        "updated_at": datetime.fromisoformat(memory["updated_at"]),
    }


def life_to_renew(memory: Mapping[str, Any], now: datetime) -> int | None:
    """Seconds for which a memory that was read should live on; None to leave it as it is."""
    facts = facts_of(memory) or {}
    seconds, ends = facts.get("ttl_secs"), memory.get("expires_at")
    if not isinstance(seconds, int) or not isinstance(ends, str):
        return None
    left = (datetime.fromisoformat(ends) - now).total_seconds()
    return seconds if left < seconds * (1 - _REFRESH_AFTER) else None


# --- what a filter means --------------------------------------------------------------


def passes_filter(value: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> bool:
    """Whether a value has what a filter asks for.

    Raises:
        BadArgument: an operator that there is not.
    """
    return all(_fits(value.get(name), test) for name, test in (wanted or {}).items())


def _fits(value: Any, test: Any) -> bool:
    if isinstance(test, Mapping):
        if any(str(name).startswith("$") for name in test):
            return all(_holds(value, name, against) for name, against in test.items())
        return isinstance(value, Mapping) and all(
            _fits(value.get(name), inner) for name, inner in test.items()
        )
    if isinstance(test, (list, tuple)):
        return (
            isinstance(value, (list, tuple))
            and len(value) == len(test)
            and all(_fits(one, other) for one, other in zip(value, test, strict=True))
        )
    return bool(value == test)


def _holds(value: Any, operator: str, against: Any) -> bool:
    if operator == "$eq":
        return bool(value == against)
    if operator == "$ne":
        return bool(value != against)
    orders = {
        "$gt": lambda one, other: one > other,
        "$gte": lambda one, other: one >= other,
        "$lt": lambda one, other: one < other,
        "$lte": lambda one, other: one <= other,
    }
    if operator not in orders:
        raise BadArgument(f"a filter has no operator {operator!r}")
    try:
        return bool(orders[operator](float(value), float(against)))
    except (TypeError, ValueError):
        return False


def matches(namespace: Path, kind: str, path: Sequence[str]) -> bool:
    """Whether a namespace begins (`prefix`) or ends (`suffix`) with a path; `*` is any label."""
    if len(namespace) < len(path):
        return False
    part = namespace[: len(path)] if kind == "prefix" else namespace[len(namespace) - len(path) :]
    return all(wanted in {"*", label} for label, wanted in zip(part, path, strict=True))
