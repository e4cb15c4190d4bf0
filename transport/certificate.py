"""X.509 certificates as carriers of a key and a fingerprint.

Law: a certificate we make can vouch for nobody else (CA:FALSE), outlives the machine it serves,
and is valid a day before it was made, because clocks differ. A fingerprint is the SHA-256 of the
DER form in lowercase hex (RFC 5280 names the fields, RFC 8410 the Ed25519 keys).
"""

import contextlib
import datetime as dt
import hashlib
import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from transport.errors import AuthorityPinError, CertificateError
from transport.secret_files import replace_file, write_secret

__all__ = [
    "MadeCertificate",
    "check_pin",
    "der_of",
    "expires_at",
    "fingerprint",
    "is_valid_now",
    "load_der",
    "make_certificate",
    "names_of",
    "pem_of",
    "renew_certificate",
    "signed_by_itself",
    "subject_of",
]

PEM_BYTES_MAX = 64 * 1024
_COMMON_NAME_CHARS_MAX = 64  # RFC 5280, ub-common-name
_BACKDATED = dt.timedelta(days=1)
_LIFE = dt.timedelta(days=20 * 365)
# Order of the group of P-256 (FIPS 186-5, SP 800-186 section 3.2.1.3).
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_P256_ENTROPY_BYTES = 40  # 64 bits more than the order, so the remainder is unbiased
_SERIAL_BYTES = 16
# RFC 1123 section 2.1, with the underscore that container networks put in names.
_HOST_NAME = re.compile(r"(?=.{1,253}$)(?:\*\.)?(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")


def fingerprint(der: bytes) -> str:
    """Return the SHA-256 of a DER certificate as 64 lowercase hex digits."""
    return hashlib.sha256(der).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeCertificate:
    """A fresh self-signed certificate with its key; the key is left out of the repr."""

    certificate_pem: bytes
    der: bytes
    fingerprint: str
    _key_pem: bytes

    @property
    def key_pem(self) -> bytes:
        """Its private key, PKCS#8; a secret."""
        return self._key_pem

    def __repr__(self) -> str:
        return f"MadeCertificate({self.fingerprint})"

    def save(self, certificate_path: Path, key_path: Path, *, force: bool = False) -> None:
        """Write both files; the key first, so that no certificate stands without its key.

        Raises:
            KeyFileError: a file exists (and not `force`) or cannot be written.
        """
        write_secret(key_path, self._key_pem, force=force)
        write_secret(certificate_path, self.certificate_pem, force=force)
        # The certificate is public and other tools want to read it.
        replace_file(certificate_path, self.certificate_pem, mode=0o644)


def make_certificate(
    name: str,
    sans: Sequence[str],
    now: dt.datetime,
    entropy: Callable[[int], bytes],
    *,
    algorithm: Literal["p256", "ed25519"] = "p256",
) -> MadeCertificate:
    """Make a self-signed certificate for both ends of a link.

    Args:
        name: common name, cut at 64 characters; carries no meaning.
        sans: host names and IP addresses clients may use, at least one.
        now: aware time of making.
        entropy: source of randomness for the key and the serial number.
        algorithm: P-256 by default, since more TLS clients of agents take it than Ed25519.

    Raises:
        CertificateError: a name is not a host name or address.
    """
    key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey
    if algorithm == "ed25519":
        key = Ed25519PrivateKey.from_private_bytes(entropy(32))
    else:
        draw = int.from_bytes(entropy(_P256_ENTROPY_BYTES))
        key = ec.derive_private_key(draw % (_P256_ORDER - 1) + 1, ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, name[:_COMMON_NAME_CHARS_MAX] or "mnemesh")]
    )
    return _self_signed(key, subject, sans, now, entropy)


def renew_certificate(
    pem: bytes,
    key_pem: bytes,
    now: dt.datetime,
    entropy: Callable[[int], bytes],
) -> MadeCertificate:
    """Make a certificate for the same names and the same key, valid from now on.

    Args:
        pem: the certificate to be followed.
        key_pem: its private key, PKCS#8, unencrypted.
        now: aware time of making.
        entropy: source of randomness for the serial number.

    Raises:
        CertificateError: one of both cannot be read, they do not belong together, or somebody
            else signed the old one: then that authority has to make the new one.
    """
    old = _parsed(der_of(pem))
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError) as error:
        raise CertificateError("the private key cannot be read, or is encrypted") from error
    if not isinstance(key, (ec.EllipticCurvePrivateKey, Ed25519PrivateKey)):
        raise CertificateError("only keys of P-256 and Ed25519 are made anew here")
    if key.public_key() != old.public_key():
        raise CertificateError("the certificate and the private key do not belong together")
    if old.issuer != old.subject:
        raise CertificateError("an authority signed this certificate, and has to sign the next one")
    names = names_of(old.public_bytes(serialization.Encoding.DER))
    return _self_signed(key, old.subject, names, now, entropy)


