"""Handlers of erasing: how far it is, and rewriting the file of the store.

Law: they only translate. Nothing here names a memory: what is told are counts and flags.
"""

from typing import Any

from node.erasing.erasing import Erasing, Standing, Status
from node.http.answer import Answer, json_answer
from node.http.call import Call
from node.http.problems import Problem
from node.memory.times import format_ms


async def erasure(call: Call) -> Answer:
    """GET /erasure: whether the bytes of what was erased are gone, here and on each member."""
    return json_answer(_status(await _erasing(call).status()))


async def compact(call: Call) -> Answer:
    """POST /compact: rewrite the file of the store now, without what was erased."""
    mesh = call.fields.get("mesh", False)
    if not isinstance(mesh, bool):
        raise Problem(400, "invalid_field", "mesh: expected true or false", field="mesh")
    erasing = _erasing(call)
    done = await erasing.compact(mesh=mesh)
    status = await erasing.status()
    return json_answer(
        {
            "rewritten_at": _when(status.members[0].rewritten_ms),
            "before_bytes": done.before_bytes,
            "after_bytes": done.after_bytes,
            "rows": done.rows,
            "stall_ms": done.stall_ms,
            "erased": done.erased,
            "outstanding": status.outstanding,
        }
    )


def _erasing(call: Call) -> Erasing:
    erasing = call.services.erasing
    if erasing is None:
        raise Problem(503, "unavailable", "this node has no store that could be rewritten")
    return erasing


def _status(status: Status) -> dict[str, Any]:
    members = status.members
    return {
        "outstanding": status.outstanding,
        "covered": all(member.covered for member in members),
        "log_clear": all(member.log_clear for member in members),
        "rewritten": all(member.rewritten for member in members),
        "gone": all(member.gone for member in members),
        "rewritten_at": _when(members[0].rewritten_ms),
        "rewriting": status.rewriting,
        "members": [_standing(member) for member in members],
    }


def _standing(member: Standing) -> dict[str, Any]:
    return {
        "node_id": member.node_id,
        "name": member.name,
        "reached": member.reached,
        "covered": member.covered,
        "log_clear": member.log_clear,
        "rewritten": member.rewritten,
        "rewritten_at": _when(member.rewritten_ms),
    }


def _when(ms: int | None) -> str | None:
    return None if ms is None else format_ms(ms)
