"""Handlers of the archive, of forgetting, consolidation and the end of what is over.

Law: no rule lives here. Every answer to a write tells its durability.
"""

from typing import Any

from node.contracts import Receipt
from node.http.answer import Answer, json_answer
from node.http.call import Call
from node.http.memory_routes import pending
from node.http.problems import told
from node.lifecycle.archive import (
    LIMIT_DEFAULT,
    REASON_FORGOTTEN,
    action_of,
    ids_of,
    reason_of,
)
from node.lifecycle.wish import Wish, flag, read_wish
from node.memory.query import number
from node.memory.record import archived_of, record_of
from node.memory.rules import namespace

_IDS_SHOWN_MAX = 1000


async def archive_page(call: Call) -> Answer:
    """GET /archive."""
    services = call.services
    limit = number("limit", call.query.get("limit"), LIMIT_DEFAULT)
    held = await services.lifecycle.archive.page(
        call.reader,
        namespace=_namespace(call),
        limit=min(limit, services.limits.page_items_max),
        offset=number("offset", call.query.get("offset"), 0),
    )
    services.metrics.counter("memory_reads_total").inc(len(held))
    rows = [archived_of(one, services.access.of(one.id)) for one in held]
    return json_answer({"memories": rows, "count": len(rows)})


def _namespace(call: Call) -> str | None:
    space = call.query.get("namespace")
    return None if space is None else namespace("namespace", space, call.services.limits)


async def archive_stats(call: Call) -> Answer:
    """GET /archive/stats."""
    services = call.services
    counts = await services.lifecycle.archive.counts(call.reader, services.census)
    by_namespace = [{"namespace": space, "count": count} for space, count in counts.most_common()]
    return json_answer({"total": counts.total(), "by_namespace": by_namespace})


async def archive_many(call: Call) -> Answer:
    """POST /archive."""
    services = call.services
    reason = reason_of(call.fields)
    ids = ids_of(call.fields.get("ids"), services.limits.bulk_items_max)
    moved = await services.lifecycle.archive.put_many(
        ids, call.ask(), reason, administrator=call.is_administrator
    )
    receipt = moved.receipt
    counts: dict[str, Any] = {"archived": len(moved.ids), "missing": list(moved.missing)}
    return _several(call, receipt, action_of(reason), **counts)


async def archive_one(call: Call) -> Answer:
    """POST /archive/{id}."""
    return await _archived(call, reason_of(call.fields), archived=True)


async def _archived(call: Call, reason: str, **fields: Any) -> Answer:
    changed = await call.services.lifecycle.archive.put(
        call.params[0], call.ask(), reason, administrator=call.is_administrator
    )
    call.services.metrics.counter("memory_writes_total").inc()
    if changed.receipt.pending_id is not None:
        return pending(changed.receipt, changed.id, action_of(reason))
    return json_answer(told(changed.receipt, id=changed.id, **fields))


async def restore(call: Call) -> Answer:
    """POST /archive/{id}/restore."""
    services = call.services
    changed = await services.lifecycle.archive.take_out(
        call.params[0], call.ask(), administrator=call.is_administrator
    )
    services.metrics.counter("memory_writes_total").inc()
    if changed.receipt.pending_id is not None:
        return pending(changed.receipt, changed.id, "store")
    held = changed.held
    memory = None if held is None else record_of(held, services.access.of(held.id))
    return json_answer(told(changed.receipt, restored=True, id=changed.id, memory=memory))


async def purge(call: Call) -> Answer:
    """DELETE /archive."""
    given = call.fields.get("older_than_days")
    text = call.query.get("older_than_days", None if given is None else str(given))
    purged = await call.services.lifecycle.archive.purge(
        call.ask(),
        older_than_days=number("older_than_days", text, 0),
        namespace=_namespace(call),
        administrator=call.is_administrator,
    )
    return _several(call, purged.receipt, "delete", purged=purged.count, refused=purged.refused)


async def purge_one(call: Call) -> Answer:
    """DELETE /archive/{id}."""
    purged = await call.services.lifecycle.archive.purge_one(
        call.params[0], call.ask(), administrator=call.is_administrator
    )
    return _several(call, purged.receipt, "delete", purged=purged.count)


async def forget_one(call: Call) -> Answer:
    """POST /memories/{id}/forget: into the archive, or erased."""
    if not flag("erase", call.fields.get("erase", call.query.get("erase"))):
        return await _archived(call, REASON_FORGOTTEN, deleted=1, archived=True)
    found = call.services.memories.finder.anywhere
    ask = call.ask()
    ident = call.params[0]
    if call.services.memories.known(ask.retry) is None:
        ident = found(ident, ask.caller, everything=call.is_administrator).id
    return await _forget(call, Wish(ids=(ident,)))


async def forget(call: Call) -> Answer:
    """POST /forget: what is wanted stands in the body or in the query."""
    return await _forget(call, read_wish(call.fields, call.query, call.services.limits))


async def _forget(call: Call, wish: Wish) -> Answer:
    # A filter names somebody else, so the header alone says who asks.
    forgotten = await call.services.lifecycle.forgetting.forget(
        wish, call.ask({}), administrator=call.is_administrator
    )
    fields: dict[str, Any] = {**forgotten.counts, "missing": list(forgotten.missing)}
    if wish.dry_run:
        fields |= {"dry_run": True, "ids": list(forgotten.ids[:_IDS_SHOWN_MAX])}
    return _several(call, forgotten.receipt, "delete", **fields)


async def consolidate(call: Call) -> Answer:
    """POST /consolidate."""
    made = await call.services.lifecycle.consolidation.make(call.ask())
    call.services.metrics.counter("memory_writes_total").inc()
    receipt = made.receipt
    if receipt.pending_id is not None:
        answer = pending(receipt, made.id, "store")
        return answer if made.id in receipt.held else _partly(receipt, made.id, made.count)
    return json_answer(told(receipt, id=made.id, consolidated=made.count), 201)


def _partly(receipt: Receipt, made: str, count: int) -> Answer:
    """The new memory is there; what hides some of its sources waits for approval."""
    held = [{"id": ident, "pending_id": name} for ident, name in receipt.held.items()]
    return json_answer(told(receipt, id=made, consolidated=count, pending=held), 201)


async def collect(call: Call) -> Answer:
    """POST /gc."""
    dry_run = flag("dry_run", call.fields.get("dry_run", call.query.get("dry_run")))
    swept = await call.services.lifecycle.sweeping.collect(
        call.ask(), administrator=call.is_administrator, dry_run=dry_run
    )
    fields: dict[str, Any] = {"dry_run": True} if dry_run else {}
    counts = {"expired_deleted": swept.expired, "archive_purged": swept.purged}
    return _several(call, swept.receipt, "delete", **counts, **fields)


def _several(call: Call, receipt: Receipt, action: str, **fields: Any) -> Answer:
    """The answer to a write of many records, of which some may wait for approval."""
    call.services.metrics.counter("memory_writes_total").inc(len(receipt.dots))
    if receipt.pending_id is None:
        return json_answer(told(receipt, **fields))
    held = [{"id": ident, "pending_id": name} for ident, name in receipt.held.items()]
    for name in ("deleted", "archived", "purged", "expired_deleted"):
        if isinstance(fields.get(name), int):
            fields[name] = max(0, fields[name] - len(held))
    body = told(
        receipt,
        status="pending",
        pending_id=receipt.pending_id,
        id=held[0]["id"] if held else None,
        action=action,
        pending=held,
        **fields,
    )
    return json_answer(body, 202)
