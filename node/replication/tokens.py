"""Causal tokens: what a session has seen, as text it can carry to another node.

Law: exact. A token is a set of marks; a node that has reached each of them shows a state that is
not older. Operations that every member is known to hold are left out. A token of few actors
names each in full. One of many is short: an actor by 17 bytes, and all that a node's processes
did before one of them by one hash, so its length depends on the number of nodes, not on how
often they were started. Whoever cannot tell what a hash stands for has not reached it.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from crdt.dot import ACTOR_BYTES, LANES, SEQ_MAX, Actor, actor_text, parse_actor

Marks = dict[bytes, int]
"""What was seen. An actor (45 bytes) or its short name (17 bytes) with a sequence number; or
a short name and the hash of all that came before it (33 bytes), with 1."""

NAME_BYTES: Final = 17
HASH_BYTES: Final = 16
OLDER_BYTES: Final = NAME_BYTES + HASH_BYTES
PLAIN_ACTORS_MAX: Final = 32
"""A token of so many names them in full, as every version can read it: at most 2,500 chars."""
SHORT_BYTES_MAX: Final = 3_000
"""How much of a short token a node fills; more only when it has to name so many nodes."""

_SEPARATOR: Final = "~"
_SHORT: Final = "2."
_ENTRIES_MAX: Final = 10_000
_HOME_BYTES: Final = 9
_ENTROPY_BYTES: Final = NAME_BYTES - _HOME_BYTES
_SEVEN: Final = 0x7F
_MORE: Final = 0x80
_NUMBER_BITS_MAX: Final = 56


def home_of(actor: Actor) -> bytes:
    """Lane and the beginning of the node id: the first 9 bytes of an actor's short name."""
    return actor[:1] + actor[13:21]


def name_of(actor: Actor) -> bytes:
    """The short name: lane, beginning of the node id, the 8 random bytes of the birth.

    Only a node itself could make two of its actors alike in it; then both are meant.
    """
    return home_of(actor) + actor[5:13]


# --- full form ------------------------------------------------------------------------


def encode_token(clock: Mapping[Actor, int]) -> str:
    """The full text of a clock; `-` for the empty one."""
    parts = (f"{actor_text(actor)}.{seq}" for actor, seq in sorted(clock.items()))
    return _SEPARATOR.join(parts) or "-"


def decode_token(text: str) -> dict[Actor, int]:
    """The clock of a full token.

    Raises:
        ValueError: the text is no token.
    """
    out: dict[Actor, int] = {}
    if text == "-":
        return out
    parts = text.split(_SEPARATOR)
    if len(parts) > _ENTRIES_MAX:
        raise ValueError("not a causal token: too many parts")
    for part in parts:
        actor, _, seq = part.rpartition(".")
        if not (seq.isascii() and seq.isdigit()) or not 1 <= int(seq) <= SEQ_MAX:
            raise ValueError(f"not a causal token: {part[:80]!r}")
        out[parse_actor(actor)] = int(seq)
    return out


def unsettled(clock: Mapping[Actor, int], rows: Iterable[Mapping[Actor, int]]) -> dict[Actor, int]:
    """The part of a clock that not every row covers."""
    held = list(rows)
    if not held:
        return dict(clock)
    return {
        actor: seq for actor, seq in clock.items() if any(row.get(actor, 0) < seq for row in held)
    }


# --- both forms -----------------------------------------------------------------------


def fits_plain(count: int) -> bool:
    """Whether a token of so many actors may name them in full."""
    return count <= PLAIN_ACTORS_MAX


def encode_marks(marks: Mapping[bytes, int]) -> str:
    """The text of marks: in full when these are few actors, else short."""
    if fits_plain(len(marks)) and all(len(mark) == ACTOR_BYTES for mark in marks):
        return encode_token(marks)
    entries: Marks = {}
    older: set[bytes] = set()
    for mark, seq in marks.items():
        if len(mark) == OLDER_BYTES:
            older.add(mark)
            continue
        name = name_of(mark) if len(mark) == ACTOR_BYTES else mark
        entries[name] = max(seq, entries.get(name, 0))
    data = b"".join(_sections(entries, older))
    return _SHORT + base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def decode_marks(text: str) -> Marks:
    """The marks of a token of either form.

    Raises:
        ValueError: the text is no token.
    """
    if not text.startswith(_SHORT):
        return decode_token(text)
    try:
        body = text[len(_SHORT) :].encode("ascii")
        data = base64.b64decode(body + b"=" * (-len(body) % 4), altchars=b"-_", validate=True)
        marks = dict(_read_sections(data))
    except (binascii.Error, UnicodeEncodeError, IndexError) as error:
        raise ValueError(f"not a causal token: {text[:80]!r}") from error
    if encode_marks(marks) != text:
        raise ValueError(f"not a causal token: {text[:80]!r}")
    return marks


def split_marks(marks: Mapping[bytes, int], chars_max: int) -> list[str]:
    """Tokens that say together what these marks say, each at most so long."""
    text = encode_marks(marks)
    if len(text) <= chars_max or len(marks) <= 1:
        return [text]
    items = sorted(marks.items())
    half = len(items) // 2
    first, rest = dict(items[:half]), dict(items[half:])
    return [*split_marks(first, chars_max), *split_marks(rest, chars_max)]


# --- the bytes of the short form ------------------------------------------------------


def _sections(entries: Mapping[bytes, int], older: Iterable[bytes]) -> Iterator[bytes]:
    """For each node: home, two counts, names with numbers, names with hashes."""
    homes: dict[bytes, tuple[list[bytes], list[bytes]]] = {}
    for name, seq in sorted(entries.items()):
        newest, _ = homes.setdefault(name[:_HOME_BYTES], ([], []))
        newest.append(name[_HOME_BYTES:] + _number(seq))
    for mark in sorted(older):
        _, before = homes.setdefault(mark[:_HOME_BYTES], ([], []))
        before.append(mark[_HOME_BYTES:])
    for home, (newest, before) in sorted(homes.items()):
        yield b"".join((home, _number(len(newest)), _number(len(before)), *newest, *before))


def _read_sections(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Marks, as they stand in the bytes of a short token.

    Raises:
        IndexError: it ends too early.
        ValueError: it says what no token says.
    """
    at = 0
    while at < len(data):
        home, at = _cut(data, at, _HOME_BYTES)
        if home[:1] not in LANES:
            raise ValueError("not a causal token: an unknown lane")
        newest, at = _read_number(data, at)
        before, at = _read_number(data, at)
        for _ in range(newest):
            rest, at = _cut(data, at, _ENTROPY_BYTES)
            seq, at = _read_number(data, at)
            if not 1 <= seq <= SEQ_MAX:
                raise ValueError("not a causal token: no sequence number")
            yield home + rest, seq
        for _ in range(before):
            rest, at = _cut(data, at, _ENTROPY_BYTES + HASH_BYTES)
            yield home + rest, 1


def _cut(data: bytes, at: int, length: int) -> tuple[bytes, int]:
    if at + length > len(data):
        raise IndexError(at)
    return data[at : at + length], at + length


def _number(value: int) -> bytes:
    """Seven bits a byte, the low ones first."""
    out = bytearray()
    while value > _SEVEN:
        out.append(value & _SEVEN | _MORE)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & _SEVEN) << shift
        if byte <= _SEVEN:
            return value, at
        shift += 7
        if shift > _NUMBER_BITS_MAX:
            raise ValueError("not a causal token: a number without an end")
