"""`mnemesh scrub`: the whole store is read, and what is damaged is told, or made whole.

Law: a running node reads its own store, and alone makes it whole: its peers have what was lost. The
folder of a stopped node is only read. Damage that is left ends the command with code 5.
"""

import time
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import typer

from node.cli.client import Client, running_target
from node.cli.options import AsJson, DataDir, paths_of
from node.cli.output import Output, facts_table
from node.cli.wording import counted
from node.errors import IntegrityError, NodeError, UsageError
from node.integrity.stopped import scrub_stopped
from node.lock import find_holder
from node.paths import Paths

_PATH: Final = "/api/v1/integrity"
_PAUSE_SECONDS: Final = 0.2
_ANEW_SECONDS: Final = 60.0

Data = dict[str, Any]


class StoreNotWhole(IntegrityError):  # noqa: N818 - it says what is, as its neighbours do
    """A scrub found damage, and it is still there.

    Args:
        data: what the scrub told; `facts` has it.
    """

    code: ClassVar[str] = "store_not_whole"

    def __init__(self, data: Data) -> None:
        rows = ", ".join(f"{count} in {table}" for table, count in data["left"].items())
        fix = "mnemesh scrub --repair on the running node makes whole what its peers have"
        super().__init__(
            "the store is damaged",
            why=data["trouble"] or rows,
            fix=f"{fix}; the runbook damaged-store tells the rest",
        )
        self.data = data

    def facts(self) -> dict[str, object]:
        """With what was found."""
        return {**super().facts(), **self.data}


def scrub(
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make whole what is damaged; the node must run.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Read the whole store in search of damage; exit code 5 when some is left."""
    out = Output(as_json=as_json)
    paths = paths_of(data_dir)
    if find_holder(paths.lock) is not None:
        data = _running(out, paths, repair=repair)
    elif repair:
        raise UsageError(
            "the node is stopped, and --repair needs its peers",
            fix="Start the node: it scrubs and repairs by itself, or by this command",
        )
    else:
        data = _stopped(out, paths.data_dir)
    if not data["whole"]:
        raise StoreNotWhole(data)
    out.answer(data, [facts_table(_rows(data))])


def _running(out: Output, paths: Paths, *, repair: bool) -> Data:
    client = Client(running_target(paths))
    before: Data = client.call("GET", _PATH).data
    data: Data = client.call("POST", f"{_PATH}/scrub", body={"repair": repair}).data
    with out.progress() as progress:
        task = progress.add_task("the node reads its store", total=1.0)
        while data["store"] == before["store"] and (
            data["running"] or data["passes"] == before["passes"]
        ):
            progress.update(task, completed=data["done_ratio"])
            time.sleep(_PAUSE_SECONDS)
            data = _state(paths)
        progress.update(task, completed=1.0)
    if data["store"] != before["store"]:
        out.say("a page was damaged: the store was set aside, and the node joins again")
    return data


def _state(paths: Paths) -> Data:
    """What the node says; while it begins anew over another store it is waited for."""
    deadline = time.monotonic() + _ANEW_SECONDS
    while True:
        try:
            data: Data = Client(running_target(paths)).call("GET", _PATH).data
        except NodeError:
            if time.monotonic() >= deadline or find_holder(paths.lock) is None:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return data


def _stopped(out: Output, data_dir: Path) -> Data:
    with out.progress() as progress:
        task = progress.add_task("the store is read", total=1.0)
        return scrub_stopped(data_dir, lambda ratio: progress.update(task, completed=ratio))


def _rows(data: Data) -> list[tuple[str, object]]:
    return [
        ("store", "whole" if data["whole"] else "damaged"),
        ("rows read", data["last_pass_rows"]),
        ("damaged", counted(data["corrupt"], "row", "rows")),
        ("made whole", counted(data["repaired"], "row", "rows")),
        ("not served", counted(data["quarantined"], "record", "records")),
    ]
