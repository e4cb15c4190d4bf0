"""The REST face of federation: what foreign peers and operators' curl may fetch and push.

Law: a certificate on the allowlist is needed for both. A token names this store and a place
in its order of arrival, so a page neither skips nor repeats; a token of another store starts
over. Private memories are not in it. A push is refused while no key can be enrolled.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Any, Final

from node.contracts import FeedEntry, Reader
from node.http.answer import Answer, json_answer
from node.http.call import Call
from node.http.problems import Problem
from node.memory_drafts import COLLECTION
from node.memory_problems import InvalidField
from node.memory_query import number
from node.memory_record import record_of, visible_to
from node.memory_times import parse_ms

_PAGE_DEFAULT: Final = 500
_SLACK_MS: Final = 5_000
_SIGNATURE: Final = re.compile(r"ed25519=([A-Za-z0-9+/]{86}==)")
_NONCE_CHARS_MAX: Final = 128


async def push(call: Call) -> Answer:
    """POST /sync/push: refused until peers can enrol a key; says what is missing first."""
    signature = call.headers.get("x-memory-sig")
    nonce = call.headers.get("x-memory-nonce")
    if not signature:
        raise Problem(401, "x_memory_sig_missing", "a push is signed in the header x-memory-sig")
    if not _SIGNATURE.fullmatch(signature.strip()):
        raise Problem(401, "x_memory_sig_malformed", "expected ed25519=<base64 of 64 bytes>")
    if not nonce or len(nonce) > _NONCE_CHARS_MAX:
        raise Problem(401, "x_memory_nonce_missing", "a push carries a fresh x-memory-nonce")
    raise Problem(401, "peer_not_enrolled", "no key is enrolled for this peer")


async def since(call: Call) -> Answer:
    """GET /sync/since: what arrived on this node after a token or a moment."""
    query = call.query
    reader = call.services.funnel.reader()
    most = call.services.limits.sync_page_items_max
    limit = max(1, min(number("limit", query.get("limit"), _PAGE_DEFAULT), most))
    after = _start(reader, query.get("since", ""))
    entries = reader.feed(after, limit)
    last = entries[-1].arrival if entries else after
    memories, gone = _rows(entries)
    updated = sorted(row["updated_at"] for row in memories)
    body = {
        "count": len(memories),
        "limit": limit,
        "updated_since": query.get("since") or None,
        "earliest_updated_at": updated[0] if updated else None,
        "latest_updated_at": updated[-1] if updated else None,
        "memories": memories,
        "deletions": gone,
        "links": [],
        "namespace_meta": [],
        "pendings": [],
        "pending_decisions": [],
        "next_since": token(reader.store_id, last),
        "complete": len(entries) < limit,
    }
    return json_answer(body)


def _rows(entries: Sequence[FeedEntry]) -> tuple[list[dict[str, Any]], list[str]]:
    """(memories, ids of those that are gone) of a page; nothing private."""
    memories: list[dict[str, Any]] = []
    gone: list[str] = []
    for entry in entries:
        if entry.collection != COLLECTION:
            continue
        if entry.held is None:
            gone.append(entry.id)
        elif not entry.held.private and visible_to(entry.held, ""):
            memories.append(record_of(entry.held))
    return memories, gone


def token(store_id: str, arrival: int) -> str:
    """The opaque text of a place in the order of arrival of one store."""
    return base64.urlsafe_b64encode(f"{arrival}@{store_id}".encode()).decode().rstrip("=")


def _start(reader: Reader, text: str) -> int:
    """The arrival number after which a page begins.

    Raises:
        InvalidField: the text is neither a token nor a timestamp.
    """
    if not text:
        return 0
    try:
        # A "+" of an offset that was not percent-encoded arrives as a space.
        moment = parse_ms(f"{text[:10]}{text[10:].replace(' ', '+')}")
    except ValueError:
        return _place(reader, text)
    return max(0, reader.arrival_at(max(0, moment - _SLACK_MS)) - 1)


def _place(reader: Reader, text: str) -> int:
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidField("since", "expected RFC 3339 timestamp or token") from error
    arrival, mark, store_id = plain.partition("@")
    if (
        not mark
        or not arrival.isascii()
        or not arrival.isdigit()
        or token(store_id, int(arrival)) != text
    ):
        raise InvalidField("since", "expected RFC 3339 timestamp or token")
    return int(arrival) if store_id == reader.store_id else 0
