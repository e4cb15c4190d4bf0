"""Handlers of collaborative documents: what they hold, their changes, and edits of them.

Law: only translation. Hashes are lowercase hex, changes base64 in JSON and as they are in bytes.
Every answer to a write tells its durability, and the heads that the document has with it.
"""

import asyncio
import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import Any, Final

from aiohttp import hdrs, web

from crdt.document.model import MissingChangesError
from crdt.document.opened import Document
from crdt.document.pack import Kept
from crdt.hlc import millis
from node.contracts import Held, Receipt
from node.documents.documents import Added, Documents, Edited, heads_of
from node.documents.problems import UnknownHeads
from node.documents.warming import THREAD_BYTES_MIN
from node.http.answer import Answer, json_answer
from node.http.call import Call
from node.http.document_check import compared
from node.http.document_stream import DocumentSource
from node.http.link_routes import nothing_written
from node.http.media import AUTOMERGE, BYTES, EVENTS, JSON, liked_best, plain_type
from node.http.memory_routes import pending
from node.http.problems import Problem, told
from node.http.sse import stream
from node.memory.problems import InvalidField
from node.memory.query import number
from node.memory.times import format_ms

Headers = dict[str, str]
HEADS: Final = "X-Document-Heads"
_HISTORY_DEFAULT: Final = 100
_ASIDE_SHOWN_MAX: Final = 100
_HEADS_TOLD_MAX: Final = 64
_LAST: Final = "Last-Event-ID"
_TRUE: Final = ("true", "1")
_FALSE: Final = ("", "false", "0")


def _documents(call: Call) -> Documents:
    """What reads and edits them.

    Raises:
        Problem: this node has none.
    """
    documents = call.services.documents
    if documents is None:
        raise Problem(404, "not_found", "this node has no documents")
    return documents


async def read(call: Call) -> Answer:
    """GET /memories/{id}/document."""
    services = call.services
    heads = _heads("heads", call.query.get("heads"))
    verify = flag_of("verify", call.query.get("verify"))
    held, document = await _documents(call).opened(call.params[0], call.reader)
    services.metrics.counter("memory_reads_total").inc()
    services.access.touch(held.id, services.now_ms())
    headers: Headers = {hdrs.ETAG: f'"{held.view.etag}"', hdrs.VARY: hdrs.ACCEPT}
    if heads is not None:
        document = await _at(document, heads)
    if not verify and _has(held, call.headers.get(hdrs.IF_NONE_MATCH)):
        return Answer(304, b"", headers=headers)
    if liked_best(call.headers.get(hdrs.ACCEPT), (JSON, AUTOMERGE)) == AUTOMERGE:
        return _bytes(document.data(), document, headers)
    shown = _shown(held, document)
    if verify:
        shown["verified"] = await asyncio.to_thread(compared, document.history())
    return json_answer(shown, headers=headers)


def _shown(held: Held, document: Document) -> dict[str, Any]:
    return {
        "id": held.id,
        "title": held.view.values["title"],
        "heads": _hex(document.heads),
        "value": document.value(),
        "types": document.types(),
        "conflicts": document.conflicts(),
        "changes": document.changes,
        "set_aside": [
            {"name": one.name, "reason": one.reason} for one in document.aside[:_ASIDE_SHOWN_MAX]
        ],
        "set_aside_count": len(document.aside),
        "version": held.view.version,
    }


async def _at(document: Document, heads: Sequence[bytes]) -> Document:
    """The document as it was at some of its heads, made beside the loop where there is much of it.

    Raises:
        UnknownHeads: it has no such changes here.
    """
    later = {one.change.hash for one in _since(document, heads)}
    then = [one for one in document.history() if one.change.hash not in later]
    if sum(len(one.change.data) for one in then) > THREAD_BYTES_MIN:
        return await asyncio.to_thread(Document.of, then)
    return Document.of(then)


def _bytes(data: bytes, document: Document, headers: Headers) -> Answer:
    """Chunks as any Automerge library loads them."""
    if len(document.heads) <= _HEADS_TOLD_MAX:  # no client takes a header of any length
        headers = {**headers, HEADS: ",".join(_hex(document.heads))}
    return Answer(200, data, AUTOMERGE, headers=headers)


async def edit(call: Call) -> Answer:
    """PATCH /memories/{id}/document."""
    body = call.json
    fields = {"ops": body} if isinstance(body, list) else call.fields
    edited = await _documents(call).edit(
        call.params[0], call.ask(fields), call.headers.get(hdrs.IF_MATCH)
    )
    made, receipt = edited.change_hash, edited.receipt or nothing_written(call)
    return _written(call, edited, receipt, change=None if made is None else made.hex())


async def add(call: Call) -> Answer:
    """POST /memories/{id}/document/changes."""
    if plain_type(call.headers.get(hdrs.CONTENT_TYPE)) in (AUTOMERGE, BYTES):
        ask, data = call.ask({}), call.body
    else:
        ask = call.ask()
        data = b"".join(_chunks(ask.body.get("changes")))
    added = await _documents(call).add(call.params[0], ask, data, call.headers.get(hdrs.IF_MATCH))
    receipt = added.receipt or nothing_written(call)
    return _written(call, added, receipt, added=added.added, known=added.known)


