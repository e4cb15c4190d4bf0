"""TLS to a server that is known by the SHA-256 of its certificate, and by nothing else.

Law: the comparison is part of the handshake. Whoever uses the context, in a thread or on a
loop, gets no connection to write into unless the certificate is the pinned one; so neither a
key nor a memory can reach a stranger, and no CA has to be asked.
"""

import hashlib
import hmac
import ssl

# ruff: noqa: FBT001, FBT002 -- `block` is how the standard library calls it


class PinMismatch(ssl.SSLCertVerificationError):
    """Another certificate than the pinned one was shown."""


def _check(connection: ssl.SSLSocket | ssl.SSLObject) -> None:
    context = connection.context
    if not isinstance(context, PinnedContext):  # it was replaced in mid-connection
        raise PinMismatch("this connection has lost its pin")
    shown = connection.getpeercert(binary_form=True) or b""
    digest = hashlib.sha256(shown).hexdigest()
    if not hmac.compare_digest(digest, context.pin):
        raise PinMismatch(
            f"the server's certificate is {digest}, the pinned one is {context.pin}: nothing "
            "was sent; compare it with what `mnemesh node fingerprint` prints there"
        )


class _PinnedSocket(ssl.SSLSocket):
    def do_handshake(self, block: bool = False) -> None:
        super().do_handshake(block)
        _check(self)


class _PinnedObject(ssl.SSLObject):
    def do_handshake(self) -> None:
        super().do_handshake()
        _check(self)


class PinnedContext(ssl.SSLContext):
    """A client context that accepts one certificate; make it with `pinned_context`."""

    pin = ""
    # Documented by the ssl module for exactly this: what a context wraps connections in.
    sslsocket_class = _PinnedSocket
    sslobject_class = _PinnedObject


def pinned_context(pin: str) -> PinnedContext:
    """A context for one certificate.

    Args:
        pin: SHA-256 of the certificate (DER), 64 lowercase hexadecimal digits.
    """
    context = PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # The pin replaces chain and name: it accepts exactly one certificate.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.pin = pin
    return context
