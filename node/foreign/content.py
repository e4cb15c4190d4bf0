"""What a memory says, in a form in which a row of a peer and a record of ours can be compared.

Law: only what people wrote counts: no stamps, no counters, no places in a log. A field that
has its default is the same as one that was never given. Every field has a hash of its own, so
that it can be told which of them a peer has changed; a set is compared by its elements.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from crdt.fields import ELEMENT_MARK, element_field
from crdt.op import Draft, Value
from node.documents.sheet import CONTENT, DOCUMENT
from node.memory.drafts import DraftRules
from node.memory.problems import InvalidField
from node.memory.record import (
    ALIASES,
    CONFIDENCE_DEFAULT,
    KIND_DEFAULT,
    PRIORITY_DEFAULT,
    PRIVATE_SCOPE,
    SOURCE_DEFAULT,
    TIER_DEFAULT,
    UPDATED_AT,
)
from node.memory.rules import CHECKS, agent_id, life_ms, moment, record_id

EXPIRES: Final = "expires_at"
NAMESPACE: Final = "@namespace"
"""Stands for the namespace among the fields; no field can be called so."""

PAPER: Final = "@document"
"""Stands for the changes of a document, by its heads."""

TAGS: Final = "tags"
FIELD_HASH_BYTES: Final = 8
CONTENT_HASH_BYTES: Final = 16

Hashes = Mapping[str, bytes]
"""Field -> 8 bytes; what has its default is not in it."""

_DEFAULTS: Final[Mapping[str, Value]] = {
    "priority": PRIORITY_DEFAULT,
    "confidence": CONFIDENCE_DEFAULT,
    "source": SOURCE_DEFAULT,
    "memory_kind": KIND_DEFAULT,
    "reflection_depth": 0,
    "scope": "collective",
    "citations": [],
    "metadata": {},
}


_COMPARED: Final = frozenset(CHECKS) - {ALIASES}
"""Fields that are compared. A peer that knows no aliases states none, and takes none away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a memory says.

    Attributes:
        values: field -> value as it is stored, without defaults; sets as elements.
        hashes: of each of them.
        whole: 16 bytes over all hashes.
    """

    values: Mapping[str, Value]
    hashes: Hashes
    whole: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One memory as a peer states it.

    Attributes:
        id: of the memory.
        agent: the author it declares; empty for none.
        namespace: where it lies.
        content: what it says.
        updated: when it was last changed by its own word, never after now (ms); None unsaid.
        draft: a creation of exactly this, with the defaults of one.
        over: whether its life has ended already.
        document: all changes of the document that it is, as an export has them; None for none.
    """

    id: str
    agent: str
    namespace: str
    content: Content
    updated: int | None
    draft: Draft
    over: bool = False
    document: str | None = None


def content_of(values: Mapping[str, Value], namespace: str, heads: Sequence[bytes] = ()) -> Content:
    """The content of stored values.

    Args:
        values: as in a view or in a draft; sets as lists or as elements.
        namespace: where the memory lies.
        heads: of the document that it is.
    """
    kept: dict[str, Value] = {NAMESPACE: namespace, "tier": TIER_DEFAULT}
    if heads:
        kept[PAPER] = sorted(one.hex() for one in heads)
    for name, value in values.items():
        head = name.partition(ELEMENT_MARK)[0]
        if head == TAGS:
            kept.update(_tags(name, value))
        elif name in _COMPARED and (name not in _DEFAULTS or value != _DEFAULTS[name]):
            kept[name] = value
    hashes = {name: _field_hash(name, value) for name, value in kept.items()}
    return Content(values=kept, hashes=hashes, whole=whole_of(hashes))


def _tags(name: str, value: Value) -> dict[str, Value]:
    if name != TAGS:
        return {name: value}
    return {element_field(TAGS, tag): place for place, tag in enumerate(value)}


def _field_hash(name: str, value: Value) -> bytes:
    # The place of an element in its set is nobody's statement.
    return hash_of(True if ELEMENT_MARK in name else value)


def hash_of(value: Value) -> bytes:
    """8 bytes that stand for one value."""
    data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(data, digest_size=FIELD_HASH_BYTES).digest()


def whole_of(hashes: Hashes) -> bytes:
    """16 bytes that stand for a whole content."""
    state = hashlib.blake2b(digest_size=CONTENT_HASH_BYTES)
    for name in sorted(hashes):
        data = name.encode()
        state.update(len(data).to_bytes(4, "big") + data + hashes[name])
    return state.digest()


def without(hashes: Hashes, name: str) -> Hashes:
    """Hashes but for one field."""
    return {key: value for key, value in hashes.items() if key != name}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowReader:
    """Reads rows of memories by the rules of this node.

    Attributes:
        rules: what shapes drafts here.
        now_ms: the present, milliseconds since the epoch.
        sender: stands in for an author that a row does not name.
    """

    rules: DraftRules
    now_ms: int
    sender: str
    _skipped: frozenset[str] = field(default=frozenset((EXPIRES, "ttl_secs", "id")))

    def read(self, row: Any) -> Row:
        """One row.

        Raises:
            InvalidField: it cannot be taken; names the field.
        """
        if not isinstance(row, dict):
            raise InvalidField("memories", "expected an object for each")
        limits = self.rules.limits
        if row.get("id") is None:
            raise InvalidField("id", "is required: a row without one would be another each time")
        ident = record_id("id", row["id"], limits)
        if row.get("scope") == PRIVATE_SCOPE:
            raise InvalidField("scope", "private memories are not exchanged")
        agent = self._author(row)
        body = {name: value for name, value in row.items() if name not in self._skipped}
        draft = self.rules.create(
            body,
            record_id=ident,
            owner=agent or self.sender,
            now_ms=self.now_ms,
            keep_dates=True,
        )
        end = None if row.get(EXPIRES) is None else moment(EXPIRES, row[EXPIRES])
        written = {**draft.set}
        if end is not None:
            written[EXPIRES] = end
        elif row.get("ttl_secs") is not None:
            written[EXPIRES] = life_ms("ttl_secs", row["ttl_secs"], self.now_ms)
        updated = self._updated(row)
        if updated is not None:
            written[UPDATED_AT] = updated
        stated = {**written}
        if end is None:
            stated.pop(EXPIRES, None)  # a default of ours is nothing that the peer said
        heads: Sequence[bytes] = ()
        if self.rules.documents is not None and row.get(DOCUMENT) is not None:
            stated[CONTENT], heads = self.rules.documents.said_in(draft.set)
        return Row(
            id=ident,
            agent=agent,
            namespace=draft.namespace,
            content=content_of(stated, draft.namespace, heads),
            updated=updated,
            draft=replace(draft, set=written),
            over=end is not None and end <= self.now_ms,
            document=row[DOCUMENT] if heads else None,
        )

    def _author(self, row: Mapping[str, Any]) -> str:
        metadata = row.get("metadata")
        declared = metadata.get("agent_id") if isinstance(metadata, dict) else None
        if declared is None:
            return ""
        return agent_id("metadata.agent_id", declared, self.rules.limits)

    def _updated(self, row: Mapping[str, Any]) -> int | None:
        if row.get(UPDATED_AT) is None:
            return None
        return min(moment(UPDATED_AT, row[UPDATED_AT]), self.now_ms)
