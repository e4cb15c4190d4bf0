"""Public keys as people and programs write them: PEM, base64 or hex.

Law: whatever the spelling, the result is 32 bytes under which a signature proves something;
a malformed or small-order key is refused here, where it is learned.
"""

import base64
import binascii
import re
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from transport.errors import PublicKeyError
from transport.identity import check_public_key

_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{43}=?")
_PEM_MARK: Final = "-----BEGIN"
_PRIVATE_MARK: Final = "PRIVATE KEY-----"
_TEXT_CHARS_MAX: Final = 4096
_EXPECTED: Final = (
    "expected an Ed25519 public key as PEM (SubjectPublicKeyInfo), or its 32 bytes in base64 or hex"
)


def parse_public_key(text: object) -> bytes:
    """The 32 bytes of a public key.

    Args:
        text: PEM (RFC 8410), base64 (RFC 4648, either alphabet) or hex of the 32 bytes.

    Raises:
        PublicKeyError: it is none of these.
        transport.errors.SmallOrderKeyError: a signature under it would prove nothing.
    """
    if not isinstance(text, str) or len(text) > _TEXT_CHARS_MAX:
        raise PublicKeyError(_EXPECTED)
    text = text.strip()
    if _PRIVATE_MARK in text:
        raise PublicKeyError(f"this is a private key, which must not leave its owner; {_EXPECTED}")
    if _PEM_MARK in text:
        public = _from_pem(text)
    elif _HEX.fullmatch(text):
        public = bytes.fromhex(text)
    elif _BASE64.fullmatch(text):
        public = _from_base64(text)
    else:
        raise PublicKeyError(_EXPECTED)
    check_public_key(public)
    return public


def _from_pem(text: str) -> bytes:
    try:
        key = serialization.load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise PublicKeyError(_EXPECTED) from error
    if not isinstance(key, Ed25519PublicKey):
        raise PublicKeyError(f"the key is not Ed25519; {_EXPECTED}")
    return key.public_bytes_raw()


def _from_base64(text: str) -> bytes:
    plain = text.translate(str.maketrans("-_", "+/")).rstrip("=") + "="
    try:
        return base64.b64decode(plain, validate=True)
    except binascii.Error as error:
        raise PublicKeyError(_EXPECTED) from error


def public_pem(public: bytes) -> bytes:
    """A public key as PEM (SubjectPublicKeyInfo, RFC 8410)."""
    return Ed25519PublicKey.from_public_bytes(public).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
