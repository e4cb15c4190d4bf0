# ruff: noqa: PLR0913 -- the options of a command are its parameters
"""`mnemesh promote`, `forget`, `consolidate`, `gc`, `duplicates`, `contradictions`.

Law: each is one request to the running node. What ends memories shows how many it would end
before it asks, and asks before it does.
"""

from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.table import Table

from node.cli.client import Answer, Client, running_target
from node.cli.links import RetryKey
from node.cli.memories import File, Id, given, read_content
from node.cli.options import AgentId, AsJson, DataDir, DryRun, Most, Namespace, Tier, Yes, paths_of
from node.cli.output import Output, table
from node.cli.wording import counted, held_by
from node.errors import UsageError

Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of memories.")]


def promote(
    memory_id: Id,
    *,
    to_namespace: Annotated[
        str | None, typer.Option("--to-namespace", help="Move it there.", show_default=False)
    ] = None,
    agent_id: AgentId = None,
    idempotency_key: RetryKey = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make a memory last, out of the archive too."""
    out = Output(as_json=as_json)
    body = given(to_namespace=to_namespace)
    if dry_run:
        out.answer({"dry_run": True, "id": memory_id, "body": body}, f"would promote {memory_id}")
        return
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    path = f"/api/v1/memories/{quote(memory_id, safe='')}/promote"
    answer = client.call("POST", path, body=body, headers=retry_headers(idempotency_key))
    out.answer(answer.data, words(answer, f"promoted {answer.data.get('id', memory_id)}"))


def forget(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID...]", help="Ids.", show_default=False)
    ] = None,
    *,
    agent: Annotated[
        str | None,
        typer.Option("--agent", metavar="ID", help="All of this agent.", show_default=False),
    ] = None,
    namespace: Namespace = None,
    pattern: Annotated[
        str | None,
        typer.Option("--pattern", help="Text in title or content.", show_default=False),
    ] = None,
    tier: Tier = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Return when it is gone from every member.")
    ] = False,
    timeout: Annotated[float, typer.Option("--timeout", help="Longest wait, in seconds.")] = 60.0,
    agent_id: AgentId = None,
    idempotency_key: RetryKey = None,
    data_dir: DataDir = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Erase memories for good: by id, by agent, or by what they are.

    What was consolidated from them is composed anew or erased with them. Forgetting an agent
    takes everything that it ever left, and what was derived from it.
    """
    out = Output(as_json=as_json)
    body = given(ids=ids or None, agent_id=agent, namespace=namespace, pattern=pattern, tier=tier)
    if not body:
        raise UsageError(
            "nothing says what to forget",
            fix="Give ids, --agent, --namespace, --pattern or --tier",
        )
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    if dry_run or not yes:
        would = client.call("POST", "/api/v1/forget", body={**body, "dry_run": True}).data
        if dry_run:
            out.answer(would, f"would forget {_toll(would)}")
            return
        out.confirm(f"Erase {_toll(would)} on every node? There is no way back.", yes=False)
    answer = client.call(
        "POST", "/api/v1/forget", body=body, headers=retry_headers(idempotency_key)
    )
    data = answer.data
    told = [words(answer, f"forgot {_toll(data)}")]
    if wait and data.get("status") != "pending":
        # Only here: other commands should not pay for it.
        from node.cli.erase import wait_until_gone  # noqa: PLC0415 -- see above

        data = {**data, "erasure": wait_until_gone(client, seconds=timeout)}
        told.append("it is gone from every member's log")
    out.answer(data, told)


def _toll(data: dict[str, Any]) -> str:
    """How much a request takes."""
    parts = [counted(data.get("deleted", 0))]
    for name, one, many in (
        ("derived", "of them derived", "of them derived"),
        ("recomposed", "composed anew", "composed anew"),
        ("links_deleted", "link", "links"),
        ("others_deleted", "other record", "other records"),
    ):
        if data.get(name):
            parts.append(counted(data[name], one, many))
    return ", ".join(parts)


def consolidate(
    ids: Ids,
    *,
    title: Annotated[
        str | None, typer.Option("--title", "-T", help="Title.", show_default=False)
    ] = None,
    summary: Annotated[
        str | None,
        typer.Option("--summary", help="Content; - reads stdin.", show_default=False),
    ] = None,
    file: File = None,
    namespace: Namespace = None,
    tier: Tier = None,
    agent_id: AgentId = None,
    idempotency_key: RetryKey = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make one memory of several; they go into the archive."""
    out = Output(as_json=as_json)
    body = given(
        ids=ids,
        title=title,
        summary=read_content(summary, file),
        namespace=namespace,
        tier=tier,
    )
    if dry_run:
        out.answer({"dry_run": True, "body": body}, f"would consolidate {counted(len(ids))}")
        return
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    answer = client.call(
        "POST", "/api/v1/consolidate", body=body, headers=retry_headers(idempotency_key)
    )
    data = answer.data
    out.answer(
        data, words(answer, f"consolidated {data.get('consolidated', 0)} into {data.get('id')}")
    )


def gc(
    *,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """End the memories whose life is over, without waiting for the time of grace."""
    out = Output(as_json=as_json)
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    if dry_run or not yes:
        would = client.call("POST", "/api/v1/gc", body={"dry_run": True}).data
        if dry_run:
            out.answer(would, f"would end {_expired(would)}")
            return
        if would.get("expired_deleted") or would.get("archive_purged"):
            out.confirm(f"End {_expired(would)}?", yes=False)
    answer = client.call("POST", "/api/v1/gc", body={})
    data = answer.data
    ended = f"ended {_expired(data)}"
    purged = data.get("archive_purged", 0)
    out.answer(data, words(answer, f"{ended}, {purged} of the archive" if purged else ended))


def _expired(data: dict[str, Any]) -> str:
    return counted(data.get("expired_deleted", 0), "expired memory", "expired memories")


def duplicates(
    content: Annotated[
        str | None, typer.Argument(metavar="[CONTENT]", help="- reads stdin.")
    ] = None,
    *,
    title: Annotated[
        str | None, typer.Option("--title", "-T", help="Title.", show_default=False)
    ] = None,
    file: File = None,
    namespace: Namespace = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="0 to 1.", show_default=False)
    ] = None,
    limit: Most = 5,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the memories most like a text, and whether one of them is the same."""
    body = given(
        content=read_content(content, file),
        title=title,
        namespace=namespace,
        threshold=threshold,
        limit=limit,
    )
    if "content" not in body:
        raise UsageError("there is no content", fix="Give it, or a --file")
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    data = client.call("POST", "/api/v1/check_duplicate", body=body).data
    rows = [
        (f"{one.get('similarity', 0):.3f}", one.get("id", ""), one.get("title", ""))
        for one in data.get("matches", [])
    ]
    verdict = "a duplicate" if data.get("is_duplicate") else "no duplicate"
    people: list[str | Table] = [verdict]
    if rows:
        people.append(table(("ALIKE", "ID", "TITLE"), rows))
    Output(as_json=as_json).answer(data, people)


def contradictions(
    topic: Annotated[str | None, typer.Argument(metavar="[TOPIC]", help="About what.")] = None,
    *,
    namespace: Namespace = None,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what contradicts what: stated, by topic, and where a merge found two values."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    query = given(topic=topic, namespace=namespace)
    data = client.call("GET", "/api/v1/contradictions", query=query).data
    titles = {one.get("id"): one.get("title", "") for one in data.get("memories", [])}
    rows = [
        (
            one.get("kind", ""),
            one.get("source_id") or one.get("id", ""),
            one.get("target_id") or one.get("field", ""),
            titles.get(one.get("source_id") or one.get("id"), ""),
        )
        for one in data.get("contradictions", [])
    ]
    columns = ("KIND", "ID", "AGAINST", "TITLE")
    Output(as_json=as_json).answer(data, table(columns, rows) if rows else "no contradictions")


def retry_headers(key: str | None) -> dict[str, str]:
    """The header that makes a retry harmless."""
    return {"idempotency-key": key} if key else {}


def words(answer: Answer, done: str) -> str:
    """What a person is told of a change."""
    data = answer.data
    if data.get("status") == "pending":
        return f"waits for approval as {data['pending_id']}"
    needed = data.get("durability", {}).get("needed")
    return f"{done}{held_by(answer)}" if needed else done
