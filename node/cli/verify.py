"""`mnemesh verify`: whether what a node keeps is what was signed, and all of it.

Law: a running node is asked; of one that does not run the folder is read, under its lock, and
nothing in it is changed. Everything holds: exit 0. Something does not: exit 5, and the answer
says where.
"""

from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from node.audit.offline import Stopped, stopped
from node.cli.client import Client, running_facts, running_target, why_not_running
from node.cli.options import AsJson, DataDir, KeyDir, paths_of
from node.cli.output import Output, facts_table, table
from node.errors import Exit, Unreachable, UsageError
from node.lock import DirectoryLock
from node.paths import Paths
from transport.identity import NodeKey

_TIMEOUT_SECONDS: Final = 3600.0
_DEPTH_DEFAULT: Final = 20

Data = dict[str, Any]


def verify(
    *,
    memory: Annotated[
        str | None,
        typer.Option(
            "--memory",
            metavar="ID",
            help="Only this memory, and what it comes from.",
            show_default=False,
        ),
    ] = None,
    max_depth: Annotated[
        int, typer.Option("--max-depth", min=0, help="With --memory: how many links to follow.")
    ] = _DEPTH_DEFAULT,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    as_json: AsJson = False,
) -> None:
    """Verify signatures and chains: of every operation in the log, and of the audit chain."""
    out = Output(as_json=as_json)
    paths = paths_of(data_dir, key_dir)
    client = _client(paths)
    if memory is not None and not memory:
        raise UsageError("--memory needs the id of a memory")
    if memory is not None:
        data = _one(client, memory, max_depth) if client else _one_offline(paths, memory)
        out.answer(data, _memory_words(data))
    else:
        data = _ask(out, client) if client else _read(out, paths)
        out.answer(data, _words(data))
    if not data["chain_holds"]:
        raise typer.Exit(int(Exit.INTEGRITY))


def _client(paths: Paths) -> Client | None:
    return Client(running_target(paths)) if running_facts(paths) is not None else None


# --- a node that runs ---------------------------------------------------------------------


def _ask(out: Output, client: Client) -> Data:
    with out.progress() as progress:
        progress.add_task("the node verifies", total=None)
        data: Data = client.call("GET", "/api/v1/verify", timeout=_TIMEOUT_SECONDS).data
    return data


def _one(client: Client, memory: str, max_depth: int) -> Data:
    """The memory, and every memory that it comes from."""
    path = f"/api/v1/memories/{quote(memory, safe='')}/lineage"
    answer = client.ask("GET", path, query={"max_depth": max_depth, "direction": "ancestors"})
    nodes = answer.data.get("nodes", []) if answer.status == HTTPStatus.OK else []
    own = _operations(client, memory)
    if answer.status != HTTPStatus.OK and not own["operations"]:
        client.call("GET", path)  # neither there nor in the log: its own words say so
    ancestors = [node | {"holds": _operations(client, str(node["id"]))["holds"]} for node in nodes]
    known = answer.status == HTTPStatus.OK
    return _memory_data(own, ancestors if known else None, truncated=_truncated(answer.data))


def _truncated(data: object) -> bool:
    return isinstance(data, dict) and bool(data.get("truncated"))


def _operations(client: Client, memory: str) -> Data:
    data: Data = client.call(
        "GET", "/api/v1/verify", query={"memory": memory}, timeout=_TIMEOUT_SECONDS
    ).data
    return data


def _memory_data(own: Data, ancestors: list[Data] | None, *, truncated: bool) -> Data:
    """The answer about one memory; a root is an ancestor that nothing else was reached from."""
    held = [own["holds"], *(node["holds"] for node in ancestors or [])]
    origins = {node.get("from") for node in ancestors or []}
    roots = [node["id"] for node in ancestors or [] if node["id"] not in origins]
    return {
        "chain_holds": all(held),
        "rows_checked": len(own["operations"]),
        "memory": own,
        "lineage": ancestors,
        "roots": roots if ancestors else ([own["id"]] if ancestors is not None else None),
        "truncated": truncated,
    }


# --- a folder -----------------------------------------------------------------------------


def _opened(paths: Paths) -> bytes | None:
    """The public key of the node, when its key file is at hand."""
    return NodeKey.load(paths.node_key).public if paths.node_key.exists() else None


def _check_there(paths: Paths) -> None:
    if not paths.data_dir.is_dir() or not (paths.current.exists() or _audit_there(paths)):
        raise Unreachable(
            f"there is nothing to verify in {paths.data_dir}",
            why=why_not_running(paths),
            fix="Name the folder of a node with --data-dir",
        )


def _audit_there(paths: Paths) -> bool:
    return (paths.data_dir / "audit").is_dir()


def _read(out: Output, paths: Paths) -> Data:
    _check_there(paths)
    key = _opened(paths)
    with (
        DirectoryLock(paths.lock),
        stopped(paths.data_dir, key) as folder,
        out.progress() as progress,
    ):
        task = progress.add_task("bundles and segments", total=folder.total)
        return folder.verify(lambda count: progress.advance(task, count)).data()


def _one_offline(paths: Paths, memory: str) -> Data:
    """Without a node nobody knows which links may be followed, so there is no lineage."""
    _check_there(paths)
    with DirectoryLock(paths.lock), stopped(paths.data_dir, _opened(paths)) as folder:
        own = _found(folder, memory)
    return _memory_data(own, None, truncated=False)


def _found(folder: Stopped, memory: str) -> Data:
    own = folder.verify_memory(memory).data()
    if not own["operations"] and own["holds"]:
        raise UsageError(
            f"the log holds no operation on {memory!r}",
            why="it was never stored here, or the log was truncated since",
        )
    return own


# --- words --------------------------------------------------------------------------------


def _words(data: Data) -> list[Any]:
    ops, events = data["ops"], data["events"]
    asked = data["peers_asked"]
    rows: list[tuple[str, object]] = [
        ("verdict", _verdict(data)),
        ("operations", f"{ops['operations']} in {ops['bundles']} bundles of {ops['actors']} lines"),
        ("truncated", f"{ops['truncated']} operations are no longer in the log"),
        ("audit entries", f"{events['entries']}, the last is number {events['head']}"),
        ("countersigned by", f"{data['heads_countersigned']} members"),
        ("peers asked", "no node runs" if asked is None else f"{asked} answered"),
    ]
    return [facts_table(rows)]


def _verdict(data: Data) -> str:
    bad = data["first_bad"]
    if data["chain_holds"]:
        return f"everything holds ({data['rows_checked']} rows checked)"
    return f"BROKEN: {bad['actor']} at {bad['seq']}: {bad['reason'].replace('_', ' ')}"


def _memory_words(data: Data) -> list[Any]:
    own = data["memory"]
    rows = [
        (
            "holds" if op["holds"] else "BROKEN",
            op["kind"],
            op["agent"],
            f"{op['actor']}:{op['seq']}",
        )
        for op in own["operations"]
    ]
    parts: list[Any] = [table(("VERDICT", "KIND", "AGENT", "OPERATION"), rows)]
    if own.get("reason"):
        parts.append(f"BROKEN: {own['reason'].replace('_', ' ')}")
    if data["lineage"] is None:
        parts.append("its lineage is not known here")
    elif data["lineage"]:
        lines = [
            (node["depth"], "holds" if node["holds"] else "BROKEN", node["relation"], node["id"])
            for node in data["lineage"]
        ]
        parts += ["", table(("DEPTH", "VERDICT", "RELATION", "COMES FROM"), lines)]
    return parts
