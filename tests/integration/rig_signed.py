"""Agents whose name is bound to a key: what they sign, and how it is sent.

Law: a request is signed as the protocol says, by the node's own code for it, and sent as it is.
"""

import base64
import json
from dataclasses import dataclass

from node.auth.identities import FOLDER, Identities
from node.auth.signatures import sign_agent
from tests.integration.rig import RealNode, Reply
from transport.identity import NodeKey

MEMORIES = "/api/v1/memories"


@dataclass(frozen=True)
class Signed:
    """One request of an agent, as it goes over the wire."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str]


@dataclass
class Agent:
    """An agent with a key of its own."""

    name: str
    key: NodeKey

    def signed(
        self, nonce: str, method: str = "POST", path: str = MEMORIES, **body: object
    ) -> Signed:
        data = json.dumps(body).encode() if body else b""
        headers = {
            "x-agent-id": self.name,
            "x-agent-nonce": nonce,
            "x-agent-sig": sign_agent(self.key, method, path, "", data, nonce),
        }
        return Signed(method, path, data, headers)

    def memory(self, nonce: str) -> Signed:
        return self.signed(nonce, title=nonce, content="c")


def bound(node: RealNode, name: str) -> Agent:
    """An agent whose key was made by the node's own tool and is bound on the node."""
    held = Identities(node.data_dir / "keys" / FOLDER)
    seed = name.encode().ljust(32, b".")
    made = held.generate(name, lambda _size: seed, force=False)
    public = base64.b64encode(made.public_key).decode()
    body = {"agent_id": name, "agent_type": "system", "public_key": public}
    node.tell("POST", "/agents", body, x_agent_id=name)
    return Agent(name, held.key_of(name))


def send(node: RealNode, request: Signed) -> Reply:
    path = request.path.removeprefix("/api/v1")
    headers = {name.replace("-", "_"): value for name, value in request.headers.items()}
    return node.ask(request.method, path, request.body or None, **headers)
