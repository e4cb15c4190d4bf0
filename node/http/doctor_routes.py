"""Handler of the doctor: what is wrong with this node.

Law: it only translates; it answers 200 however bad things are, for the answer is the finding.
"""

from node.doctor.finding import as_json
from node.http.answer import Answer, json_answer
from node.http.call import Call
from node.http.problems import Problem


async def doctor(call: Call) -> Answer:
    """GET /doctor."""
    examine = call.services.doctor
    if examine is None:
        raise Problem(503, "unavailable", "this node has no doctor")
    return json_answer(as_json(await examine()))
