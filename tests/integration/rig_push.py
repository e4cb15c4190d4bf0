"""A REST peer of a test's own: a certificate, a key, and code that shares nothing with the node.

Law: what it sends is signed by hand, as the contract says, so that a mistake in the node's own
signer cannot hide one in its verifier.
"""

import base64
import hashlib
import http.client
import itertools
import json
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nacl.signing import SigningKey

from tests.integration.rig import RealNode, until
from tests.integration.rig_commands import told
from tests.integration.rig_mesh import Pair, list_of, self_signed
from transport import allowlist

_PROOF = b"mnemesh-join\x00"


@dataclass
class Pusher:
    """Somebody who pushes over REST."""

    peer_id: str
    pair: Pair
    key: SigningKey
    url: str
    nonces: "itertools.count[int]" = field(default_factory=itertools.count)

    @classmethod
    def enrolled(cls, node: RealNode, folder: Path, peer_id: str = "pusher") -> "Pusher":
        """Allow the certificate at a running node, and enrol the key for it."""
        pair = self_signed(folder, peer_id)
        allowlist.add(list_of(node), pair.fingerprint, peer_id)
        pusher = cls(peer_id, pair, SigningKey.generate(), node.url)
        pub = folder / f"{peer_id}.pub"
        pub.write_text(bytes(pusher.key.verify_key).hex(), encoding="utf-8")
        told(
            *("identity", "import", "--agent-id", peer_id, "--pub", pub),
            *("--fingerprint", pair.fingerprint),
            node=node,
        )
        until(lambda: pusher.ask("GET", "/sync/since", b"")[0] == 200, "the peer may come in")
        return pusher

    def ask(
        self, method: str, path: str, body: bytes, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """One request over mutual TLS; (0, {}) while the handshake is refused."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(self.pair.certificate, self.pair.key)
        place = urlsplit(self.url)
        connection = http.client.HTTPSConnection(
            place.hostname or "", place.port, timeout=10, context=context
        )
        try:
            sent = {name.replace("_", "-"): text for name, text in headers.items()}
            connection.request(method, f"/api/v1{path}", body=body, headers=sent)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException):
            return 0, {}
        finally:
            connection.close()

    def signed(self, body: bytes, nonce: str) -> dict[str, str]:
        """The headers of a push."""
        signature = self.key.sign(body + b"\x00" + nonce.encode()).signature
        return {
            "x_peer_id": self.peer_id,
            "x_memory_sig": f"ed25519={base64.b64encode(signature).decode()}",
            "x_memory_nonce": nonce,
        }

    def push(self, rows: dict[str, Any]) -> dict[str, Any]:
        """Push rows and expect an answer for each."""
        body = json.dumps({"sender_agent_id": self.peer_id, **rows}).encode()
        status, answer = self.ask(
            "POST", "/sync/push", body, **self.signed(body, f"nonce-{next(self.nonces)}")
        )
        assert status == 200, (status, answer)
        return answer

    def join(self) -> tuple[int, dict[str, Any]]:
        """Ask to become a member, with a genuine proof."""
        ours = bytes.fromhex(self.pair.fingerprint)
        theirs = hashlib.sha256(self._certificate()).digest()
        proof = self.key.sign(_PROOF + ours + theirs).signature
        fields = {
            "name": self.peer_id,
            "url": "https://127.0.0.1:1",
            "public_key": bytes(self.key.verify_key).hex(),
            "proof": proof.hex(),
        }
        return self.ask("POST", "/mesh/join", json.dumps(fields).encode())

    def _certificate(self) -> bytes:
        place = urlsplit(self.url)
        pem = ssl.get_server_certificate((place.hostname or "", place.port or 0), timeout=10)
        return ssl.PEM_cert_to_DER_cert(pem)
