"""`mnemesh export`: all that the caller may see, in one file.

Law: an export appears under its name only when it is whole.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from node.cli.client import Client, running_target
from node.cli.options import AgentId, AsJson, DataDir, paths_of
from node.cli.output import Output
from node.cli.wording import counted
from node.errors import NodeError, Refused

_LONG_TIMEOUT_SECONDS: Final = 600.0


def export_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write; - is stdout.")],
    *,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Export the memories that the caller may see, as JSON."""
    out = Output(as_json=as_json)
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    answer = client.call("GET", "/api/v1/export", timeout=_LONG_TIMEOUT_SECONDS)
    if not isinstance(answer.data, dict) or "memories" not in answer.data:
        raise NodeError(
            "the export is not whole",
            why="the connection ended before the answer did",
            fix="Try again; nothing was written",
        )
    count = len(answer.data["memories"])
    if str(file) == "-":
        sys.stdout.writelines([*_chunks(answer.data), "\n"])
        return
    write_whole(file, _chunks(answer.data))
    data = {"file": str(file), "memories": count, "links": len(answer.data.get("links", []))}
    out.answer(data, f"exported {counted(count)} to {file}")


def _chunks(data: Mapping[str, Any]) -> Iterable[str]:
    return json.JSONEncoder(ensure_ascii=False, indent=1).iterencode(data)


def write_whole(file: Path, chunks: Iterable[str]) -> None:
    """Write a file (0600: memories are private) that appears only when it is complete.

    Raises:
        Refused: the operating system says no.
    """
    fresh = file.with_name(f".{file.name}.new")
    try:
        fresh.touch(mode=0o600, exist_ok=True)
        with fresh.open("w", encoding="utf-8") as target:
            target.writelines(chunks)
            target.write("\n")
        fresh.replace(file)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise Refused(f"cannot write {file}", why=error.strerror or str(error)) from error
