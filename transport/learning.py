"""Learning an allowed certificate inside the very handshake that presents it.

Law: a certificate becomes trusted here only if it, or its key, was on the allowlist before it came,
and only for the context at hand; whether its holder has the key is still for TLS to find out. One
that is known by its key alone and is not signed by that key can be made by whoever has seen the
key: of those a context takes a few, and nobody is told before the handshake has proven them.

An operator passes fingerprints on, not files. OpenSSL, however, wants the certificate itself in
its trust store, and the `ssl` module offers no verification callback. It does offer the message
callback (RFC 8446 section 4.4.2, `Certificate`), which runs after the message was read and before
it is judged. Where a Python lacks that hook, nothing is learned here and an unknown certificate
fails its handshake: the peer then has to introduce itself, or be dialled, first.
"""

import ssl
from collections.abc import Callable

from transport.certificate import check_pin, fingerprint, signed_by_itself
from transport.errors import CertificateError
from transport.pins import admits

__all__ = ["DOUBTFUL_MAX", "can_learn", "leaf_of", "learn_in_handshake"]

DOUBTFUL_MAX = 256
"""Certificates of an allowed key that somebody else signed which a context trusts for their
handshake; the contexts are made anew whenever the list or what is known of it changes."""

_CONTENT_HANDSHAKE = 22
_MESSAGE_CERTIFICATE = 11
_MESSAGE_HEADER_BYTES = 4
_LENGTH_BYTES = 3

# The descriptor of the C base class: the one `ssl` puts over it builds four enums per record.
_hook = getattr(ssl.SSLContext.__base__, "_msg_callback", None)


def can_learn() -> bool:
    """Tell whether this Python has the hook."""
    return _hook is not None


def leaf_of(message: bytes) -> bytes | None:
    """Return the DER of the first certificate of a TLS 1.3 `Certificate` message, if it has one."""
    position = _MESSAGE_HEADER_BYTES
    if len(message) <= position:
        return None
    # A request context, the length of the list, the length of the first certificate.
    start = position + 1 + message[position] + _LENGTH_BYTES + _LENGTH_BYTES
    length = int.from_bytes(message[start - _LENGTH_BYTES : start])
    leaf = message[start : start + length]
    return leaf if length and len(leaf) == length else None


def learn_in_handshake(
    context: ssl.SSLContext,
    unlearned: frozenset[str],
    on_certificate: Callable[[bytes], None],
) -> bool:
    """Let `context` trust certificates whose fingerprint is in `unlearned` when they come.

    Args:
        context: of a server; its trust store grows by what is allowed and nothing else.
        unlearned: pins of certificates that are not in the store yet, and of allowed keys.
        on_certificate: told the DER of each that is sure to be its owner's, every time it comes; of
            the others the listener tells after the handshake. Must not raise.

    Returns:
        Whether this Python can do it.
    """
    if _hook is None:
        return False

    doubtful: set[str] = set()

    def on_message(  # the interpreter's own signature
        _connection: object,
        direction: str,
        _version: int,
        content_type: int,
        message_type: int,
        data: bytes,
    ) -> None:
        if (
            message_type != _MESSAGE_CERTIFICATE
            or content_type != _CONTENT_HANDSHAKE
            or direction != "read"
        ):
            return
        leaf = leaf_of(data)
        if leaf is None or not admits(unlearned, leaf):
            return
        # Where only its key is allowed, anybody may have put that into it.
        owned = fingerprint(leaf) in unlearned or signed_by_itself(leaf)
        if not owned and len(doubtful) >= DOUBTFUL_MAX:
            return
        try:
            check_pin(leaf)
            context.load_verify_locations(cadata=leaf)
        except (CertificateError, ssl.SSLError):
            return  # the handshake goes on and fails, as for any unknown certificate
        if owned:
            on_certificate(leaf)
        else:
            doubtful.add(fingerprint(leaf))

    _hook.__set__(context, on_message)
    return True
