"""What members say to each other about erasures, aside.

Law: what a member says of its own disk is shown as its word and decides nothing. A message
that cannot be read says nothing.
"""

from typing import Any, Final, NamedTuple

import msgpack

TOPIC: Final = "erasure"
_ASK: Final = 0
_STATE: Final = 1
_MS_MAX: Final = 2**62
_pack: Final = msgpack.Packer(use_bin_type=True, autoreset=True).pack


class Question(NamedTuple):
    """How is it with you?

    Attributes:
        number: comes back with the answer.
        compact: whether to rewrite the file now, if that is due.
    """

    number: int
    compact: bool


class State(NamedTuple):
    """How it is with the one who says it.

    Attributes:
        number: of the question.
        log_clear: whether its log holds nothing of what is erased.
        rewritten: whether its file was rewritten since.
        rewritten_ms: when its file was last rewritten; 0 for never.
    """

    number: int
    log_clear: bool
    rewritten: bool
    rewritten_ms: int


def encode(message: Question | State) -> bytes:
    """The bytes of a message."""
    kind = _ASK if isinstance(message, Question) else _STATE
    packed: bytes = _pack([kind, *message])
    return packed


def decode(data: bytes) -> Question | State | None:
    """A message; None when it is none that this version knows."""
    try:
        row = msgpack.unpackb(data)
    except ValueError:
        return None
    if not isinstance(row, list) or not row:
        return None
    kind, parts = row[0], row[1:]
    if kind == _ASK and _fits(parts, int, bool):
        return Question(*parts)
    if kind == _STATE and _fits(parts, int, bool, bool, int):
        return State(*parts)
    return None


def _fits(parts: list[Any], *kinds: type[int]) -> bool:
    return len(parts) == len(kinds) and all(
        type(part) is kind and (kind is bool or 0 <= part < _MS_MAX)
        for part, kind in zip(parts, kinds, strict=True)
    )
