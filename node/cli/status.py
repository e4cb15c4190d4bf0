"""`mnemesh status`, `stop` and `version`.

Law: what is said about a node is asked of the node, or read from the lock that it holds; a
note on disk alone proves nothing. A node that does not run is exit code 6, with the reason.
"""

import platform
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

import typer

from node import __version__
from node.backup.notes import recovering
from node.cli.client import Client, running_facts, running_target, why_not_running
from node.cli.options import AsJson, DataDir, DryRun, paths_of
from node.cli.output import Output, facts_table
from node.cli.process import stop_node
from node.errors import Exit, Unreachable
from node.lock import find_holder
from node.paths import Paths


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a health route said."""

    ok: bool
    words: str


def status(
    *,
    live: Annotated[bool, typer.Option("--live", help="Exit 6 unless the node answers.")] = False,
    ready: Annotated[
        bool, typer.Option("--ready", help="Exit 6 unless it serves reads and writes.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say whether the node runs, where it listens, and if not, why."""
    out = Output(as_json=as_json)
    paths = paths_of(data_dir)
    data = look(paths)
    shown = {key: value for key, value in data.items() if value not in ("", None)}
    out.answer(data, facts_table((key.replace("_", " "), value) for key, value in shown.items()))
    down = not data["running"] or (live and not data["live"]) or (ready and not data["ready"])
    if down:
        raise typer.Exit(int(Exit.UNREACHABLE))


def look(paths: Paths) -> dict[str, Any]:
    """Everything `status` says about a data directory."""
    holder = find_holder(paths.lock)
    facts = running_facts(paths)
    data: dict[str, Any] = {
        "running": holder is not None,
        "pid": holder.pid if holder else None,
        "data_dir": str(paths.data_dir),
        "live": False,
        "ready": False,
        "recovering": None,
        "why": "",
    }
    note = recovering(paths.data_dir)
    if note is not None:
        data["recovering"] = f"restored from {note.backup}; no writes until it has pulled"
    if facts is None:
        return data | {"why": why_not_running(paths)}
    client = Client(running_target(paths))
    alive, able = probe(client, "/livez"), probe(client, "/readyz")
    return data | {
        "name": facts.name,
        "node_id": facts.node_id,
        "cluster": facts.cluster,
        "agent_url": facts.agent_url,
        "peer_url": facts.peer_url,
        "fingerprint": facts.fingerprint,
        "started_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(facts.started_at / 1000)),
        "live": alive.ok,
        "ready": able.ok,
        "why": "" if able.ok else (able.words if alive.ok else alive.words),
    }


def probe(client: Client, path: str, *, timeout: float = 5.0) -> Probe:
    """Ask a health route; no answer is an answer too."""
    try:
        answer = client.ask("GET", path, timeout=timeout)
    except Unreachable as error:
        return Probe(ok=False, words=error.why or error.what)
    words = answer.data if isinstance(answer.data, str) else str(answer.data)
    return Probe(ok=answer.status == HTTPStatus.OK, words=words.strip())


def stop(
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Kill it when it does not stop in time.")
    ] = False,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Stop the node and wait until it is gone; fine when none runs."""
    out = Output(as_json=as_json)
    paths = paths_of(data_dir)
    if dry_run:
        holder = find_holder(paths.lock)
        pid = holder.pid if holder else None
        out.answer(
            {"dry_run": True, "pid": pid}, f"would stop process {pid}" if pid else "nothing runs"
        )
        return
    pid = stop_node(paths, force=force)
    words = f"stopped process {pid}" if pid else f"no node runs on {paths.data_dir}"
    out.answer({"stopped": pid is not None, "pid": pid}, words)


def version(*, as_json: AsJson = False) -> None:
    """Print the version of this program."""
    data = {"version": __version__, "api_version": "v1", "python": platform.python_version()}
    Output(as_json=as_json).answer(data, f"mnemesh {__version__}")
