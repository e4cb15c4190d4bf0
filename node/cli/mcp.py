"""`mnemesh mcp`: the memory for clients of the Model Context Protocol.

Law: as a server it is silent: stdout is the protocol, stderr has words only when it cannot
start. It opens no store; it asks the running node, as every command does.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.client import running_target
from node.cli.options import AgentId, AsJson, ConfigFile, DataDir, KeyDir, options_of, paths_of
from node.cli.output import Output
from node.errors import UsageError
from node.mcp.clients import PROGRAMS, Start, entry_of, text_of
from node.paths import Paths

if TYPE_CHECKING:
    from node.mcp.reach import Find

Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        envvar="MNEMESH_MCP_PROFILE",
        help="Which tools to show: core, full or knowledge-graph; as configured when left out.",
        show_default=False,
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        envvar="MNEMESH_URL",
        help="Node on another machine, as https://host:9077; the one on this machine when left "
        "out.",
        show_default=False,
    ),
]
Fingerprint = Annotated[
    str | None,
    typer.Option(
        "--fingerprint",
        metavar="SHA256",
        envvar="MNEMESH_FINGERPRINT",
        help="Certificate of the node at --url: mnemesh node fingerprint.",
        show_default=False,
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--api-key-file",
        metavar="FILE",
        envvar="MNEMESH_API_KEY_FILE",
        help="File with the API key for the node at --url.",
        show_default=False,
    ),
]


def serve(  # noqa: PLR0913, PLR0917 -- the options of a command are its parameters
    context: typer.Context,
    profile: Profile = None,
    url: Url = None,
    fingerprint: Fingerprint = None,
    api_key_file: KeyFile = None,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    config: ConfigFile = None,
) -> None:
    """Serve the memory as MCP tools over stdin and stdout; a client starts this."""
    if context.invoked_subcommand is not None:
        return
    from node.mcp.stdio import serve_stdio  # noqa: PLC0415 -- the SDK takes half a second

    paths = paths_of(data_dir, key_dir, config)
    find = _far(url, fingerprint, api_key_file) if url else near(paths)
    shown, anonymous = _profile(paths, profile), url is None and _anonymous(paths)
    asyncio.run(serve_stdio(shown, find, agent_id, anonymous=anonymous))


def _anonymous(paths: Paths) -> bool:
    """Whether programs that name nobody stay nameless at the node of this folder."""
    from node.settings import load_settings  # noqa: PLC0415 -- the table of all settings

    return load_settings(paths, environ=os.environ).identity.anonymize_default


def _profile(paths: Paths, named: str | None) -> str:
    """The profile that was named, else that of the settings.

    Raises:
        UsageError: there is none of that name.
    """
    from node.mcp.profiles import PROFILES  # noqa: PLC0415 -- the tables of all tools

    if named is None:
        from node.settings import load_settings  # noqa: PLC0415 -- only where nobody names one

        return load_settings(paths, environ={}).mcp.profile
    if named not in PROFILES:
        raise UsageError(f"there is no profile {named!r}", fix=f"Use one of {', '.join(PROFILES)}")
    return named


def near(paths: Paths) -> "Find":
    """Finds the node that runs on a data directory."""
    from node.auth.identities import FOLDER, Identities  # noqa: PLC0415 -- with the client
    from node.client.places import Options  # noqa: PLC0415 -- with the client
    from node.mcp.reach import Way  # noqa: PLC0415 -- heavy

    held = Identities(paths.key_dir / FOLDER)

    def key_of(agent: str) -> Path | None:
        key = held.private_path(agent)
        return key if key.exists() else None

    def find() -> Way:
        target = running_target(paths)
        options = Options()
        if target.api_key:
            options["api_key"] = target.api_key
        if target.url.startswith("https:"):
            options["fingerprint"] = target.fingerprint
            if target.client_cert and not target.api_key:
                options["client_cert"] = target.client_cert
                options["client_key"] = target.client_key
        return Way(url=target.url, options=options, key_of=key_of)

    return find


def _far(url: str, fingerprint: str | None, api_key_file: Path | None) -> "Find":
    """A node on another machine."""
    from node.client.places import Options  # noqa: PLC0415 -- with the client
    from node.mcp.reach import Way  # noqa: PLC0415 -- heavy

    way = Way(url=url, options=Options(fingerprint=fingerprint, api_key_file=api_key_file))
    return lambda: way


def show_config(  # noqa: PLR0913 -- the options of a command are its parameters
    *,
    client: Annotated[
        str,
        typer.Option(
            "--client",
            metavar="NAME",
            help="claude-code, claude-desktop, cline, codex, cursor, gemini-cli, lm-studio, "
            "vscode, windsurf, zed or other.",
        ),
    ],
    profile: Profile = None,
    url: Url = None,
    fingerprint: Fingerprint = None,
    api_key_file: KeyFile = None,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Print what a client's configuration has to hold: mnemesh mcp config --client zed."""
    program = PROGRAMS.get(client)
    if program is None:
        raise UsageError(
            f"there is no client {client!r} in the table",
            fix=f"Use one of {', '.join(PROGRAMS)}",
        )
    paths = paths_of(data_dir, key_dir, config)
    if url:
        far = {
            "MNEMESH_URL": url,
            "MNEMESH_FINGERPRINT": fingerprint or "",
            "MNEMESH_API_KEY_FILE": str(api_key_file.expanduser().absolute())
            if api_key_file
            else "",
        }
        env = {name: value for name, value in far.items() if value}
    else:
        env = {
            "MNEMESH_DATA_DIR": str(paths.data_dir),
            "MNEMESH_KEY_DIR": str(paths.key_dir),
            "MNEMESH_CONFIG": str(paths.config),
        }
    env["MNEMESH_AGENT_ID"] = _agent(agent_id) or program.agent
    env["MNEMESH_MCP_PROFILE"] = _profile(paths, profile)
    command, *args = own_command()
    start = Start(command=command, args=[*args, "mcp"], env=env)
    out = Output(as_json=as_json)
    data = {"client": client, "file": program.file, "entry": entry_of(program, start)}
    out.answer(data, text_of(program, start))
    if not as_json:
        out.say(f"Put this into {program.file}, beside what is there.")
        if not url and not paths.key_dir.is_dir():
            out.say(f"There is no node in {paths.data_dir} yet: mnemesh init{options_of(paths)}")


def _agent(named: str | None) -> str:
    """The agent that was named, when it can be one.

    Raises:
        UsageError: it cannot.
    """
    from node.auth.identities import checked_id  # noqa: PLC0415 -- reads keys, which few need

    return checked_id(named) if named else ""


def own_command() -> list[str]:
    """The absolute command line that starts this program again."""
    script = Path(sys.executable).with_name("mnemesh")
    return [str(script)] if script.is_file() else [sys.executable, "-P", "-m", "node"]
