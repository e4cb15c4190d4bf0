"""Certificates of the harness: what they claim is what the node reads in them."""

import datetime as dt
import stat
from pathlib import Path

import pytest
from cryptography import x509

from chaos.certs import (
    Authority,
    KeyKind,
    day_after,
    day_before,
    fingerprint_of,
    make_pair,
    renew,
)
from transport.certificate import check_pin, expires_at, load_der
from transport.errors import AuthorityPinError
from transport.tls import OwnCertificate


def loaded(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_the_node_takes_a_pair_and_knows_it_by_the_same_fingerprint(tmp_path: Path) -> None:
    pair = make_pair(tmp_path / "certs", "n1")
    assert OwnCertificate.load(pair.certificate, pair.key).fingerprint == pair.fingerprint
    assert fingerprint_of(pair.certificate) == pair.fingerprint
    assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600
    check_pin(load_der(pair.certificate))


def test_dates_are_those_that_were_asked_for(tmp_path: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    expired = make_pair(tmp_path, "expired", not_after=day_before())
    later = make_pair(tmp_path, "later", not_before=day_after())
    assert expires_at(load_der(expired.certificate)) < now
    assert loaded(later.certificate).not_valid_before_utc > now


def test_a_renewal_keeps_the_key_and_changes_the_fingerprint(tmp_path: Path) -> None:
    old = make_pair(tmp_path, "n1")
    new = renew(old, tmp_path, "n1-new")
    assert new.fingerprint != old.fingerprint
    assert loaded(new.certificate).public_key() == loaded(old.certificate).public_key()
    assert loaded(new.certificate).subject == loaded(old.certificate).subject
    assert OwnCertificate.load(new.certificate, new.key).fingerprint == new.fingerprint


def test_an_authority_issues_and_is_one(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    leaf = authority.issue(tmp_path, "leaf")
    loaded(leaf.certificate).verify_directly_issued_by(loaded(authority.certificate))
    with pytest.raises(AuthorityPinError):
        check_pin(load_der(authority.certificate))
    check_pin(load_der(leaf.certificate))


@pytest.mark.parametrize("kind", ["p384", "secp256k1", "ed25519", "rsa1024"])
def test_other_kinds_of_keys_are_made(tmp_path: Path, kind: KeyKind) -> None:
    pair = make_pair(tmp_path, kind, kind=kind)
    assert fingerprint_of(pair.certificate) == pair.fingerprint


def test_without_dates_it_lasts_for_most_of_a_year(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, "plain")
    made = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    now = dt.datetime.now(dt.UTC)
    assert made.not_valid_before_utc < now
    assert made.not_valid_after_utc > now + dt.timedelta(days=360)
