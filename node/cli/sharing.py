"""`mnemesh grant`, `revoke`: who is let in to a private memory, from a shell.

Law: each is one request to the running node, which alone says who may do this.
"""

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from node.cli.client import Client, running_target
from node.cli.links import Memory
from node.cli.options import AgentId, AsJson, DataDir, DryRun, paths_of
from node.cli.output import Output
from node.cli.wording import held_by

Agent = Annotated[str, typer.Argument(metavar="AGENT", help="Agent that may see it, or may not.")]


def grant(
    memory: Memory,
    agent: Agent,
    *,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Let an agent see a private memory: mnemesh grant ID AGENT."""
    would = None if not dry_run else f"would let {agent} see {memory}"
    _share("grant", memory, agent, agent_id, data_dir, would, as_json=as_json)


def revoke(
    memory: Memory,
    agent: Agent,
    *,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take that back: mnemesh revoke ID AGENT."""
    would = None if not dry_run else f"would no longer let {agent} see {memory}"
    _share("revoke", memory, agent, agent_id, data_dir, would, as_json=as_json)


def _share(
    word: str,
    memory: str,
    agent: str,
    agent_id: str | None,
    data_dir: Path | None,
    would: str | None,
    *,
    as_json: bool,
) -> None:
    """Send the wish, or only say what `would` come of it."""
    out = Output(as_json=as_json)
    if would is not None:
        out.answer({"dry_run": True, "id": memory, "agent_id": agent}, would)
        return
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    path = f"/api/v1/memories/{quote(memory, safe='')}/{word}"
    answer = client.call("POST", path, body={"agent_id": agent})
    data = answer.data
    if data.get("status") == "pending":
        out.answer(data, f"waits for approval as {data['pending_id']}")
        return
    seen_by = ", ".join(data.get("grants", [])) or "nobody else"
    held = held_by(answer) if data.get("durability", {}).get("needed") else " (it was so already)"
    out.answer(data, f"{data.get('id', memory)} shows to its author and {seen_by}{held}")
