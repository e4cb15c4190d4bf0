import json

import pytest

from node.auth.enrolments import Enrolled, Enrolments, format_enrolments, parse_enrolments
from transport.identity import NodeKey

KEY = NodeKey(bytes(range(32))).public
OTHER = NodeKey(bytes(32)).public
CERT, NEXT = "ab" * 32, "cd" * 32


def peer(name: str = "peer-b", cert: str = CERT, key: bytes = KEY) -> Enrolled:
    return Enrolled(peer_id=name, public_key=key, fingerprint=cert, enrolled_at=5)


def test_an_id_counts_only_with_its_certificate() -> None:
    held = Enrolments().with_peer(peer()).with_peer(peer("peer-c", NEXT, OTHER))
    assert held.find("peer-b", CERT) == peer()
    for name, cert in (("peer-b", NEXT), ("peer-c", CERT), ("peer-x", CERT), ("peer-b", None)):
        assert held.find(name, cert) is None, name


def test_a_certificate_alone_names_its_only_peer() -> None:
    held = Enrolments().with_peer(peer())
    assert held.find(None, CERT) == peer()
    assert held.find(None, NEXT) is None
    assert held.with_peer(peer("peer-c", CERT, OTHER)).find(None, CERT) is None


def test_the_file_says_what_was_written() -> None:
    held = Enrolments().with_peer(peer()).with_peer(peer("a/b:c", NEXT, OTHER))
    assert parse_enrolments(format_enrolments(held)) == Enrolments(dict(held.peers))
    assert parse_enrolments(format_enrolments(held.without("peer-b"))).find("peer-b", CERT) is None
    assert parse_enrolments(b"").peers == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("peer_id", "../x"),
        ("peer_id", ""),
        ("public_key", "00" * 32),
        ("public_key", "nonsense"),
        ("fingerprint", "ab"),
        ("fingerprint", None),
    ],
)
def test_one_bad_row_refuses_the_whole_file(field: str, value: object) -> None:
    data = json.loads(format_enrolments(Enrolments().with_peer(peer())))
    data["peers"][0][field] = value
    with pytest.raises(ValueError, match=r"peers\[0\]"):
        parse_enrolments(json.dumps(data).encode())


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"version":2,"peers":[]}', b'{"version":1}'])
def test_what_is_no_such_file_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_enrolments(text)
