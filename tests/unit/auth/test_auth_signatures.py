import base64

import pytest

from node.auth.signatures import (
    agent_bytes,
    get_bytes,
    header_of,
    is_nonce,
    push_bytes,
    sign_agent,
    signature_in,
    verifies,
)
from transport.identity import NodeKey

KEY = NodeKey(bytes(range(32)))


def test_a_signature_has_one_spelling() -> None:
    signature = KEY.sign(b"x")
    header = header_of(signature)
    assert header == "ed25519=" + base64.b64encode(signature).decode()
    assert signature_in(header) == signature
    assert signature_in(f" {header} ") == signature
    last = header[-3]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    twins = [header[:-3] + char + "==" for char in alphabet if char != last]
    assert all(signature_in(twin) != signature for twin in twins)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "ed25519=",
        "ed25519=AAAA",
        "ED25519=" + base64.b64encode(bytes(64)).decode(),
        "ed25519=" + base64.b64encode(bytes(63)).decode(),
        "ed25519=" + base64.b64encode(bytes(65)).decode(),
        "ed25519=" + base64.b64encode(bytes(64)).decode() + "\nx",
        "rsa=" + base64.b64encode(bytes(64)).decode(),
        base64.b64encode(bytes(64)).decode(),
        "ed25519=" + "é" * 86 + "==",
    ],
)
def test_other_texts_are_no_signature(header: str) -> None:
    assert signature_in(header) is None


def test_the_bytes_are_those_of_the_contract() -> None:
    assert agent_bytes("POST", "/api/v1/memories", "a=b", b"{}", "n1") == (
        b"POST\n/api/v1/memories\na=b\n"
        b"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\nn1"
    )
    assert push_bytes(b"{}", "n1") == b"{}\0n1"
    assert get_bytes("GET", "/api/v1/sync/since", "limit=5") == b"GET\n/api/v1/sync/since\nlimit=5"


def test_a_message_of_one_kind_is_none_of_another() -> None:
    header = sign_agent(KEY, "POST", "/p", "", b"", "n")
    signature = signature_in(header)
    assert signature is not None
    assert verifies(KEY.public, agent_bytes("POST", "/p", "", b"", "n"), signature)
    assert not verifies(KEY.public, push_bytes(b"", "n"), signature)
    assert not verifies(KEY.public, get_bytes("POST", "/p", ""), signature)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("n", True),
        ("é~ x", True),
        ("n" * 128, True),
        ("n" * 129, False),
        ("", False),
        (None, False),
        ("a\tb", False),
        ("a\0b", False),
        ("\udc80", False),
    ],
)
def test_what_can_be_a_nonce(text: str | None, *, good: bool) -> None:
    assert is_nonce(text) is good
