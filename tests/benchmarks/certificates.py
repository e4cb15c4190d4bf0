"""Certificates for rivals: one authority, one certificate of this host for both ends.

Law: made anew for each run, in its temporary folder, and worth nothing outside it.
"""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE: Final = dt.timedelta(days=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Files in PEM: the authority, and one certificate with its key."""

    authority: Path
    certificate: Path
    key: Path


def made(folder: Path) -> Certificates:
    """An authority and a certificate for 127.0.0.1, good for servers and for clients."""
    top_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    top_name, name = _name("bench authority"), _name("bench")
    top = (
        _begun(top_name, top_name, top_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(top_key, hashes.SHA256())
    )
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    host = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    leaf = (
        _begun(name, top_name, key)
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .sign(top_key, hashes.SHA256())
    )
    files = Certificates(
        authority=folder / "authority.pem",
        certificate=folder / "certificate.pem",
        key=folder / "key.pem",
    )
    files.authority.write_bytes(top.public_bytes(serialization.Encoding.PEM))
    files.certificate.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    files.key.touch(mode=0o600)
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def _name(words: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, words)])


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + _LIFE)
    )
