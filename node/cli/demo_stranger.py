"""A stranger at the door: what a certificate that nobody allowed achieves.

Law: it is refused before any request is read, counted, and kept out also by the road that a
newcomer takes. The same request by a member succeeds, or the refusal would prove nothing.
"""

import datetime as dt
import os
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from node.cli.client import Client, Target
from node.cli.demo_mesh import DemoNode
from node.errors import NodeError, Unreachable
from transport.certificate import make_certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """How the stranger was turned away, in words."""

    fingerprint: str
    door: str
    introduction: str


def try_the_door(node: DemoNode, member: DemoNode, folder: Path) -> Refusals:
    """Knock at a node's mTLS listener as a stranger, then as a member.

    Args:
        node: whose door it is.
        member: somebody it knows.
        folder: where the stranger keeps its key.

    Raises:
        NodeError: the stranger came in, or the member did not.
    """
    folder.mkdir(mode=0o700)
    made = make_certificate("stranger", ["127.0.0.1"], dt.datetime.now(dt.UTC), os.urandom)
    certificate, key = folder / "tls.crt", folder / "tls.key"
    made.save(certificate, key)
    known = Client(_target(node, member.paths.tls_cert, member.paths.tls_key))
    welcome = known.ask("GET", "/api/v1/health")
    if welcome.status != HTTPStatus.OK:
        raise NodeError("a member was turned away", why=f"it was answered {welcome.status}")
    return Refusals(
        fingerprint=made.fingerprint,
        door=_knock(Client(_target(node, certificate, key))),
        introduction=_introduce(node, made.certificate_pem.decode()),
    )


def _target(node: DemoNode, certificate: Path, key: Path) -> Target:
    return Target(
        url=node.known.node.peer_url,
        fingerprint=node.known.fingerprint,
        client_cert=str(certificate),
        client_key=str(key),
    )


def _knock(stranger: Client) -> str:
    try:
        answer = stranger.ask("GET", "/api/v1/health")
    except Unreachable as refused:
        # TLS 1.3 tells a client of its refusal at the first read.
        return f"refused in the handshake ({refused.why.splitlines()[0][:80]})"
    raise NodeError("a stranger was let in", why=f"it was answered {answer.status}")


def _introduce(node: DemoNode, certificate_pem: str) -> str:
    anonymous = Client(Target(url=node.known.node.peer_url, fingerprint=node.known.fingerprint))
    answer = anonymous.ask("POST", "/api/v1/mesh/introduce", body={"certificate": certificate_pem})
    if answer.status < HTTPStatus.BAD_REQUEST:
        raise NodeError("a stranger was introduced", why=f"it was answered {answer.status}")
    return f"{answer.status} {answer.data.get('error')}: {answer.data.get('detail', '')}"[:120]
