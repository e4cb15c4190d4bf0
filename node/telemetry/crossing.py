"""What a node tells a peer of the traces in what it pushes: one Aside beside the bundles.

Law: a hint and nothing else. It names operations of the sender's own actors and places in
traces, both bounded in number; a node that does not trace, or does not know of this, drops it; no
state rests on it, and nothing is sent for writes that nobody traces.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgpack

from crdt.dot import SEQ_MAX, Actor, NodeId, is_actor, node_of
from node.telemetry.traceparent import TraceParent, unpacked

TOPIC: Final = "trace"
ENTRIES_MAX: Final = 256
_FIELDS: Final = 3


class Crossed(NamedTuple):
    """One traced operation.

    Attributes:
        actor: who minted it.
        seq: which of the actor's.
        parent: where in which trace the sender pushed it.
    """

    actor: Actor
    seq: int
    parent: TraceParent


def encode(entries: Sequence[Crossed]) -> bytes:
    """The bytes of an Aside; what is too much is left out."""
    rows = [[e.actor, e.seq, e.parent.packed()] for e in entries[:ENTRIES_MAX]]
    packed: bytes = msgpack.packb(rows)
    return packed


def decode(data: bytes, sender: NodeId) -> list[Crossed]:
    """What a peer said; what is malformed, or about actors of others, is left out."""
    try:
        rows = msgpack.unpackb(data, raw=False)
    except Exception:  # noqa: BLE001 - any bytes may come; a hint that cannot be read is none
        return []
    if not isinstance(rows, list):
        return []
    read = [_entry(row, sender) for row in rows[:ENTRIES_MAX]]
    return [entry for entry in read if entry is not None]


def _entry(row: object, sender: NodeId) -> Crossed | None:
    if not isinstance(row, list) or len(row) != _FIELDS:
        return None
    actor, seq, packed = row
    if not is_actor(actor):
        return None
    if type(seq) is not int or not 0 < seq <= SEQ_MAX or node_of(actor) != sender:
        return None
    parent = unpacked(packed)
    return Crossed(actor, seq, parent) if parent is not None and parent.sampled else None
