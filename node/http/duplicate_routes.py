"""Handlers that look for likeness and contradiction; they change nothing.

Law: translation only; what the caller may not see is no candidate.
"""

from node.http.answer import Answer, json_answer
from node.http.call import Call
from node.lifecycle.contradictions import contradictions
from node.lifecycle.duplicates import nearest, question_of
from node.memory.record import records_of
from node.memory.rules import namespace


async def check_duplicate(call: Call) -> Answer:
    """POST /check_duplicate."""
    services = call.services
    question = question_of(call.fields, services.limits)
    matches, scanned = await nearest(services.memories, question, call.reader, services.alike)
    best = matches[0] if matches else None
    body = {
        "is_duplicate": best is not None and best.similarity >= question.threshold,
        "threshold": question.threshold,
        "nearest": None if best is None else best.shown(),
        "candidates_scanned": scanned,
        "matches": [match.shown() for match in matches],
    }
    return json_answer(body)


async def contradicting(call: Call) -> Answer:
    """GET /contradictions."""
    services = call.services
    space = call.query.get("namespace")
    found = await contradictions(
        services.memories,
        services.links,
        call.reader,
        topic=call.query.get("topic") or None,
        namespace=None if space is None else namespace("namespace", space, services.limits),
        candidates=services.alike,
    )
    body = {
        "memories": records_of(found.memories, services.access.of),
        "contradictions": found.contradictions,
        "links": found.links,
        "count": len(found.contradictions),
        "truncated": found.truncated,
    }
    return json_answer(body)
