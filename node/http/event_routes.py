"""Handlers of `/events` and `/subscriptions`: what happened, and who wants to hear of it.

Law: only translation. What a caller hears is decided in `node.events`; a secret is taken and
never given back.
"""

from typing import Any, Final

from aiohttp import web

from node.events.feed import EventSource
from node.events.filters import read_filter
from node.events.subscriptions import Subscriptions
from node.events.telling import Teller
from node.http.answer import Answer, json_answer
from node.http.call import Call
from node.http.memory_routes import pending
from node.http.problems import told
from node.http.sse import cursor_of, stream

_NAMED: Final = ("id", "agent_id", "namespace")


async def follow(call: Call) -> Answer | web.StreamResponse:
    """GET /events/stream."""
    services = call.services
    reader, events = services.funnel.reader, services.events
    source = EventSource(
        reader=reader,
        teller=Teller(reader, services.governing, events.departed),
        viewer=call.reader,
        wanted=read_filter(call.query, services.limits),
        cursor=cursor_of(call),
        follow=events.bell.follow,
    )
    return await stream(call, source, services.streams)


def _subscriptions(call: Call) -> Subscriptions:
    services = call.services
    events = services.events
    return Subscriptions(
        services.memories,
        node_id=events.node_id or services.mesh.status().node_id,
        loopback=events.loopback,
        counts=events.counts,
    )


async def subscribe(call: Call) -> Answer:
    """POST /subscriptions."""
    subscriptions = _subscriptions(call)
    made, receipt = await subscriptions.create(call.ask())
    if receipt.pending_id is not None:
        return pending(receipt, made.id, "store")
    return json_answer(told(receipt, **subscriptions.shown(made, whole=True)), 201)


async def subscribed(call: Call) -> Answer:
    """GET /subscriptions."""
    found = _subscriptions(call).page(call.reader, call.query, administrator=call.is_administrator)
    return json_answer({"subscriptions": found, "count": len(found)})


async def unsubscribe(call: Call) -> Answer:
    """DELETE /subscriptions?id= or ?agent_id=&namespace=."""
    given: dict[str, Any] = {name: call.query[name] for name in _NAMED if name in call.query}
    return await _end(call, {**call.fields, **given})


async def unsubscribe_one(call: Call) -> Answer:
    """DELETE /subscriptions/{id}."""
    return await _end(call, {**call.fields, "id": call.params[0]})


async def _end(call: Call, named: dict[str, Any]) -> Answer:
    # An agent that is named here is the one whose subscriptions end, so it is the one that asks
    # unless the header says otherwise.
    nobody = not call.reader.agent and "agent_id" in named
    ask = call.ask({"agent_id": named["agent_id"]} if nobody else {})
    ids, receipt = await _subscriptions(call).end(named, ask, administrator=call.is_administrator)
    ident = ids[0] if len(ids) == 1 else str(named.get("id", ""))
    if receipt.pending_id is not None:
        return pending(receipt, ident, "delete")
    return json_answer(told(receipt, deleted=True, id=ident, ids=ids, count=len(ids)))
