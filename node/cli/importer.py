"""`mnemesh import`: notes, files and chats of elsewhere become memories, over the API.

Law: an import can be interrupted and repeated: ids and retry keys are derived from what is
sent, so nothing is stored twice. What is left out is said, with the reason.
"""

import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from node.cli.client import Answer, Client, explain, running_target
from node.cli.options import AgentId, AsJson, DataDir, DryRun, Namespace, paths_of
from node.cli.output import Output
from node.cli.wording import counted
from node.errors import Exit
from node.importers.reading import KINDS, read_source
from node.importers.values import Source, batches

_TRIES: Final = 5
_WAIT_SECONDS_MAX: Final = 10.0
_LONG_TIMEOUT_SECONDS: Final = 600.0
_SHOWN_ERRORS: Final = 5


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of an import so far; `run` tells its tries from those of an earlier import."""

    run: str = field(default_factory=lambda: secrets.token_hex(8))
    sent: int = 0
    imported: int = 0
    skipped: int = 0
    shortfalls: int = 0
    errors: list[Any] = field(default_factory=list)

    def add(self, data: Mapping[str, Any], first: int) -> None:
        """Count the answer to one batch; indexes of errors become those of the whole input."""
        self.imported += int(data.get("imported", 0))
        self.skipped += int(data.get("skipped", 0))
        for error in data.get("errors") or []:
            if isinstance(error, dict) and isinstance(error.get("index"), int):
                self.errors.append({**error, "index": error["index"] + first})
            else:
                self.errors.append(error)


def import_path(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="File, folder or archive to read.")],
    *,
    kind: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="KIND",
            help=f"What it is: {', '.join(KINDS)}; found out when left out.",
            show_default=False,
        ),
    ] = None,
    namespace: Namespace = None,
    trust_source: Annotated[
        bool, typer.Option("--trust-source", help="Keep declared authors (administrators).")
    ] = False,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Import Markdown, JSON lines, a JSON export, or the chats that an assistant exported."""
    out = Output(as_json=as_json)
    source = read_source(path, namespace=namespace, kind=kind)
    if dry_run:
        count = len(source.memories)
        data = {
            "dry_run": True,
            "kind": source.kind,
            "memories": count,
            "links": len(source.links),
            "left_out": dict(source.left_out),
        }
        out.answer(data, [f"would import {counted(count)} from {path}", *_left_out(source)])
        return
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    tally = Tally()
    query = {"trust_source": "true"} if trust_source else {}
    with out.progress() as progress:
        task = progress.add_task("importing", total=len(source.memories))
        for batch in batches(source.memories):
            send(client, {"memories": batch}, query, tally)
            progress.update(task, completed=tally.sent)
        for links in batches(source.links):
            send(client, {"memories": [], "links": links}, query, tally)
    _report(out, tally, path, source)


def _left_out(source: Source) -> list[str]:
    return [f"  left out: {count} x {why}" for why, count in source.left_out.most_common()]


def send(
    client: Client, body: Mapping[str, Any], query: Mapping[str, object], tally: Tally
) -> None:
    """Post one batch, again when the node asks for patience.

    Raises:
        NodeError: the node refuses it.
    """
    text = json.dumps(body, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass")
    headers = {"idempotency-key": f"import-{tally.run}-{hashlib.sha256(text).hexdigest()}"}
    for attempt in range(1, _TRIES + 1):
        answer = client.ask(
            "POST",
            "/api/v1/import",
            query=query,
            body=body,
            headers=headers,
            timeout=_LONG_TIMEOUT_SECONDS,
        )
        if answer.status < HTTPStatus.BAD_REQUEST or attempt == _TRIES or not _passing(answer):
            break
        time.sleep(_patience(answer))
    data = answer.data if isinstance(answer.data, dict) else {}
    if answer.status >= HTTPStatus.BAD_REQUEST:
        if data.get("error") != "quorum_not_met":
            raise explain(answer)
        # Stored here and spreading; the rest of the input is still worth sending.
        tally.shortfalls += 1
    tally.add(data, tally.sent)
    tally.sent += len(body["memories"])


def _passing(answer: Answer) -> bool:
    return answer.status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)


def _patience(answer: Answer) -> float:
    text = answer.headers.get("retry-after", "1")
    return min(float(text) if text.isdigit() else 1.0, _WAIT_SECONDS_MAX)


def _report(out: Output, tally: Tally, path: Path, source: Source) -> None:
    data = {
        "imported": tally.imported,
        "skipped": tally.skipped,
        "errors": tally.errors,
        "left_out": dict(source.left_out),
        "quorum_shortfalls": tally.shortfalls,
    }
    words = [f"imported {counted(tally.imported)} from {path}, {tally.skipped} were there already"]
    words += _left_out(source)
    words += [f"  refused: {error}" for error in tally.errors[:_SHOWN_ERRORS]]
    if len(tally.errors) > _SHOWN_ERRORS:
        words.append(f"  and {len(tally.errors) - _SHOWN_ERRORS} more; see --json")
    out.answer(data, words)
    if tally.shortfalls:
        out.say(
            f"{tally.shortfalls} batches are stored here and were not confirmed by the quorum; "
            "they spread when the peers are back."
        )
        raise typer.Exit(int(Exit.QUORUM))
    if tally.errors:
        raise typer.Exit(int(Exit.ERROR))
