"""A key that is on the list is no licence to make certificates for whoever has only seen it.

The public key of a member is no secret: everybody who connects is shown it. So a certificate that
holds such a key, and that nobody proved to own, is worth nothing: it is not kept, nothing grows.
"""

import datetime as dt
import hashlib
import os
import random
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from transport import learning
from transport.allowlist import parse
from transport.certificate import der_of, make_certificate, renew_certificate, signed_by_itself
from transport.errors import NotAllowlistedError
from transport.peer_certificates import PER_KEY_MAX, PeerCertificates
from transport.pins import key_pin

NOW = dt.datetime.now(dt.UTC)


def forged(der: bytes, number: int) -> bytes:
    """A certificate for the key in another one, by somebody who does not have that key."""
    old = x509.load_der_x509_certificate(der)
    made = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(old.public_key())
        .serial_number(1000 + number)
        .not_valid_before(NOW - dt.timedelta(days=1))
        .not_valid_after(NOW + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    return made.public_bytes(Encoding.DER)


@pytest.fixture(scope="module")
def owned() -> tuple[bytes, list[bytes]]:
    """A certificate and others that its owner made after it."""
    made = make_certificate("node-b", ["localhost"], NOW, os.urandom)
    key = made.key_pem
    more = [renew_certificate(made.certificate_pem, key, NOW, os.urandom) for _ in range(12)]
    return der_of(made.certificate_pem), [der_of(one.certificate_pem) for one in more]


def test_what_a_stranger_made_around_a_known_key_is_not_kept(
    tmp_path: Path, owned: tuple[bytes, list[bytes]]
) -> None:
    first, later = owned
    allowed = parse(f"{key_pin(first)} node-b\n")
    kept = PeerCertificates(tmp_path / "peers")
    for number in range(20):
        der = forged(first, number)
        assert key_pin(der) in allowed
        with pytest.raises(NotAllowlistedError):
            kept.add_der(der, allowed)
    assert not (tmp_path / "peers").exists()
    kept.add_der(first, allowed)
    kept.add_der(later[0], allowed)
    assert set(kept.load_all(allowed).values()) == {first, later[0]}


def test_whose_signature_an_authority_gave_is_kept_once_it_was_proven(
    tmp_path: Path, owned: tuple[bytes, list[bytes]]
) -> None:
    first, _ = owned
    allowed = parse(f"{key_pin(first)} node-b\n")
    der = forged(first, 1)  # as one that an authority signed looks from here
    PeerCertificates(tmp_path / "peers").add_der(der, allowed, proven=True)
    assert set(PeerCertificates(tmp_path / "peers").load_all(allowed).values()) == {der}


def test_of_one_key_a_few_certificates_are_kept_and_the_newest_among_them(
    tmp_path: Path, owned: tuple[bytes, list[bytes]]
) -> None:
    first, later = owned
    allowed = parse(f"{key_pin(first)} node-b\n")
    kept = PeerCertificates(tmp_path / "peers")
    for number, der in enumerate(later):
        path = tmp_path / "peers" / f"{kept.add_der(der, allowed)}.pem"
        os.utime(path, (1_700_000_000 + number,) * 2)
    assert set(kept.load_all(allowed).values()) == set(later[-PER_KEY_MAX:])
    assert len(list((tmp_path / "peers").iterdir())) == PER_KEY_MAX


def test_a_certificate_that_is_on_the_list_itself_needs_nothing_more(tmp_path: Path) -> None:
    made = make_certificate("node-b", ["localhost"], NOW, os.urandom)
    der = forged(der_of(made.certificate_pem), 1)

    allowed = parse(f"{hashlib.sha256(der).hexdigest()} node-b\n")
    assert PeerCertificates(tmp_path / "peers").add_der(der, allowed)


def test_of_forged_ones_nobody_is_told_and_few_are_held_in_handshakes(
    owned: tuple[bytes, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, later = owned
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    met: list[bytes] = []
    if not learning.learn_in_handshake(context, frozenset({key_pin(first)}), met.append):
        pytest.skip("this Python has no hook in the handshake")
    assert learning._hook is not None
    hear = learning._hook.__get__(context)
    monkeypatch.setattr(learning, "DOUBTFUL_MAX", 3)
    for number in range(9):
        hear(None, "read", 0, 22, 11, message(forged(first, number)))
    assert met == []
    assert context.cert_store_stats()["x509"] == 3
    hear(None, "read", 0, 22, 11, message(later[0]))
    assert met == [later[0]]
    assert context.cert_store_stats()["x509"] == 4


def message(der: bytes) -> bytes:
    """A TLS 1.3 `Certificate` message (RFC 8446 section 4.4.2)."""
    one = len(der).to_bytes(3, "big") + der + b"\0\0"
    body = b"\0" + len(one).to_bytes(3, "big") + one
    return b"\x0b" + len(body).to_bytes(3, "big") + body


def test_one_flipped_bit_is_no_signature(owned: tuple[bytes, list[bytes]]) -> None:
    first, _ = owned
    assert signed_by_itself(first)
    print("seed 5")
    r = random.Random(5)
    for _ in range(60):
        other = bytearray(first)
        other[r.randrange(len(other))] ^= 1 << r.randrange(8)
        assert not signed_by_itself(bytes(other)) or bytes(other) == first
    assert not signed_by_itself(b"no certificate")
