"""Who this process is, as the core needs to know it.

Law: everything unpredictable the core uses (new actors) and everything secret (the key behind
`sign`) comes in through here; the core itself has neither entropy nor keys.
"""

from collections.abc import Callable
from dataclasses import dataclass

from crdt.bundle import Sign
from crdt.dot import Actor, NodeId

Verify = Callable[[bytes, bytes, bytes], bool]
"""(public key, message, signature) -> whether it is genuine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Self:
    """Who this process is, and its two sources of the unpredictable.

    Attributes:
        node_id: SHA-256 of `key`.
        key: the node's Ed25519 public key, 32 bytes.
        claim: the founding place it would take: its URL, or `node:<hex id>`.
        name: what people call it.
        url: where peers reach it.
        joins: whether it must not found: others know the mesh better than its store does.
        draw_actor: a new actor for a lane, with fresh random bytes.
        sign: by the node's key.
        verify: Ed25519.
        admins: agents that its founding names as system administrators.
        ops_max: most operations in a bundle.
        bundle_bytes_max: size at which an open bundle is closed, although the disk is busy.
        taken_bytes_max: largest bundle that is taken from others; what would fit no message when it
            is passed on would be known to some members for ever and to the others never.
    """

    node_id: NodeId
    key: bytes
    claim: str
    name: str
    url: str
    draw_actor: Callable[[bytes], Actor]
    sign: Sign
    verify: Verify
    admins: tuple[str, ...] = ()
    joins: bool = False
    ops_max: int = 4096
    bundle_bytes_max: int = 2 * 2**20
    taken_bytes_max: int = 4 * 2**20 - 1024
