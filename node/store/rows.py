"""The stored forms of everything but records.

Law: reading gives back what was written, or a typed error; nothing here knows a transaction.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
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
_DATA_AT: Final = CHECKSUM_BYTES + _PLACE.size + _CHECK_BYTES
_LINK_BYTES: Final = NAME_BYTES + NUMBER_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
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
    place = _PLACE.pack(position, arrival)
    return place + crc32(key, crc32(place)).to_bytes(_CHECK_BYTES, "big")


def decode_place(table: str, key: bytes, value: bytes) -> Place:
    """A place as stored.

    Raises:
        CorruptRecord: it is not what was written.
    """
    place, check = value[: _PLACE.size], value[_PLACE.size :]
    if check != crc32(key, crc32(place)).to_bytes(_CHECK_BYTES, "big"):
        raise CorruptRecord(table, key, "its place is damaged")
    return Place(*_PLACE.unpack(place))


def encode_record(key: bytes, weight: int, data: bytes, place: Place) -> bytes:
    """The stored form of a record: its weight is the checksum of key and data."""
    weighed = weight.to_bytes(CHECKSUM_BYTES, "big")
    return b"%b%b%b" % (weighed, encode_place(key, *place), data)


def decode_record(key: bytes, value: bytes) -> bytes:
    """The canonical bytes of a stored record, verified.

    Raises:
        CorruptRecord: they are not what was written.
    """
    data = value[_DATA_AT:]
    if checksum(key, data) != value[:CHECKSUM_BYTES]:
        raise CorruptRecord("records", key)
    return data


def record_place(key: bytes, value: bytes) -> Place:
    """The place in the stored form of a record.

    Raises:
        CorruptRecord: it is not what was written.
    """
    return decode_place("records", key, value[CHECKSUM_BYTES:_DATA_AT])


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
