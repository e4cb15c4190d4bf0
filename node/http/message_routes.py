"""Handlers of `/notify` and `/inbox`: messages from agent to agent.

Law: only translation. An inbox is shown to the agent that it belongs to, and to nobody else.
"""

from dataclasses import replace
from typing import Any

from node.contracts import Caller, Receipt
from node.events.messages import LIMIT_DEFAULT, Messages
from node.http.answer import Answer, json_answer
from node.http.call import Call
from node.http.memory_routes import pending
from node.http.problems import told
from node.memory.memories import Ask
from node.memory.problems import InvalidField
from node.memory.query import number
from node.memory.rules import agent_id

_YES = frozenset(("1", "true", "yes"))
_NO = frozenset(("", "0", "false", "no"))


async def notify(call: Call) -> Answer:
    """POST /notify."""
    sent = await Messages(call.services.memories).send(call.ask())
    if sent.receipt.pending_id is not None:
        return pending(sent.receipt, sent.id, "store")
    shown = {**sent.shown, "target_agent_id": sent.shown["to"]}
    return json_answer(told(sent.receipt, **shown), 201)


async def inbox(call: Call) -> Answer:
    """GET /inbox; marks what it shows as read when asked to."""
    services, query = call.services, call.query
    limit = min(number("limit", query.get("limit"), LIMIT_DEFAULT), services.limits.page_items_max)
    unread_only = _flag("unread_only", query.get("unread_only"))
    mark = _flag("mark_read", query.get("mark_read"))
    viewer = _addressee(call)
    messages = Messages(services.memories)
    found = await messages.inbox(viewer, limit=limit, unread_only=unread_only)
    body: dict[str, Any] = {"messages": found, "count": len(found)}
    unread = [one["id"] for one in found if not one["read"]]
    if mark and unread:
        ask = Ask(caller=_as_writer(call, viewer), body={})
        marked, receipt = await messages.mark_read(unread, ask)
        if receipt is not None:
            return json_answer(told(receipt, marked=marked, **body))
    return json_answer(body)


async def mark(call: Call) -> Answer:
    """POST /inbox/read: the messages in `ids`, or all."""
    ids = call.fields.get("ids")
    if ids is not None and (
        not isinstance(ids, list) or not all(isinstance(one, str) for one in ids)
    ):
        raise InvalidField("ids", "expected a list of ids of messages")
    marked, receipt = await Messages(call.services.memories).mark_read(ids, call.ask())
    if receipt is None:
        token = call.services.funnel.reader().token()
        receipt = Receipt(dots=(), local=True, acks=0, needed=0, peers=(), token=token)
    if receipt.pending_id is not None:
        return pending(receipt, "", "store")
    return json_answer(told(receipt, marked=marked))


def _addressee(call: Call) -> Caller:
    """Whose inbox is asked for: the caller's; `agent_id` may name who a nameless caller is.

    Another agent's inbox is empty to the caller, whatever is in it.
    """
    viewer, given = call.reader, call.query.get("agent_id")
    if not given:
        return viewer
    named = agent_id("agent_id", given, call.services.limits)
    if named == viewer.agent:
        return viewer
    if viewer.agent or call.services.requires_signature(named):
        return replace(viewer, agent="")
    return replace(viewer, agent=named)


def _as_writer(call: Call, viewer: Caller) -> Caller:
    """The addressee as the writer of a mark, held to what a write in its name demands."""
    return call.ask({"agent_id": viewer.agent} if viewer.agent else {}).caller


def _flag(name: str, text: str | None) -> bool:
    value = (text or "").lower()
    if value not in _YES | _NO:
        raise InvalidField(name, "expected true or false")
    return value in _YES
