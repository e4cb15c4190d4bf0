"""`mnemesh compact` and `mnemesh erasure`: making erased bytes go, and waiting until they have.

Law: a running node is asked; it alone knows what its members hold. Waiting has a deadline, and
whoever waited in vain is told which member still has something and why.
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, ClassVar, Final

import typer

from node.cli.client import Client, running_target
from node.cli.options import AgentId, AsJson, DataDir, DryRun, paths_of
from node.cli.output import Output, facts_table, table
from node.cli.wording import counted
from node.errors import NodeError
from node.integrity.stopped_compact import compact_stopped
from node.lock import find_holder
from node.paths import Paths

_PATH: Final = "/api/v1/erasure"
_COMPACT_SECONDS: Final = 3600.0
_WAIT_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.25

Data = dict[str, Any]
Timeout = Annotated[float, typer.Option("--timeout", min=0.0, help="Most seconds to wait.")]


class NotGone(NodeError):  # noqa: N818 - it says what is, as its neighbours do
    """Erased bytes are still somewhere when the time to wait is over.

    Args:
        status: what the node said last; `facts` has it.
        files: whether files were waited for too.
    """

    code: ClassVar[str] = "erasure_outstanding"

    def __init__(self, status: Data, *, files: bool) -> None:
        left = "; ".join(f"{m['name']} {why}" for m in status["members"] if (why := _why(m, files)))
        super().__init__(
            "what was erased is not gone everywhere yet",
            why=left,
            fix="Members that are away erase when they are back; mnemesh erasure tells",
        )
        self.status = status

    def facts(self) -> dict[str, object]:
        """With what the node said last."""
        return {**super().facts(), **self.status}


def _why(member: Data, files: bool) -> str:  # noqa: FBT001 - one flag of one question
    if not member["reached"] and not member["covered"]:
        return "is away"
    if not member["covered"]:
        return "has not taken the deletion yet"
    if not member["log_clear"]:
        return "has it in its log"
    return "has not rewritten its file" if files and not member["rewritten"] else ""


def wait_until_gone(
    client: Client,
    *,
    files: bool = False,
    seconds: float = _WAIT_SECONDS,
    tell: Callable[[Data], None] = lambda _: None,
) -> Data:
    """Wait until every member has taken the erasing deletes and cleared its log of the records.

    Args:
        client: of a running node.
        files: wait until every member has rewritten its file too.
        seconds: at most so long.
        tell: told each answer of the node.

    Returns:
        The last answer of GET /erasure.

    Raises:
        NotGone: the time is over.
        AnswerError, Unreachable: the node did not say.
    """
    deadline = time.monotonic() + seconds
    while True:
        status: Data = client.call("GET", _PATH).data
        tell(status)
        if status["covered"] and status["log_clear"] and (status["rewritten"] or not files):
            return status
        if time.monotonic() >= deadline:
            raise NotGone(status, files=files)
        time.sleep(_PAUSE_SECONDS)


def erasure(
    *,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until all logs are clear of what was erased.")
    ] = False,
    files: Annotated[
        bool, typer.Option("--files", help="With --wait: until all files are rewritten too.")
    ] = False,
    timeout: Timeout = _WAIT_SECONDS,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show whether the bytes of what was erased are gone, member by member."""
    out = Output(as_json=as_json)
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    if wait:
        status = wait_until_gone(client, files=files, seconds=timeout)
    else:
        status = client.call("GET", _PATH).data
    out.answer(status, _words(status))


def compact(
    *,
    mesh: Annotated[
        bool, typer.Option("--mesh", help="Ask the other members to do the same where it is due.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until what was erased is gone everywhere.")
    ] = False,
    timeout: Timeout = _WAIT_SECONDS,
    dry_run: DryRun = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Rewrite the file of the store now, smaller and without what was erased.

    Every row is verified on the way. Works on a stopped node's folder too.
    """
    out = Output(as_json=as_json)
    paths = paths_of(data_dir)
    if find_holder(paths.lock) is None and not (mesh or wait or dry_run):
        _compact_stopped(out, paths)
        return
    client = Client(running_target(paths))
    if dry_run:
        status = client.call("GET", _PATH).data
        words = f"would rewrite the file; erased records on its list: {status['outstanding']}"
        out.answer({"dry_run": True, **status}, words)
        return
    with out.progress() as progress:
        progress.add_task("the node rewrites its file", total=None)
        done: Data = client.call(
            "POST", "/api/v1/compact", body={"mesh": mesh}, timeout=_COMPACT_SECONDS
        ).data
    if wait:
        done["erasure"] = wait_until_gone(client, files=True, seconds=timeout)
    out.answer(done, [facts_table(_figures(done))])


def _compact_stopped(out: Output, paths: Paths) -> None:
    with out.progress() as progress:
        progress.add_task("the file of the stopped node is rewritten", total=None)
        done: Data = asdict(compact_stopped(paths))
    out.answer(done, [facts_table(_figures(done))])


def _figures(done: Data) -> list[tuple[str, object]]:
    return [
        ("before", f"{done['before_bytes']} bytes"),
        ("after", f"{done['after_bytes']} bytes"),
        ("rows", done["rows"]),
        ("writers waited", f"{done['stall_ms']:.1f} ms"),
        ("erased for good", counted(done["erased"], "record", "records")),
    ]


def _words(status: Data) -> list[Any]:
    # What is gone stays on the node's list for a while: its id is in the feed until that is pruned.
    listed = f"something may be left; erased records on this node's list: {status['outstanding']}"
    verdict = "nothing is left" if status["gone"] else listed
    rows = [
        (
            member["name"],
            _yes(member["reached"]),
            _yes(member["covered"]),
            _yes(member["log_clear"]),
            _yes(member["rewritten"]),
            member["rewritten_at"] or "never",
        )
        for member in status["members"]
    ]
    columns = ("MEMBER", "REACHED", "COVERED", "LOG CLEAR", "FILE CLEAR", "LAST REWRITTEN")
    return [verdict, "", table(columns, rows)]


def _yes(flag: object) -> str:
    return "yes" if flag else "no"
