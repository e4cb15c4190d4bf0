"""What a client's configuration says to start the server, for each client.

Law: a client hands nothing of its environment on, and starts servers from a folder of its own.
So every path is absolute and everything that the server needs stands in the entry. No secret
does: the entry names the folder or the file in which it lies.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

SERVER: Final = "mnemesh"
_JSON, _TOML = "json", "toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A client that starts servers.

    Attributes:
        file: where its configuration is, in words for people.
        under: the key under which its servers stand.
        also: fields that its entries have beside the usual ones.
        language: of the file.
        agent: in whose name the server speaks where nobody says.
    """

    file: str
    under: str = "mcpServers"
    also: Mapping[str, Any] = field(default_factory=dict)
    language: str = _JSON
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How the server is started.

    Attributes:
        command: absolute path.
        args: after it.
        env: everything that it finds in its environment.
    """

    command: str
    args: Sequence[str]
    env: Mapping[str, str]


PROGRAMS: Final[Mapping[str, Program]] = {
    "claude-code": Program(
        file=".mcp.json in the project, or ~/.claude.json",
        also={"type": "stdio"},
        agent="ai:claude-code",
    ),
    "claude-desktop": Program(
        file="claude_desktop_config.json (Settings, Developer, Edit Config)",
        agent="ai:claude-desktop",
    ),
    "cline": Program(file="cline_mcp_settings.json (MCP Servers, Configure)", agent="ai:cline"),
    "codex": Program(
        file="~/.codex/config.toml", under="mcp_servers", language=_TOML, agent="ai:codex"
    ),
    "cursor": Program(file="~/.cursor/mcp.json", agent="ai:cursor"),
    "gemini-cli": Program(file="~/.gemini/settings.json", agent="ai:gemini-cli"),
    "lm-studio": Program(file="~/.lmstudio/mcp.json", agent="ai:lm-studio"),
    "vscode": Program(
        file=".vscode/mcp.json in the workspace",
        under="servers",
        also={"type": "stdio"},
        agent="ai:vscode",
    ),
    "windsurf": Program(file="~/.codeium/windsurf/mcp_config.json", agent="ai:windsurf"),
    "zed": Program(
        file="~/.config/zed/settings.json",
        under="context_servers",
        also={"source": "custom"},
        agent="ai:zed",
    ),
    "other": Program(file="wherever the client keeps its servers", agent="ai:mcp"),
}


def entry_of(program: Program, start: Start) -> dict[str, Any]:
    """What the configuration of a client has to hold, as data."""
    server = {
        **program.also,
        "command": start.command,
        "args": list(start.args),
        "env": dict(start.env),
    }
    return {program.under: {SERVER: server}}


def text_of(program: Program, start: Start) -> str:
    """The same in the language of its file, to be pasted."""
    entry = entry_of(program, start)
    if program.language == _JSON:
        return json.dumps(entry, indent=2, ensure_ascii=False)
    server = entry[program.under][SERVER]
    env = ", ".join(f"{name} = {_quoted(value)}" for name, value in server["env"].items())
    args = ", ".join(map(_quoted, server["args"]))
    return (
        f"[{program.under}.{SERVER}]\n"
        f"command = {_quoted(server['command'])}\nargs = [{args}]\nenv = {{ {env} }}"
    )


def _quoted(text: str) -> str:
    # A basic string of TOML is a string of JSON, but for the one character that JSON lets through.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
