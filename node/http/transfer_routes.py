"""Handlers of bulk, import and export: many memories at once.

Law: what comes in is one write with a report for each bad item; what goes out streams and
never holds more than a piece in memory.
"""

from typing import Any, Final

import orjson
from aiohttp import web

from node.contracts import Receipt
from node.events.moments import IMPORTED
from node.http.answer import JSON, SERVER, Answer, json_answer
from node.http.call import Call
from node.http.problems import told
from node.links.transfer import take_links
from node.memory.batch import Written, create_many, import_many, items_of
from node.memory.problems import InvalidField, NotAdministrator
from node.memory.record import exported_of, record_of
from node.memory.times import format_ms

_PIECE_BYTES: Final = 64 * 1024


def _receipt(call: Call, written: Written) -> Receipt:
    """Of the write, or of having had nothing to write: true at once, everywhere."""
    if written.receipt is not None:
        call.services.metrics.counter("memory_writes_total").inc(len(written.batch.ids))
        return written.receipt
    token = call.services.funnel.reader().token()
    return Receipt(dots=(), local=True, acks=0, needed=0, peers=(), token=token)


async def bulk(call: Call) -> Answer:
    """POST /memories/bulk."""
    body = call.json
    items = items_of(body, "memories", call.services.limits.bulk_items_max)
    ask = call.ask(body if isinstance(body, dict) else {})
    written = await create_many(call.services.memories, items, ask, call.objection)
    receipt = _receipt(call, written)
    batch = written.batch
    waiting: list[dict[str, Any]] = []
    if receipt.pending_id is not None:
        waiting = [
            {"index": place, "pending_id": receipt.held[ident]}
            for place, ident in zip(batch.places, batch.ids, strict=True)
            if ident in receipt.held
        ]
    answer = told(
        receipt,
        created=len(batch.ids) - len(waiting),
        ids=batch.ids,
        errors=batch.errors,
        pending=waiting,
    )
    if batch.errors and not batch.ids:
        answer["error"] = "no item could be taken"
        return json_answer(answer, 400)
    return json_answer(answer, 207 if batch.errors else 201)


async def take_in(call: Call) -> Answer:
    """POST /import."""
    body = call.json
    items = items_of(body, "memories", call.services.limits.bulk_items_max)
    ask = call.ask(body if isinstance(body, dict) else {})
    memories, trust = call.services.memories, _trusts(call, body)
    if trust and not call.is_administrator:
        raise NotAdministrator("only administrators may import with trust_source")
    links = take_links(memories, _links(call, body), ask, trust=trust)
    written = await import_many(memories, items, ask, trust=trust, further=links)
    batch = written.batch
    if call.services.hooks is not None:
        call.services.hooks.tell(IMPORTED, {"agent_id": ask.agent, "count": len(batch.ids)})
    answer = told(
        _receipt(call, written),
        imported=len(batch.ids),
        skipped=batch.skipped,
        links_imported=batch.links,
        links_skipped=batch.skipped_links,
        errors=batch.errors,
    )
    return json_answer(answer)


def _links(call: Call, body: Any) -> list[Any]:
    """The links of an import, if it has any."""
    if not isinstance(body, dict) or body.get("links") is None:
        return []
    return items_of(body, "links", call.services.limits.bulk_items_max)


def _trusts(call: Call, body: Any) -> bool:
    wish = call.query.get("trust_source")
    if wish is None and isinstance(body, dict):
        wish = body.get("trust_source")
    if wish in (None, False, "", "false", "0"):
        return False
    if wish in (True, "true", "1"):
        return True
    raise InvalidField("trust_source", "expected true or false")


async def export(call: Call) -> web.StreamResponse:
    """GET /export: one JSON object, piece by piece."""
    services = call.services
    viewer = call.reader
    response = web.StreamResponse(headers={"Content-Type": JSON, "Server": SERVER})
    await response.prepare(call.request)
    piece = bytearray(
        b'{"exported_at":%b,"memories":[' % orjson.dumps(format_ms(services.now_ms()))
    )
    count = 0
    administrator = call.is_administrator
    async for held in services.memories.all_for(viewer, administrator=administrator):
        if count:
            piece += b","
        changes = await services.memories.changes_of(held)
        piece += orjson.dumps(record_of(held, services.access.of(held.id)) | exported_of(changes))
        count += 1
        if len(piece) >= _PIECE_BYTES:
            await response.write(bytes(piece))
            piece.clear()
    piece += b'],"links":['
    links = 0
    async for link in services.links.all_for(viewer, administrator=administrator):
        if links:
            piece += b","
        piece += orjson.dumps(link.shown())
        links += 1
        if len(piece) >= _PIECE_BYTES:
            await response.write(bytes(piece))
            piece.clear()
    piece += b'],"count":%d}' % count
    await response.write(bytes(piece))
    await response.write_eof()
    return response
