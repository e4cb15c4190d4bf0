"""`mnemesh pending ...`: what waits for approval, and deciding about it, from a shell.

Law: each is one request to the running node; a decision is the vote of the agent it is made
as, never of the operator.
"""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from node.cli.client import Answer, Client, running_target
from node.cli.memories import given
from node.cli.options import AgentId, AsJson, DataDir, DryRun, Most, Namespace, paths_of
from node.cli.output import Output, table
from node.cli.wording import held_by

Id = Annotated[
    str, typer.Argument(metavar="ID", help="Id of the action, or of the memory it is about.")
]
Hash = Annotated[
    str | None,
    typer.Option(
        "--hash", metavar="HEX", help="Decide only if it still is this.", show_default=False
    ),
]


Reason = Annotated[
    str | None,
    typer.Option("--reason", help="Why, in words; kept with the vote.", show_default=False),
]


def list_pending(
    *,
    status: Annotated[
        str | None,
        typer.Option("--status", help="pending, approved, rejected, expired.", show_default=False),
    ] = None,
    namespace: Namespace = None,
    limit: Most = 100,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what waits or waited for approval, the latest first."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    query = given(status=status, namespace=namespace, limit=limit)
    data = client.call("GET", "/api/v1/pending", query=query).data
    columns: tuple[str, ...] = (
        "ID",
        "STATUS",
        "ACTION",
        "NAMESPACE",
        "MEMORY",
        "ASKED BY",
        "VOTES",
        "EXPIRES",
    )
    rows = [_row(one) for one in data.get("pending", [])]
    if any(row[-1] for row in rows):
        columns = (*columns, "REASONS")
    rows = [row[: len(columns)] for row in rows]
    Output(as_json=as_json).answer(data, table(columns, rows) if rows else "nothing is held")


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    title = one.get("payload", {}).get("title", "")
    memory = f"{one.get('memory_id', '')} {title}".rstrip()
    return (
        one.get("id", ""),
        one.get("status", ""),
        one.get("action_type", ""),
        one.get("namespace", ""),
        memory,
        one.get("requested_by", ""),
        f"{one.get('collected', 0)}/{one.get('needed', '?')}",
        one.get("expires_at", "-"),
        "; ".join(
            f"{vote.get('agent_id', '')}: {vote['reason']}"
            for vote in one.get("approvals", [])
            if vote.get("reason")
        ),
    )


def approve(
    action_id: Id,
    *,
    reason: Reason = None,
    payload_hash: Hash = None,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Vote for an action; it takes effect when the votes suffice."""
    out = Output(as_json=as_json)
    if dry_run:
        out.answer({"dry_run": True, "id": action_id}, f"would approve {action_id}")
        return
    body = given(reason=reason, hash=payload_hash)
    answer = _vote(action_id, "approve", body, agent_id, data_dir)
    data = answer.data
    words = f"approved: {data.get('action', '')} {data.get('memory_id', '')}"
    if data.get("status") == "collecting":
        words = f"counted: {data.get('approvals')} of {data.get('needed')} needed"
    out.answer(data, words + held_by(answer))


def reject(
    action_id: Id,
    *,
    reason: Reason = None,
    payload_hash: Hash = None,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Vote against an action; it can then never take effect."""
    out = Output(as_json=as_json)
    if dry_run:
        out.answer({"dry_run": True, "id": action_id}, f"would reject {action_id}")
        return
    body = given(reason=reason, hash=payload_hash)
    answer = _vote(action_id, "reject", body, agent_id, data_dir)
    out.answer(answer.data, f"rejected: {answer.data.get('memory_id', '')}{held_by(answer)}")


def _vote(
    action_id: str, word: str, body: dict[str, Any], agent_id: str | None, data_dir: DataDir
) -> Answer:
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    path = f"/api/v1/pending/{quote(action_id, safe='')}/{word}"
    return client.call("POST", path, body=body)
