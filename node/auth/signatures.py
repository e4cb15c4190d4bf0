"""Signatures in headers: their one spelling, and the bytes they are made over.

Law: pure. A signature has exactly one spelling, so nothing about a signed request can be
changed without breaking it; Ed25519 itself is strict in libsodium (RFC 8032, section 8.4).
The bytes of the three kinds of message cannot be taken for each other: those of a push hold
a zero byte after the body, those of the others begin with a method and differ in their lines.
"""

import base64
import binascii
import hashlib
import re
from functools import lru_cache
from typing import Final

from transport.errors import PublicKeyError
from transport.identity import NodeKey, check_public_key, verify

NONCE_CHARS_MAX: Final = 128
_HEADER: Final = re.compile(r"ed25519=([A-Za-z0-9+/]{86}==)")


def header_of(signature: bytes) -> str:
    """The header text of a 64-byte signature."""
    return "ed25519=" + base64.b64encode(signature).decode()


def signature_in(header: str) -> bytes | None:
    """The 64 bytes of a signature header; None when it is not in its one spelling."""
    match = _HEADER.fullmatch(header.strip())
    if match is None:
        return None
    try:
        found = base64.b64decode(match[1], validate=True)
    except binascii.Error:
        return None
    # Base64 leaves four bits open at the end, which would be a second spelling.
    return found if base64.b64encode(found).decode() == match[1] else None


def is_nonce(text: str | None) -> bool:
    """Whether a text can be a nonce: 1 to 128 printable characters."""
    return bool(text) and len(text or "") <= NONCE_CHARS_MAX and (text or "").isprintable()


def agent_bytes(method: str, path: str, query: str, body: bytes, nonce: str) -> bytes:
    """What an agent signs for one write."""
    digest = hashlib.sha256(body).hexdigest()
    return _bytes(f"{method}\n{path}\n{query}\n{digest}\n{nonce}")


def push_bytes(body: bytes, nonce: str) -> bytes:
    """What a REST peer signs for a push."""
    return body + b"\0" + _bytes(nonce)


def get_bytes(method: str, path: str, query: str) -> bytes:
    """What a REST peer may sign for a request without a body."""
    return _bytes(f"{method}\n{path}\n{query}")


def _bytes(text: str) -> bytes:
    # As received: octets that are no UTF-8 come back as what they were.
    return text.encode(errors="surrogateescape")


def verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the holder of a public key made this signature; never under a worthless key."""
    # Keys of agents come from other members too, whom nobody obliges to have looked.
    return _sound(public) and verify(public, message, signature)


@lru_cache(maxsize=4096)
def _sound(public: bytes) -> bool:
    try:
        check_public_key(public)
    except PublicKeyError:
        return False
    return True


def sign_agent(key: NodeKey, method: str, path: str, query: str, body: bytes, nonce: str) -> str:
    """The header `x-agent-sig` of one write."""
    return header_of(key.sign(agent_bytes(method, path, query, body, nonce)))
