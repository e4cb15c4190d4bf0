"""The two forms of a pin, and that nobody gets in by a third."""

import base64
import datetime as dt
import hashlib
import os
import random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from transport.allowlist import parse
from transport.certificate import der_of, fingerprint, make_certificate, renew_certificate
from transport.errors import AllowlistError
from transport.pins import admits, is_pin, key_pin, normalise

NOW = dt.datetime.now(dt.UTC)


def spki(der: bytes) -> bytes:
    key = x509.load_der_x509_certificate(der).public_key()
    return hashlib.sha256(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).digest()


def test_every_spelling_of_a_pin_is_one_pin() -> None:
    digest = hashlib.sha256(b"x").digest()
    plain = digest.hex()
    pairs = ":".join(plain[at : at + 2] for at in range(0, 64, 2)).upper()
    for text in (plain, plain.upper(), f"sha256:{plain}", pairs, f"SHA256:{pairs}", f" {plain}\n"):
        assert normalise(text) == plain
    coded = base64.b64encode(digest).decode()
    for text in (f"spki:{plain}", f"spki:{pairs}", f"SPKI:{coded}", f" spki:{coded} "):
        assert normalise(text) == f"spki:{plain}"
    assert is_pin(plain)
    assert is_pin(f"spki:{plain}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spki:",
        "spki:AAAA",
        "spki:" + "a" * 63,
        "spki:" + base64.b64encode(bytes(31)).decode(),
        "spki:" + base64.b64encode(bytes(33)).decode(),
        "spki:sha256:" + "a" * 64,
        "md5:" + "a" * 64,
        "a" * 63,
        "a" * 65,
        "*",
    ],
)
def test_what_is_no_pin_is_refused(text: str) -> None:
    with pytest.raises(AllowlistError):
        normalise(text)


@pytest.mark.parametrize("algorithm", ["p256", "ed25519"])
def test_a_key_is_pinned_as_the_standard_says_and_outlives_its_certificate(algorithm: str) -> None:
    made = make_certificate("a", ["a.example"], NOW, os.urandom, algorithm=algorithm)  # type: ignore[arg-type]  # one of the two
    assert key_pin(made.der) == "spki:" + spki(made.der).hex()
    again = renew_certificate(made.certificate_pem, made.key_pem, NOW, os.urandom)
    assert again.fingerprint != made.fingerprint
    assert key_pin(again.der) == key_pin(made.der)


def test_pins_admit_what_they_name_and_nothing_else() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    made = [make_certificate(f"n{n}", ["x.example"], NOW, rng.randbytes) for n in range(6)]
    renewed = [renew_certificate(m.certificate_pem, m.key_pem, NOW, rng.randbytes) for m in made]
    for _ in range(60):
        listed = {
            pin for one in made for pin in (one.fingerprint, key_pin(one.der)) if rng.random() < 0.3
        }
        for old, new in zip(made, renewed, strict=True):
            by_key = key_pin(old.der) in listed
            assert admits(listed, old.der) == (by_key or old.fingerprint in listed)
            assert admits(listed, new.der) == by_key


def test_bytes_that_are_no_certificate_are_nobody() -> None:
    junk = b"no certificate"
    assert not admits({"spki:" + "0" * 64}, junk)
    assert admits({fingerprint(junk)}, junk)  # a hash is a hash; a handshake has no such leaf


def test_a_list_tells_certificates_from_keys() -> None:
    made = make_certificate("a", ["a.example"], NOW, os.urandom)
    der = der_of(made.certificate_pem)
    listed = parse(f"sha256:{fingerprint(der)} one\n{key_pin(der)} two # renewed often\n")
    assert listed.fingerprints == {fingerprint(der)}
    assert listed.keys == {key_pin(der)}
    assert listed.entries[key_pin(der)] == "two"
