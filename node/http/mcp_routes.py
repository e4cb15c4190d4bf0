"""Handlers of `/mcp`: the Model Context Protocol over streamable HTTP.

Law: nothing of the protocol is known here. A GET is not served: this node sends nothing that
was not asked for, and a client that would listen is told so at once (405).
"""

from node.http.answer import Answer
from node.http.call import Call
from node.http.problems import Problem


async def serve(call: Call) -> Answer:
    """POST and DELETE /mcp."""
    face = call.services.mcp
    if face is None:
        raise Problem(404, "not_found", "this node serves no tools")
    return await face.answer(call)
