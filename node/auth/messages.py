"""Who sent a request to the REST face of federation.

Law: an id counts only together with the certificate of the connection that it was enrolled
with; then the signature is checked, then who the message says it is from, and last of all
its nonce is taken, so that a forgery never burns one. A refusal changes nothing.
"""

from typing import TYPE_CHECKING, Final

from node.auth.enrolments import Enrolled
from node.auth.refusals import FORBIDDEN, AuthRefused
from node.auth.signatures import (
    get_bytes,
    header_of,
    is_nonce,
    push_bytes,
    signature_in,
    verifies,
)
from transport.identity import NodeKey

if TYPE_CHECKING:
    from node.http.call import Call

PEER_ID: Final = "x-peer-id"
SIGNATURE: Final = "x-memory-sig"
NONCE: Final = "x-memory-nonce"
NONCE_KIND: Final = "peer"


def sign_push(key: NodeKey, body: bytes, nonce: str) -> str:
    """The header `x-memory-sig` of a push.

    Args:
        key: of the sender; its public half is enrolled at the receiver.
        body: exactly the bytes that are sent.
        nonce: fresh, as in the header `x-memory-nonce`.
    """
    return header_of(key.sign(push_bytes(body, nonce)))


def sign_get(key: NodeKey, method: str, path: str, query: str) -> str:
    """The header `x-memory-sig` of a request without a body; path and query as sent."""
    return header_of(key.sign(get_bytes(method, path, query)))


async def authenticate_push(call: "Call") -> Enrolled:
    """The enrolled peer that sent a push.

    Raises:
        AuthRefused: 401 `x_memory_sig_missing`, `x_memory_sig_malformed`,
            `x_memory_nonce_missing`, `peer_not_enrolled`, `x_memory_sig_bad_signature`,
            `x_memory_nonce_replay`; 403 `sender_agent_id_mismatch`.
        node.http.problems.Problem: the body is no JSON object.
        node.errors.Unavailable: nonces cannot be remembered now.
    """
    credentials = call.services.credentials
    signature = _signature(call, demanded=credentials.demands_signature())
    nonce = _nonce(call, demanded=credentials.demands_nonce())
    peer = _enrolled(call)
    if signature is not None:
        _check(peer, push_bytes(call.body, nonce or ""), signature)
    sender = call.fields.get("sender_agent_id")
    if sender is not None and sender != peer.peer_id:
        raise AuthRefused(
            "sender_agent_id_mismatch",
            "sender_agent_id names somebody else than x-peer-id; send one's own id in both",
            status=FORBIDDEN,
        )
    if nonce is not None and not await credentials.nonces.take(NONCE_KIND, peer.peer_id, nonce):
        raise AuthRefused(
            "x_memory_nonce_replay", "this nonce was used before; send a fresh x-memory-nonce"
        )
    return peer


async def authenticate_get(call: "Call") -> Enrolled | None:
    """The enrolled peer that asks; None for one that is only on the allowlist.

    Raises:
        AuthRefused: a signature was sent and does not hold.
    """
    signature = _signature(call, demanded=False)
    if signature is None:
        return call.services.credentials.enrolments().find(call.headers.get(PEER_ID), call.peer)
    peer = _enrolled(call)
    _check(peer, get_bytes(call.method, call.path, call.query_text), signature)
    return peer


def _signature(call: "Call", *, demanded: bool) -> bytes | None:
    header = call.headers.get(SIGNATURE)
    if not header:
        if not demanded and header is None:
            return None
        raise AuthRefused(
            "x_memory_sig_missing", f"a push is signed in the header {SIGNATURE}: ed25519=<base64>"
        )
    signature = signature_in(header)
    if signature is None:
        raise AuthRefused(
            "x_memory_sig_malformed", f"{SIGNATURE}: expected ed25519=<base64 of 64 bytes>"
        )
    return signature


def _nonce(call: "Call", *, demanded: bool) -> str | None:
    nonce = call.headers.get(NONCE)
    if nonce is None and not demanded:
        return None
    if not is_nonce(nonce):
        raise AuthRefused(
            "x_memory_nonce_missing",
            f"a push carries a fresh {NONCE} of 1 to 128 printable characters",
        )
    return nonce


def _enrolled(call: "Call") -> Enrolled:
    peer_id = call.headers.get(PEER_ID)
    credentials = call.services.credentials
    if peer_id is None and credentials.demands_signature():
        raise AuthRefused("peer_not_enrolled", f"say who sends this in the header {PEER_ID}")
    peer = credentials.enrolments().find(peer_id, call.peer)
    if peer is None:
        raise AuthRefused(
            "peer_not_enrolled",
            "no key is enrolled for this x-peer-id with this certificate; the operator of this "
            "node does it with `mnemesh identity import --agent-id ID --pub FILE --fingerprint FP`",
        )
    return peer


def _check(peer: Enrolled, message: bytes, signature: bytes) -> None:
    if not verifies(peer.public_key, message, signature):
        raise AuthRefused(
            "x_memory_sig_bad_signature",
            "the signature does not fit what was received and the enrolled key",
        )
