"""`mnemesh quota`: what an agent may still add at this node, from a shell.

Law: one request to the running node; it shows the figures of the agent that asks, nobody else's.
"""

from typing import Any

from node.cli.client import Client, running_target
from node.cli.options import AgentId, AsJson, DataDir, paths_of
from node.cli.output import Output, table

_ROWS = (
    ("memories today", "memories_today", "max_memories_per_day"),
    ("links today", "links_today", "max_links_per_day"),
    ("bytes held", "storage_bytes", "max_storage_bytes"),
)


def quota(*, agent_id: AgentId = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show what an agent has used of its quotas at this node."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    data = client.call("GET", "/api/v1/quota").data
    use, limits = data.get("use", {}), data.get("limits", {})
    rows = [(what, _used(use.get(used)), _limit(limits.get(limit))) for what, used, limit in _ROWS]
    words = f"of {data.get('agent_id') or 'nobody by name'}, until {data.get('reset_at', '?')}"
    Output(as_json=as_json).answer(data, [words, "", table(("WHAT", "USED", "LIMIT"), rows)])


def _used(value: Any) -> object:
    """Bytes are not counted as long as there is no limit for them."""
    return "-" if value is None else value


def _limit(value: Any) -> object:
    return value or "none"
