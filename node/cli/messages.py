"""`mnemesh notify`, `inbox`, `session start`: what agents say to each other, from a shell.

Law: each is one request to the running node; an inbox is that of the agent it is asked as.
"""

from typing import Annotated, Any

import typer

from node.cli.client import Client, running_target
from node.cli.memories import given, read_content
from node.cli.options import AgentId, AsJson, DataDir, DryRun, Most, Namespace, paths_of
from node.cli.output import Output, table
from node.cli.wording import held_by
from node.errors import UsageError

To = Annotated[str, typer.Argument(metavar="AGENT", help="Agent that the message is for.")]
Title = Annotated[str, typer.Argument(metavar="TITLE", help="What it is about.")]
Content = Annotated[
    str, typer.Argument(metavar="CONTENT", help="What it says; - reads standard input.")
]


def notify(  # noqa: PLR0913 -- the options of a command are its parameters
    to: To,
    title: Title,
    content: Content,
    *,
    priority: Annotated[
        int | None, typer.Option("--priority", min=1, max=10, show_default=False)
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option("--tier", help="How long it is kept: short, mid, long.", show_default=False),
    ] = None,
    namespace: Namespace = None,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Write to an agent: mnemesh notify AGENT TITLE CONTENT."""
    out = Output(as_json=as_json)
    body = given(
        target_agent_id=to,
        title=title,
        content=read_content(content, None),
        priority=priority,
        tier=tier,
        namespace=namespace,
    )
    if dry_run:
        out.answer({"dry_run": True, "body": body}, f"would write to {to}")
        return
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    answer = client.call("POST", "/api/v1/notify", body=body)
    data = answer.data
    if data.get("status") == "pending":
        out.answer(data, f"waits for approval as {data.get('pending_id')}")
        return
    out.answer(data, f"written to {to}{held_by(answer)}")


def inbox(
    *,
    limit: Most = 50,
    unread: Annotated[bool, typer.Option("--unread", help="Only what was not read.")] = False,
    mark_read: Annotated[
        bool, typer.Option("--mark-read", help="Mark what is shown as read.")
    ] = False,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what was written to an agent, the latest first."""
    if not agent_id:
        raise UsageError("nobody is named", fix="Give --agent-id, or set MNEMESH_AGENT_ID")
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    query: dict[str, Any] = {"limit": limit, "agent_id": agent_id}
    if unread:
        query["unread_only"] = "true"
    if mark_read:
        query["mark_read"] = "true"
    data = client.call("GET", "/api/v1/inbox", query=query).data
    rows = [
        (
            "" if one.get("read") else "new",
            one.get("created_at", ""),
            one.get("from", ""),
            one.get("priority", ""),
            one.get("title", ""),
            one.get("payload", ""),
        )
        for one in data.get("messages", [])
    ]
    columns = ("", "RECEIVED", "FROM", "PRIORITY", "TITLE", "CONTENT")
    Output(as_json=as_json).answer(data, table(columns, rows) if rows else "no messages")


def start_session(
    *,
    namespace: Namespace = None,
    limit: Annotated[int, typer.Option("--limit", "-l", help="At most so many memories.")] = 20,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Draw a name for a session and show the newest memories."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    body = given(agent_id=agent_id, namespace=namespace, limit=limit)
    data = client.call("POST", "/api/v1/session/start", body=body).data
    rows = [
        (one.get("id", ""), one.get("namespace", ""), one.get("title", ""))
        for one in data.get("memories", [])
    ]
    words = f"session {data.get('session_id', '')}"
    shown = table(("ID", "NAMESPACE", "TITLE"), rows)
    Output(as_json=as_json).answer(data, [words, shown] if rows else words)
