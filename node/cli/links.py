"""`mnemesh link`, `links`, `lineage`: how memories belong together, from a shell.

Law: each is one request to the running node and takes the same funnel as any agent's.
"""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from node.cli.client import Answer, Client, running_target
from node.cli.options import AgentId, AsJson, DataDir, DryRun, Yes, paths_of
from node.cli.output import Output, table

Memory = Annotated[str, typer.Argument(metavar="ID", help="Id, or at least 6 characters of it.")]
Source = Annotated[str, typer.Argument(metavar="SOURCE", help="Id of the memory that is linked.")]
Target = Annotated[str, typer.Argument(metavar="TARGET", help="Id of the memory it points to.")]
Relation = Annotated[
    str,
    typer.Option(
        "--relation",
        "-r",
        help="related_to, supersedes, contradicts, derived_from, derives_from, reflects_on "
        "or one of your own.",
    ),
]
RetryKey = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key", metavar="KEY", help="Makes a retry harmless.", show_default=False
    ),
]


def link(  # noqa: PLR0913 -- the options of a command are its parameters
    source: Source,
    target: Target,
    *,
    relation: Relation = "related_to",
    valid_from: Annotated[
        str | None,
        typer.Option("--valid-from", metavar="TIME", help="Since when.", show_default=False),
    ] = None,
    valid_until: Annotated[
        str | None,
        typer.Option("--valid-until", metavar="TIME", help="Until when.", show_default=False),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the link back.")] = False,
    idempotency_key: RetryKey = None,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Say how one memory belongs to another: mnemesh link SOURCE TARGET."""
    out = Output(as_json=as_json)
    body: dict[str, Any] = {"source_id": source, "target_id": target, "relation": relation}
    if not remove:
        times = {"valid_from": valid_from, "valid_until": valid_until}
        body |= {name: value for name, value in times.items() if value is not None}
    what = f"{source} {relation} {target}"
    if dry_run:
        out.answer({"dry_run": True, "body": body}, f"would {'un' if remove else ''}link {what}")
        return
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    headers = {"idempotency-key": idempotency_key} if idempotency_key else {}
    if remove:
        out.confirm(f"Take the link {what} back on every node?", yes=yes)
        answer = client.call("DELETE", "/api/v1/links", body=body, headers=headers)
    else:
        answer = client.call("POST", "/api/v1/links", body=body, headers=headers)
    out.answer(answer.data, _words(answer, "unlinked" if remove else "linked"))


def _words(answer: Answer, word: str) -> str:
    data = answer.data
    if data.get("status") == "pending":
        return f"waits for approval as {data['pending_id']}"
    durability = data["durability"]
    what = f"{word} {data['source_id']} {data['relation']} {data['target_id']}"
    if not durability["needed"]:
        return f"{what} (it was there already)"
    return f"{what} (held by {durability['acks']}, needed {durability['needed']})"


def links(
    memory: Memory, *, agent_id: AgentId = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Show the links of a memory, both ways."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    data = client.call("GET", f"/api/v1/links/{quote(memory, safe='')}").data
    rows = [
        (
            one.get("source_id", ""),
            one.get("relation", ""),
            one.get("target_id", ""),
            one.get("observed_by", ""),
            one.get("created_at", ""),
        )
        for one in data.get("links", [])
    ]
    columns = ("SOURCE", "RELATION", "TARGET", "BY", "CREATED")
    Output(as_json=as_json).answer(data, table(columns, rows) if rows else "no links")


def lineage(
    memory: Memory,
    *,
    max_depth: Annotated[
        int, typer.Option("--max-depth", min=0, help="How many links away to look.")
    ] = 5,
    descendants: Annotated[
        bool, typer.Option("--descendants", help="What came of it, instead of its origin.")
    ] = False,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the memories that a memory comes from, nearest first."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    query = {
        "max_depth": max_depth,
        "direction": "descendants" if descendants else "ancestors",
    }
    data = client.call(
        "GET", f"/api/v1/memories/{quote(memory, safe='')}/lineage", query=query
    ).data
    rows = [
        (one.get("depth", ""), one.get("relation", ""), one.get("id", ""), one.get("cid", ""))
        for one in data.get("nodes", [])
    ]
    columns = ("DEPTH", "RELATION", "ID", "CONTENT HASH")
    none = "nothing came of it" if descendants else "it comes from no other memory"
    Output(as_json=as_json).answer(data, table(columns, rows) if rows else none)
