"""Handlers of integrity: what is known of the store, and a pass over it on request.

Law: they only translate. Nothing here names a memory: what is told are counts and tables.
"""

from typing import Any

from node.http.answer import Answer, json_answer
from node.http.call import Call
from node.http.problems import Problem
from node.integrity.facts import IntegrityFacts
from node.integrity.keeping import Keeping
from node.memory.times import format_ms


async def state(call: Call) -> Answer:
    """GET /integrity: the last pass, the one under way, and what is damaged."""
    return json_answer(told(_keeping(call).facts()))


async def scrub(call: Call) -> Answer:
    """POST /integrity/scrub: begin a pass, at full speed; GET /integrity tells how far it is."""
    repair = call.fields.get("repair", False)
    if not isinstance(repair, bool):
        raise Problem(400, "invalid_field", "repair: expected true or false", field="repair")
    keeping = _keeping(call)
    keeping.begin(repair=repair)
    return json_answer(told(keeping.facts()), 202)


def _keeping(call: Call) -> Keeping:
    keeping = call.services.integrity
    if keeping is None:
        raise Problem(503, "unavailable", "this node has no store that could be read through")
    return keeping


def told(facts: IntegrityFacts) -> dict[str, Any]:
    """The facts as JSON."""
    return {
        "whole": facts.whole,
        "store": facts.store,
        "scrub_interval_hours": facts.scrub_interval_hours,
        "last_pass_at": None if facts.last_pass_ms is None else format_ms(facts.last_pass_ms),
        "last_pass_rows": facts.last_pass_rows,
        "passes": facts.passes,
        "running": facts.running,
        "done_ratio": round(facts.done_ratio, 4),
        "corrupt": facts.corrupt,
        "repaired": facts.repaired,
        "left": dict(facts.left),
        "quarantined": facts.quarantined,
        "no_peer": facts.no_peer,
        "aside": list(facts.aside),
        "trouble": facts.trouble,
    }
