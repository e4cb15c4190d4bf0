"""TLS contexts: version 1.3, mutual, pinned.

Law: a certificate is trusted because its SHA-256, or that of its key, is on the allowlist, never
because of a name; where the operator names an authority, it must have signed it besides. The
handshake already refuses strangers, and whoever uses a connection compares the SHA-256 once more.
No session tickets, since a ticket would outlive its owner's removal from the allowlist (RFC 8446
section 4.6.1). No compression, no renegotiation, no key log, no password prompt.
"""

import ssl
from asyncio import BaseTransport
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Self

from transport.certificate import check_pin, fingerprint, load_der
from transport.errors import CertificateError
from transport.learning import learn_in_handshake
from transport.pins import is_key_pin, key_pin
from transport.secret_files import check_mode

__all__ = [
    "OwnCertificate",
    "Trust",
    "client_context",
    "peer_certificate",
    "peer_fingerprint",
    "server_context",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCertificate:
    """The certificate this process presents: PEM files, leaf first, and the leaf as it was read.

    Who asks about it later gets what is shown, and needs no file for it: there may be none to open.
    """

    certificate_path: Path
    key_path: Path
    fingerprint: str
    der: bytes

    @classmethod
    def load(cls, certificate_path: Path, key_path: Path) -> Self:
        """Check that both files are usable together.

        Raises:
            CertificateError: unreadable, malformed, encrypted, or certificate and key do not match.
            KeyFileError: the key file is missing; LooseModeError: others can read it.
        """
        der = load_der(certificate_path)
        own = cls(
            certificate_path=certificate_path,
            key_path=key_path,
            fingerprint=fingerprint(der),
            der=der,
        )
        _present(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), own)
        return own


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom to trust.

    Attributes:
        allowed: pins of certificates and of keys; nothing else is ever admitted.
        pins: fingerprint -> DER of the allowed certificates that are known already.
        authorities_pem: the operator's certificate authorities; what is allowed must be signed by
            one of them as well, but for `own`.
        own: fingerprints of the certificates that this process shows itself.
    """

    allowed: frozenset[str]
    pins: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    authorities_pem: bytes = b""
    own: frozenset[str] = frozenset()

    @property
    def unlearned(self) -> frozenset[str]:
        """Pins of which a certificate may come that has not been seen yet; keys always are."""
        return self.allowed - self.pins.keys()

    @property
    def admitted(self) -> frozenset[str]:
        """What is allowed, and the fingerprints of known certificates whose key is."""
        if not any(map(is_key_pin, self.allowed)):
            return self.allowed
        return self.allowed | {d for d, der in self.pins.items() if key_pin(der) in self.allowed}


def server_context(
    own: OwnCertificate,
    trust: Trust,
    *,
    demand_certificate: bool = False,
    on_certificate: Callable[[bytes], None] | None = None,
) -> ssl.SSLContext:
    """Make the context of a listener.

    Args:
        own: what to present.
        trust: whom to trust.
        demand_certificate: fail the handshake of clients without a certificate; else they are
            let in as anonymous. An unknown certificate fails it either way.
        on_certificate: told the DER of an allowed certificate that was met for the first time, in
            the handshake, before its holder has proven its key. It must not raise and should
            leave work to the event loop. Without it such a certificate fails the handshake.

    Raises:
        CertificateError: own files or a trusted certificate cannot be used.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, own, trust)
    context.num_tickets = 0
    context.verify_mode = ssl.CERT_REQUIRED if demand_certificate else ssl.CERT_OPTIONAL
    # Under an authority a certificate needs its signature too, so nothing is trusted by itself.
    if on_certificate is not None and trust.unlearned and not trust.authorities_pem:
        learn_in_handshake(context, trust.unlearned, on_certificate)
    return context


def client_context(own: OwnCertificate | None, trust: Trust) -> ssl.SSLContext:
    """Make the context of a dialler.

    While an allowed certificate is still unknown the handshake takes any server; the caller must
    compare the fingerprint before it sends a byte, as `transport.pinned` does. The name in the
    certificate is not compared, for the fingerprint says more.

    Raises:
        CertificateError: own files or a trusted certificate cannot be used.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, own, trust)
    context.check_hostname = False
    first_contact = bool(trust.unlearned) and not trust.authorities_pem
    context.verify_mode = ssl.CERT_NONE if first_contact else ssl.CERT_REQUIRED
    return context


def peer_certificate(transport: BaseTransport) -> bytes | None:
    """Return the DER certificate the other side proved in its handshake, if any."""
    tls = transport.get_extra_info("ssl_object")
    return tls.getpeercert(binary_form=True) if tls is not None else None


def peer_fingerprint(transport: BaseTransport) -> str | None:
    """Return the fingerprint of `peer_certificate`, if any."""
    der = peer_certificate(transport)
    return fingerprint(der) if der is not None else None


def _context(protocol: int, own: OwnCertificate | None, trust: Trust) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    # Without it a second pinned certificate with the same subject is looked up wrongly, and a
    # pinned leaf that some authority signed would not be enough.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if own is not None:
        _present(context, own)
    for digest, der in trust.pins.items():
        if digest in trust.own if trust.authorities_pem else digest in trust.admitted:
            check_pin(der)
            context.load_verify_locations(cadata=der)
    if trust.authorities_pem:
        try:
            context.load_verify_locations(cadata=trust.authorities_pem.decode("ascii"))
        except (ssl.SSLError, UnicodeDecodeError) as error:
            raise CertificateError(
                "the file of certificate authorities holds no PEM certificate"
            ) from error
    return context


def _present(context: ssl.SSLContext, own: OwnCertificate) -> None:
    check_mode(own.key_path)
    try:
        context.load_cert_chain(own.certificate_path, own.key_path, password=_no_password)
    except ssl.SSLError as error:
        raise CertificateError(
            f"{own.certificate_path} and {own.key_path} cannot be used together "
            f"({error.reason or error}): they must be PEM files of one certificate and its key"
        ) from error
    except OSError as error:
        raise CertificateError(
            f"cannot read {own.certificate_path} or {own.key_path}: {error.strerror}"
        ) from error


def _no_password() -> str:
    raise CertificateError(
        "the private key is encrypted and nobody is there to type its password: store it "
        "unencrypted with mode 0600"
    )
