"""The routes of a node as calls: one function for each, named as the method of the clients.

Law: pure; names and meanings are those of the HTTP API. What is left out is not sent, so the
node's own defaults hold.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from node.client.call import Call, make_call, plain, segment
from node.client.errors import BadArgument
from node.client.values import (
    Compared,
    Link,
    Memory,
    MemoryBody,
    Message,
    Recalled,
    Stored,
    Written,
)

Answer = dict[str, Any]
Headers = Mapping[str, str]


def given(**fields: object) -> dict[str, Any]:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def _stored(answer: Answer, _headers: Headers) -> Stored:
    return cast("Stored", answer)


def _written(answer: Answer, _headers: Headers) -> Written:
    return cast("Written", answer)


def _memory(answer: Answer, headers: Headers) -> Memory:
    record = {**answer.get("memory", answer), "links": answer.get("links", [])}
    if "etag" in headers:
        record["etag"] = headers["etag"]
    return cast("Memory", record)


def _memories(answer: Answer, _headers: Headers) -> list[Memory]:
    return cast("list[Memory]", answer["memories"])


def _links(answer: Answer, _headers: Headers) -> list[Link]:
    return cast("list[Link]", answer["links"])


def _link(answer: Answer, _headers: Headers) -> Link:
    return cast("Link", answer)


def _recalled(answer: Answer, _headers: Headers) -> Recalled:
    return cast("Recalled", answer)


def _messages(answer: Answer, _headers: Headers) -> list[Message]:
    return cast("list[Message]", answer["messages"])


def _compared(answer: Answer, _headers: Headers) -> Compared:
    return cast("Compared", answer)


# --- memories -------------------------------------------------------------------------


def store(title: str, content: str, key: str | None, fields: Mapping[str, object]) -> Call[Stored]:
    """POST /memories."""
    body = {"title": title, "content": content, **fields}
    return make_call("POST", "/memories", _stored, body=body, idempotency_key=key)


def get(memory_id: str) -> Call[Memory]:
    """GET /memories/{id}."""
    return make_call("GET", f"/memories/{segment(memory_id)}", _memory)


def update(
    memory_id: str, key: str | None, if_match: str | None, changes: Mapping[str, object]
) -> Call[Written]:
    """PUT /memories/{id}."""
    if not changes:
        raise BadArgument("there is nothing to change; give at least one field")
    return make_call(
        "PUT",
        f"/memories/{segment(memory_id)}",
        _written,
        body=dict(changes),
        idempotency_key=key,
        headers=given(**{"if-match": if_match}),
    )


def delete(memory_id: str, key: str | None, if_match: str | None) -> Call[Written]:
    """DELETE /memories/{id}."""
    return make_call(
        "DELETE",
        f"/memories/{segment(memory_id)}",
        _written,
        idempotency_key=key,
        headers=given(**{"if-match": if_match}),
    )


def page(limit: int, offset: int, filters: Mapping[str, object]) -> Call[list[Memory]]:
    """GET /memories."""
    params = {"limit": limit, "offset": offset or None, **filters}
    return make_call("GET", "/memories", _memories, params=params)


def recall(context: str, limit: int, filters: Mapping[str, object]) -> Call[Recalled]:
    """POST /recall; the context may be longer than an address."""
    body = {"context": context, "limit": limit, **filters}
    return make_call("POST", "/recall", _recalled, body=body)


def search(text: str, limit: int, offset: int, filters: Mapping[str, object]) -> Call[list[Memory]]:
    """GET /search."""
    params = {"q": text, "limit": limit, "offset": offset or None, **filters}
    return make_call("GET", "/search", _memories, params=params)


def promote(memory_id: str, key: str | None, to_namespace: str | None) -> Call[Written]:
    """POST /memories/{id}/promote."""
    return make_call(
        "POST",
        f"/memories/{segment(memory_id)}/promote",
        _written,
        body=given(to_namespace=to_namespace),
        idempotency_key=key,
    )


def sharing(memory_id: str, verb: str, agent_id: str, key: str | None) -> Call[Written]:
    """POST /memories/{id}/grant and /revoke."""
    return make_call(
        "POST",
        f"/memories/{segment(memory_id)}/{verb}",
        _written,
        body={"agent_id": agent_id},
        idempotency_key=key,
    )


# --- many at once ---------------------------------------------------------------------


def bulk(items: Sequence[MemoryBody], key: str) -> Call[Answer]:
    """POST /memories/bulk."""
    return make_call("POST", "/memories/bulk", plain, body=list(items), idempotency_key=key)


def take_in(
    memories: Sequence[Mapping[str, Any]],
    links: Sequence[Mapping[str, Any]],
    key: str,
    *,
    trust_source: bool,
) -> Call[Answer]:
    """POST /import."""
    body: dict[str, Any] = {"memories": list(memories)}
    if links:
        body["links"] = list(links)
    params = {"trust_source": True} if trust_source else None
    return make_call("POST", "/import", plain, body=body, params=params, idempotency_key=key)


# --- links, lifecycle, agents ---------------------------------------------------------


def link(
    source_id: str, target_id: str, relation: str | None, valid_from: str | None, key: str | None
) -> Call[Link]:
    """POST /links."""
    body = given(source_id=source_id, target_id=target_id, relation=relation, valid_from=valid_from)
    return make_call("POST", "/links", _link, body=body, idempotency_key=key)


def unlink(source_id: str, target_id: str, relation: str | None, key: str | None) -> Call[Written]:
    """DELETE /links."""
    body = given(source_id=source_id, target_id=target_id, relation=relation)
    return make_call("DELETE", "/links", _written, body=body, idempotency_key=key)


def links(memory_id: str) -> Call[list[Link]]:
    """GET /links/{id}."""
    return make_call("GET", f"/links/{segment(memory_id)}", _links)


_FORGET_BY: Final = frozenset({"ids", "namespace", "pattern", "tier", "agent_id"})


def forget(key: str | None, which: Mapping[str, object]) -> Call[Written]:
    """POST /forget."""
    body = given(**which)
    if not body.keys() & _FORGET_BY:
        raise BadArgument("forget: say what, by " + ", ".join(sorted(_FORGET_BY)))
    return make_call("POST", "/forget", _written, body=body, idempotency_key=key)


def archive(ids: Sequence[str], reason: str | None, key: str | None) -> Call[Written]:
    """POST /archive."""
    body = given(ids=list(ids), reason=reason)
    return make_call("POST", "/archive", _written, body=body, idempotency_key=key)


def restore(memory_id: str, key: str | None) -> Call[Written]:
    """POST /archive/{id}/restore."""
    path = f"/archive/{segment(memory_id)}/restore"
    return make_call("POST", path, _written, body={}, idempotency_key=key)


def consolidate(key: str | None, fields: Mapping[str, object]) -> Call[Written]:
    """POST /consolidate."""
    return make_call("POST", "/consolidate", _written, body=given(**fields), idempotency_key=key)


def check_duplicate(fields: Mapping[str, object]) -> Call[Compared]:
    """POST /check_duplicate."""
    return make_call("POST", "/check_duplicate", _compared, body=given(**fields))


def notify(
    to: str, title: str, content: str, priority: int | None, key: str | None
) -> Call[Answer]:
    """POST /notify."""
    body = given(target_agent_id=to, title=title, content=content, priority=priority)
    return make_call("POST", "/notify", plain, body=body, idempotency_key=key)


def inbox(limit: int | None, *, unread_only: bool) -> Call[list[Message]]:
    """GET /inbox."""
    params = {"limit": limit, "unread_only": unread_only or None}
    return make_call("GET", "/inbox", _messages, params=params)


def look(path: str) -> Call[Answer]:
    """Any GET without parameters."""
    return make_call("GET", path, plain)


def stream_target(path: str) -> str:
    """Path of a stream, from the root of the node."""
    return make_call("GET", path, plain).target
