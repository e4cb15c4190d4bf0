"""What a row of the table of events says.

Law: a row names its road. What is read off the log travels every road: streams, subscriptions
and hooks. What only this node knows, or what is asked before anything is in the log, is for its
hooks alone: no place in the log stands for it, so nobody could go on from it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from crdt.op import Op


class Road(Enum):
    """Which ways an event goes.

    EVERY: the stream of events, subscriptions and hooks. HOOKS: hooks of this node alone.
    """

    EVERY = "streams, subscriptions and hooks"
    HOOKS = "hooks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """An operation with what must be known beside it to name it.

    Attributes:
        op: the operation.
        kind: `memory_kind` of the record as it stands, or as the operation says.
        moves: whether it is the first half of a move, whose second ends the record elsewhere.
        ends_move: whether it is that second half, which is no event of its own.
    """

    op: Op
    kind: str = ""
    moves: bool = False
    ends_move: bool = False


Fits = Callable[[Happening], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventName:
    """One row.

    Attributes:
        name: as it is sent.
        meaning: for people.
        fits: whether an operation is this event; None for what is not read off one operation.
        also: other names under which a filter may ask for it.
        road: which ways it goes.
        asks: of what is asked before it happens: the events that may come of it.
        logged: the event of the log (`node.logs.EVENTS`) that it is told with, where it is.
    """

    name: str
    meaning: str
    fits: Fits | None = None
    also: tuple[str, ...] = ()
    road: Road = Road.EVERY
    asks: tuple[str, ...] = ()
    logged: str = ""
