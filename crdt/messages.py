"""What two replicas say to each other on one link.

Law: any bytes give one of these values or a `MessageError`. Encoding is msgpack: a list of
the kind and the fields in order, so a message is encoded once however many peers get it.

    Hello, Ask, Full     the clocks when a link opens, old groups as hashes
    Ack                  what changed in the sender's durable clock: the only claim after Hello
    Want, Page           catch-up from one source, page by page
    Offer, Fetch, Chunk  a snapshot for a peer below the log floor
    Level, Push          the live stream of the sender's own bundles
    Behind, Gap, Skewed  the stream stops, and why
    Beat, Echo           time, digest and round trip
    Aside                what the processes around the cores have to say
    Spread               a bundle, and who else is to get it by way of the receiver
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgpack

from crdt.clock import Clock
from crdt.dot import NODE_ID_BYTES, SEQ_MAX, is_actor

_pack: Final = msgpack.Packer(use_bin_type=True, autoreset=True).pack

ENTRIES_MAX: Final = 1_000_000
GROUPS_MAX: Final = 10_000
TOPIC_CHARS_MAX: Final = 64
ASIDE_BYTES_MAX: Final = 64 * 1024


class MessageError(ValueError):
    """Bytes that are no message. `reason` is a short label for counting."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Hello:
    """The newest group of the sender's durable clock in full, older groups as hashes.

    Its wall clock too, so that a wrong one is known before anything is minted.
    """

    newest: Clock
    groups: dict[int, bytes]
    joined: bool
    now_ms: int


@dataclass(frozen=True, slots=True)
class Ask:
    """These groups differ: send them in full."""

    groups: list[int]


@dataclass(frozen=True, slots=True)
class Full:
    """The groups asked for."""

    groups: list[int]
    clock: Clock


@dataclass(frozen=True, slots=True)
class Ack:
    """Entries of the durable clock that changed, and the digest of the state at that clock."""

    clock: Clock
    digest: bytes


@dataclass(frozen=True, slots=True)
class Want:
    """Send me what lies beyond this clock. No claim: nothing may be counted from it."""

    number: int
    clock: Clock


@dataclass(frozen=True, slots=True)
class Page:
    """Bundles in a causal order, and whether they are the last."""

    number: int
    bundles: list[bytes]
    last: bool


@dataclass(frozen=True, slots=True)
class Offer:
    """The log no longer reaches back that far: here is a frozen copy to fetch."""

    number: int
    snapshot: bytes


@dataclass(frozen=True, slots=True)
class Fetch:
    """Send me the rows of the snapshot after this key; empty to begin."""

    number: int
    snapshot: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of a snapshot; `following` is where to go on, empty after the last."""

    number: int
    snapshot: bytes
    rows: bytes
    following: bytes


@dataclass(frozen=True, slots=True)
class Level:
    """I am not behind you: push me your own bundles beyond this clock. No claim."""

    clock: Clock


@dataclass(frozen=True, slots=True)
class Behind:
    """A bundle you pushed does not fit: stop until my Level."""


@dataclass(frozen=True, slots=True)
class Gap:
    """I dropped what I had queued for you: you are behind."""


@dataclass(frozen=True, slots=True)
class Push:
    """One bundle that the sender minted."""

    bundle: bytes


@dataclass(frozen=True, slots=True)
class Skewed:
    """Your actor's stamp is too far in my future; I take it again after that millisecond."""

    actor: bytes
    until_ms: int


@dataclass(frozen=True, slots=True)
class Beat:
    """I am alive; my wall clock, whether I serve, and a hash of my durable clock."""

    number: int
    now_ms: int
    joined: bool
    clock_hash: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Echo:
    """The answer to a Beat."""

    number: int


@dataclass(frozen=True, slots=True)
class Aside:
    """Something between the processes around the cores; the topic says whose it is."""

    topic: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Spread:
    """One bundle, its author's or passed on, and the duty to pass it on.

    The receiver's part is the nodes between itself and `until`, in the ring of node ids; all
    others when `until` is the receiver.
    """

    bundle: bytes
    until: bytes


