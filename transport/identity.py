"""Who a node is: an Ed25519 key pair and the id derived from it.

Law: the secret half never leaves this object except into its own 0600 file; an id is the SHA-256
of the public key, so it cannot be chosen; a signature is checked only under keys that passed
`check_public_key`. Signatures are pure Ed25519 (RFC 8032), keys on disk are PKCS#8 (RFC 8410).
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl import bindings
from nacl.exceptions import CryptoError

from transport.errors import KeyFileError, PublicKeyError, SmallOrderKeyError
from transport.secret_files import read_secret, write_secret

__all__ = ["NodeKey", "check_public_key", "node_id_of", "verify"]

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
_SEED_BYTES = 32

# Bound once: verification runs for every bundle that arrives.
_open = bindings.crypto_sign_open
_sign = bindings.crypto_sign


def node_id_of(public: bytes) -> bytes:
    """Return the 32-byte node id of a public key: its SHA-256."""
    return hashlib.sha256(public).digest()


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether `signature` (64 bytes) over `message` is by the holder of `public` (32 bytes).

    Any input gives an answer, never an exception. Keys taken from elsewhere must have passed
    `check_public_key` once, when they were learned.
    """
    # libsodium is told lengths only for the message, so the other two are checked here.
    if len(signature) != SIGNATURE_BYTES or len(public) != PUBLIC_KEY_BYTES:
        return False
    try:
        _open(signature + message, public)
    except CryptoError:
        return False
    return True


def check_public_key(public: bytes) -> None:
    """Refuse keys under which a signature proves nothing.

    Small-order points verify signatures that nobody made, and points with a small-order part let
    implementations disagree (Chalkias, Garillot, Nikolaenko: Taming the many EdDSAs, 2020).

    Raises:
        PublicKeyError: not 32 bytes.
        SmallOrderKeyError: not a canonical point of the prime-order group.
    """
    if len(public) != PUBLIC_KEY_BYTES:
        raise PublicKeyError(
            f"an Ed25519 public key has {PUBLIC_KEY_BYTES} bytes, this one has {len(public)}"
        )
    if not bindings.crypto_core_ed25519_is_valid_point(public):
        raise SmallOrderKeyError(
            f"the public key {public.hex()} is not a point of the prime-order group, so a "
            "signature under it proves nothing: the other side must make a new key"
        )


class NodeKey:
    """The signing key of one node.

    Attributes:
        public: 32-byte Ed25519 public key.
        node_id: 32-byte SHA-256 of `public`.
    """

    __slots__ = ("_secret", "_seed", "node_id", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != _SEED_BYTES:
            raise KeyFileError(f"an Ed25519 seed has {_SEED_BYTES} bytes, this one has {len(seed)}")
        self._seed = seed
        self.public, self._secret = bindings.crypto_sign_seed_keypair(seed)
        self.node_id = node_id_of(self.public)

    @classmethod
    def generate(cls, entropy: Callable[[int], bytes]) -> Self:
        """Make a key from 32 bytes of `entropy`."""
        return cls(entropy(_SEED_BYTES))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a key from a PKCS#8 PEM file.

        Raises:
            KeyFileError: missing, unreadable, or not an unencrypted Ed25519 key.
            LooseModeError: other users can reach the file.
        """
        pem = read_secret(path)
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError) as error:
            raise KeyFileError(
                f"{path} holds no unencrypted PKCS#8 private key: restore it from a backup, or "
                "make a new identity with `mnemesh init --force`"
            ) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyFileError(f"{path} holds a key that is not Ed25519; a node key must be")
        return cls(key.private_bytes_raw())

    def save(self, path: Path, *, force: bool = False) -> None:
        """Write the key with mode 0600, never over an existing file unless `force`.

        Raises:
            KeyFileError: the file exists or cannot be written.
        """
        pem = Ed25519PrivateKey.from_private_bytes(self._seed).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_secret(path, pem, force=force)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over `message`."""
        return _sign(message, self._secret)[:SIGNATURE_BYTES]

    def __repr__(self) -> str:
        return f"NodeKey({self.node_id.hex()})"
