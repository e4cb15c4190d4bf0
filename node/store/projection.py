"""From records to index rows.

Law: pure. The rows of a record are a function of it and of what is approved of it, so the
indexes can be thrown away and rebuilt. Only memories are listed, and only while a birth of
theirs shows, by itself or by an approval; everything else has no rows. An archived memory
stands in the archive's list and in no other.
"""

import functools
from collections.abc import Mapping
from typing import Final, NamedTuple

from crdt.dot import DATA, PRIVATE, Dot
from crdt.fields import ARCHIVED_AT, tier_rank
from crdt.op import Value
from crdt.record import Record, Version
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


class IndexRows(NamedTuple):
    """The keys of a memory's index rows, None where it has none; the values are its record key."""

    time: bytes | None
    namespace: bytes | None
    expiry: bytes | None
    archive: bytes | None


def facts(key: bytes, record: Record | None, approved: Approved = NOTHING_APPROVED) -> Facts | None:
    """What the indexes know of a record; None when it is not listed."""
    if record is None or not key.startswith(_LISTED):
        return None
    births = record.births
    if len(births) == 1 and not approved:
        (birth,) = births.values()
        if birth.pending:
            return None
        if not birth.marks:
            # The usual case, without building a view: every version hangs on the one birth.
            return _facts(
                birth.hlc,
                birth.namespace,
                _settled(record.fields.get("tier")),
                _settled(record.fields.get("expires_at")),
                _settled(record.fields.get(ARCHIVED_AT)),
            )
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
    archived = _moment(archivals, approved) if archivals else None
    if archived is not None:
        return Facts(created, namespace, ARCHIVED, None, archived)
    tier: Value = ""
    if tiers:
        tier = tiers[0].value if len(tiers) == 1 else max((v.value for v in tiers), key=tier_rank)
    expires = _moment(expiries, approved) if expiries else None
    return Facts(created, namespace, tier if isinstance(tier, str) else "", expires)


def _moment(versions: list[Version], approved: Approved) -> int | None:
    value = winner(versions, approved).value
    return value if type(value) is int and 0 <= value <= _MS_MAX else None


INDEX_TABLES: Final = ("idx_time", "idx_ns", "idx_expiry", "idx_archive")
"""Where each of the `IndexRows` stands."""


@functools.lru_cache(maxsize=4096)
def namespace_name(namespace: str) -> bytes:
    """The 16 bytes that stand for a namespace in index keys."""
    return name_of(namespace.encode("utf-8", "surrogatepass"))


def index_rows(name: bytes, memory: Facts) -> IndexRows:
    """The index rows of a memory, given the 16-byte name of its record key."""
    if memory.archived is not None:
        return IndexRows(None, None, None, number(memory.archived) + name)
    when = number(memory.created) + name
    expiry = None if memory.expires is None else number(memory.expires) + name
    return IndexRows(when, namespace_name(memory.namespace) + when, expiry, None)
