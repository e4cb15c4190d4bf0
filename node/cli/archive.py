"""`mnemesh archive`: memories that are kept and shown nowhere else, from a shell.

Law: each command is one request to the running node.
"""

from typing import Annotated
from urllib.parse import quote

import typer
from rich.table import Table

from node.cli.client import Client, running_target
from node.cli.lifecycle import Ids, retry_headers, words
from node.cli.links import RetryKey
from node.cli.memories import Id, given
from node.cli.options import (
    AgentId,
    AsJson,
    DataDir,
    DryRun,
    Most,
    Namespace,
    Offset,
    Yes,
    paths_of,
)
from node.cli.output import Output, table
from node.cli.wording import counted
from node.errors import Exit, UsageError

_PATH = "/api/v1/archive"


def list_archive(
    *,
    namespace: Namespace = None,
    limit: Most = 50,
    offset: Offset = 0,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the archive, the last archived first."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    query = given(namespace=namespace, limit=limit, offset=offset or None)
    data = client.call("GET", _PATH, query=query).data
    rows = [
        (
            one.get("id", ""),
            one.get("original_tier", ""),
            one.get("namespace", ""),
            one.get("title", ""),
            one.get("archived_at", ""),
            one.get("archive_reason", ""),
        )
        for one in data.get("memories", [])
    ]
    columns = ("ID", "TIER", "NAMESPACE", "TITLE", "ARCHIVED", "WHY")
    people = table(columns, rows) if rows else "the archive is empty"
    Output(as_json=as_json).answer(data, people)


def stats(*, agent_id: AgentId = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Count the archive."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    data = client.call("GET", f"{_PATH}/stats").data
    rows = [(one.get("namespace", ""), one.get("count", 0)) for one in data["by_namespace"]]
    total = counted(data.get("total", 0))
    people: list[str | Table] = [total]
    if rows:
        people += ["", table(("NAMESPACE", "COUNT"), rows)]
    Output(as_json=as_json).answer(data, people)


def add(
    ids: Ids,
    *,
    reason: Annotated[str | None, typer.Option("--reason", help="Why.", show_default=False)] = None,
    agent_id: AgentId = None,
    idempotency_key: RetryKey = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Put memories into the archive."""
    out = Output(as_json=as_json)
    body = given(ids=ids, reason=reason)
    if dry_run:
        out.answer({"dry_run": True, "body": body}, f"would archive {', '.join(ids)}")
        return
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    answer = client.call("POST", _PATH, body=body, headers=retry_headers(idempotency_key))
    missing = answer.data.get("missing", [])
    told = [words(answer, f"archived {answer.data.get('archived', 0)}")]
    out.answer(answer.data, [*told, f"not found: {', '.join(missing)}"] if missing else told)
    if missing:
        raise typer.Exit(int(Exit.ERROR))


def restore(
    memory_id: Id,
    *,
    agent_id: AgentId = None,
    idempotency_key: RetryKey = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take a memory out of the archive."""
    out = Output(as_json=as_json)
    if dry_run:
        out.answer({"dry_run": True, "id": memory_id}, f"would restore {memory_id}")
        return
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    path = f"{_PATH}/{quote(memory_id, safe='')}/restore"
    answer = client.call("POST", path, body={}, headers=retry_headers(idempotency_key))
    out.answer(answer.data, words(answer, f"restored {answer.data.get('id', memory_id)}"))


def purge(
    memory_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One memory.", show_default=False)
    ] = None,
    *,
    older_than_days: Annotated[
        int | None,
        typer.Option("--older-than-days", min=0, metavar="N", help="Age.", show_default=False),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="The whole archive.")] = False,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Delete archived memories for good: one, those of an age, or all."""
    out = Output(as_json=as_json)
    if [memory_id is not None, older_than_days is not None, every].count(True) != 1:
        raise UsageError(
            "it is not said what to delete", fix="Give an id, --older-than-days, or --all"
        )
    old = f"all that was archived more than {older_than_days} days ago"
    what = memory_id or ("the whole archive" if every else old)
    if dry_run:
        out.answer({"dry_run": True, "purge": what}, f"would delete {what}")
        return
    out.confirm(f"Delete {what} on every node?", yes=yes)
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    if memory_id is not None:
        answer = client.call("DELETE", f"{_PATH}/{quote(memory_id, safe='')}")
    else:
        answer = client.call("DELETE", _PATH, query=given(older_than_days=older_than_days))
    out.answer(answer.data, words(answer, f"deleted {answer.data.get('purged', 0)}"))
