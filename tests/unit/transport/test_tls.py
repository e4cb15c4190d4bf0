import ssl
from pathlib import Path

import pytest

from tests.unit.transport.rig import make_party, trusting
from transport import learning
from transport.errors import AuthorityPinError, CertificateError
from transport.learning import leaf_of, learn_in_handshake
from transport.refusals import Refusal, classify
from transport.tls import Trust, client_context, server_context


def test_both_contexts_speak_only_1_3_without_tickets(tmp_path: Path) -> None:
    alice, bob = make_party(tmp_path, "alice"), make_party(tmp_path, "bob")
    server = server_context(alice.own, trusting(bob))
    client = client_context(bob.own, trusting(alice))
    for context in (server, client):
        assert context.minimum_version is context.maximum_version is ssl.TLSVersion.TLSv1_3
        assert context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
        assert context.keylog_filename is None
    assert server.num_tickets == 0
    assert server.verify_mode is ssl.CERT_OPTIONAL
    demanding = server_context(alice.own, trusting(bob), demand_certificate=True)
    assert demanding.verify_mode is ssl.CERT_REQUIRED
    assert client.verify_mode is ssl.CERT_REQUIRED


def test_a_client_takes_unknown_servers_only_at_first_contact(tmp_path: Path) -> None:
    bob = make_party(tmp_path, "bob")
    assert client_context(None, trusting(bob)).verify_mode is ssl.CERT_REQUIRED
    assert client_context(None, trusting()).verify_mode is ssl.CERT_REQUIRED
    assert client_context(None, trusting(bob, known=False)).verify_mode is ssl.CERT_NONE


def test_a_pin_off_the_allowlist_is_not_trusted(tmp_path: Path) -> None:
    alice, bob = make_party(tmp_path, "alice"), make_party(tmp_path, "bob")
    trust = Trust(allowed=frozenset(), pins={bob.fingerprint: bob.der})
    assert server_context(alice.own, trust).cert_store_stats()["x509"] == 0
    trust = Trust(allowed=frozenset({bob.fingerprint}), pins={bob.fingerprint: bob.der})
    assert server_context(alice.own, trust).cert_store_stats()["x509"] == 1
    assert trust.unlearned == frozenset()


def test_a_bad_file_of_authorities_is_worded(tmp_path: Path) -> None:
    alice = make_party(tmp_path, "alice")
    for pem in (b"junk", b"\xff\xff"):
        trust = Trust(allowed=frozenset(), authorities_pem=pem)
        with pytest.raises(CertificateError, match="no PEM certificate"):
            server_context(alice.own, trust)


def test_an_authority_as_a_pin_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = make_party(tmp_path, "alice"), make_party(tmp_path, "bob")

    def refuse(_der: bytes) -> None:
        raise AuthorityPinError("CA:TRUE")

    monkeypatch.setattr("transport.tls.check_pin", refuse)
    with pytest.raises(AuthorityPinError):
        server_context(alice.own, trusting(bob))


def message(*certificates: bytes, context: bytes = b"") -> bytes:
    """A TLS 1.3 Certificate message, RFC 8446 section 4.4.2."""
    entries = b"".join(len(c).to_bytes(3) + c + b"\x00\x00" for c in certificates)
    body = bytes([len(context)]) + context + len(entries).to_bytes(3) + entries
    return b"\x0b" + len(body).to_bytes(3) + body


def test_the_first_certificate_of_the_message_is_found() -> None:
    assert leaf_of(message(b"leaf", b"issuer")) == b"leaf"
    assert leaf_of(message(b"x" * 70_000)) == b"x" * 70_000
    assert leaf_of(message(b"leaf", context=b"ctx")) == b"leaf"
    assert leaf_of(message()) is None


def test_cut_messages_name_no_certificate() -> None:
    whole = message(b"leaf")
    for cut in range(len(whole) - 2):  # the last two bytes are the extensions after it
        assert leaf_of(whole[:cut]) is None


def test_without_the_hook_nothing_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "_hook", None)
    assert not learning.can_learn()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert not learn_in_handshake(context, frozenset({"0" * 64}), lambda _der: None)


def openssl(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


def unverified(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    return error


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (openssl("HTTP_REQUEST"), Refusal.PLAIN_HTTP),
        (openssl("WRONG_VERSION_NUMBER"), Refusal.NOT_TLS),
        (openssl("UNSUPPORTED_PROTOCOL"), Refusal.TLS_VERSION),
        (openssl("TLSV1_ALERT_UNKNOWN_CA"), Refusal.TLS_ALERT),
        (openssl("PEER_DID_NOT_RETURN_A_CERTIFICATE"), Refusal.NO_CERTIFICATE),
        (openssl("SOMETHING_NEW"), Refusal.TLS_OTHER),
        (unverified(18), Refusal.UNKNOWN_CERTIFICATE),
        (unverified(10), Refusal.EXPIRED_CERTIFICATE),
        (unverified(24), Refusal.BAD_CERTIFICATE),
        (ConnectionAbortedError("taking longer"), Refusal.TIMEOUT),
        (TimeoutError(), Refusal.TIMEOUT),
        (ConnectionResetError(), Refusal.CLOSED),
        (BrokenPipeError(), Refusal.CLOSED),
    ],
)
def test_every_failed_handshake_has_one_reason(error: OSError, refusal: Refusal) -> None:
    assert classify(error) is refusal
