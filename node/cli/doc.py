"""`mnemesh doc show`, `history`, `verify`, `watch`: documents that many write, from a shell.

Law: each asks the running node and changes nothing. Bytes go into a file, never to a terminal.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from node.cli.client import Client, running_target
from node.cli.events import events_of
from node.cli.memories import given
from node.cli.options import AgentId, AsJson, DataDir, paths_of
from node.cli.output import Output, facts_table, plain, table
from node.cli.wording import counted
from node.errors import Exit, UsageError

_SILENCE_SECONDS: Final = 60.0
_PAGE: Final = 1000
_SHORT_HASH: Final = 12
_EVENTS: Final = {"accept": "text/event-stream"}

Id = Annotated[str, typer.Argument(metavar="ID", help="Id, or at least 6 characters of it.")]
Heads = Annotated[
    str | None,
    typer.Option(
        "--heads", metavar="HASHES", help="As it was at these, with commas.", show_default=False
    ),
]


def address(memory_id: str, what: str = "") -> str:
    """Where a document, its changes or its history are."""
    return f"/api/v1/memories/{quote(memory_id, safe='')}/document{what}"


def show(
    memory_id: Id,
    *,
    heads: Heads = None,
    raw: Annotated[
        Path | None,
        typer.Option(
            "--raw",
            metavar="FILE",
            help="Write its changes there, for any Automerge library.",
            show_default=False,
        ),
    ] = None,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show a document: mnemesh doc show ID."""
    out = Output(as_json=as_json)
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    if raw is not None:
        if heads is not None:
            raise UsageError("--raw is all of the document", fix="Leave --heads out")
        told = _written(client.call("GET", address(memory_id, "/changes")).data, raw)
        out.answer(told, f"{counted(told['changes'], 'change', 'changes')} in {raw}")
        return
    data = client.call("GET", address(memory_id), query=given(heads=heads)).data
    facts = [
        ("id", data["id"]),
        ("title", data["title"]),
        ("heads", ", ".join(data["heads"])),
        ("changes", data["changes"]),
        ("version", data["version"]),
        (
            "conflicts",
            json.dumps(data["conflicts"], ensure_ascii=False) if data["conflicts"] else None,
        ),
        ("set aside", data["set_aside_count"] or None),
    ]
    out.answer(data, [facts_table(facts), "", text_of(data["value"])])


def _written(data: dict[str, Any], path: Path) -> dict[str, Any]:
    """Write the changes of a document into a file; what is told of it."""
    chunks = b"".join(base64.b64decode(one) for one in data["changes"])
    try:
        path.write_bytes(chunks)
    except OSError as error:
        raise UsageError(f"cannot write {path}", why=error.strerror or str(error)) from error
    return {
        "id": data["id"],
        "heads": data["heads"],
        "changes": len(data["changes"]),
        "bytes": len(chunks),
        "file": str(path),
    }


def text_of(value: dict[str, Any]) -> str:
    """A document for people: its text, or all of it in JSON where there is more."""
    if value.keys() == {"text"} and isinstance(value["text"], str):
        return value["text"]
    return json.dumps(value, ensure_ascii=False, indent=2)


def history(
    memory_id: Id,
    *,
    limit: Annotated[int, typer.Option("--limit", "-l", min=0, help="At most so many.")] = 20,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show who changed a document, newest first."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    data = client.call("GET", address(memory_id, "/history"), query={"limit": limit}).data
    rows = [
        (
            one["at"],
            one["agent_id"],
            one["hash"][:_SHORT_HASH],
            one["ops"],
            one["bytes"],
            one["message"] or "",
        )
        for one in data["history"]
    ]
    columns = ("AT", "BY", "CHANGE", "OPS", "BYTES", "MESSAGE")
    Output(as_json=as_json).answer(data, table(columns, rows) if rows else "no changes")


def verify(
    memory_id: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="Id; all documents without one.", show_default=False),
    ] = None,
    *,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Have a second program read documents, and say whether it reads the same."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    idents = [memory_id] if memory_id is not None else list(_documents(client))
    found = [_verified(client, ident) for ident in idents]
    differ = [one["id"] for one in found if one["agrees"] is False]
    rows = [(one["id"], _AGREES[one["agrees"]], one["detail"]) for one in found]
    columns = ("ID", "AGREES", "WHY")
    data = {"documents": found, "count": len(found), "differ": differ}
    out = Output(as_json=as_json)
    out.answer(data, table(columns, rows) if rows else "no documents")
    if differ:
        out.say("keep the bytes of what differs (mnemesh doc show ID --raw FILE), and report it")
        raise typer.Exit(int(Exit.INTEGRITY))


_AGREES: Final = {True: "yes", False: "NO", None: "-"}


def _verified(client: Client, ident: str) -> dict[str, Any]:
    data = client.call("GET", address(ident), query={"verify": "true"}).data
    return {"id": data["id"], "heads": data["heads"], **data["verified"]}


def _documents(client: Client) -> Iterator[str]:
    """Ids of all documents that the caller sees, newest first."""
    offset, seen = 0, set[str]()
    while True:
        query = {"limit": _PAGE, "offset": offset or None}
        page = client.call("GET", "/api/v1/memories", query=query).data["memories"]
        for memory in page:
            if memory["memory_kind"] == "document" and memory["id"] not in seen:
                seen.add(memory["id"])
                yield memory["id"]
        if len(page) < _PAGE:
            return
        offset += len(page)


def watch(
    memory_id: Id,
    *,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="HASHES", help="Only what lies beyond these.", show_default=False
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option("--count", "-c", min=1, help="End after so many events.", show_default=False),
    ] = None,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the changes of a document as they come, until it ends."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    lines = client.lines(
        address(memory_id, "/changes"),
        query=given(since=since),
        headers=_EVENTS,
        silence=_SILENCE_SECONDS,
    )
    for number, (place, data) in enumerate(events_of(lines), start=1):
        if as_json:
            typer.echo(json.dumps({**data, "cursor": place}))
        else:
            typer.echo(plain(_words(data)))
        if number == count:
            return


def _words(data: dict[str, Any]) -> str:
    if "changes" not in data:
        return f"over: {data.get('reason', '')}"
    agents = ", ".join(dict.fromkeys(data["agents"]))
    by = f" by {agents}" if agents else ""
    heads = ", ".join(one[:_SHORT_HASH] for one in data["heads"])
    return f"{counted(len(data['changes']), 'change', 'changes')}{by}, now at {heads or 'nothing'}"
