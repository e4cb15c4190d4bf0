"""The stored forms of everything but records.

Law: reading gives back what was written, or a typed error; nothing here knows a transaction.
"""

import struct
from collections.abc import Iterable
from typing import Any, Final, NamedTuple
from zlib import crc32

import msgpack

from crdt.digest import CHECKSUM_BYTES, checksum
from crdt.dot import ACTOR_BYTES, Actor, Dot
from crdt.state import ActorRow, IdempotencyRow, LoggedBundle
from node.store.errors import CorruptRecord
from node.store.schema import NAME_BYTES, NUMBER_BYTES, number, unseal

_pack: Final = msgpack.Packer(use_bin_type=True, autoreset=True).pack
_HEAD: Final = struct.Struct(">QQQQQQ16s")
_ENTRY: Final = struct.Struct(">45sQQQI")
_PLACE: Final = struct.Struct(">QQ")
_CHECK_BYTES: Final = 4
_PLACED: Final = struct.Struct(">QQI")
_LEAD: Final = struct.Struct(">QH")
_ROW: Final = struct.Struct(f">{CHECKSUM_BYTES}sIQH")
_LEAD_AT: Final = CHECKSUM_BYTES + _CHECK_BYTES
_KEY_LENGTH: Final = struct.Struct(">H")
_LINK_BYTES: Final = NAME_BYTES + NUMBER_BYTES
NO_WEIGHT: Final = bytes(CHECKSUM_BYTES)
"""Stands where the checksum of a record would: there is none any more."""


class Head(NamedTuple):
    """The counters of a store; they change in the transaction that they count.

    Attributes:
        number: of the last batch.
        arrivals: how many bundles ever arrived.
        feed: the last position given out in the feed.
        ms: local time of the last batch, milliseconds; never goes back.
        log_bytes: size of the data lane's log.
        private_bytes: size of the private lane's log.
        digest: of the durable state.
    """

    number: int = 0
    arrivals: int = 0
    feed: int = 0
    ms: int = 0
    log_bytes: int = 0
    private_bytes: int = 0
    digest: int = 0

    def encode(self) -> bytes:
        """The stored form."""
        return _HEAD.pack(
            self.number,
            self.arrivals,
            self.feed,
            self.ms,
            self.log_bytes,
            self.private_bytes,
            self.digest.to_bytes(16, "big"),
        )


def decode_head(body: bytes) -> Head:
    """The counters that `Head.encode` wrote."""
    batch, arrivals, feed, ms, log_bytes, private_bytes, digest = _HEAD.unpack(body)
    return Head(
        number=batch,
        arrivals=arrivals,
        feed=feed,
        ms=ms,
        log_bytes=log_bytes,
        private_bytes=private_bytes,
        digest=int.from_bytes(digest, "big"),
    )


class LogEntry(NamedTuple):
    """One bundle in the log: whose, which operations, when it arrived, what it changed."""

    actor: Actor
    first: int
    last: int
    ms: int
    links: bytes
    data: bytes


class Place(NamedTuple):
    """Where a record stands: in the feed, and in the log (0 for nowhere)."""

    position: int
    arrival: int


NOWHERE: Final = Place(0, 0)


def encode_place(key: bytes, position: int, arrival: int) -> bytes:
    """The stored form of a place: its own short check, for it is not part of the record."""
    check = crc32(key, crc32(_PLACE.pack(position, arrival)))
    return _PLACED.pack(position, arrival, check)


def decode_place(table: str, key: bytes, value: bytes) -> Place:
    """A place as stored.

    Raises:
        CorruptRecord: it is not what was written.
    """
    place, check = value[: _PLACE.size], value[_PLACE.size :]
    if check != crc32(key, crc32(place)).to_bytes(_CHECK_BYTES, "big"):
        raise CorruptRecord(table, key, "its place is damaged")
    return Place(*_PLACE.unpack(place))


def record_place(key: bytes, value: bytes) -> Place:
    """The place of a record that is stored.

    Raises:
        CorruptRecord: it is not what was written.
    """
    return decode_place("records", key, value)


class Standing(NamedTuple):
    """One row of the feed: which record changed, when (local ms), and what it is since.

    Attributes:
        ms: local time of the change.
        key: of the record.
        weight: the checksum of key and data; `NO_WEIGHT` when the record is gone.
        data: its canonical bytes; empty when it is gone.
    """

    ms: int
    key: bytes
    weight: bytes
    data: bytes


def encode_standing(at: bytes, ms: int, key: bytes, weight: bytes, data: bytes) -> bytes:
    """The stored form of a row of the feed.

    The record's checksum is its weight in the digest, so it is computed once for both; what
    else the row says has a short check of its own.
    """
    lead = _LEAD.pack(ms, len(key)) + key
    check = crc32(lead, crc32(at))
    return b"%b%b%b%b" % (weight, check.to_bytes(_CHECK_BYTES, "big"), lead, data)


