"""Handler of `/session/start`.

Law: only translation; nothing is stored.
"""

from node.events.sessions import start
from node.http.answer import Answer, json_answer
from node.http.call import Call
from node.memory.record import records_of


async def begin(call: Call) -> Answer:
    """POST /session/start."""
    services = call.services
    session = await start(services.memories, call.ask())
    body = {
        "session_id": session.id,
        "agent_id": session.agent,
        "memories": records_of(session.memories, services.access.of),
        "count": len(session.memories),
    }
    return json_answer(body, 201)
