"""Handlers of entities, of walks along links, and of the tree of namespaces.

Law: no rule lives here. Every answer to a write tells its durability.
"""

from typing import Any, Final

from node.graph.entities import Entities, alias_asked
from node.graph.invalidation import invalidate as end_link
from node.graph.taxonomy import read_taxonomy, taxonomy, visible_counts
from node.graph.timeline import read_span, timeline
from node.graph.walk import read_walk, walk
from node.http.answer import Answer, json_answer
from node.http.call import Call
from node.http.link_routes import nothing_written
from node.http.memory_routes import pending
from node.http.problems import told
from node.links.link import relation_of, required
from node.memory.problems import NotFound
from node.memory.record import record_of
from node.memory.times import format_ms

_UNKNOWN: Final[dict[str, Any]] = {
    "entity_id": None,
    "canonical_name": None,
    "namespace": None,
    "aliases": [],
}


def _entities(call: Call) -> Entities:
    services = call.services
    return Entities(services.memories, services.entity_index)


async def register(call: Call) -> Answer:
    """POST /entities: 201 when it is new, 200 when it was there."""
    done = await _entities(call).register(call.ask())
    receipt = done.receipt or nothing_written(call)
    if receipt.pending_id is not None:
        return pending(receipt, done.entity.id, "store")
    body = told(receipt, **done.entity.shown(), created=done.created)
    return json_answer(body, 201 if done.created else 200)


async def by_alias(call: Call) -> Answer:
    """GET /entities/by_alias: 200 also when nothing has the name."""
    alias, space = alias_asked(call.query, call.services.limits)
    found, others = await _entities(call).by_alias(alias, space, call.reader)
    if found is None:
        return json_answer({"found": False, **_UNKNOWN, "others": []})
    return json_answer({"found": True, **found.shown(), "others": others})


async def query(call: Call) -> Answer:
    """POST /kg/query."""
    services, body = call.services, call.fields
    wanted = read_walk(body, services.limits)
    source = services.memories.find(required(body, "source_id"), call.reader)
    found = await walk(services.links, source, call.reader, wanted, services.now_ms())
    answer = {
        "source_id": source.id,
        "max_depth": wanted.max_depth,
        "memories": [
            {**record_of(one.held, services.access.of(one.held.id)), **one.shown()}
            for one in found.memories
        ],
        "paths": [one.path_text for one in found.memories],
        "edges": [link.shown() for link in found.edges],
        "count": len(found.memories),
        "truncated": found.truncated,
    }
    return json_answer(answer)


async def events(call: Call) -> Answer:
    """GET /kg/timeline."""
    services = call.services
    span = read_span(call.query, services.limits)
    source = services.memories.find(required(call.query, "source_id"), call.reader)
    shown, more = await timeline(services.links, source, call.reader, span)
    body = {
        "source_id": source.id,
        "events": [event.shown() for event in shown],
        "count": len(shown),
        "truncated": more,
    }
    return json_answer(body)


async def invalidate(call: Call) -> Answer:
    """POST /kg/invalidate: 404 with `found` false when there is no such link."""
    services, ask = call.services, call.ask()
    try:
        done = await end_link(services.memories, services.links, ask)
    except NotFound as error:
        return json_answer(_no_link(ask.body, error), error.http_status)
    if done.receipt.pending_id is not None:
        return pending(done.receipt, done.link.id, "store")
    previous = None if done.previous is None else format_ms(done.previous)
    body = {
        **done.link.shown(),
        "found": True,
        "valid_until": format_ms(done.until),
        "previous_valid_until": previous,
    }
    return json_answer(told(done.receipt, **body))


def _no_link(body: Any, error: NotFound) -> dict[str, Any]:
    named = {name: body.get(name) for name in ("source_id", "target_id")}
    said = {"error": error.code, "detail": str(error)}
    return {**said, "found": False, **named, "relation": relation_of(body)}


async def tree(call: Call) -> Answer:
    """GET /taxonomy."""
    services = call.services
    wish = read_taxonomy(call.query, services.limits)
    hidden = await services.census.hidden(call.reader, services.now_ms())
    counts = visible_counts(services.funnel.reader(), hidden, call.reader)
    root, cut = taxonomy(counts, wish)
    node = root.shown()
    body = {**node, "tree": [node], "total_count": root.subtree_count, "truncated": cut}
    return json_answer(body)
