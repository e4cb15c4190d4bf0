from pathlib import Path

from node.auth.identities import FOLDER, Identities
from node.auth.signatures import agent_bytes, signature_in, verifies
from node.cli.signing import signature_headers


def test_a_command_signs_with_the_key_of_the_agent_it_speaks_for(tmp_path: Path) -> None:
    made = Identities(tmp_path / FOLDER).generate("ai:alice", bytes, force=False)
    headers = signature_headers(tmp_path, "ai:alice", "POST", "/p?a=b%20c", b"{}")
    assert headers is not None
    signature = signature_in(headers["x-agent-sig"])
    assert signature is not None
    nonce = headers["x-agent-nonce"]
    assert verifies(made.public_key, agent_bytes("POST", "/p", "a=b%20c", b"{}", nonce), signature)
    again = signature_headers(tmp_path, "ai:alice", "POST", "/p?a=b%20c", b"{}")
    assert again is not None
    assert again["x-agent-nonce"] != nonce


def test_without_the_key_nothing_is_signed(tmp_path: Path) -> None:
    assert signature_headers(tmp_path, "ai:bob", "POST", "/p", b"") is None
