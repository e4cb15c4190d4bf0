"""Handlers of `/pending`: what waits for approval, and the decisions about it.

Law: only translation; an action that is decided by this vote is 200, one that still waits for
others 202.
"""

from aiohttp import web

from node.governing.feed import PendingSource
from node.governing.pending import Decided, PendingActions
from node.governing.waiting import APPROVED
from node.http.answer import Answer, json_answer
from node.http.call import Call
from node.http.problems import told
from node.http.sse import cursor_of, stream


def _actions(call: Call) -> PendingActions:
    services = call.services
    return PendingActions(
        governing=services.governing, memories=services.memories, now_ms=services.now_ms
    )


async def page(call: Call) -> Answer:
    """GET /pending."""
    actions = _actions(call)
    found = actions.page(actions.filters(call.query), call.reader)
    return json_answer({"pending": found, "count": len(found)})


async def approve(call: Call) -> Answer:
    """POST /pending/{id}/approve."""
    decided = await _actions(call).decide(call.params[0], call.ask(), yes=True)
    action = decided.action
    about = {"id": action.id, "memory_id": action.record[1], "namespace": action.namespaces[0]}
    if decided.status != APPROVED:
        have, needed = action.progress()
        body = told(
            decided.receipt, **about, status="collecting", approved=False, executed=False,
            approvals=have, needed=needed,
        )  # fmt: skip
        return json_answer(body, 202)
    body = told(
        decided.receipt, **about, approved=True, executed=True, status=decided.status,
        action=action.kind, decided_by=_by(decided),
    )  # fmt: skip
    return json_answer(body)


async def reject(call: Call) -> Answer:
    """POST /pending/{id}/reject."""
    decided = await _actions(call).decide(call.params[0], call.ask(), yes=False)
    action = decided.action
    body = told(
        decided.receipt, rejected=True, id=action.id, memory_id=action.record[1],
        namespace=action.namespaces[0], status=decided.status, decided_by=_by(decided),
    )  # fmt: skip
    return json_answer(body)


def _by(decided: Decided) -> str | None:
    decisive = decided.action.decisive()
    return None if decisive is None else decisive.agent


async def follow(call: Call) -> Answer | web.StreamResponse:
    """GET /pending/stream."""
    services = call.services
    source = PendingSource(services.pending_feed, _actions(call), call.reader, cursor_of(call))
    return await stream(call, source, services.streams)
