"""A member gone rogue: somebody who has a node's keys speaks in its place.

Law: the node itself does not run. Nothing about the membership changes: the impostor shows the
node's certificate, proves its key, and begins actors of its own, as every process of a node does.
It claims to hold what others show it, for a mesh of any age is too much to read in a moment.
"""

import random
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from nacl.signing import SigningKey

from chaos.hostile import wire
from chaos.hostile.link import WAIT_S, open_link
from chaos.hostile.member import Member
from chaos.hostile.websocket import ClosedError

if TYPE_CHECKING:
    from chaos.hostile.target import Target

__all__ = ["impersonate", "key_of"]


def key_of(data_dir: Path) -> SigningKey:
    """The key of the node whose data folder this is.

    Raises:
        OSError: it cannot be read. ValueError: it is no Ed25519 key.
    """
    path = data_dir / "keys" / "node.key"
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} holds a key of another kind")  # noqa: TRY004 - a bad file
    return SigningKey(key.private_bytes_raw())


async def impersonate(target: "Target", signing: SigningKey, rng: random.Random) -> Member:
    """Be the member whose key this is; what it must know of the mesh it asks the first victim.

    Args:
        target: with the node's certificate, name and address; is given the member.
        signing: the node's key.
        rng: draws the number of the process.

    Raises:
        ClosedError: nobody lets it in. ValueError: who answers is no node.
        OSError, trio.BrokenResourceError, trio.TooSlowError: nor connected.
    """
    link = await open_link(target, target.victims[0])
    try:
        with trio.move_on_after(WAIT_S) as scope:
            # A node greets without waiting to be greeted.
            (first,) = wire.messages_of(await link.socket.receive())
        if scope.cancelled_caught:
            raise ClosedError("no greeting came")
        theirs = wire.read_greeting(first, link.own, link.peer)
    finally:
        await link.close()
    member = Member(
        target,
        signing,
        theirs.cluster,
        theirs.founders,
        process=rng.randbytes(8),
        believes=True,
        ready=True,
    )
    target.member = member
    return member
