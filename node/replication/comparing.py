"""What two members say to each other about the rows of a snapshot.

Law: any bytes give one of these values or None, and nothing that comes here is larger than an
Aside. A question carries a number of its inquiry and its own place in it, and so does the answer.

    question   [number, place, "clock", part, parts, {actor: seq}]
               [number, place, "range", kind, after, upto, sum]
               [number, place, "keys", [key, ...]]
    answer     [number, place, "heard"]              at once: whoever never says it is of a release
               [number, place, "open", fits]         that knows nothing of this
               [number, place, "range", same, reached, [key, weight, marks, ...]]
               [number, place, "keys", [key, weight, marks, ...]]

A range holds the rows above `after` up to and with `upto` (empty for all that follow). `reached` is
how far the rows of the answer go; from there it is asked on.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgpack

from crdt.clock import Clock
from crdt.dot import SEQ_MAX, Actor, is_actor
from node.store.roster import KINDS, Said

ASK_TOPIC: Final = "snapshot-ask"
SAY_TOPIC: Final = "snapshot-say"
PART_ENTRIES: Final = 1_000
PARTS_MAX: Final = 256
BUDGET_BYTES: Final = 48 * 1024
_ROW_BYTES: Final = 32
_KEY_BYTES_MAX: Final = 511
_TRIPLE: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockPart:
    """A part of the clock of the snapshot that is asked about."""

    number: int
    place: int
    part: int
    parts: int
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Do your rows between these keys have this sum?"""

    number: int
    place: int
    kind: bytes
    after: bytes
    upto: bytes
    sum: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What do you have under these record keys?"""

    number: int
    place: int
    keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The witness knows what it is asked, and looks."""

    number: int
    place: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Whether the witness can compare with that clock."""

    number: int
    place: int
    fits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The same, or what is there instead, as far as `reached`."""

    number: int
    place: int
    same: bool
    reached: bytes
    rows: tuple[Said, ...]


Question = ClockPart | Range | Keys
Answer = Heard | Opened | Rows


def clock_parts(number: int, clock: Mapping[Actor, int]) -> Iterator[ClockPart]:
    """A clock in parts that fit into an Aside each; at least one."""
    entries = sorted(clock.items())
    cuts = range(0, max(len(entries), 1), PART_ENTRIES)
    for part, at in enumerate(cuts):
        some = dict(entries[at : at + PART_ENTRIES])
        yield ClockPart(number=number, place=0, part=part, parts=len(cuts), clock=some)


def fitting(rows: Iterable[Said]) -> Iterator[Said]:
    """As many rows as an answer may hold; at least one."""
    size = 0
    for row in rows:
        size += len(row.key) + _ROW_BYTES
        if size > BUDGET_BYTES and size > len(row.key) + _ROW_BYTES:
            return
        yield row


def encode(said: Question | Answer) -> bytes:
    """Bytes for an Aside."""
    head: list[Any] = [said.number, said.place]
    match said:
        case ClockPart():
            head += ["clock", said.part, said.parts, said.clock]
        case Range():
            head += ["range", said.kind, said.after, said.upto, said.sum]
        case Keys():
            head += ["keys", list(said.keys)]
        case Heard():
            head.append("heard")
        case Opened():
            head += ["open", said.fits]
        case Rows():
            flat = [part for row in said.rows for part in row]
            head += ["rows", said.same, said.reached, flat]
    packed: bytes = msgpack.packb(head)
    return packed


def decode_question(data: bytes) -> Question | None:
    """A question as it came; None for anything else."""
    match _list(data):
        case [int(number), int(place), "clock", int(part), int(parts), dict(clock)]:
            whole = 0 <= part < parts <= PARTS_MAX and len(clock) <= PART_ENTRIES
            if whole and all(_is_entry(actor, seq) for actor, seq in clock.items()):
                return ClockPart(number=number, place=place, part=part, parts=parts, clock=clock)
        case [
            int(number),
            int(place),
            "range",
            bytes(kind),
            bytes(after),
            bytes(upto),
            bytes(sums),
        ]:
            if kind in KINDS and _is_key(after) and _is_key(upto):
                return Range(
                    number=number, place=place, kind=kind, after=after, upto=upto, sum=sums
                )
        case [int(number), int(place), "keys", list(keys)]:
            if all(isinstance(key, bytes) and key and _is_key(key) for key in keys):
                return Keys(number=number, place=place, keys=tuple(keys))
    return None


def decode_answer(data: bytes) -> Answer | None:
    """An answer as it came; None for anything else."""
    match _list(data):
        case [int(number), int(place), "heard"]:
            return Heard(number=number, place=place)
        case [int(number), int(place), "open", bool(fits)]:
            return Opened(number=number, place=place, fits=fits)
        case [int(number), int(place), "rows", bool(same), bytes(reached), list(flat)]:
            if len(flat) % _TRIPLE == 0 and _is_key(reached):
                rows = tuple(Said(*flat[at : at + _TRIPLE]) for at in range(0, len(flat), _TRIPLE))
                if all(_is_said(row) for row in rows):
                    return Rows(number=number, place=place, same=same, reached=reached, rows=rows)
    return None


def _list(data: bytes) -> object:
    try:
        return msgpack.unpackb(data, strict_map_key=False)
    except Exception:  # noqa: BLE001 - whatever it is, it is no word of this kind
        return None


def _is_entry(actor: object, seq: object) -> bool:
    return is_actor(actor) and type(seq) is int and 0 < seq <= SEQ_MAX


def _is_key(key: bytes) -> bool:
    return len(key) <= _KEY_BYTES_MAX


def _is_said(row: Said) -> bool:
    parts: tuple[object, object, object] = row
    return all(isinstance(part, bytes) for part in parts[:2]) and type(parts[2]) is int
