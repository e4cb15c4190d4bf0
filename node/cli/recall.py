# ruff: noqa: PLR0913 -- the options of a command are its parameters
"""`mnemesh recall`, `search`, `index`: finding memories from a shell.

Law: each is a request to the running node, which keeps the index; none changes a memory.
"""

import time
from typing import Annotated, Any, Final

import typer

from node.cli.client import Client, running_target
from node.cli.memories import given
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
    paths_of,
)
from node.cli.output import Output, facts_table, table
from node.cli.wording import counted
from node.errors import NodeError

_PATIENCE_SECONDS: Final = 3600.0
_LOOK_SECONDS: Final = 0.2
_EXCERPT_CHARS: Final = 80


def recall(
    context: Annotated[str, typer.Argument(metavar="CONTEXT", help="What you are about.")],
    *,
    namespace: Namespace = None,
    limit: Most = 10,
    tags: Tags = None,
    since: Since = None,
    until: Until = None,
    as_agent: Annotated[
        str | None,
        typer.Option("--as-agent", help="Only what this agent may know too.", show_default=False),
    ] = None,
    budget_tokens: Annotated[
        int | None,
        typer.Option("--budget-tokens", help="At most so many tokens.", show_default=False),
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option("--min-score", help="Nothing below.", show_default=False),
    ] = None,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Recall what fits a context: mnemesh recall "CONTEXT"."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    body = given(
        context=context,
        namespace=namespace,
        limit=limit,
        tags=tags,
        since=since,
        until=until,
        as_agent=as_agent,
        budget_tokens=budget_tokens,
        min_score=min_score,
    )
    _show(client.call("POST", "/api/v1/recall", body=body).data, as_json=as_json)


def search(
    words: Annotated[str, typer.Argument(metavar="WORDS", help="Words, taken literally.")],
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
    """Find memories in which every word stands as it is."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    query = given(
        q=words,
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
    _show(client.call("GET", "/api/v1/search", query=query).data, as_json=as_json)


def _show(data: Any, *, as_json: bool) -> None:
    rows = [
        (
            f"{memory.get('score', 0):.3f}",
            memory.get("id", ""),
            memory.get("namespace", ""),
            memory.get("title", ""),
            _excerpt(str(memory.get("content", ""))),
        )
        for memory in data.get("memories", [])
    ]
    columns = ("SCORE", "ID", "NAMESPACE", "TITLE", "CONTENT")
    Output(as_json=as_json).answer(data, table(columns, rows) if rows else "no memories")


def _excerpt(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _EXCERPT_CHARS else f"{line[: _EXCERPT_CHARS - 1]}…"


def index_status(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Say what the index holds and how far it is."""
    client = Client(running_target(paths_of(data_dir)))
    data = client.call("GET", "/api/v1/index").data
    facts = [(name, ", ".join(v) if isinstance(v, list) else v) for name, v in data.items()]
    Output(as_json=as_json).answer(data, facts_table(facts))


def index_rebuild(
    *,
    wait: Annotated[bool, typer.Option(help="Wait until it is in force.")] = True,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make the index anew, from the store; the node serves meanwhile."""
    out = Output(as_json=as_json)
    client = Client(running_target(paths_of(data_dir)))
    before = client.call("GET", "/api/v1/index").data
    if dry_run:
        said = f"would read {before['total']} changes of the store anew"
        out.answer({"dry_run": True, **before}, said)
        return
    data = client.call("POST", "/api/v1/index/rebuild", body={}).data
    if wait:
        data = _wait(out, client, str(before["generation"]))
    words = f"the index holds {counted(data['documents'])}" if wait else "the rebuild has begun"
    out.answer(data, words)


def _wait(out: Output, client: Client, before: str) -> dict[str, Any]:
    """Look until another generation is in force.

    Raises:
        NodeError: it takes too long, or the node failed to build it.
    """
    until = time.monotonic() + _PATIENCE_SECONDS
    with out.progress() as progress:
        task = progress.add_task("reading the store", total=None)
        while time.monotonic() < until:
            data: dict[str, Any] = client.call("GET", "/api/v1/index").data
            if data["generation"] != before and data["state"] == "ready":
                return data
            progress.update(task, completed=data["done"], total=data["total"] or None)
            time.sleep(_LOOK_SECONDS)
    raise NodeError(
        "the index was not rebuilt",
        why="no new one came into force in an hour",
        fix="See the log of the node for index_failed",
    )
