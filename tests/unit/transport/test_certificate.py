import datetime as dt
import ipaddress
import itertools
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from transport.certificate import (
    check_pin,
    der_of,
    expires_at,
    fingerprint,
    load_der,
    make_certificate,
    pem_of,
)
from transport.errors import AuthorityPinError, CertificateError, KeyFileError, LooseModeError
from transport.tls import OwnCertificate

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def counting() -> Callable[[int], bytes]:
    numbers = itertools.count(1)
    return lambda size: bytes((next(numbers) * 7 + i) % 256 for i in range(size))


@pytest.mark.parametrize("algorithm", ["p256", "ed25519"])
def test_what_a_made_certificate_says(algorithm: Literal["p256", "ed25519"]) -> None:
    made = make_certificate(
        "node-a",
        ["node-a.example", "192.0.2.7", "[2001:db8::1]"],
        NOW,
        counting(),
        algorithm=algorithm,
    )
    parsed = x509.load_der_x509_certificate(made.der)
    extensions = parsed.extensions
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert extensions.get_extension_for_class(x509.BasicConstraints).critical
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["node-a.example"]
    assert names.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address("192.0.2.7"),
        ipaddress.ip_address("2001:db8::1"),
    ]
    assert parsed.not_valid_before_utc == NOW - dt.timedelta(days=1)
    assert expires_at(made.der) >= NOW + dt.timedelta(days=10 * 366)
    assert made.fingerprint == fingerprint(made.der)
    check_pin(made.der)
    parsed.verify_directly_issued_by(parsed)


def test_the_fingerprint_is_the_hash_of_the_der_form() -> None:
    made = make_certificate("a", ["a"], NOW, counting())
    parsed = x509.load_der_x509_certificate(made.der)
    assert fingerprint(made.der) == parsed.fingerprint(hashes.SHA256()).hex()


def test_the_key_comes_from_the_given_entropy() -> None:
    def key_of(entropy: Callable[[int], bytes]) -> bytes:
        made = make_certificate("a", ["a"], NOW, entropy)
        public = x509.load_der_x509_certificate(made.der).public_key()
        return public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    assert key_of(counting()) == key_of(counting())
    assert key_of(counting()) != key_of(lambda size: b"\x05" * size)
    assert key_of(bytes)  # all zero is a bad source but still a number above zero


@pytest.mark.parametrize("san", ["", "ein\x00s", "ö" * 70, "*" * 300])
def test_an_impossible_name_is_refused(san: str) -> None:
    with pytest.raises(CertificateError, match="neither a host name nor"):
        make_certificate("a", [san], NOW, counting())


def test_pem_and_der_say_the_same() -> None:
    made = make_certificate("a" * 200, [], NOW, counting())
    assert der_of(made.certificate_pem) == made.der
    assert pem_of(made.der) == made.certificate_pem


@pytest.mark.parametrize("pem", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nxxxx\n"])
def test_what_is_no_certificate_is_refused(tmp_path: Path, pem: bytes) -> None:
    with pytest.raises(CertificateError, match="BEGIN CERTIFICATE"):
        der_of(pem)
    path = tmp_path / "x.pem"
    path.write_bytes(pem)
    with pytest.raises(CertificateError, match=str(path)):
        load_der(path)
    with pytest.raises(CertificateError):
        pem_of(pem)


def test_oversized_text_is_refused_unread() -> None:
    with pytest.raises(CertificateError, match="65536"):
        der_of(b"x" * 65537)


def test_saving_protects_the_key_and_never_overwrites(tmp_path: Path) -> None:
    made = make_certificate("a", ["a"], NOW, counting())
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    made.save(certificate, key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(certificate.stat().st_mode) == 0o644
    assert OwnCertificate.load(certificate, key).fingerprint == made.fingerprint
    with pytest.raises(KeyFileError, match="never overwritten"):
        made.save(certificate, key)
    other = make_certificate("b", ["b"], NOW, lambda size: b"\x09" * size)
    other.save(certificate, key, force=True)
    assert OwnCertificate.load(certificate, key).fingerprint == other.fingerprint
    assert "PRIVATE" not in repr(made)


def test_own_files_that_do_not_fit_are_worded(tmp_path: Path) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    make_certificate("a", ["a"], NOW, counting()).save(certificate, key)
    stranger = tmp_path / "other.key"
    make_certificate("b", ["b"], NOW, lambda n: b"\x09" * n).save(tmp_path / "b.crt", stranger)
    with pytest.raises(CertificateError, match="cannot be used together"):
        OwnCertificate.load(certificate, stranger)
    with pytest.raises(KeyFileError, match="No such file"):
        OwnCertificate.load(certificate, tmp_path / "absent")
    with pytest.raises(CertificateError, match="No such file"):
        OwnCertificate.load(tmp_path / "absent", key)
    key.chmod(0o644)
    with pytest.raises(LooseModeError, match="chmod 600"):
        OwnCertificate.load(certificate, key)


def test_an_encrypted_key_asks_nobody(tmp_path: Path) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    make_certificate("a", ["a"], NOW, counting()).save(certificate, key)
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(CertificateError, match="encrypted"):
        OwnCertificate.load(certificate, key)


def self_signed(*extensions: x509.ExtensionType) -> bytes:
    key = ec.derive_private_key(99, ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "own")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + dt.timedelta(days=1))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def usage(*, sign: bool) -> x509.KeyUsage:
    others = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(digital_signature=True, key_cert_sign=sign, **others)


def test_pins_that_could_vouch_for_others_are_refused() -> None:
    with pytest.raises(AuthorityPinError, match="CA:FALSE"):
        check_pin(self_signed(x509.BasicConstraints(ca=True, path_length=None)))
    with pytest.raises(AuthorityPinError):
        check_pin(self_signed(usage(sign=True)))
    check_pin(self_signed(x509.BasicConstraints(ca=False, path_length=None)))
    check_pin(self_signed(usage(sign=False)))
    check_pin(self_signed(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])))
    with pytest.raises(CertificateError, match=r"no X\.509"):
        check_pin(b"junk")
