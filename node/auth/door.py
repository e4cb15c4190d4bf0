"""In whose name a request may write: what its key says, and what its signature proves.

Law: a name that a key or a signature settles is never overruled by what the request says.
A nonce is taken only after its signature has been verified, so a forgery never burns one.
"""

from typing import TYPE_CHECKING, Final

from multidict import istr

from node.auth.refusals import FORBIDDEN, AuthRefused
from node.auth.signatures import agent_bytes, is_nonce, signature_in, verifies
from node.contracts import Governing

if TYPE_CHECKING:
    from node.http.call import Call

AGENT: Final = istr("X-Agent-Id")
SIGNATURE: Final = istr("x-agent-sig")
NONCE: Final = istr("x-agent-nonce")
_NONCE_KIND: Final = "agent"


def bound_key(governing: Governing, agent: str) -> bytes | None:
    """The public key that an agent has bound to its name; None when it has none."""
    registered = governing.state().agents.get(agent)
    return None if registered is None else registered.get("public_key") or None


def check_agent_of_key(call: "Call") -> None:
    """Hold a request to the agent that its key speaks for.

    Raises:
        AuthRefused: 403 `agent_not_of_key`.
    """
    own = call.grant.agent_id
    if own:
        named = call.headers.get(AGENT)
        if named and named != own:
            raise not_of_key(own)


def objection(call: "Call", agent: str) -> AuthRefused | None:
    """Why a request may not write in the name of an agent; None when it may."""
    own = call.grant.agent_id
    if own and agent != own:
        return not_of_key(own)
    if agent and agent != call.signer and call.services.requires_signature(agent):
        return _missing(agent)
    return None


def not_of_key(own: str) -> AuthRefused:
    """The refusal of a request that names somebody else than its key does."""
    return AuthRefused(
        "agent_not_of_key",
        f"the API key speaks for {own} alone; name no other agent, or use another key",
        status=FORBIDDEN,
    )


def _missing(agent: str) -> AuthRefused:
    return AuthRefused(
        "agent_signature_missing",
        f"{agent} has bound a key, so writes in its name are signed in the header {SIGNATURE}, "
        f"with a fresh {NONCE}",
    )


def needs_check(call: "Call", *, writes: bool) -> bool:
    """Whether there is anything to verify; dictionary look-ups alone.

    What is signed must hold, whatever it asks; a signature is demanded for writes only.
    """
    if SIGNATURE in call.headers:
        return True
    if not writes:
        return False
    agent = call.grant.agent_id or call.headers.get(AGENT, "")
    return bool(agent) and call.services.requires_signature(agent)


async def check_signature(call: "Call") -> None:
    """Verify the signature of a request, and remember who signed it in `call.signer`.

    Raises:
        AuthRefused: 401 `agent_signature_missing`, `agent_signature_bad` or
            `agent_nonce_replay`.
        node.errors.Unavailable: nonces cannot be remembered now.
    """
    agent = _signer(call)
    header, nonce = call.headers.get(SIGNATURE), call.headers.get(NONCE)
    if not header or not nonce:
        raise _missing(agent or "the agent")
    public = call.services.bound_key(agent) if agent else None
    if public is None:
        raise _bad("no key is bound to the agent that the request names")
    signature = signature_in(header)
    if signature is None:
        raise _bad(f"{SIGNATURE}: expected ed25519=<base64 of 64 bytes>")
    if not is_nonce(nonce):
        raise _bad(f"{NONCE}: expected 1 to 128 printable characters")
    message = agent_bytes(call.method, call.path, call.query_text, call.body, nonce)
    if not verifies(bytes(public), message, signature):
        raise _bad("the signature does not fit what was received and the bound key")
    if not await call.services.credentials.nonces.take(_NONCE_KIND, agent, nonce):
        raise AuthRefused("agent_nonce_replay", f"this nonce was used before; send a fresh {NONCE}")
    call.signer = agent


def _signer(call: "Call") -> str:
    """Whose signature it has to be: the key's agent, else the header's, else the body's."""
    named = call.grant.agent_id or call.headers.get(AGENT)
    if named:
        return named
    body = call.json
    return call.services.memories.caller(body, None) if isinstance(body, dict) else ""


def _bad(what: str) -> AuthRefused:
    return AuthRefused("agent_signature_bad", what)