def read_standing(at: bytes, value: bytes) -> Standing:
    """A row of the feed, all but its record verified; see `proven`.

    Raises:
        CorruptRecord: it is not what was written.
    """
    if len(value) < _ROW.size:
        raise CorruptRecord("feed", at)
    weight, check, ms, length = _ROW.unpack_from(value)
    end = _ROW.size + length
    if crc32(value[_LEAD_AT:end], crc32(at)) != check:
        raise CorruptRecord("feed", at)
    return Standing(ms, value[_ROW.size : end], weight, value[end:])


def proven(standing: Standing) -> bytes | None:
    """The canonical bytes in a row of the feed, verified; None when the record is gone.

    Raises:
        CorruptRecord: they are not what was written.
    """
    _, key, weight, data = standing
    if weight == NO_WEIGHT and not data:
        return None
    if checksum(key, data) != weight:
        raise CorruptRecord("records", key)
    return data


def standing_data(key: bytes, value: bytes) -> bytes:
    """The canonical bytes in a row of the feed about a record; nothing is verified."""
    return value[_ROW.size + len(key) :]


def key_in(value: bytes) -> bytes:
    """The record key in a row of the feed; nothing of it is verified."""
    return value[_ROW.size : _ROW.size + int.from_bytes(value[_ROW.size - 2 : _ROW.size], "big")]


def is_of(value: bytes, key: bytes) -> bool:
    """Whether a row of the feed is about a record; nothing of it is verified."""
    return value.startswith(_KEY_LENGTH.pack(len(key)) + key, _ROW.size - _KEY_LENGTH.size)


def link(name: bytes, arrival: int) -> bytes:
    """A step in a record's history: its name, and the arrival of the step before."""
    return name + number(arrival)


def earlier_arrival(entry: LogEntry, name: bytes) -> int | None:
    """The step before this entry in a record's history; None when it changed no such record."""
    links = entry.links
    for at in range(0, len(links), _LINK_BYTES):
        if links.startswith(name, at):
            return int.from_bytes(links[at + NAME_BYTES : at + _LINK_BYTES], "big")
    return None


def encode_entry(bundle: LoggedBundle, ms: int, links: bytes) -> bytes:
    """The stored form of a bundle; `links` are those of the records it changed."""
    head = _ENTRY.pack(bundle.actor, bundle.first, bundle.last, ms, len(links))
    return b"%b%b%b" % (head, links, bundle.data)


def decode_entry(table: str, key: bytes, value: bytes) -> LogEntry:
    """A log entry as stored, its checksum verified.

    Raises:
        CorruptRecord: the bytes are not what was written.
    """
    body = unseal(table, key, value)
    actor, first, last, ms, length = _ENTRY.unpack_from(body)
    start = _ENTRY.size + length
    return LogEntry(actor, first, last, ms, body[_ENTRY.size : start], body[start:])


def _flat(dots: Iterable[Dot]) -> list[bytes | int]:
    return [part for dot in dots for part in dot]


def _dots(flat: list[Any]) -> tuple[Dot, ...]:
    return tuple(Dot(actor, seq) for actor, seq in zip(flat[::2], flat[1::2], strict=True))


def encode_actor(row: ActorRow, floor: int) -> bytes:
    """The stored form of an actor's row, with the floor that the log really has."""
    packed: bytes = _pack([row.seq, row.hash, floor, _flat(row.heads)])
    return packed


def decode_actor(body: bytes) -> ActorRow:
    """An actor's row as stored."""
    seq, chain, floor, heads = msgpack.unpackb(body)
    return ActorRow(seq, chain, _dots(heads), floor)


def encode_idempotency(row: IdempotencyRow, ms: int) -> bytes:
    """The stored form of a remembered request, with its local time of arrival."""
    packed: bytes = _pack([row.body, ms, _flat(row.dots)])
    return packed


def decode_idempotency(body: bytes) -> tuple[IdempotencyRow, int]:
    """A remembered request, and when it arrived here in milliseconds."""
    request, ms, dots = msgpack.unpackb(body)
    return IdempotencyRow(request, _dots(dots)), ms


def encode_count(namespace: str, tier: str, count: int) -> bytes:
    """The stored form of a count."""
    packed: bytes = _pack([namespace, tier, count])
    return packed


def decode_count(body: bytes) -> tuple[str, str, int]:
    """Namespace, tier, and how many visible memories are there."""
    namespace, tier, count = msgpack.unpackb(body)
    return namespace, tier, count


def count_name(namespace: str, tier: str) -> bytes:
    """What a count's key is the hash of."""
    packed: bytes = _pack([namespace, tier])
    return packed


def dot_key(dot: Dot) -> bytes:
    """The key of a pending row."""
    return dot[0] + number(dot[1])


def key_dot(key: bytes) -> Dot:
    """The dot in the key of a pending row."""
    if len(key) != ACTOR_BYTES + NUMBER_BYTES:
        raise CorruptRecord("pending", key, "its key is no dot")
    return Dot(key[:ACTOR_BYTES], int.from_bytes(key[ACTOR_BYTES:], "big"))
