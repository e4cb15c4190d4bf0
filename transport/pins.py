"""Pins: the two forms in which an allowlist names whom it knows.

Law: pure. A certificate is named by the SHA-256 of its DER form, 64 lowercase hex digits; a key by
`spki:` and the SHA-256 of its SubjectPublicKeyInfo (RFC 7469 section 2.4), so that a renewed
certificate of the same key is known already. A pin has one spelling in here, whatever was written.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Set as AbstractSet

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from transport.errors import AllowlistError, CertificateError

__all__ = ["KEY", "admits", "is_key_pin", "is_pin", "key_pin", "normalise"]

KEY = "spki:"
"""What the pin of a key begins with."""

_CERTIFICATE = re.compile(r"(?:sha256:)?((?:[0-9a-f]{2}:?){31}[0-9a-f]{2})", re.IGNORECASE)
_HEX = re.compile(r"(?:[0-9a-f]{2}:?){31}[0-9a-f]{2}", re.IGNORECASE)
_DIGEST_BYTES = 32
_PIN = re.compile(r"(?:spki:)?[0-9a-f]{64}")
_EXPECTED = (
    "expected 64 hex digits of a SHA-256 certificate fingerprint, with or without ':' between "
    "bytes and with or without 'sha256:' in front; or 'spki:' and the SHA-256 of a public key, in "
    "hex or base64. `mnemesh node certificate` prints both"
)


def key_pin(der: bytes) -> str:
    """The pin of the key that a DER certificate holds.

    Raises:
        CertificateError: the bytes are no certificate, or its key is of no kind that is known.
    """
    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError("these bytes are no X.509 certificate") from error
    spki = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return KEY + hashlib.sha256(spki).hexdigest()


def is_key_pin(pin: str) -> bool:
    """Whether a pin, in its one spelling, names a key."""
    return pin.startswith(KEY)


def is_pin(text: object) -> bool:
    """Whether this is a pin in its one spelling."""
    return isinstance(text, str) and _PIN.fullmatch(text) is not None


def admits(pins: AbstractSet[str], der: bytes) -> bool:
    """Whether pins name a certificate, or the key in it."""
    if hashlib.sha256(der).hexdigest() in pins:
        return True
    if not any(map(is_key_pin, pins)):
        return False
    try:
        return key_pin(der) in pins
    except CertificateError:
        return False


def normalise(text: str) -> str:
    """Return a pin in its one spelling.

    Raises:
        AllowlistError: the text is no pin.
    """
    text = text.strip()
    pin = _key(text[len(KEY) :]) if text[: len(KEY)].lower() == KEY else _certificate(text)
    if pin is None:
        raise AllowlistError(f"{text[:80]!r} is no fingerprint: {_EXPECTED}")
    return pin


def _certificate(text: str) -> str | None:
    match = _CERTIFICATE.fullmatch(text)
    return match[1].replace(":", "").lower() if match is not None else None


def _key(text: str) -> str | None:
    if _HEX.fullmatch(text):
        return KEY + text.replace(":", "").lower()
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return KEY + digest.hex() if len(digest) == _DIGEST_BYTES else None
