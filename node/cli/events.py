"""`mnemesh events`, `subscription ...`: what happens, and who is told, from a shell.

Law: each asks the running node. Following prints one event a line as it comes, as JSON where
that is asked for. The secret of a subscription comes from a file, never from the command line.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from node.cli.client import Client, running_target
from node.cli.memories import given
from node.cli.options import AgentId, AsJson, DataDir, DryRun, Namespace, Yes, paths_of
from node.cli.output import Output, plain, table
from node.cli.wording import held_by
from node.errors import UsageError
from node.settings import check_secret_modes

_SILENCE_SECONDS: Final = 60.0

Names = Annotated[
    str | None,
    typer.Option(
        "--events", "-e", metavar="NAMES", help="Only these, with commas.", show_default=False
    ),
]
Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the subscription.")]


def follow(
    *,
    events: Names = None,
    namespace: Namespace = None,
    cursor: Annotated[
        str | None,
        typer.Option(
            "--cursor", help="Go on behind this place; 0 is the oldest kept.", show_default=False
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option("--count", "-c", min=1, help="End after so many.", show_default=False),
    ] = None,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what happens, as it happens: mnemesh events --events memory_store."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    query = given(events=events, namespace=namespace, cursor=cursor)
    lines = client.lines("/api/v1/events/stream", query=query, silence=_SILENCE_SECONDS)
    for number, (place, data) in enumerate(events_of(lines), start=1):
        if as_json:
            typer.echo(json.dumps({**data, "cursor": place}))
        else:
            typer.echo(plain(_words(data)))
        if number == count:
            return


def events_of(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, event) of each event with data (WHATWG HTML, section 9.2.6)."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        if "data" in fields:
            yield fields.get("id", ""), json.loads(fields["data"])
        fields = {}


def _words(data: dict[str, Any]) -> str:
    about = [data.get(name) for name in ("memory_id", "message_id", "id", "reason")]
    parts = [
        str(data.get("at", "-")),
        str(data.get("event", "")),
        next((str(one) for one in about if one), ""),
        f"in {data['namespace']}" if data.get("namespace") else "",
        f"by {data['agent_id']}" if data.get("agent_id") else "",
    ]
    return " ".join(part for part in parts if part)


def subscribe(
    url: Annotated[
        str | None, typer.Argument(metavar="URL", help="Where to deliver.", show_default=False)
    ] = None,
    *,
    events: Names = None,
    namespace: Namespace = None,
    secret_file: Annotated[
        Path | None,
        typer.Option(
            "--secret-file",
            metavar="FILE",
            help="File with the secret that signs deliveries, of mode 0600 or 0400.",
            show_default=False,
        ),
    ] = None,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Have events delivered to a URL, signed."""
    out = Output(as_json=as_json)
    body = given(url=url, events=events, namespace=namespace, agent_id=agent_id)
    if dry_run:
        out.answer({"dry_run": True, "body": body}, f"would subscribe {url or 'without a URL'}")
        return
    if secret_file is not None:
        body["secret"] = _secret(secret_file)
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    answer = client.call("POST", "/api/v1/subscriptions", body=body)
    data = answer.data
    if data.get("status") == "pending":
        out.answer(data, f"waits for approval as {data.get('pending_id')}")
        return
    out.answer(data, f"subscribed as {data.get('id')}{held_by(answer)}")


def _secret(path: Path) -> str:
    try:
        check_secret_modes(path)
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"cannot read {path}", why=why) from error


def list_subscriptions(
    *,
    namespace: Namespace = None,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show who wants to hear of what, with the deliveries of this node."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    data = client.call("GET", "/api/v1/subscriptions", query=given(namespace=namespace)).data
    rows = [
        (
            one.get("id", ""),
            one.get("agent_id", ""),
            _listed(one.get("events", "")),
            one.get("namespace", "") or "-",
            one.get("url", "") or "-",
            f"{one.get('dispatch_count', 0)}/{one.get('failure_count', 0)}",
        )
        for one in data.get("subscriptions", [])
    ]
    columns = ("ID", "AGENT", "EVENTS", "NAMESPACE", "URL", "SENT/FAILED")
    Output(as_json=as_json).answer(data, table(columns, rows) if rows else "no subscriptions")


def _listed(events: object) -> str:
    return ",".join(str(one) for one in events) if isinstance(events, list) else str(events)


def unsubscribe(
    subscription: Id,
    *,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """End a subscription."""
    out = Output(as_json=as_json)
    if dry_run:
        out.answer({"dry_run": True, "id": subscription}, f"would end {subscription}")
        return
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    out.confirm(f"End the subscription {subscription}?", yes=yes)
    answer = client.call("DELETE", f"/api/v1/subscriptions/{quote(subscription, safe='')}")
    out.answer(answer.data, f"ended {subscription}{held_by(answer)}")
