from pathlib import Path

import pytest

from tests.unit.transport.rig import make_party
from transport.allowlist import Allowlist
from transport.certificate import pem_of
from transport.errors import AllowlistError, CertificateError, NotAllowlistedError
from transport.peer_certificates import PeerCertificates


def listing(*fingerprints: str) -> Allowlist:
    return Allowlist(entries=dict.fromkeys(fingerprints, ""))


def test_only_an_allowlisted_certificate_is_kept(tmp_path: Path) -> None:
    bob, eve = make_party(tmp_path, "bob"), make_party(tmp_path, "eve")
    peers = PeerCertificates(tmp_path / "peers")
    allowed = listing(bob.fingerprint)
    assert peers.add(pem_of(bob.der), allowed) == bob.fingerprint
    with pytest.raises(NotAllowlistedError, match="mnemesh node allow"):
        peers.add(pem_of(eve.der), allowed)
    kept = [path.name for path in (tmp_path / "peers").iterdir()]
    assert kept == [f"{bob.fingerprint}.pem"]
    assert peers.load_all(allowed) == {bob.fingerprint: bob.der}
    assert peers.add_der(bob.der, allowed) == bob.fingerprint


def test_what_is_no_longer_allowed_does_not_come_out(tmp_path: Path) -> None:
    bob = make_party(tmp_path, "bob")
    peers = PeerCertificates(tmp_path / "peers")
    peers.add_der(bob.der, listing(bob.fingerprint))
    assert peers.load_all(listing("0" * 64)) == {}
    assert peers.forget(bob.fingerprint)
    assert not peers.forget(bob.fingerprint)
    assert peers.load_all(listing(bob.fingerprint)) == {}


def test_a_file_with_another_certificate_is_refused(tmp_path: Path) -> None:
    bob, eve = make_party(tmp_path, "bob"), make_party(tmp_path, "eve")
    peers = PeerCertificates(tmp_path / "peers")
    peers.add_der(bob.der, listing(bob.fingerprint))
    (tmp_path / "peers" / f"{bob.fingerprint}.pem").write_bytes(pem_of(eve.der))
    with pytest.raises(CertificateError, match="named after"):
        peers.load_all(listing(bob.fingerprint))


@pytest.mark.parametrize("pem", [b"", b"junk", b"x" * 100_000])
def test_junk_is_refused(tmp_path: Path, pem: bytes) -> None:
    with pytest.raises(CertificateError):
        PeerCertificates(tmp_path / "peers").add(pem, listing())
    assert not (tmp_path / "peers").exists()


def test_a_folder_that_cannot_be_made_is_worded(tmp_path: Path) -> None:
    bob = make_party(tmp_path, "bob")
    (tmp_path / "file").write_text("")
    with pytest.raises(CertificateError, match="cannot keep"):
        PeerCertificates(tmp_path / "file" / "peers").add_der(bob.der, listing(bob.fingerprint))


def test_only_fingerprints_name_files(tmp_path: Path) -> None:
    with pytest.raises(AllowlistError):
        PeerCertificates(tmp_path).forget("../keys/node")
