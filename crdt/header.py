"""Whose bundle is this? Read from its first bytes.

Law: a hint and never a judgement. It serves to drop what has been applied already without
decoding it; whatever is applied goes through the strict decoder first (see `crdt.bundle`).
"""

from typing import Final, NamedTuple

from crdt.dot import ACTOR_BYTES, Actor

# A list of seven, format 1, and a byte string as long as an actor.
_BEGINNING: Final = bytes((0x97, 0x01, 0xC4, ACTOR_BYTES))
_ACTOR: Final = slice(len(_BEGINNING), len(_BEGINNING) + ACTOR_BYTES)
_WIDTHS: Final = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_FIXED_MAX: Final = 0x7F


class Header(NamedTuple):
    """What a bundle says of itself."""

    actor: Actor
    first: int
    last: int


def peek(data: bytes) -> Header | None:
    """The actor and the place of a bundle; None when it does not begin like one."""
    if not data.startswith(_BEGINNING):
        return None
    try:
        first, at = _number(data, _ACTOR.stop)
        count, _ = _number(data, at)
    except (IndexError, KeyError):
        return None
    return Header(data[_ACTOR], first, first + count - 1)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned number as msgpack writes it, and where the next value begins."""
    tag = data[at]
    if tag <= _FIXED_MAX:
        return tag, at + 1
    end = at + 1 + _WIDTHS[tag]
    if end > len(data):
        raise IndexError
    return int.from_bytes(data[at + 1 : end], "big"), end
