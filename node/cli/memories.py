# ruff: noqa: PLR0913 -- the options of a command are its parameters
"""`mnemesh store`, `get`, `list`, `update`, `delete`: memories from a shell.

Law: each is one request to the running node and takes the same funnel as any agent's. Only
what was given is sent; the node fills in the rest.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from node.cli.client import Answer, Client, running_target
from node.cli.options import (
    AgentId,
    AsJson,
    ByAgent,
    DataDir,
    DryRun,
    MinPriority,
    Most,
    Namespace,
    Offset,
    Since,
    Tags,
    Tier,
    Until,
    Yes,
    paths_of,
)
from node.cli.output import Output, facts_table, table
from node.errors import UsageError

Id = Annotated[str, typer.Argument(metavar="ID", help="Id, or at least 6 characters of it.")]
Title = Annotated[str | None, typer.Option("--title", "-T", help="Title.", show_default=False)]
Content = Annotated[
    str | None,
    typer.Option("--content", "-c", help="Content; - reads stdin.", show_default=False),
]
File = Annotated[
    Path | None,
    typer.Option("--file", metavar="FILE", help="Content from a file.", show_default=False),
]
Priority = Annotated[
    int | None, typer.Option("--priority", "-p", help="1 to 10.", show_default=False)
]
Confidence = Annotated[
    float | None, typer.Option("--confidence", help="0 to 1.", show_default=False)
]
Source = Annotated[
    str | None, typer.Option("--source", "-S", help="Where it comes from.", show_default=False)
]
Kind = Annotated[
    str | None, typer.Option("--kind", help="Kind of memory, as decision.", show_default=False)
]
Metadata = Annotated[
    str | None,
    typer.Option("--metadata", metavar="JSON", help="Further facts.", show_default=False),
]
Life = Annotated[
    int | None,
    typer.Option("--ttl-secs", metavar="N", help="Seconds it lives.", show_default=False),
]
RetryKey = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key", metavar="KEY", help="Makes a retry harmless.", show_default=False
    ),
]
IfMatch = Annotated[
    str | None,
    typer.Option("--if-match", metavar="ETAG", help="Only if unchanged.", show_default=False),
]


def store(
    title_argument: Annotated[str | None, typer.Argument(metavar="[TITLE]")] = None,
    content_argument: Annotated[str | None, typer.Argument(metavar="[CONTENT]")] = None,
    *,
    title: Title = None,
    content: Content = None,
    file: File = None,
    namespace: Namespace = None,
    tier: Tier = None,
    tags: Tags = None,
    priority: Priority = None,
    confidence: Confidence = None,
    source: Source = None,
    kind: Kind = None,
    metadata: Metadata = None,
    ttl_secs: Life = None,
    scope: Annotated[
        str | None, typer.Option("--scope", help="private or collective.", show_default=False)
    ] = None,
    memory_id: Annotated[
        str | None, typer.Option("--id", help="Id to store it under.", show_default=False)
    ] = None,
    on_conflict: Annotated[
        str | None,
        typer.Option("--on-conflict", help="none, update or error.", show_default=False),
    ] = None,
    agent_id: AgentId = None,
    idempotency_key: RetryKey = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Store a memory: mnemesh store "TITLE" "CONTENT"."""
    out = Output(as_json=as_json)
    body = given(
        title=title if title is not None else title_argument,
        content=read_content(content if content is not None else content_argument, file),
        namespace=namespace,
        tier=tier,
        tags=split_tags(tags),
        priority=priority,
        confidence=confidence,
        source=source,
        memory_kind=kind,
        metadata=read_metadata(metadata),
        ttl_secs=ttl_secs,
        scope=scope,
        id=memory_id,
        on_conflict=on_conflict,
    )
    for field in ("title", "content"):
        if field not in body:
            raise UsageError(f"there is no {field}", fix='Write: mnemesh store "TITLE" "CONTENT"')
    if dry_run:
        out.answer({"dry_run": True, "body": body}, f"would store {body['title']!r}")
        return
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    answer = client.call("POST", "/api/v1/memories", body=body, headers=_headers(idempotency_key))
    out.answer(answer.data, _written(answer, "stored"))


