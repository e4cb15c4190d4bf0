"""Handlers that hold the node against what it signed.

Law: it takes the operator, since everything is read; nothing is changed. That something does
not hold is an answer, not an error.
"""

from typing import Final

from node.http.answer import Answer, json_answer
from node.http.call import Call
from node.http.problems import Problem

_ID_CHARS_MAX: Final = 512


async def verify(call: Call) -> Answer:
    """GET /verify: the log of operations and the chain of events, or one memory."""
    verifier = call.services.verifier
    if verifier is None:
        raise Problem(404, "not_found", "this node keeps nothing that could be verified")
    ident = call.query.get("memory")
    if ident is None:
        return json_answer(await verifier.verify_all())
    if not ident or len(ident) > _ID_CHARS_MAX:
        raise Problem(400, "invalid_field", "memory: expected the id of a memory", field="memory")
    return json_answer(await verifier.verify_memory(ident))
