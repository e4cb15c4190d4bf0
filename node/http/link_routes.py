"""Handlers of links, lineage and grants: what connects memories and who is let in.

Law: no rule lives here. Every answer to a write tells its durability.
"""

from typing import Any, Final

from node.contracts import Receipt
from node.http.answer import Answer, json_answer
from node.http.call import Call
from node.http.memory_routes import pending
from node.http.problems import told
from node.links.lineage import DEPTH_DEFAULT, direction_of, lineage
from node.memory.query import number
from node.memory.record import content_id
from node.memory.sharing import grantee, share

_DEPTH_MAX: Final = 1000
_LINK_FIELDS: Final = ("source_id", "target_id", "relation")


async def create(call: Call) -> Answer:
    """POST /links: 201 with the link, also when it was there already."""
    services = call.services
    stated = await services.links.create(call.ask())
    receipt = stated.receipt
    if receipt is None:
        return json_answer(told(nothing_written(call), **stated.link.shown()), 201)
    if receipt.pending_id is not None:
        return pending(receipt, stated.link.id, "store")
    return json_answer(told(receipt, **stated.link.shown()), 201)


def nothing_written(call: Call) -> Receipt:
    """Of having had nothing to write: true at once, everywhere."""
    token = call.services.funnel.reader().token()
    return Receipt(dots=(), local=True, acks=0, needed=0, peers=(), token=token)


async def delete(call: Call) -> Answer:
    """DELETE /links; the link is named in the body or in the query."""
    given: dict[str, Any] = {name: call.query[name] for name in _LINK_FIELDS if name in call.query}
    ask = call.ask({**given, **call.fields})
    link, receipt = await call.services.links.remove(ask)
    if receipt.pending_id is not None:
        return pending(receipt, link.id, "delete")
    named = {"source_id": link.source, "target_id": link.target, "relation": link.relation}
    return json_answer(told(receipt, deleted=True, **named))


async def of_memory(call: Call) -> Answer:
    """GET /links/{id}: both ways."""
    services = call.services
    held = services.memories.find(call.params[0], call.reader)
    links = await services.links.of(held.id, call.reader)
    return json_answer({"links": [link.shown() for link in links], "count": len(links)})


async def of_lineage(call: Call) -> Answer:
    """GET /memories/{id}/lineage."""
    services = call.services
    direction = direction_of(call.query.get("direction"))
    depth = min(number("max_depth", call.query.get("max_depth"), DEPTH_DEFAULT), _DEPTH_MAX)
    held = services.memories.find(call.params[0], call.reader)
    found = await lineage(services.links, held, call.reader, direction=direction, max_depth=depth)
    body = {
        "id": held.id,
        "cid": content_id(held),
        "direction": direction,
        "nodes": [node.shown() for node in found.nodes],
        "count": len(found.nodes),
        "truncated": found.truncated,
    }
    return json_answer(body)


async def grant(call: Call) -> Answer:
    """POST /memories/{id}/grant."""
    return await _share(call, allowed=True)


async def revoke(call: Call) -> Answer:
    """POST /memories/{id}/revoke."""
    return await _share(call, allowed=False)


async def _share(call: Call, *, allowed: bool) -> Answer:
    services = call.services
    agent = grantee(call.fields, services.limits)
    # The body names somebody else, so the header alone says who asks.
    shared = await share(
        services.memories,
        call.params[0],
        call.ask({}),
        agent,
        allowed=allowed,
        administrator=call.is_administrator,
    )
    receipt = shared.receipt or nothing_written(call)
    if receipt.pending_id is not None:
        return pending(receipt, shared.id, "store")
    body = told(receipt, id=shared.id, agent_id=agent, granted=allowed, grants=list(shared.grants))
    return json_answer(body)
