"""`mnemesh namespace ...`: which rules hold where, from a shell.

Law: each is one request to the running node, which alone says who may govern.
"""

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer

from node.cli.client import Client, running_target
from node.cli.memories import given
from node.cli.options import AgentId, AsJson, DataDir, DryRun, paths_of
from node.cli.output import Output, table
from node.cli.wording import held_by, rules_text
from node.errors import UsageError

Space = Annotated[
    str, typer.Option("--namespace", "-n", metavar="NS", help="Namespace; * is above all.")
]


def standard_path(space: str) -> str:
    """The address of a namespace's standard."""
    return f"/api/v1/namespaces/{quote(space, safe='')}/standard"


def read_governance(text: str) -> dict[str, Any]:
    """A governance value from an option.

    Raises:
        UsageError: not a JSON object.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise UsageError("--governance is no JSON", why=str(error)) from error
    if not isinstance(data, dict):
        raise UsageError(
            "--governance is no JSON object", fix='Write: --governance \'{"write": "approve"}\''
        )
    return data


def set_standard(  # noqa: PLR0913 -- the options of a command are its parameters
    *,
    namespace: Space,
    governance: Annotated[
        str | None,
        typer.Option(
            "--governance",
            metavar="JSON",
            help="Who may write, promote and delete; stays as it is when left out.",
            show_default=False,
        ),
    ] = None,
    memory_id: Annotated[
        str | None,
        typer.Option("--id", help="Memory that explains the rules.", show_default=False),
    ] = None,
    parent: Annotated[
        str | None,
        typer.Option("--parent", metavar="NS", help="Namespace to ask above.", show_default=False),
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(
            "--owner", metavar="AGENT", help="Agent that owns the namespace.", show_default=False
        ),
    ] = None,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Say which rules hold in a namespace and below it."""
    out = Output(as_json=as_json)
    rules = None if governance is None else read_governance(governance)
    body = given(governance=rules, id=memory_id, parent=parent, owner=owner)
    if not body:
        raise UsageError("there is nothing to set", fix="Give --governance or --id")
    if dry_run:
        out.answer(
            {"dry_run": True, "namespace": namespace, "body": body},
            f"would set the standard of {namespace}: {json.dumps(body, ensure_ascii=False)}",
        )
        return
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    answer = client.call("POST", standard_path(namespace), body=body)
    if answer.data.get("ignored"):
        out.say(f"These keys mean nothing here: {', '.join(answer.data['ignored'])}")
    shown = rules_text(answer.data.get("governance", {}))
    out.answer(answer.data, f"{namespace}: {shown}{held_by(answer)}")


def get_standard(
    *,
    namespace: Space,
    inherit: Annotated[bool, typer.Option("--inherit", help="Show what holds above, too.")] = False,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the rules of a namespace."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    query = {"inherit": "true"} if inherit else {}
    data = client.call("GET", standard_path(namespace), query=query).data
    standards = data.get("standards", [])
    chain = " < ".join(reversed(data.get("chain", [])))
    rows = [
        (
            one.get("namespace", ""),
            rules_text(one.get("governance", {})),
            one.get("author", ""),
            one.get("owner", ""),
            one.get("id", ""),
        )
        for one in standards
    ]
    shown = table(("NAMESPACE", "RULES", "AUTHOR", "OWNER", "MEMORY"), rows)
    none = f"{namespace} has no standard of its own"
    Output(as_json=as_json).answer(data, [f"asks {chain}", "", shown if rows else none])


def clear_standard(
    *,
    namespace: Space,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Let the levels above decide about a namespace again."""
    out = Output(as_json=as_json)
    if dry_run:
        data = {"dry_run": True, "namespace": namespace}
        out.answer(data, f"would clear the standard of {namespace}")
        return
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    answer = client.call("DELETE", standard_path(namespace))
    words = "cleared" if answer.data.get("cleared") else "had no standard"
    out.answer(answer.data, f"{namespace} {words}{held_by(answer)}")


def list_spaces(
    *, agent_id: AgentId = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Show the namespaces that hold memories or have rules."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    data = client.call("GET", "/api/v1/namespaces").data
    rows = [
        (
            one.get("namespace", ""),
            one.get("count", ""),
            one.get("standards", "") or "-",
            one.get("ruled_by") or "-",
        )
        for one in data.get("namespaces", [])
    ]
    shown = table(("NAMESPACE", "MEMORIES", "STANDARDS", "RULED BY"), rows)
    Output(as_json=as_json).answer(data, shown if rows else "no namespaces")
