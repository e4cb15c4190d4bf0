"""Handlers of `/namespaces`: what is there, and which standards hold.

Law: only translation; what a standard means and who may set it is said in `node.governing`.
A namespace in a path is one segment, its slashes written %2F.
"""

from collections import Counter
from typing import Any

from node.governing.standards import Changed, Standards
from node.http.answer import Answer, json_answer
from node.http.call import Call
from node.http.problems import told
from node.memory.problems import InvalidField

_TRUE = ("true", "1", "yes")
_FALSE = ("", "false", "0", "no")


def _standards(call: Call) -> Standards:
    services = call.services
    return Standards(
        governing=services.governing, memories=services.memories, times=services.approval_times
    )


async def spaces(call: Call) -> Answer:
    """GET /namespaces: all of them, or the standards of one."""
    wanted = call.query.get("namespace")
    if wanted:
        return _shown(call, wanted)
    services, viewer = call.services, call.reader
    hidden = await services.census.hidden(viewer, services.now_ms())
    counts: Counter[str] = Counter()
    for (space, tier), held in services.funnel.reader().counts().items():
        counts[space] += max(held - hidden.counts[space, tier], 0)
    found = _standards(call).spaces(+counts, viewer)
    return json_answer({"namespaces": found, "count": len(found)})


async def read(call: Call) -> Answer:
    """GET /namespaces/{ns}/standard."""
    return _shown(call, call.params[0])


def _shown(call: Call, wanted: str) -> Answer:
    standards = _standards(call)
    space = standards.space("namespace", wanted)
    found = standards.of(space, call.reader, inherit=_flag("inherit", call.query.get("inherit")))
    body = {
        "namespace": found.namespace,
        "standards": found.standards,
        "chain": found.chain,
        "count": len(found.standards),
    }
    return json_answer(body)


def _flag(name: str, text: str | None) -> bool:
    wish = (text or "").lower()
    if wish not in (*_TRUE, *_FALSE):
        raise InvalidField(name, "expected true or false")
    return wish in _TRUE


async def put(call: Call) -> Answer:
    """POST /namespaces."""
    return await _set(call, call.fields.get("namespace"))


async def put_one(call: Call) -> Answer:
    """POST /namespaces/{ns}/standard."""
    return await _set(call, call.params[0])


async def _set(call: Call, wanted: object) -> Answer:
    standards, fields = _standards(call), call.fields
    space = standards.space("namespace", wanted)
    changed = await standards.set(space, call.ask(), fields)
    return _changed(changed, 201, set=True, namespace=space)


async def clear(call: Call) -> Answer:
    """DELETE /namespaces."""
    wanted = call.query.get("namespace") or call.fields.get("namespace")
    return await _clear(call, wanted)


async def clear_one(call: Call) -> Answer:
    """DELETE /namespaces/{ns}/standard."""
    return await _clear(call, call.params[0])


async def _clear(call: Call, wanted: object) -> Answer:
    standards = _standards(call)
    space = standards.space("namespace", wanted)
    changed = await standards.clear(space, call.ask())
    return _changed(changed, 200, cleared=changed.receipt is not None, namespace=space)


def _changed(changed: Changed, status: int, **fields: Any) -> Answer:
    if changed.standard is not None:
        fields = {**changed.standard, **fields, "standard_id": changed.standard["id"]}
    if changed.ignored:
        fields["ignored"] = list(changed.ignored)
    if changed.receipt is None:  # there was nothing to change, so there is nothing to hold
        return json_answer(fields, status)
    return json_answer(told(changed.receipt, **fields), status)
