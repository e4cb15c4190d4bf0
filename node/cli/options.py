"""Options that several commands share, so that they read and mean the same everywhere.

Law: one declaration per option. A secret is never an option's value; options name files.
"""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from node.paths import Paths, resolve_paths

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Folder of the node (env MNEMESH_DATA_DIR).",
        show_default=False,
    ),
]
KeyDir = Annotated[
    Path | None,
    typer.Option(
        "--key-dir",
        metavar="DIR",
        help="Folder of its keys (env MNEMESH_KEY_DIR).",
        show_default=False,
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Configuration file (env MNEMESH_CONFIG).",
        show_default=False,
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document and nothing else on stdout.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed off a terminal.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would happen and change nothing.")
]
AgentId = Annotated[
    str | None,
    typer.Option(
        "--agent-id",
        metavar="ID",
        envvar="MNEMESH_AGENT_ID",
        help="Agent on whose behalf this happens.",
        show_default=False,
    ),
]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Namespace.", show_default=False)
]
Tier = Annotated[
    str | None, typer.Option("--tier", "-t", help="short, mid or long.", show_default=False)
]
Tags = Annotated[str | None, typer.Option("--tags", help="Tags, with commas.", show_default=False)]
Since = Annotated[
    str | None, typer.Option("--since", help="Created at or after.", show_default=False)
]
Until = Annotated[str | None, typer.Option("--until", help="Created before.", show_default=False)]
MinPriority = Annotated[
    int | None, typer.Option("--min-priority", help="1 to 10.", show_default=False)
]
ByAgent = Annotated[str | None, typer.Option("--by-agent", help="Written by.", show_default=False)]
Most = Annotated[int, typer.Option("--limit", "-l", help="At most so many.")]
Offset = Annotated[int, typer.Option("--offset", help="Skip so many.")]


def paths_of(
    data_dir: Path | None, key_dir: Path | None = None, config: Path | None = None
) -> Paths:
    """The places of the node that the options name."""
    return resolve_paths(os.environ, Path.home(), data_dir=data_dir, key_dir=key_dir, config=config)


def options_of(paths: Paths) -> str:
    """The options, after a space each, that lead another command to the same node.

    Empty for the platform folders: a --data-dir would look for the keys inside it.
    """
    if paths == paths_of(None):
        return ""
    given = {"--data-dir": paths.data_dir}
    if paths.key_dir != paths.data_dir / "keys":
        given["--key-dir"] = paths.key_dir
    if paths.config != paths.data_dir / "config.toml":
        given["--config"] = paths.config
    return "".join(f" {option} {shlex.quote(str(path))}" for option, path in given.items())
