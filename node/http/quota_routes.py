"""Handler of GET /quota: what the caller may still add at this node.

Law: only the caller's own figures; 0 is no limit.
"""

from node.http.answer import Answer, json_answer
from node.http.call import Call
from node.memory.times import format_ms


async def quota(call: Call) -> Answer:
    """GET /quota."""
    services = call.services
    limits, agent = services.quotas.limits(), call.reader_agent
    use = services.quotas.use(agent)
    body = {
        "agent_id": agent or None,
        "limits": {
            "max_memories_per_day": limits.max_memories_per_day,
            "max_links_per_day": limits.max_links_per_day,
            "max_storage_bytes": limits.max_storage_bytes,
        },
        "use": {
            "memories_today": use.memories,
            "links_today": use.links,
            "storage_bytes": use.storage,
        },
        "reset_at": format_ms(use.reset_at),
    }
    return json_answer(body)
