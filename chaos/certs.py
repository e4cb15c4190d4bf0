"""Certificates and keys as an operator would make them, and as one should not.

Law: every file is made from the standards alone (RFC 5280, RFC 8410), by nothing of the node's; a
fingerprint is the SHA-256 of the DER form in lowercase hex. A key file is readable by its owner
only, because a node refuses any other. Dates are absolute, so that an expired certificate is one.
"""

import datetime as dt
import hashlib
import ipaddress
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = [
    "Authority",
    "KeyKind",
    "Pair",
    "day_after",
    "day_before",
    "fingerprint_of",
    "make_pair",
    "renew",
]

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
KeyKind = Literal["p256", "p384", "secp256k1", "ed25519", "rsa2048", "rsa1024"]
_SANS: Final = ("127.0.0.1", "localhost")
_LIFE: Final = dt.timedelta(days=365)
_MAKERS: Final = MappingProxyType[KeyKind, Callable[[], PrivateKey]](
    {
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        # A curve of no TLS 1.3 signature scheme (RFC 8446 section 4.2.3).
        "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "rsa2048": lambda: rsa.generate_private_key(65537, 2048),
        "rsa1024": lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505 - it is to be refused
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate, its key, and what others know it by.

    Attributes:
        certificate: PEM file.
        key: PEM file, PKCS #8, unencrypted, mode 0600.
        fingerprint: SHA-256 of the DER form, 64 lowercase hex digits.
    """

    certificate: Path
    key: Path
    fingerprint: str


def fingerprint_of(certificate: Path) -> str:
    """Return the fingerprint of the first certificate in a PEM file.

    Raises:
        OSError: it cannot be read. ValueError: it holds no certificate.
    """
    made = x509.load_pem_x509_certificate(certificate.read_bytes())
    return hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).hexdigest()


def day_before(now: dt.datetime | None = None) -> dt.datetime:
    """A day before `now`, in UTC: the end of an expired certificate, the start of a good one."""
    return (now or dt.datetime.now(dt.UTC)) - dt.timedelta(days=1)


def day_after(now: dt.datetime | None = None) -> dt.datetime:
    """A day after `now`, in UTC: the start of a certificate that is not valid yet."""
    return (now or dt.datetime.now(dt.UTC)) + dt.timedelta(days=1)


def make_pair(
    folder: Path,
    name: str,
    *,
    not_before: dt.datetime | None = None,
    not_after: dt.datetime | None = None,
    kind: KeyKind = "p256",
    sans: Sequence[str] = _SANS,
    common_name: str | None = None,
    authority: bool = False,
) -> Pair:
    """Make a self-signed certificate, `folder/name.crt` and `folder/name.key`.

    Args:
        folder: made when it is missing.
        name: of the files.
        not_before: aware; a day ago without.
        not_after: aware; a year after `not_before` without.
        kind: of key; a node makes P-256 ones.
        sans: host names and IP addresses it is for.
        common_name: the subject; `name` without.
        authority: claim to be a certificate authority (CA:TRUE).
    """
    return _write(
        folder,
        name,
        _MAKERS[kind](),
        _Wish(common_name or name, not_before, not_after, sans, authority=authority),
    )


def renew(
    pair: Pair,
    folder: Path,
    name: str,
    *,
    not_before: dt.datetime | None = None,
    not_after: dt.datetime | None = None,
) -> Pair:
    """Make another certificate over the key of `pair`, as a renewal does.

    The subject stays; the fingerprint does not, so every allowlist has to learn it.

    Raises:
        OSError: the files of `pair` cannot be read. ValueError: they hold no such key.
    """
    key = serialization.load_pem_private_key(pair.key.read_bytes(), password=None)
    if not isinstance(key, PrivateKey):
        raise ValueError(f"{pair.key} holds a key of another kind")  # noqa: TRY004 - a bad file
    old = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    (subject,) = old.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    wish = _Wish(str(subject.value), not_before, not_after, _SANS)
    return _write(folder, name, key, wish)


@dataclass(frozen=True, slots=True)
class _Wish:
    common_name: str
    not_before: dt.datetime | None
    not_after: dt.datetime | None
    sans: Sequence[str]
    authority: bool = False


@dataclass
class Authority:
    """A certificate authority of the operator's own, in `folder/ca.crt`.

    Attributes:
        certificate: what `--quorum-ca-cert` is given.
    """

    folder: Path
    common_name: str = "an authority"
    _key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False
    )
    certificate: Path = field(init=False)

    def __post_init__(self) -> None:
        """Write its certificate."""
        wish = _Wish(self.common_name, None, None, (), authority=True)
        self.certificate = _write(self.folder, "ca", self._key, wish).certificate

    def issue(
        self,
        folder: Path,
        name: str,
        *,
        not_before: dt.datetime | None = None,
        not_after: dt.datetime | None = None,
        kind: KeyKind = "p256",
    ) -> Pair:
        """Make a leaf for both directions; see `make_pair`."""
        issuer = (_named(self.common_name), self._key)
        wish = _Wish(name, not_before, not_after, _SANS)
        return _write(folder, name, _MAKERS[kind](), wish, issuer=issuer)


def _write(
    folder: Path,
    name: str,
    key: PrivateKey,
    wish: _Wish,
    *,
    issuer: tuple[x509.Name, PrivateKey] | None = None,
) -> Pair:
    subject = _named(wish.common_name)
    issuer_name, signing = issuer or (subject, key)
    # RFC 8410: Ed25519 signs the certificate itself, so no hash is named.
    algorithm = None if isinstance(signing, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    ends = wish.not_after
    starts = wish.not_before or (day_before() if ends is None else min(day_before(), ends - _LIFE))
    made = (
        _extended(key, wish)
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(ends or starts + _LIFE)
        .sign(signing, algorithm)
    )
    folder.mkdir(parents=True, exist_ok=True)
    pair = Pair(
        certificate=folder / f"{name}.crt",
        key=folder / f"{name}.key",
        fingerprint=hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).hexdigest(),
    )
    _write_secret(
        pair.key,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    # Last and whole: a pair is there when its certificate is.
    fresh = pair.certificate.with_suffix(".new")
    fresh.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    fresh.replace(pair.certificate)
    return pair


def _extended(key: PrivateKey, wish: _Wish) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().add_extension(
        x509.BasicConstraints(ca=wish.authority, path_length=0 if wish.authority else None),
        critical=True,
    )
    if not wish.authority:
        both_ends = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(both_ends), critical=False)
    if wish.sans:
        names = x509.SubjectAlternativeName([_general(one) for one in wish.sans])
        builder = builder.add_extension(names, critical=False)
    return builder.add_extension(
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
    )


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _general(san: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(san))
    except ValueError:
        return x509.DNSName(san)


def _write_secret(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(data)
