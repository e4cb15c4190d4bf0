"""Checksums of stored values, and the order-free digest of a whole state.

Law: the digest is the sum, modulo 2**128, of the checksums of all stored values, so it moves
in constant time with every change and does not depend on the order of changes (Bellare and
Micciancio, "A New Paradigm for Collision-Free Hashing", 1997: AdHash). It is a self-check
between honest nodes, not a proof against forgers; signatures are that.
"""

import hashlib
from typing import Final

CHECKSUM_BYTES: Final = 16
_MASK: Final = 2**128 - 1


def checksum(key: bytes, value: bytes) -> bytes:
    """16 bytes over key and value; the length of the key keeps the two apart."""
    return hashlib.blake2b(b"%d:%b%b" % (len(key), key, value), digest_size=CHECKSUM_BYTES).digest()


def weight(key: bytes, value: bytes | None) -> int:
    """What one stored value adds to the digest; nothing when there is no value."""
    return 0 if value is None else int.from_bytes(checksum(key, value), "big")


def move(digest: int, before: int, after: int) -> int:
    """The digest after a value of weight `before` became one of weight `after`."""
    return (digest - before + after) & _MASK


def digest_text(digest: int) -> str:
    """32 hexadecimal digits."""
    return f"{digest:032x}"
