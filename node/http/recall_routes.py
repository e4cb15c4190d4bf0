"""Handlers of recall, search and the index: translation only.

Law: no rule lives here. A recall counts as a read of what it gives, aside; it writes nothing.
"""

from typing import Any

from node.http.answer import Answer, json_answer
from node.http.call import Call
from node.http.problems import Problem
from node.memory.record import record_of
from node.recall.asking import read_ask, read_search
from node.recall.service import Found, Recall

_SCORE_DIGITS = 6


def _recall(call: Call) -> Recall:
    recall = call.services.recall
    if recall is None:
        raise Problem(503, "recall_unavailable", "this node keeps no index to recall from")
    return recall


async def recall_query(call: Call) -> Answer:
    """GET /recall."""
    return await _recalled(call, call.query)


async def recall_body(call: Call) -> Answer:
    """POST /recall: the same in a body."""
    return await _recalled(call, {**call.query, **call.fields})


async def _recalled(call: Call, fields: dict[str, Any]) -> Answer:
    services = call.services
    ask = read_ask(fields, services.limits)
    said = _said(call, ask.context, ask.namespace)
    if services.hooks is not None:
        await services.hooks.reading(said, ask.context, search=False, caller=call.reader)
    answer = await _recall(call).recall(ask, call.reader)
    now = services.now_ms()
    for one in answer.found:
        services.access.touch(one.held.id, now)
    services.metrics.counter("memory_reads_total").inc(len(answer.found))
    if services.hooks is not None:
        services.hooks.was_read({**said, "found": len(answer.found)}, search=False)
    return json_answer(
        {
            "memories": [_shown(call, one) for one in answer.found],
            "count": len(answer.found),
            "tokens_used": answer.tokens_used,
            "budget_tokens": ask.budget_tokens,
            "meta": {"recall_mode": answer.mode, "candidate_counts": dict(answer.candidates)},
        }
    )


async def search(call: Call) -> Answer:
    """GET /search."""
    text, query = read_search(call.query, call.services.limits)
    hooks, said = call.services.hooks, _said(call, text, query.namespace)
    if hooks is not None:
        await hooks.reading(said, text, search=True, caller=call.reader)
    found = await _recall(call).search(text, query, call.reader)
    call.services.metrics.counter("memory_reads_total").inc(len(found))
    rows = [_shown(call, one) for one in found]
    if hooks is not None:
        hooks.was_read({**said, "found": len(found)}, search=True)
    return json_answer({"results": rows, "memories": rows, "count": len(rows), "query": text})


def _said(call: Call, text: str, namespace: str | None) -> dict[str, Any]:
    """What hooks are told of a request; its words are for those who ask for them."""
    return {"agent_id": call.reader.agent, "namespace": namespace or "", "characters": len(text)}


def _shown(call: Call, one: Found) -> dict[str, Any]:
    record = record_of(one.held, call.services.access.of(one.held.id))
    record["score"] = round(one.score, _SCORE_DIGITS)
    return record


async def index_status(call: Call) -> Answer:
    """GET /index."""
    return json_answer(_recall(call).status())


async def index_rebuild(call: Call) -> Answer:
    """POST /index/rebuild: begins it; GET /index tells how far it is."""
    recall = _recall(call)
    recall.rebuild()
    return json_answer({"rebuilding": True, **recall.status()}, 202)
