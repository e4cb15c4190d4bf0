"""Handlers of `/agents`: registrations and roles.

Law: only translation. The agent in the body or in the path is the one it is about; who asks
is named by the header alone.
"""

from node.governing.agents import Agents
from node.http.answer import Answer, json_answer
from node.http.call import Call
from node.http.problems import told


def _agents(call: Call) -> Agents:
    services = call.services
    return Agents(
        governing=services.governing,
        memories=services.memories,
        seen=services.last_seen,
        now_ms=services.now_ms,
    )


async def page(call: Call) -> Answer:
    """GET /agents."""
    agents = _agents(call)
    found = agents.page()
    return json_answer({"agents": found, "count": len(found), "roles": agents.roles()})


async def register(call: Call) -> Answer:
    """POST /agents."""
    agents, fields = _agents(call), call.fields
    registered = await agents.register(call.ask({}), fields)
    return json_answer(told(registered.receipt, registered=True, **registered.agent), 201)


async def give_role(call: Call) -> Answer:
    """POST /agents/{id}/role."""
    agents, fields = _agents(call), call.fields
    changed = await agents.give_role(call.params[0], call.ask({}), fields)
    return json_answer(told(changed.receipt, **{"role": "", "namespaces": [], **changed.agent}))
