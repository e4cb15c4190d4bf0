"""The REST face of federation: what foreign peers and operators' curl may fetch and push.

Law: a certificate on the allowlist is needed for both; a push is signed besides. Handlers only
translate; what a row means is decided in `node.foreign`. Members of this mesh are sent away.
"""

from typing import Any, Final

from node.auth.messages import authenticate_get, authenticate_push
from node.auth.refusals import AuthRefused
from node.foreign.exchange import Foreign
from node.foreign.problems import MemberHere
from node.foreign.writing import Sender
from node.http.answer import Answer, json_answer
from node.http.call import Call
from node.http.problems import Problem, told
from node.memory.problems import InvalidField
from node.memory.query import number
from node.memory.rules import agent_id

_PAGE_DEFAULT: Final = 500
_NOT_ENROLLED: Final = "peer_not_enrolled"


def _foreign(call: Call) -> Foreign:
    foreign = call.services.foreign
    if foreign is None:
        raise Problem(503, "unavailable", "this node exchanges nothing with other meshes")
    return foreign


async def push(call: Call) -> Answer:
    """POST /sync/push."""
    foreign = _foreign(call)
    try:
        peer = await authenticate_push(call)
    except AuthRefused as error:
        # A member has no reason to be enrolled; it is told what to use instead.
        if error.code == _NOT_ENROLLED and foreign.is_member(call.peer or ""):
            raise MemberHere from error
        raise
    foreign.check_foreign(peer.fingerprint)
    sender = Sender(key=peer.fingerprint, name=peer.peer_id)
    body, receipt = await foreign.receive(sender, call.fields)
    return json_answer(told(receipt, **body))


async def since(call: Call) -> Answer:
    """GET /sync/since: what arrived on this node after a token or a moment."""
    foreign = _foreign(call)
    await authenticate_get(call)
    query, limits = call.query, call.services.limits
    if query.get("peer"):
        agent_id("peer", query["peer"], limits)
    wanted = number("limit", query.get("limit"), _PAGE_DEFAULT)
    limit = max(1, min(wanted, limits.sync_page_items_max))
    return json_answer(await foreign.page(call.peer or "", query.get("since", ""), limit))


# --- whom this node itself exchanges with -----------------------------------------------


async def peers(call: Call) -> Answer:
    """GET /federation/peers."""
    held = _foreign(call).peers
    return json_answer({"peers": [] if held is None else held.status()})


async def add_peers(call: Call) -> Answer:
    """POST /federation/peers: exchange with these from now on."""
    held = _foreign(call).peers
    if held is None:
        raise Problem(503, "unavailable", "this node has no certificate to show to peers")
    return json_answer({"peers": held.add_wish(call.fields)})


async def drop_peers(call: Call) -> Answer:
    """DELETE /federation/peers: withdraw what was added."""
    held = _foreign(call).peers
    dropped = [] if held is None else held.drop(_urls(call.fields.get("peers")))
    return json_answer({"dropped": dropped})


def _urls(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InvalidField("peers", "expected a list of addresses")
    return value
