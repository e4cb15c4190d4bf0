"""`mnemesh agent ...`: who is registered, with which key and which role, from a shell.

Law: each is one request to the running node. What comes from a file is a public key; a
private one is refused before anything is sent.
"""

import base64
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from node.auth.public_keys import parse_public_key
from node.cli.client import Client, running_target
from node.cli.options import AgentId, AsJson, DataDir, DryRun, paths_of
from node.cli.output import Output, table
from node.cli.wording import held_by
from node.errors import UsageError
from transport.errors import PublicKeyError

_KEY_FILE_BYTES_MAX = 4096
_NONE = "none"


def read_public_key(path: Path) -> str:
    """The key in a file, as base64.

    Raises:
        UsageError: there is none that can be used.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_KEY_FILE_BYTES_MAX + 1).decode("ascii")
        return base64.b64encode(parse_public_key(text)).decode()
    except OSError as error:
        raise UsageError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except (UnicodeDecodeError, PublicKeyError) as error:
        raise UsageError(f"{path} holds no usable public key", why=str(error)) from error


def register(
    *,
    agent_id: Annotated[
        str, typer.Option("--agent-id", metavar="ID", help="Agent that is registered.")
    ],
    kind: Annotated[str, typer.Option("--type", help="human, system or ai:NAME.")],
    capability: Annotated[
        list[str] | None,
        typer.Option("--capability", help="What it can do; may be repeated.", show_default=False),
    ] = None,
    pub: Annotated[
        Path | None,
        typer.Option(
            "--pub",
            metavar="FILE",
            help="Public key to bind; from then on it has to sign.",
            show_default=False,
        ),
    ] = None,
    on_behalf: Annotated[
        str | None,
        typer.Option(
            "--as", metavar="AGENT", help="Agent that asks; itself if left out.", show_default=False
        ),
    ] = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make an agent known on every node."""
    out = Output(as_json=as_json)
    body: dict[str, Any] = {"agent_id": agent_id, "agent_type": kind}
    if capability:
        body["capabilities"] = capability
    if pub is not None:
        body["public_key"] = read_public_key(pub)
    if dry_run:
        out.answer({"dry_run": True, "body": body}, f"would register {agent_id} as {kind}")
        return
    client = Client(running_target(paths_of(data_dir)), agent_id=on_behalf or agent_id)
    answer = client.call("POST", "/api/v1/agents", body=body)
    out.answer(answer.data, f"registered {agent_id} as {kind}{held_by(answer)}")


def list_agents(
    *, agent_id: AgentId = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Show registered agents, and who has a role."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    data = client.call("GET", "/api/v1/agents").data
    known = {one["agent_id"]: one for one in data.get("agents", [])}
    for role in data.get("roles", []):
        known.setdefault(role["agent_id"], role)
    rows = [
        (
            name,
            one.get("agent_type", "(not registered)"),
            _role(one),
            "bound" if one.get("public_key") else "-",
            ", ".join(one.get("capabilities", [])) or "-",
            one.get("last_seen_at", "-"),
        )
        for name, one in sorted(known.items())
    ]
    columns = ("AGENT", "TYPE", "ROLE", "KEY", "CAPABILITIES", "LAST SEEN")
    Output(as_json=as_json).answer(data, table(columns, rows) if rows else "no agents")


def _role(one: dict[str, Any]) -> str:
    spaces = ", ".join(one.get("namespaces", []))
    return f"{one.get('role', '-')}{f' in {spaces}' if spaces else ''}"


def role(
    agent: Annotated[str, typer.Argument(metavar="AGENT")],
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="ROLE",
            help="agent-reader, agent-writer, team-admin, system-admin, or none.",
        ),
    ],
    *,
    namespace: Annotated[
        list[str] | None,
        typer.Option(
            "--namespace",
            "-n",
            metavar="NS",
            help="Where a team-admin administers; may be repeated.",
            show_default=False,
        ),
    ] = None,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Say what an agent may do at most."""
    out = Output(as_json=as_json)
    body = {"role": "" if wanted == _NONE else wanted, "namespaces": namespace or []}
    if dry_run:
        out.answer(
            {"dry_run": True, "agent_id": agent, "body": body}, f"would make {agent} {wanted}"
        )
        return
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    answer = client.call("POST", f"/api/v1/agents/{quote(agent, safe='')}/role", body=body)
    words = f"{agent} has no role" if wanted == _NONE else f"{agent} is {_role(answer.data)}"
    out.answer(answer.data, words + held_by(answer))
