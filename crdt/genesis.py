"""What a store remembers about its place in the mesh.

That is the founding it stems from, and whether it has caught up once.

Law: two stores with unequal foundings never exchange a bundle.
"""

from dataclasses import dataclass

import msgpack

from crdt.governance import Genesis


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A founding, and whether this store serves reads and writes under it."""

    genesis: Genesis
    joined: bool


def encode_standing(standing: Standing) -> bytes:
    """Bytes for the store."""
    genesis = standing.genesis
    packed: bytes = msgpack.packb([genesis.cluster, list(genesis.founders), standing.joined])
    return packed


def decode_standing(data: bytes) -> Standing | None:
    """Read it back; None for a store that belongs to no mesh yet."""
    if not data:
        return None
    cluster, founders, joined = msgpack.unpackb(data, raw=False)
    return Standing(genesis=Genesis(cluster=cluster, founders=tuple(founders)), joined=joined)
