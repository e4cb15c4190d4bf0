"""From records to index rows.

Law: pure. The rows of a record are a function of it and of what is approved of it, so the
indexes can be thrown away and rebuilt. Only memories are listed, and only while a birth of
theirs shows, by itself or by an approval; everything else has no rows. An archived memory
stands in the archive's list and in no other.
"""

import functools
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeGuard

from msgpack import unpackb

from crdt.dot import DATA, PRIVATE, Dot
from crdt.fields import ARCHIVED_AT, tier_rank
from crdt.op import Value
from crdt.record import Birth, Fields, Record, Version
from crdt.record_codec import decode
from crdt.view import NOTHING_APPROVED, Approved, shown, winner
from node.store.schema import name_of, number

_MEMORY: Final = b"memory/"
_LISTED: Final = (DATA + _MEMORY, PRIVATE + _MEMORY)
_MS_MAX: Final = 2**63 - 1

ARCHIVED: Final = "archived"
"""What archived memories are counted under, in the place of their tier."""


class Facts(NamedTuple):
    """What the indexes know of a memory.

    Attributes:
        created: stamp of the oldest visible birth.
        namespace: where it lies.
        tier: short, mid or long; empty when unset; `ARCHIVED` while it is archived.
        expires: milliseconds since the epoch; None for never.
        archived: since when it is archived, milliseconds since the epoch; None when it is not.
    """

    created: int
    namespace: str
    tier: str
    expires: int | None
    archived: int | None = None


IndexRow = tuple[str, bytes, bytes]
"""A row of an index: table, key, value."""


def facts(key: bytes, record: Record | None, approved: Approved = NOTHING_APPROVED) -> Facts | None:
    """What the indexes know of a record; None when it is not listed."""
    if record is None or not key.startswith(_LISTED):
        return None
    births = record.births
    if len(births) == 1 and not approved:
        (birth,) = births.values()
        if birth.pending:
            return None
        if record.origin is not None:  # as one creation made it: nothing to choose between
            get = record.values.get
            born, end = birth.hlc, get("expires_at")
            return _facts_of(born, birth.namespace, get("tier", ""), end, get(ARCHIVED_AT))
        if not birth.marks:
            # The usual case, without building a view: every version hangs on the one birth.
            return _of_one(birth, record.fields)
    part = shown(record, approved)
    if part is None:
        return None
    fields = part.fields
    return _facts(
        part.created,
        part.namespace,
        fields.get("tier"),
        fields.get("expires_at"),
        fields.get(ARCHIVED_AT),
        approved,
    )


def _of_one(birth: Birth, fields: Fields) -> Facts:
    """Facts of a record with one birth, which shows."""
    tiers, ends, put_away = fields.get("tier"), fields.get("expires_at"), fields.get(ARCHIVED_AT)
    if tiers and len(tiers) == 1 and not ends and not put_away:
        (only,) = tiers.values()
        if not only.origin.pending:
            return _facts_of(birth.hlc, birth.namespace, only.value, None, None)
    return _facts(birth.hlc, birth.namespace, _settled(tiers), _settled(ends), _settled(put_away))


def stored_facts(key: bytes, data: bytes, approved: Approved = NOTHING_APPROVED) -> Facts | None:
    """The same of canonical bytes.

    A record that one operation wrote and none touched since, the usual case, is told from its
    parts; any other is decoded.

    Raises:
        crdt.record_codec.RecordError: the bytes are not a record.
    """
    if not approved:
        with suppress(ValueError, TypeError, LookupError):
            return _untouched_facts(key, unpackb(data, raw=False))
    return facts(key, decode(key, data), approved)


def _untouched_facts(key: bytes, parts: Any) -> Facts | None:
    """Facts of the parts that `crdt.record_codec.encode` packs.

    Raises:
        ValueError, TypeError, LookupError: it takes the record to tell.
    """
    actors, classes, (birth,), (group,) = parts
    at, seq, pair, created, held, marks = birth
    by, _, written, _, _, waits, hangs, values, hidden = group
    if held or marks or waits or hidden or written != pair or hangs != [at, seq]:
        raise ValueError
    _, namespace = classes[pair]
    if not (actors[at] and actors[by] and type(values) is dict):
        raise ValueError
    if not key.startswith(_LISTED):
        return None
    get = values.get
    return _facts_of(created, namespace, get("tier", ""), get("expires_at"), get(ARCHIVED_AT))


def _settled(held: Mapping[Dot, Version] | None) -> list[Version] | None:
    if not held:
        return None
    versions = list(held.values())
    if len(versions) == 1 and not versions[0].origin.pending:
        return versions
    return [v for v in versions if not v.origin.pending]


def _facts(
    created: int,
    namespace: str,
    tiers: list[Version] | None,
    expiries: list[Version] | None,
    archivals: list[Version] | None,
    approved: Approved = NOTHING_APPROVED,
) -> Facts:
    tier: Value = ""
    if tiers:
        tier = tiers[0].value if len(tiers) == 1 else max((v.value for v in tiers), key=tier_rank)
    return _facts_of(
        created,
        namespace,
        tier,
        winner(expiries, approved).value if expiries else None,
        winner(archivals, approved).value if archivals else None,
    )


def _facts_of(created: int, namespace: str, tier: Value, expires: Value, archived: Value) -> Facts:
    if archived is not None and _is_moment(archived):
        return Facts(created, namespace, ARCHIVED, None, archived)
    ends = expires if _is_moment(expires) else None
    return Facts(created, namespace, tier if isinstance(tier, str) else "", ends)


def _is_moment(value: Value) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= _MS_MAX


@functools.lru_cache(maxsize=4096)
def namespace_name(namespace: str) -> bytes:
    """The 16 bytes that stand for a namespace in index keys."""
    return name_of(namespace.encode("utf-8", "surrogatepass"))


def index_rows(key: bytes, name: bytes, memory: Facts) -> list[IndexRow]:
    """The index rows of a memory, given its record key and the 16-byte name of that.

    A row of a namespace leads to the row of its time, which holds the key.
    """
    if memory.archived is not None:
        return [("idx_archive", number(memory.archived) + name, key)]
    when = number(memory.created) + name
    rows = [("idx_time", when, key), ("idx_ns", namespace_name(memory.namespace) + when, b"")]
    if memory.expires is not None:
        rows.append(("idx_expiry", number(memory.expires) + name, key))
    return rows