def _chunks(given: Any) -> list[bytes]:
    """The changes of a request in JSON.

    Raises:
        InvalidField: not a list of base64 texts.
    """
    if not isinstance(given, list):
        raise InvalidField("changes", "expected a list of changes, each in base64")
    out = []
    for place, text in enumerate(given):
        try:
            out.append(base64.b64decode(text, validate=True))
        except (binascii.Error, TypeError, ValueError) as error:
            raise InvalidField("changes", f"item {place} is no base64 text") from error
    return out


def _written(call: Call, done: Edited | Added, receipt: Receipt, **fields: Any) -> Answer:
    call.services.metrics.counter("memory_writes_total").inc()
    if receipt.pending_id is not None:
        return pending(receipt, done.id, "store")
    headers: Headers | None = None
    if done.held is not None:
        fields["version"] = done.held.view.version
        headers = {hdrs.ETAG: f'"{done.held.view.etag}"'}
    if done.document is not None:
        fields["heads"] = _hex(done.document.heads)
    return json_answer(told(receipt, id=done.id, **fields), headers=headers)


async def changes(call: Call) -> Answer | web.StreamResponse:
    """GET /memories/{id}/document/changes: once, or as they come."""
    services = call.services
    form = liked_best(call.headers.get(hdrs.ACCEPT), (JSON, AUTOMERGE, EVENTS))
    since = _heads("since", call.query.get("since")) or ()
    seen = _heads(_LAST, call.headers.get(_LAST)) if form == EVENTS else None
    held, document = await _documents(call).opened(call.params[0], call.reader)
    services.metrics.counter("memory_reads_total").inc()
    # A client that opens a stream again says where it was in a header. The node that it comes to
    # may not have got that far: such a client is sent too much, others are told that they err.
    kept = [] if seen is not None else _since(document, since)
    if form == EVENTS:
        source = DocumentSource(
            memories=services.memories,
            documents=_documents(call),
            record_id=held.id,
            viewer=call.reader,
            heads=seen or since,
            follow=services.events.bell.follow,
        )
        shelf = _documents(call).shelf
        return await stream(call, source, services.streams, lambda: source.over, shelf)
    headers: Headers = {hdrs.VARY: hdrs.ACCEPT}
    if form == AUTOMERGE:
        return _bytes(b"".join([one.change.data for one in kept]), document, headers)
    encoded = [base64.b64encode(one.change.data).decode() for one in kept]
    body = {
        "id": held.id,
        "changes": encoded,
        "heads": _hex(document.heads),
        "version": held.view.version,
    }
    return json_answer(body, headers=headers)


def _since(document: Document, heads: Sequence[bytes]) -> list[Kept]:
    """What the document has beyond some heads.

    Raises:
        UnknownHeads: it has no such changes here.
    """
    try:
        return document.since(heads)
    except MissingChangesError as error:
        raise UnknownHeads(error.missing) from error


async def history(call: Call) -> Answer:
    """GET /memories/{id}/document/history."""
    services = call.services
    most = services.limits.page_items_max
    limit = min(number("limit", call.query.get("limit"), _HISTORY_DEFAULT), most)
    held, document = await _documents(call).opened(call.params[0], call.reader)
    newest = document.history()[::-1][:limit]
    body = {
        "id": held.id,
        "history": [_entry(one) for one in newest],
        "count": len(newest),
        "heads": _hex(document.heads),
    }
    return json_answer(body)


def _entry(kept: Kept) -> dict[str, Any]:
    change = kept.change
    return {
        "hash": change.hash.hex(),
        "actor": change.actor.hex(),
        "seq": change.seq,
        "time": format_ms(change.time * 1000) if change.time else None,
        "message": change.message,
        "deps": _hex(change.deps),
        "ops": len(change.ops),
        "bytes": len(change.data),
        "agent_id": kept.agent,
        "at": format_ms(millis(kept.hlc)),
    }


def _heads(name: str, text: str | None) -> tuple[bytes, ...] | None:
    """Heads as an address or a header names them; None where it names none.

    Raises:
        InvalidField: not hashes.
    """
    return heads_of(name, text) or None if text else None


def flag_of(name: str, text: str | None) -> bool:
    """Whether an address says yes.

    Raises:
        InvalidField: it says neither yes nor no.
    """
    if text is None or text in _FALSE:
        return False
    if text in _TRUE:
        return True
    raise InvalidField(name, "expected true or false")


def _hex(hashes: Iterable[bytes]) -> list[str]:
    return sorted(one.hex() for one in hashes)


def _has(held: Held, if_none_match: str | None) -> bool:
    """Whether a client holds this very state (RFC 9110, section 13.1.2)."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or f'"{held.view.etag}"' in tags
