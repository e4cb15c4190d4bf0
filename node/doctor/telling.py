"""What members ask each other for the doctor, aside, and what they answer.

Law: a member's word is shown as its word and decides nothing. Everything has a bound; what
cannot be read says nothing. A question names nobody: each answers for itself, with how it sees
every member.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgpack

TOPIC: Final = "doctor"
_ASK: Final = 0
_TELL: Final = 1
_NUMBER_MAX: Final = 2**62
_WORD_CHARS_MAX: Final = 64
_NODE_ID_CHARS: Final = 64
_MEMBERS_MAX: Final = 100
_SETTINGS_MAX: Final = 32
_SIGHT_PARTS: Final = 5
_TOLD_PARTS: Final = 4
_pack: Final = msgpack.Packer(use_bin_type=True, autoreset=True).pack


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """How one member sees another.

    Attributes:
        state: as in GET /mesh.
        allowed: whether its certificate is on the allowlist there.
        lag_ops: operations that it has not acknowledged.
        skew_ms: its clock minus the one there.
        dial: why the last dial to it failed; empty when none did or it is linked.
    """

    state: str
    allowed: bool
    lag_ops: int
    skew_ms: int
    dial: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a member says of itself.

    Attributes:
        version: of its program.
        now_ms: its clock.
        settings: what matters between members: dotted name -> value, as text.
        sees: how it sees each member, by node id (lowercase hex).
    """

    version: str
    now_ms: int
    settings: Mapping[str, str]
    sees: Mapping[str, Sight]


def question(number: int) -> bytes:
    """How is it with you? The number comes back with the answer."""
    packed: bytes = _pack([_ASK, number])
    return packed


def answer(number: int, told: Told) -> bytes:
    """What is to be said; members beyond the bound are left out."""
    sees = [
        [node, sight.state, sight.allowed, sight.lag_ops, sight.skew_ms, sight.dial]
        for node, sight in list(told.sees.items())[:_MEMBERS_MAX]
    ]
    packed: bytes = _pack([_TELL, number, told.version, told.now_ms, dict(told.settings), sees])
    return packed


def read(data: bytes) -> tuple[int, Told | None] | None:
    """A message: the number, and what is told; None for that in a question.

    None for what this version cannot read.
    """
    try:
        row = msgpack.unpackb(data)
    except ValueError:
        return None
    if not isinstance(row, list) or len(row) < 2 or not _is_number(row[1]):  # noqa: PLR2004 - kind and number
        return None
    if row[0] == _ASK:
        return row[1], None
    told = _told(row[2:]) if row[0] == _TELL else None
    return None if told is None else (row[1], told)


def _told(parts: list[Any]) -> Told | None:
    # A newer version may say more behind what is known here.
    if len(parts) < _TOLD_PARTS:
        return None
    version, now_ms, settings, sees = parts[:_TOLD_PARTS]
    fits = _is_word(version) and _is_number(now_ms) and isinstance(settings, dict)
    if not fits or not isinstance(sees, list):
        return None
    if len(settings) > _SETTINGS_MAX or len(sees) > _MEMBERS_MAX:
        return None
    if not all(_is_word(name) and _is_word(value) for name, value in settings.items()):
        return None
    seen = [_sight(row) for row in sees]
    if None in seen:
        return None
    return Told(
        version=version,
        now_ms=now_ms,
        settings=settings,
        sees=dict(one for one in seen if one is not None),
    )


def _sight(row: object) -> tuple[str, Sight] | None:
    if not isinstance(row, list) or len(row) <= _SIGHT_PARTS:
        return None
    node, state, allowed, lag_ops, skew_ms, dial = row[: _SIGHT_PARTS + 1]
    numbers = _is_number(lag_ops) and type(skew_ms) is int and abs(skew_ms) < _NUMBER_MAX
    words = _is_word(node) and _is_word(state) and _is_word(dial)
    if not numbers or not words or type(allowed) is not bool or len(node) != _NODE_ID_CHARS:
        return None
    return node, Sight(state=state, allowed=allowed, lag_ops=lag_ops, skew_ms=skew_ms, dial=dial)


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value < _NUMBER_MAX


def _is_word(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _WORD_CHARS_MAX and value.isprintable()
