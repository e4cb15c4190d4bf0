"""Signing what a command asks, for an agent whose key is on this machine.

Law: a signature is made only after the node has said that the agent's name needs one, and
only with a key that `mnemesh identity` keeps for that very agent in the node's key folder.
"""

import os
from pathlib import Path
from typing import Final

from node.auth.door import NONCE, SIGNATURE
from node.auth.identities import FOLDER, Identities
from node.auth.signatures import sign_agent

_NONCE_BYTES: Final = 16


def signature_headers(
    key_dir: Path, agent: str, method: str, address: str, body: bytes
) -> dict[str, str] | None:
    """The headers that prove the agent; None when its private key is not here.

    Args:
        key_dir: of the node.
        agent: in whose name the request is.
        method: of the request.
        address: path and query, exactly as sent.
        body: exactly as sent.

    Raises:
        node.errors.UsageError: the name has not the shape of one.
        transport.errors.TransportError: the key cannot be read, or others could.
    """
    held = Identities(key_dir / FOLDER)
    if not held.private_path(agent).exists():
        return None
    nonce = os.urandom(_NONCE_BYTES).hex()
    path, _, query = address.partition("?")
    signature = sign_agent(held.key_of(agent), method, path, query, body, nonce)
    return {SIGNATURE: signature, NONCE: nonce}