Message = (
    Hello
    | Ask
    | Full
    | Ack
    | Want
    | Page
    | Offer
    | Fetch
    | Chunk
    | Level
    | Behind
    | Gap
    | Push
    | Skewed
    | Beat
    | Echo
    | Aside
    | Spread
)

_KINDS: Final[tuple[type[Any], ...]] = (
    Hello,
    Ask,
    Full,
    Ack,
    Want,
    Page,
    Offer,
    Fetch,
    Chunk,
    Level,
    Behind,
    Gap,
    Push,
    Skewed,
    Beat,
    Echo,
    Aside,
    Spread,
)
"""The position is the number on the wire: never reorder, only append."""

_NUMBER: Final = {kind: number for number, kind in enumerate(_KINDS)}


def encode(message: Message) -> bytes:
    """The bytes of a message."""
    if type(message) is Push:
        packed: bytes = _pack((_NUMBER[Push], message.bundle))
    else:
        fields = [getattr(message, name) for name in message.__slots__]
        packed = _pack([_NUMBER[type(message)], *fields])
    return packed


def decode(data: bytes) -> Message:
    """The message that these bytes are.

    Raises:
        MessageError: they are none.
    """
    try:
        row = msgpack.unpackb(data, raw=False, strict_map_key=False)
    except MemoryError:  # says nothing about the bytes
        raise
    except Exception as error:
        raise MessageError("malformed", f"not msgpack: {error}") from error
    if not isinstance(row, list) or not row:
        raise MessageError("malformed", "a message is a list that begins with its kind")
    number = row[0]
    if type(number) is not int or not 0 <= number < len(_KINDS):
        raise MessageError("unknown_kind", "no message has this kind")
    kind = _KINDS[number]
    checks = _CHECKS[kind]
    if len(row) != len(checks) + 1:
        raise MessageError("malformed", f"{kind.__name__} has {len(checks)} fields")
    for value, check in zip(row[1:], checks, strict=True):
        if not check(value):
            raise MessageError("malformed", f"a field of {kind.__name__} has the wrong shape")
    message: Message = kind(*row[1:])
    return message


def _is_clock(value: object) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= ENTRIES_MAX
        and all(is_actor(a) and type(n) is int and 0 < n <= SEQ_MAX for a, n in value.items())
    )


def _is_hashes(value: object) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= GROUPS_MAX
        and all(_is_count(g) and isinstance(h, bytes) for g, h in value.items())
    )


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= SEQ_MAX


def _is_groups(value: object) -> bool:
    return isinstance(value, list) and len(value) <= GROUPS_MAX and all(map(_is_count, value))


def _is_bytes(value: object) -> bool:
    return isinstance(value, bytes)


def _is_node(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == NODE_ID_BYTES


def _is_bundles(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(b, bytes) for b in value)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_topic(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= TOPIC_CHARS_MAX


def _is_aside(value: object) -> bool:
    return isinstance(value, bytes) and len(value) <= ASIDE_BYTES_MAX


_Check = Callable[[object], bool]

_CHECKS: Final[dict[type[Any], tuple[_Check, ...]]] = {
    Hello: (_is_clock, _is_hashes, _is_flag, _is_count),
    Ask: (_is_groups,),
    Full: (_is_groups, _is_clock),
    Ack: (_is_clock, _is_bytes),
    Want: (_is_count, _is_clock),
    Page: (_is_count, _is_bundles, _is_flag),
    Offer: (_is_count, _is_bytes),
    Fetch: (_is_count, _is_bytes, _is_bytes),
    Chunk: (_is_count, _is_bytes, _is_bytes, _is_bytes),
    Level: (_is_clock,),
    Behind: (),
    Gap: (),
    Push: (_is_bytes,),
    Skewed: (is_actor, _is_count),
    Beat: (_is_count, _is_count, _is_flag, _is_bytes, _is_bytes),
    Echo: (_is_count,),
    Aside: (_is_topic, _is_aside),
    Spread: (_is_bytes, _is_node),
}
