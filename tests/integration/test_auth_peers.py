"""An enrolled REST peer on a real node: certificate, key, nonce, and the end of an enrolment."""

import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from node.auth.messages import sign_get, sign_push
from node.auth.public_keys import public_pem
from tests.integration.rig import RealNode, until
from tests.integration.rig_mesh import Pair, self_signed
from tests.integration.test_auth_keys import mnemesh
from transport.identity import NodeKey

pytestmark = pytest.mark.integration

KEY = NodeKey(bytes(range(32)))
PUSH, SINCE = "/api/v1/sync/push", "/api/v1/sync/since"


@dataclass
class Peer:
    """A foreign node with a certificate and a key, which speaks HTTPS."""

    pair: Pair
    port: int
    key: NodeKey = KEY
    name: str = "peer-b"

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(self.pair.certificate, self.pair.key)
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=context, timeout=15
        )
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def push(self, nonce: str, body: object = None, **changed: str) -> tuple[int, Any]:
        data = json.dumps(body or {"sender_agent_id": self.name, "memories": []}).encode()
        headers = {
            "content-type": "application/json",
            "x-peer-id": self.name,
            "x-memory-nonce": nonce,
            "x-memory-sig": sign_push(self.key, data, nonce),
        }
        named = {name.replace("_", "-"): value for name, value in changed.items()}
        sent = {name: value for name, value in (headers | named).items() if value}
        return self.ask("POST", PUSH, data, sent)

    def error(self, nonce: str, body: object = None, **changed: str) -> tuple[int, str]:
        status, said = self.push(nonce, body, **changed)
        return status, said.get("error", "")


@pytest.fixture
def node(keyed: RealNode) -> RealNode:
    return keyed


def enrolled(node: RealNode, folder: Path) -> Peer:
    peer = Peer(self_signed(folder, "peer-b"), int(node.url.rpartition(":")[2]))
    where = ("--data-dir", node.data_dir)
    mnemesh("node", "allow", peer.pair.fingerprint, "--cert", peer.pair.certificate, *where)
    until(lambda: _let_in(peer), "the certificate is let in", seen=node.tail)
    assert peer.error("n0") == (401, "peer_not_enrolled")
    pub = folder / "peer-b.pub"
    pub.write_bytes(public_pem(KEY.public))
    mnemesh(
        *("identity", "import", "--agent-id", peer.name, "--pub", pub),
        *("--fingerprint", peer.pair.fingerprint, *where),
    )
    return peer


def _let_in(peer: Peer) -> bool:
    try:
        return peer.ask("GET", SINCE, b"", {})[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def test_a_peer_pushes_under_its_enrolment_and_no_longer(node: RealNode, tmp_path: Path) -> None:
    peer = enrolled(node, tmp_path / "peer")
    assert peer.push("n1")[0] == 200
    for outcome, changed in (
        ((401, "x_memory_nonce_replay"), {}),
        ((401, "x_memory_sig_missing"), {"x_memory_sig": ""}),
        ((401, "x_memory_sig_malformed"), {"x_memory_sig": "ed25519=AAAA"}),
        ((401, "x_memory_nonce_missing"), {"x_memory_nonce": ""}),
        ((401, "x_memory_sig_bad_signature"), {"x_memory_nonce": "n2"}),
        ((401, "peer_not_enrolled"), {"x_peer_id": "peer-c"}),
        ((401, "peer_not_enrolled"), {"x_peer_id": ""}),
    ):
        assert peer.error("n1", **changed) == outcome
    other = {"sender_agent_id": "peer-c", "memories": []}
    assert peer.error("n2", other) == (403, "sender_agent_id_mismatch")
    signed = {"x-peer-id": peer.name, "x-memory-sig": sign_get(KEY, "GET", SINCE, "limit=1")}
    assert peer.ask("GET", f"{SINCE}?limit=1", b"", signed)[0] == 200
    status, said = peer.ask("GET", f"{SINCE}?limit=2", b"", signed)
    assert (status, said["error"]) == (401, "x_memory_sig_bad_signature")
    assert node.metric("mnemesh_auth_rejected_total", reason="x_memory_nonce_replay") == 1
    node.kill()
    node.start()
    until(lambda: _let_in(peer), "the certificate is let in", seen=node.tail)
    assert peer.error("n1") == (401, "x_memory_nonce_replay")
    assert peer.push("n3")[0] == 200
    mnemesh("identity", "rm", "--agent-id", peer.name, "--data-dir", node.data_dir)
    assert peer.error("n4") == (401, "peer_not_enrolled")
