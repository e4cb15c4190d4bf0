"""`mnemesh entity`, `kg`, `taxonomy`: what is known, how it hangs together, and where it lies.

Law: each is one request to the running node and takes the same funnel as any agent's.
"""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from node.cli.client import Answer, Client, running_target
from node.cli.options import AgentId, AsJson, DataDir, DryRun, Namespace, Yes, paths_of
from node.cli.output import Output, facts_table, table

Memory = Annotated[str, typer.Argument(metavar="ID", help="Id, or at least 6 characters of it.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="How many at most.")]
RetryKey = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key", metavar="KEY", help="Makes a retry harmless.", show_default=False
    ),
]


def _held(answer: Answer) -> str:
    durability = answer.data["durability"]
    if not durability["needed"] and not durability["acks"]:
        return "it was so already"
    return f"held by {durability['acks']}, needed {durability['needed']}"


def _retry(key: str | None) -> dict[str, str]:
    return {"idempotency-key": key} if key else {}


def register(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called.")],
    *,
    alias: Annotated[
        list[str] | None,
        typer.Option("--alias", "-a", help="Another name of it; may be given several times."),
    ] = None,
    namespace: Namespace = None,
    idempotency_key: RetryKey = None,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Name an entity, or give the one of that name further aliases."""
    out = Output(as_json=as_json)
    body: dict[str, Any] = {"canonical_name": name, "aliases": alias or []}
    if namespace is not None:
        body["namespace"] = namespace
    if dry_run:
        out.answer({"dry_run": True, "body": body}, f"would register {name}")
        return
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    answer = client.call("POST", "/api/v1/entities", body=body, headers=_retry(idempotency_key))
    data = answer.data
    if data.get("status") == "pending":
        out.answer(data, f"waits for approval as {data['pending_id']}")
        return
    word = "registered" if data["created"] else "known as"
    names = ", ".join([data["canonical_name"], *data["aliases"]])
    out.answer(data, f"{word} {data['entity_id']}: {names} ({_held(answer)})")


def find(
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="Any name of it.")],
    *,
    namespace: Namespace = None,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the entity that a name stands for."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    query = {"alias": alias, "namespace": namespace}
    data = client.call("GET", "/api/v1/entities/by_alias", query=query).data
    if not data["found"]:
        Output(as_json=as_json).answer(data, "no entity has this name")
        return
    facts = [
        ("id", data["entity_id"]),
        ("name", data["canonical_name"]),
        ("namespace", data["namespace"]),
        ("aliases", ", ".join(data["aliases"]) or None),
        ("also", ", ".join(data.get("others", [])) or None),
    ]
    Output(as_json=as_json).answer(data, facts_table(facts))


def query(
    memory: Memory,
    *,
    max_depth: Annotated[
        int, typer.Option("--max-depth", min=1, max=5, help="How many links away to look.")
    ] = 1,
    valid_at: Annotated[
        str | None,
        typer.Option(
            "--valid-at", metavar="TIME", help="What held then, not now.", show_default=False
        ),
    ] = None,
    allowed_agent: Annotated[
        list[str] | None,
        typer.Option(
            "--allowed-agent", metavar="ID", help="Whose links count; may be given several times."
        ),
    ] = None,
    limit: Limit = 200,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what a memory is connected with, nearest first."""
    body: dict[str, Any] = {"source_id": memory, "max_depth": max_depth, "limit": limit}
    if valid_at is not None:
        body["valid_at"] = valid_at
    if allowed_agent:
        body["allowed_agents"] = allowed_agent
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    data = client.call("POST", "/api/v1/kg/query", body=body).data
    rows = [
        (one["depth"], one["relation"], one["id"], one["title"], one["path"])
        for one in data["memories"]
    ]
    columns = ("DEPTH", "RELATION", "ID", "TITLE", "PATH")
    Output(as_json=as_json).answer(
        data, table(columns, rows) if rows else "no link goes out from it"
    )


def timeline(
    memory: Memory,
    *,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Not before.", show_default=False)
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Not after.", show_default=False)
    ] = None,
    limit: Limit = 200,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show when the links of a memory began and ceased to hold, oldest first."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    asked = {"source_id": memory, "since": since, "until": until, "limit": limit}
    data = client.call("GET", "/api/v1/kg/timeline", query=asked).data
    rows = [
        (one["timestamp"], one["type"], one["relation"], one["target_id"], one["title"])
        for one in data["events"]
    ]
    columns = ("TIME", "EVENT", "RELATION", "TARGET", "TITLE")
    Output(as_json=as_json).answer(data, table(columns, rows) if rows else "no events")


def invalidate(  # noqa: PLR0913 -- the options of a command are its parameters
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Id of the memory linked.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Id of the one it points to.")],
    *,
    relation: Annotated[
        str, typer.Option("--relation", "-r", help="What the link says.")
    ] = "related_to",
    valid_until: Annotated[
        str | None,
        typer.Option(
            "--valid-until", metavar="TIME", help="Until when it held; now.", show_default=False
        ),
    ] = None,
    idempotency_key: RetryKey = None,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Say that a link holds no more: mnemesh kg invalidate SOURCE TARGET."""
    out = Output(as_json=as_json)
    body = {"source_id": source, "target_id": target, "relation": relation}
    if valid_until is not None:
        body["valid_until"] = valid_until
    what = f"{source} {relation} {target}"
    if dry_run:
        out.answer({"dry_run": True, "body": body}, f"would end {what}")
        return
    out.confirm(f"End the link {what} on every node?", yes=yes)
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    answer = client.call(
        "POST", "/api/v1/kg/invalidate", body=body, headers=_retry(idempotency_key)
    )
    data = answer.data
    if data.get("status") == "pending":
        out.answer(data, f"waits for approval as {data['pending_id']}")
        return
    out.answer(data, f"{what} held until {data['valid_until']} ({_held(answer)})")


def taxonomy(
    prefix: Annotated[
        str, typer.Argument(metavar="NAMESPACE", help="Below this one; all when left out.")
    ] = "",
    *,
    depth: Annotated[int, typer.Option("--depth", min=0, help="How many levels.")] = 8,
    limit: Limit = 1000,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show how namespaces nest, and how many memories lie in each."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    asked = {"prefix": prefix or None, "depth": depth, "limit": limit}
    data = client.call("GET", "/api/v1/taxonomy", query=asked).data
    rows = list(_branches(data, 0))
    shown: list[Any] = [table(("NAMESPACE", "MEMORIES", "WITH ALL BELOW"), rows)]
    if data["truncated"]:
        shown.append("more namespaces were left out; see --limit")
    Output(as_json=as_json).answer(data, shown)


def _branches(node: dict[str, Any], level: int) -> Iterator[tuple[str, int, int]]:
    name = node["namespace"] if level == 0 else node["namespace"].rpartition("/")[2]
    yield f"{'  ' * level}{name or 'all'}", node["count"], node["subtree_count"]
    for child in node["children"]:
        yield from _branches(child, level + 1)
