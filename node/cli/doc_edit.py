"""`mnemesh doc edit`: a document changed from a shell, or in an editor.

Law: what is sent stands on the heads that were read, so what others do meanwhile stays and no
position means anything else than it did to whoever typed it. A text that was typed is never lost:
until the node has taken it, it stays in a file, and every error says in which one.
"""

import os
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from node.cli.client import Client, running_target
from node.cli.doc import Heads, Id, address
from node.cli.doc_edits import Edit, append, put, rewritten, splice
from node.cli.memories import IfMatch, RetryKey, given
from node.cli.options import AgentId, AsJson, DataDir, DryRun, options_of, paths_of
from node.cli.output import Output
from node.cli.wording import counted, held_by
from node.errors import NodeError, UsageError

_KEY_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sending:
    """What goes with the edits."""

    client: Client
    heads: list[str]
    message: str | None
    if_match: str | None
    key: str


def edit(  # noqa: PLR0913 -- the options of a command are its parameters
    memory_id: Id,
    *,
    text: Annotated[
        str | None,
        typer.Option(
            "--text", metavar="FILE", help="The new text, whole; - reads stdin.", show_default=False
        ),
    ] = None,
    puts: Annotated[
        list[str] | None,
        typer.Option("--put", metavar="PATH=JSON", help="Put a value.", show_default=False),
    ] = None,
    splices: Annotated[
        list[str] | None,
        typer.Option(
            "--splice",
            metavar="PATH=INDEX,DELETE,INSERT",
            help="Change a part of a text or a list.",
            show_default=False,
        ),
    ] = None,
    appended: Annotated[
        str | None,
        typer.Option("--append", metavar="TEXT", help="Add to the text.", show_default=False),
    ] = None,
    message: Annotated[
        str | None,
        typer.Option("--message", "-m", help="Kept with the change.", show_default=False),
    ] = None,
    heads: Heads = None,
    if_match: IfMatch = None,
    idempotency_key: RetryKey = None,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Edit a document; without an option, its text in $EDITOR."""
    out = Output(as_json=as_json)
    piecewise = bool(puts or splices or appended is not None)
    if piecewise and text is not None:
        raise UsageError("--text is the whole text", fix="Leave the other edits out")
    paths = paths_of(data_dir)
    client = Client(running_target(paths), agent_id=agent_id)
    view = client.call("GET", address(memory_id), query=given(heads=heads)).data
    sending = _Sending(
        client=client,
        heads=view["heads"],
        message=message,
        if_match=if_match,
        key=idempotency_key or secrets.token_hex(_KEY_BYTES),
    )
    if piecewise:
        edits = [put(one, view["value"]) for one in puts or ()]
        edits += [splice(one, view["value"]) for one in splices or ()]
        edits += [] if appended is None else [append(appended)]
        _send(out, view, edits, sending, dry_run=dry_run)
    elif text is not None:
        new = sys.stdin.read() if text == "-" else _read(Path(text))
        _send(out, view, rewritten(view, new), sending, dry_run=dry_run)
    else:
        again = f"mnemesh doc edit {view['id']}{options_of(paths)}"
        with _edited(view, f"{again}{_option('--agent-id', agent_id)}", sending) as edited:
            _send(out, view, rewritten(view, edited), sending, dry_run=dry_run)


def _send(
    out: Output, view: dict[str, Any], edits: list[Edit], sending: _Sending, *, dry_run: bool
) -> None:
    if not edits:
        out.answer({"id": view["id"], "edits": 0, "heads": view["heads"]}, "nothing was changed")
        return
    body = given(ops=edits, heads=sending.heads, message=sending.message)
    if dry_run:
        words = f"would make {counted(len(edits), 'edit', 'edits')} of {view['id']}"
        out.answer({"dry_run": True, "body": body}, words)
        return
    headers = {"idempotency-key": sending.key}
    if sending.if_match:
        headers["if-match"] = sending.if_match
    answer = sending.client.call("PATCH", address(view["id"]), body=body, headers=headers)
    data = answer.data
    if data.get("status") == "pending":
        out.answer(data, f"waits for approval as {data['pending_id']}")
        return
    out.answer(data, f"edited {data['id']}{held_by(answer)}")


@contextmanager
def _edited(view: dict[str, Any], again: str, sending: _Sending) -> Iterator[str]:
    """What a person makes of the text of a document; the file goes once it was sent.

    Raises:
        NodeError: it says where the text is, and what repeats the very same edit.
    """
    old = view["value"].get("text", "")
    if not isinstance(old, str):
        raise UsageError("the document has no text", fix="Use --put or --splice; see --help")
    editor = _editor()
    number, name = tempfile.mkstemp(prefix="mnemesh-", suffix=".md")
    os.close(number)
    path = Path(name)
    path.write_bytes(old.encode())
    repeat = (
        f"{again}{_option('--text', name)}{_option('--heads', ','.join(sending.heads))}"
        f"{_option('--message', sending.message)}{_option('--if-match', sending.if_match)}"
        f"{_option('--idempotency-key', sending.key)}"
    )
    try:
        _run(editor, path)
        yield _typed(path, old)
    except NodeError as error:
        kept = f"Your text is in {name}; to send it: {repeat}"
        error.fix = f"{error.fix}. {kept}" if error.fix else kept
        raise
    except BaseException:
        sys.stderr.write(f"your text is in {name}\n")
        raise
    path.unlink()


def _option(name: str, value: str | None) -> str:
    """As a shell takes it, after a space; nothing where nothing is said."""
    return "" if value is None else f" {name} {shlex.quote(value)}"


def _editor() -> list[str]:
    """The editor of whoever asks.

    Raises:
        UsageError: there is none.
    """
    named = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if named:
        return shlex.split(named)
    found = shutil.which("vi") if sys.stdin.isatty() else None
    if found is None:
        raise UsageError("there is no editor", fix="Set EDITOR, or give the text with --text FILE")
    return [found]


def _run(editor: list[str], path: Path) -> None:
    """Let a person edit a file.

    Raises:
        UsageError: the editor cannot be started, or says that it failed.
    """
    try:
        done = subprocess.run([*editor, str(path)], check=False)  # noqa: S603 - theirs who asks
    except OSError as error:
        raise UsageError(f"cannot start {editor[0]}", why=error.strerror or str(error)) from error
    if done.returncode:
        raise UsageError(f"{editor[0]} ended with {done.returncode}", why="so nothing was changed")


def _typed(path: Path, old: str) -> str:
    """What is in the file; without the line break that editors put at the end of every file.

    Raises:
        UsageError: it is no text.
    """
    new = _read(path)
    if not old.endswith("\n") and new.endswith("\n"):
        new = new[:-1]
        path.write_bytes(new.encode())  # what is kept is what would be sent
    return new


def _read(path: Path) -> str:
    """A text as it is; not one line break becomes another.

    Raises:
        UsageError: it cannot be read, or is no text.
    """
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"cannot read {path}", why=why) from error