def _self_signed(
    key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey,
    subject: x509.Name,
    sans: Sequence[str],
    now: dt.datetime,
    entropy: Callable[[int], bytes],
) -> MadeCertificate:
    certificate = (
        _extended(x509.CertificateBuilder(), key.public_key(), sans or ["localhost"])
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        # A serial number is positive and at most 20 bytes long.
        .serial_number(int.from_bytes(entropy(_SERIAL_BYTES)) | 1)
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFE)
        .sign(key, None if isinstance(key, Ed25519PrivateKey) else hashes.SHA256())
    )
    der = certificate.public_bytes(serialization.Encoding.DER)
    key_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return MadeCertificate(
        certificate_pem=pem_of(der), der=der, fingerprint=fingerprint(der), _key_pem=key_pem
    )


def _extended(
    builder: x509.CertificateBuilder,
    public: ec.EllipticCurvePublicKey | object,
    sans: Sequence[str],
) -> x509.CertificateBuilder:
    digital_signature_only = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    both_ends = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)  # type: ignore[arg-type]  # narrowed by the only caller
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(digital_signature_only, critical=True)
        .add_extension(x509.ExtendedKeyUsage(both_ends), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(san) for san in sans]), critical=False)
        .add_extension(identifier, critical=False)
    )


def _general(san: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(san.strip("[]")))
    except ValueError:
        pass
    with contextlib.suppress(UnicodeError):
        name = san.encode("idna").decode("ascii")
        if _HOST_NAME.fullmatch(name):
            return x509.DNSName(name)
    raise CertificateError(
        f"{san!r} is neither a host name nor an IP address: give --san a name such as "
        "node-a.example or an address such as 192.0.2.7"
    )


def der_of(pem: bytes) -> bytes:
    """Return the DER form of the first certificate in PEM text.

    Raises:
        CertificateError: no certificate there, or more than 64 KiB of text.
    """
    if len(pem) > PEM_BYTES_MAX:
        raise CertificateError(f"a certificate of more than {PEM_BYTES_MAX} bytes is refused")
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise CertificateError(
            "this is no certificate; expected PEM text that begins with -----BEGIN CERTIFICATE-----"
        ) from error
    return certificate.public_bytes(serialization.Encoding.DER)


def pem_of(der: bytes) -> bytes:
    """Return the PEM form of a DER certificate.

    Raises:
        CertificateError: the bytes are no certificate.
    """
    return _parsed(der).public_bytes(serialization.Encoding.PEM)


def load_der(path: Path) -> bytes:
    """Return the DER form of the first certificate of a PEM file.

    Raises:
        CertificateError: the file cannot be read or holds no certificate.
    """
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise CertificateError(f"cannot read the certificate {path}: {error.strerror}") from error
    try:
        return der_of(pem)
    except CertificateError as error:
        raise CertificateError(f"{path}: {error}") from error


def names_of(der: bytes) -> tuple[str, ...]:
    """DNS names and IP addresses that a certificate is for (RFC 5280 section 4.2.1.6)."""
    try:
        found = _parsed(der).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    dns = found.value.get_values_for_type(x509.DNSName)
    addresses = found.value.get_values_for_type(x509.IPAddress)
    return (*dns, *map(str, addresses))


def subject_of(der: bytes) -> str:
    """Who a certificate is for, in words (RFC 4514)."""
    return _parsed(der).subject.rfc4514_string()


def expires_at(der: bytes) -> dt.datetime:
    """Return the aware UTC time after which a DER certificate is no longer valid."""
    return _parsed(der).not_valid_after_utc


def is_valid_now(der: bytes) -> bool:
    """Whether a DER certificate is within its validity (RFC 5280 section 4.1.2.5).

    Raises:
        CertificateError: the bytes are no certificate.
    """
    certificate = _parsed(der)
    now = dt.datetime.now(dt.UTC)
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def check_pin(der: bytes) -> None:
    """Refuse a certificate that, trusted on its own, would make others trusted too.

    Raises:
        AuthorityPinError: it is, or OpenSSL would take it for, a certificate authority.
        CertificateError: the bytes are no certificate.
    """
    certificate = _parsed(der)
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        authority = constraints.value.ca
    except x509.ExtensionNotFound:
        # Version 1 knows no constraints, so verifiers let such a self-signed certificate sign.
        authority = certificate.version is x509.Version.v1 or _may_sign(certificate)
    except ValueError as error:
        raise CertificateError(f"a certificate with unreadable extensions: {error}") from error
    if authority:
        raise AuthorityPinError(
            f"the certificate {fingerprint(der)} is a certificate authority (CA:TRUE), and would "
            "vouch for every certificate it signs: make one with basicConstraints=CA:FALSE, or "
            "name the authority with --quorum-ca-cert"
        )


def signed_by_itself(der: bytes) -> bool:
    """Whether whoever made a certificate had the key in it: the key of a member is no secret."""
    try:
        certificate = _parsed(der)
        certificate.verify_directly_issued_by(certificate)
    except (CertificateError, InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    except x509.ExtensionNotFound:
        return False
    return usage.value.key_cert_sign


def _parsed(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise CertificateError("these bytes are no X.509 certificate") from error
