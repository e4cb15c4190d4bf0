"""Actors and dots: who minted an operation, and which one it was.

Law: a dot names one operation for ever. An actor is one process of one node in one lane; it
is never reused, so a restored backup, a clone or a crash cannot name two writes alike
(Almeida et al., "Scalable and Accurate Causality Tracking for Eventually Consistent
Stores", 2014, call the pair a dot).

An actor is 45 bytes: lane (1), birth (4 bytes start second, big endian, then 8 random
bytes), node id (32). Its text is the base64url of those bytes, 60 characters.
"""

import base64
import binascii
from typing import Final, NamedTuple

Actor = bytes
"""45 bytes: lane, birth, node id."""

NodeId = bytes
"""32 bytes: SHA-256 of the node's Ed25519 public key."""

GOVERNANCE: Final = b"g"
DATA: Final = b"d"
PRIVATE: Final = b"p"
LANES: Final = (GOVERNANCE, DATA, PRIVATE)

ACTOR_BYTES: Final = 45
NODE_ID_BYTES: Final = 32
ENTROPY_BYTES: Final = 8
SEQ_MAX: Final = 2**53 - 1
"""Largest sequence number: exact in every JSON reader."""

_BIRTH = slice(1, 5)
_NODE = slice(13, 45)
_SECONDS_PER_GROUP: Final = 30 * 86_400


class Dot(NamedTuple):
    """One operation: its actor and its place (1, 2, 3 ...) in that actor's line."""

    actor: Actor
    seq: int


def new_actor(lane: bytes, second: int, entropy: bytes, node_id: NodeId) -> Actor:
    """Name a new process of a node in a lane.

    Args:
        lane: one of `LANES`.
        second: start of the process, seconds since the epoch.
        entropy: 8 random bytes, drawn for this actor alone.
        node_id: 32 bytes.

    Raises:
        ValueError: a part has the wrong size.
    """
    if lane not in LANES or len(entropy) != ENTROPY_BYTES or len(node_id) != NODE_ID_BYTES:
        raise ValueError("an actor takes a known lane, 8 random bytes and a 32-byte node id")
    return lane + (second & 0xFFFFFFFF).to_bytes(4, "big") + entropy + node_id


def lane_of(actor: Actor) -> bytes:
    """The lane byte of an actor."""
    return actor[:1]


def node_of(actor: Actor) -> NodeId:
    """The node id inside an actor."""
    return actor[_NODE]


def group_of(actor: Actor) -> int:
    """The thirty-day group in which the actor was born; clocks are compared group by group."""
    return int.from_bytes(actor[_BIRTH], "big") // _SECONDS_PER_GROUP


def is_actor(value: object) -> bool:
    """Whether bytes have the shape of an actor."""
    return isinstance(value, bytes) and len(value) == ACTOR_BYTES and value[:1] in LANES


def actor_text(actor: Actor) -> str:
    """The printable form: 60 characters of base64url."""
    return base64.urlsafe_b64encode(actor).decode("ascii")


def parse_actor(text: str) -> Actor:
    """Read the printable form back.

    Raises:
        ValueError: not the text of an actor.
    """
    try:
        actor = base64.urlsafe_b64decode(text.encode("ascii"))
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError(f"not an actor: {text[:80]!r}") from error
    if not is_actor(actor) or actor_text(actor) != text:
        raise ValueError(f"not an actor: {text[:80]!r}")
    return actor


def dot_text(dot: Dot) -> str:
    """The printable form `<actor>:<seq>`."""
    return f"{actor_text(dot.actor)}:{dot.seq}"


def parse_dot(text: str) -> Dot:
    """Read `<actor>:<seq>` back.

    Raises:
        ValueError: not the text of a dot.
    """
    actor, _, seq = text.rpartition(":")
    if not seq.isascii() or not seq.isdigit() or not 1 <= int(seq) <= SEQ_MAX:
        raise ValueError(f"not a dot: {text[:100]!r}")
    return Dot(parse_actor(actor), int(seq))
