"""From stored bytes to a document in one step, for a memory that one creation wrote.

Law: what is told here is what `node.recall.document` tells of the view of the same record; of
what is seldom (approvals, concurrent versions, archives, grants, imported times, fields that
are not what they should be) nothing is told, and whoever asks goes the long way. Nearly all
memories are never changed, and the long way makes a record, its versions and a view of each.
"""

from typing import Any, Final

import msgpack

from crdt.fields import ARCHIVED_AT, COUNTER_MARK, ELEMENT_MARK, REVISION, TIERS
from crdt.hlc import millis
from node.memory.record import (
    ALIASES,
    CREATED_AT,
    GRANTS,
    PRIORITY_DEFAULT,
    TIER_DEFAULT,
    UPDATED_AT,
)
from node.recall.values import PUBLIC, Change, Document
from node.replication.sound import is_json

_unpack: Final = msgpack.unpackb
_LANES: Final = ("d", "p")
_TAG: Final = f"tags{ELEMENT_MARK}"
_TAG_AT: Final = len(_TAG)
_SELDOM: Final = frozenset(("tags", GRANTS, ALIASES, "scope", CREATED_AT, UPDATED_AT, ARCHIVED_AT))
_PRIORITY_MAX: Final = 10
_END_MAX: Final = 2**63 - 1
_EVERYBODY: Final = (PUBLIC,)
_NOTHING: Final[dict[str, Any]] = {}


def change_in(key: str, data: bytes, now_ms: int) -> Change | None:
    """What stored bytes mean now, when that can be told in one step.

    Args:
        key: as engines know the memory.
        data: its canonical bytes, verified.
        now_ms: what ended by then is gone.
    """
    try:
        return _change_in(key, data, now_ms)
    except (ValueError, TypeError, LookupError, AttributeError):
        return None  # the long way says what is wrong


def _change_in(key: str, data: bytes, now_ms: int) -> Change | None:
    actors, classes, births, groups = _unpack(data, raw=False)
    ((index, seq, pair, born, held, marks),) = births
    ((at, place, its_pair, _, hlc, pending, carried, values, marked),) = groups
    own = [index, seq]
    if carried != own or [at, place] != own or its_pair != pair or marks or marked:
        return None
    if held is not False or pending is not False or not actors[index] or key[0] not in _LANES:
        return None
    if type(born) is not int or type(hlc) is not int or not _is_usual(values):
        return None
    tags = [name for name in values if ELEMENT_MARK in name and name[0] != COUNTER_MARK]
    if tags and not all(name.startswith(_TAG) for name in tags):
        return None
    expires = values.get("expires_at")
    if expires is not None and expires <= now_ms:
        return Change(key, None)
    owner, namespace = classes[pair]
    metadata = values.get("metadata", _NOTHING)
    speaker, session = metadata.get("speaker"), metadata.get("session_id")
    document = Document(
        key,
        key[1:],
        namespace,
        owner,
        values["title"],
        values["content"],
        tuple(sorted([name[_TAG_AT:] for name in tags])) if tags else (),
        speaker if type(speaker) is str else "",
        session if type(session) is str else "",
        metadata,
        values.get("tier", TIER_DEFAULT),
        values.get("priority", PRIORITY_DEFAULT),
        millis(born),
        millis(hlc if REVISION in values else born),
        born,
        expires,
        _EVERYBODY,
    )
    return Change(key, document)


def _is_usual(values: dict[str, Any]) -> bool:
    """Whether fields are those of a memory that anybody may read, and what they should be."""
    get = values.get
    metadata, priority = get("metadata", _NOTHING), get("priority", PRIORITY_DEFAULT)
    expires = get("expires_at", 0)
    return (
        type(values["title"]) is str
        and type(values["content"]) is str
        and type(expires) is int
        and 0 <= expires <= _END_MAX
        and type(priority) is int
        and 1 <= priority <= _PRIORITY_MAX
        and get("tier", TIER_DEFAULT) in TIERS
        and type(metadata) is dict
        and (not metadata or is_json(metadata))
        and _SELDOM.isdisjoint(values)
    )