def get(
    memory_id: Id, *, agent_id: AgentId = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Show one memory."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    data = client.call("GET", f"/api/v1/memories/{quote(memory_id, safe='')}").data
    memory = dict(data.get("memory", data))
    content = str(memory.pop("content", ""))
    facts = [(key, _cell(value)) for key, value in memory.items() if value not in ("", [], {})]
    Output(as_json=as_json).answer(data, [facts_table(facts), "", content])


def list_memories(
    *,
    namespace: Namespace = None,
    tier: Tier = None,
    tags: Tags = None,
    since: Since = None,
    until: Until = None,
    min_priority: MinPriority = None,
    by_agent: ByAgent = None,
    limit: Most = 20,
    offset: Offset = 0,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List memories, newest first."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    query = given(
        namespace=namespace,
        tier=tier,
        tags=tags,
        since=since,
        until=until,
        min_priority=min_priority,
        agent_id=by_agent,
        limit=limit,
        offset=offset or None,
    )
    data = client.call("GET", "/api/v1/memories", query=query).data
    rows = [
        (
            memory.get("id", ""),
            memory.get("tier", ""),
            memory.get("namespace", ""),
            memory.get("title", ""),
            memory.get("created_at", ""),
        )
        for memory in data.get("memories", [])
    ]
    columns = ("ID", "TIER", "NAMESPACE", "TITLE", "CREATED")
    people = table(columns, rows) if rows else "no memories"
    Output(as_json=as_json).answer(data, people)


def update(
    memory_id: Id,
    *,
    title: Title = None,
    content: Content = None,
    file: File = None,
    namespace: Namespace = None,
    tier: Tier = None,
    tags: Tags = None,
    priority: Priority = None,
    confidence: Confidence = None,
    source: Source = None,
    kind: Kind = None,
    metadata: Metadata = None,
    ttl_secs: Life = None,
    if_match: IfMatch = None,
    agent_id: AgentId = None,
    idempotency_key: RetryKey = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Change fields of a memory; the others stay as they are."""
    out = Output(as_json=as_json)
    body = given(
        title=title,
        content=read_content(content, file),
        namespace=namespace,
        tier=tier,
        tags=split_tags(tags),
        priority=priority,
        confidence=confidence,
        source=source,
        memory_kind=kind,
        metadata=read_metadata(metadata),
        ttl_secs=ttl_secs,
    )
    if not body:
        raise UsageError("there is nothing to change", fix="Give at least one field, as --title")
    if dry_run:
        out.answer({"dry_run": True, "body": body}, f"would change {', '.join(body)}")
        return
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    answer = client.call(
        "PUT",
        f"/api/v1/memories/{quote(memory_id, safe='')}",
        body=body,
        headers=_headers(idempotency_key, if_match),
    )
    out.answer(answer.data, _written(answer, "updated"))


def delete(
    memory_id: Id,
    *,
    if_match: IfMatch = None,
    agent_id: AgentId = None,
    idempotency_key: RetryKey = None,
    data_dir: DataDir = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Delete a memory on every node."""
    out = Output(as_json=as_json)
    if dry_run:
        out.answer({"dry_run": True, "id": memory_id}, f"would delete {memory_id}")
        return
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    out.confirm(f"Delete {memory_id} on every node?", yes=yes)
    answer = client.call(
        "DELETE",
        f"/api/v1/memories/{quote(memory_id, safe='')}",
        headers=_headers(idempotency_key, if_match),
    )
    out.answer(answer.data, _written(answer, "deleted"))


def given(**fields: object) -> dict[str, Any]:
    """The fields that were given."""
    return {key: value for key, value in fields.items() if value is not None}


def split_tags(text: str | None) -> list[str] | None:
    """Tags from text with commas; an empty text clears them."""
    if text is None:
        return None
    return [part.strip() for part in text.split(",") if part.strip()]


def read_content(text: str | None, file: Path | None) -> str | None:
    """Content from an option, stdin (`-`) or a file.

    Raises:
        UsageError: both were given, or the file cannot be read as text.
    """
    if text is not None and file is not None:
        raise UsageError("content is given twice", fix="Use the content or --file, not both")
    if text == "-":
        return sys.stdin.read()
    if file is None:
        return text
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"cannot read {file}", why=why) from error


def read_metadata(text: str | None) -> dict[str, Any] | None:
    """Metadata from an option.

    Raises:
        UsageError: not a JSON object.
    """
    if text is None:
        return None
    try:
        data = json.loads(text)
    except ValueError as error:
        raise UsageError("--metadata is no JSON", why=str(error)) from error
    if not isinstance(data, dict):
        raise UsageError("--metadata is no JSON object", fix="Write: --metadata '{\"key\": 1}'")
    return data


def _headers(retry_key: str | None, if_match: str | None = None) -> dict[str, str]:
    headers = {}
    if retry_key:
        headers["idempotency-key"] = retry_key
    if if_match:
        headers["if-match"] = if_match
    return headers


def _written(answer: Answer, word: str) -> str:
    data = answer.data if isinstance(answer.data, dict) else {}
    if data.get("status") == "pending":
        return f"waits for approval as {data.get('pending_id')}"
    memory_id = data.get("id") or data.get("memory", {}).get("id", "")
    durability = data.get("durability", {})
    acks, needed = durability.get("acks", "?"), durability.get("needed", "?")
    peers = ", ".join(durability.get("peers", []))
    also = f", also on {peers}" if peers else ""
    return f"{word} {memory_id} (held by {acks}, needed {needed}{also})".replace("  ", " ")


def _cell(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
