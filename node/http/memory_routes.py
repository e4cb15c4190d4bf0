"""Handlers of `/memories`: translation between requests and what agents do.

Law: no rule about memories lives here. Every answer to a write tells its durability.
"""

from typing import Any

from aiohttp import hdrs

from node.contracts import Held, Receipt
from node.http.answer import Answer, json_answer, json_bytes
from node.http.call import Call
from node.http.problems import told
from node.http.saying import said_of
from node.memory.memories import Changed
from node.memory.query import number, read_query
from node.memory.record import concurrent_of, operation_of, record_of, records_of

_HISTORY_DEFAULT = 100
_LINKS_SHOWN_MAX = 100


async def create(call: Call) -> Answer:
    """POST /memories."""
    made = await call.services.memories.create(call.ask())
    call.services.metrics.counter("memory_writes_total").inc()
    receipt = made.receipt
    if receipt.pending_id is not None:
        return pending(receipt, made.id, "store")
    body = told(
        receipt,
        id=made.id,
        tier=made.tier,
        namespace=made.namespace,
        title=made.title,
        agent_id=made.agent,
    )
    return json_answer(body, 201)


def pending(receipt: Receipt, record: str, action: str) -> Answer:
    """The answer to a write that waits for approval."""
    body = told(receipt, status="pending", pending_id=receipt.pending_id, id=record, action=action)
    return json_answer(body, 202)


async def page(call: Call) -> Answer:
    """GET /memories."""
    services = call.services
    query = read_query(call.query, services.limits)
    held = await services.memories.page(query, call.reader)
    services.metrics.counter("memory_reads_total").inc(len(held))
    return json_answer({"memories": records_of(held, services.access.of), "count": len(held)})


async def read(call: Call) -> Answer:
    """GET /memories/{id}."""
    services = call.services
    held = services.memories.find(call.params[0], call.reader)
    services.metrics.counter("memory_reads_total").inc()
    access = services.access.touch(held.id, services.now_ms())
    links = []
    if services.links.touch(held.id):
        links = await services.links.of(held.id, call.reader, _LINKS_SHOWN_MAX)
    # The record stands there twice and is encoded once.
    said, shown = said_of(held, access), json_bytes([link.shown() for link in links])
    body = b"".join((said[:-1], b',"memory":', said, b',"links":', shown, b"}"))
    return Answer(200, body, headers=_etag(held))


def _etag(held: Held | None) -> dict[str, str] | None:
    return None if held is None else {hdrs.ETAG: f'"{held.view.etag}"'}


async def update(call: Call) -> Answer:
    """PUT /memories/{id}."""
    changed = await call.services.memories.update(
        call.params[0], call.ask(), call.headers.get(hdrs.IF_MATCH)
    )
    return _changed(call, changed, "store")


async def promote(call: Call) -> Answer:
    """POST /memories/{id}/promote."""
    changed = await call.services.memories.promote(call.params[0], call.ask())
    return _changed(call, changed, "promote", promoted=True, tier="long")


def _changed(call: Call, changed: Changed, action: str, **fields: Any) -> Answer:
    call.services.metrics.counter("memory_writes_total").inc()
    if changed.receipt.pending_id is not None:
        return pending(changed.receipt, changed.id, action)
    held = changed.held
    record = None if held is None else record_of(held, call.services.access.of(held.id))
    body = told(changed.receipt, id=changed.id, memory=record, **fields)
    return json_answer(body, headers=_etag(held))


async def delete(call: Call) -> Answer:
    """DELETE /memories/{id}."""
    changed = await call.services.memories.delete(
        call.params[0], call.ask(), call.headers.get(hdrs.IF_MATCH)
    )
    call.services.metrics.counter("memory_writes_total").inc()
    if changed.receipt.pending_id is not None:
        return pending(changed.receipt, changed.id, "delete")
    return json_answer(told(changed.receipt, deleted=True, id=changed.id))


async def conflicts(call: Call) -> Answer:
    """GET /memories/{id}/conflicts: what the merge did not choose, and beside it what it did."""
    held, found = call.services.memories.conflicts(call.params[0], call.reader)
    fields = {name: [concurrent_of(name, one) for one in values] for name, values in found.items()}
    body = {
        "id": held.id,
        "fields": {name: values[1:] for name, values in fields.items()},
        "shown": {name: values[0] for name, values in fields.items() if values},
        "count": len(fields),
        "rivals": held.view.rivals,
    }
    return json_answer(body)


async def history(call: Call) -> Answer:
    """GET /memories/{id}/history."""
    most = call.services.limits.page_items_max
    limit = min(number("limit", call.query.get("limit"), _HISTORY_DEFAULT), most)
    held, ops = call.services.memories.history(call.params[0], call.reader, limit)
    shown = [operation_of(op) for op in ops]
    return json_answer({"id": held.id, "history": shown, "count": len(shown)})
