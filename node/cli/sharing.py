"""`mnemesh grant`, `revoke`: who is let in to a private memory, from a shell.

Law: each is one request to the running node, which alone says who may do this.
"""

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
    out = Output(as_json=as_json)
    if dry_run:
        _would(out, memory, agent, f"would let {agent} see {memory}")
        return
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    _share(out, client, memory, agent, "grant")


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
    out = Output(as_json=as_json)
    if dry_run:
        _would(out, memory, agent, f"would no longer let {agent} see {memory}")
        return
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    _share(out, client, memory, agent, "revoke")


def _would(out: Output, memory: str, agent: str, words: str) -> None:
    out.answer({"dry_run": True, "id": memory, "agent_id": agent}, words)


def _share(out: Output, client: Client, memory: str, agent: str, word: str) -> None:
    path = f"/api/v1/memories/{quote(memory, safe='')}/{word}"
    answer = client.call("POST", path, body={"agent_id": agent})
    data = answer.data
    if data.get("status") == "pending":
        out.answer(data, f"waits for approval as {data['pending_id']}")
        return
    seen_by = ", ".join(data.get("grants", [])) or "nobody else"
    held = held_by(answer) if data.get("durability", {}).get("needed") else " (it was so already)"
    out.answer(data, f"{data.get('id', memory)} shows to its author and {seen_by}{held}")
