"""Causal tokens: what a session has seen, as text it can carry to another node.

Law: exact. A token names operations by actor and place; a node that covers them shows a state
that is not older. Operations that every member is known to hold are left out.
"""

from collections.abc import Iterable, Mapping

from crdt.dot import SEQ_MAX, Actor, actor_text, parse_actor

_SEPARATOR = "~"
_ENTRIES_MAX = 10_000


def encode_token(clock: Mapping[Actor, int]) -> str:
    """The text of a clock; `-` for the empty one."""
    parts = (f"{actor_text(actor)}.{seq}" for actor, seq in sorted(clock.items()))
    return _SEPARATOR.join(parts) or "-"


def decode_token(text: str) -> dict[Actor, int]:
    """The clock of a token.

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
