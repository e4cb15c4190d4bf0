"""`mnemesh mesh up`, `status`, `down`: a whole mesh on one machine.

Law: it does what an operator would do by hand and nothing else: init, allow, serve, join.
Every step is repeatable, so that running it again on the same folder starts what is down and
finishes what was begun. It returns when every node serves with its quorum, or says why not.
"""

import functools
import os
import signal
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from node.cli.client import Client, running_facts, running_target
from node.cli.join import ask_to_join, describe
from node.cli.members import fetch_mesh
from node.cli.mesh_plan import (
    HOST,
    MeshPlan,
    PlannedNode,
    check_ports_free,
    make_plan,
    planned_nodes,
    read_plan,
)
from node.cli.options import AsJson, DryRun, Yes
from node.cli.output import Output, table
from node.cli.process import (
    Spawned,
    last_line,
    serve_command,
    signal_node,
    spawn,
    stop_node,
    wait_for,
    wait_listening,
)
from node.cli.setup import certificate_names, make_identity
from node.errors import Exit, NodeError, Refused, Unreachable, UsageError
from node.facts import ListenerFacts
from node.lock import find_holder
from node.paths import Paths
from node.settings.toml_file import read_config, write_config
from transport import allowlist
from transport.certificate import fingerprint, load_der
from transport.peer_certificates import PeerCertificates

_DEADLINE_SECONDS: Final = 90.0
_RELOAD_SECONDS: Final = 3.0
_STARTING_PER_CORE: Final = 4

Folder = Annotated[Path, typer.Option("--dir", metavar="DIR", help="Folder that holds all nodes.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A planned node with its certificate."""

    node: PlannedNode
    fingerprint: str
    certificate_pem: bytes


def up(
    *,
    directory: Folder,
    nodes: Annotated[
        int | None, typer.Option("--nodes", metavar="N", help="How many (3).", show_default=False)
    ] = None,
    base_port: Annotated[
        int | None,
        typer.Option(
            "--base-port",
            metavar="P",
            help="Ports P to P+3N-1 are used (9077).",
            show_default=False,
        ),
    ] = None,
    quorum_writes: Annotated[
        int | None,
        typer.Option(
            "--quorum-writes", metavar="W", help="As of serve.", min=0, show_default=False
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", help="Longest wait for all of them.")
    ] = _DEADLINE_SECONDS,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make and start a mesh of local nodes, or start again what is down."""
    out = Output(as_json=as_json)
    plan = make_plan(read_plan(directory), nodes=nodes, base_port=base_port, writes=quorum_writes)
    planned = planned_nodes(plan, directory)
    if dry_run:
        ports = [{"name": n.name, "port": n.agent_port, "peer_port": n.peer_port} for n in planned]
        rows = [tuple(port.values()) for port in ports]
        out.answer({"dry_run": True, "nodes": ports}, table(("NAME", "PORT", "PEER PORT"), rows))
        return
    down = [node for node in planned if find_holder(node.paths.lock) is None]
    check_ports_free(port for node in down for port in (node.agent_port, node.peer_port))
    _make_folder(directory)
    plan.write(directory)
    known = [prepare(node, founder=node is planned[0]) for node in planned]
    introduce_all(known)
    start_all(known, out)  # each start has a deadline of its own
    deadline = time.monotonic() + timeout
    wait_ready(planned, deadline, out)
    remember_peers(planned)
    set_quorum(planned, plan, deadline, out)
    answer(out, known)


def _make_folder(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Refused(f"cannot make {directory}", why=error.strerror or str(error)) from error


def prepare(node: PlannedNode, *, founder: bool, further: Sequence[str] = ()) -> Known:
    """Give a node its identity and its configuration, unless it has them.

    Args:
        node: which one.
        founder: whether the others join through it.
        further: names that go into its certificate beside its own.
    """
    paths = node.paths
    if not paths.config.exists():
        sans = certificate_names(node.peer_url, [node.name, *further])
        # What is left of an attempt that was cut short was never used by anybody.
        make_identity(paths, name=node.name, sans=sans, force=True)
        values: dict[str, dict[str, object]] = {
            "identity": {"name": node.name, "sans": list(sans)},
            "listen": {
                "host": node.host,
                "port": node.peer_port,
                "agent_listen": f"{HOST}:{node.agent_port}",
                "advertise": node.peer_url,
            },
        }
        if founder:
            values["federation"] = {"cluster": paths.data_dir.parent.name or "mesh"}
        # Last, because its presence says that the node is complete.
        write_config(paths.config, values)
    return Known(
        node=node,
        fingerprint=fingerprint(load_der(paths.tls_cert)),
        certificate_pem=paths.tls_cert.read_bytes(),
    )


def introduce_all(known: Sequence[Known]) -> None:
    """Let every node allow every other one."""
    for mine in known:
        paths = mine.node.paths
        for other in known:
            if other is not mine:
                allowlist.add(paths.allowlist, other.fingerprint, other.node.name)
        listed = allowlist.load(paths.allowlist, missing_is_empty=True)
        for other in known:
            if other is not mine:
                PeerCertificates(paths.peers).add(other.certificate_pem, listed)


def start_all(known: Sequence[Known], out: Output) -> None:
    """Start what is down; a node that never ran joins through the first one before."""
    first, *others = known
    start([first], out)
    for one in others:
        paths = one.node.paths
        fresh = not paths.current.exists() and not paths.join.exists()
        if fresh and find_holder(paths.lock) is None:
            out.say(f"{one.node.name} joins")
            ask_to_join(describe(paths), first.node.peer_url, first.fingerprint)
    start(others, out)


def start(known: Sequence[Known], out: Output) -> None:
    """Start nodes side by side and wait until they listen.

    No more at once than the machine has use for: starting is all work of a processor, and fifty
    that share two would each be too late.
    """
    starting: deque[tuple[Spawned, Paths]] = deque()
    for one in known:
        paths = one.node.paths
        if find_holder(paths.lock) is not None:
            continue
        if len(starting) >= _STARTING_PER_CORE * (os.cpu_count() or 1):
            wait_listening(*starting.popleft())
        out.say(f"{one.node.name} starts")
        process = spawn(serve_command(["--data-dir", str(paths.data_dir)]), paths)
        starting.append((process, paths))
    for process, paths in starting:
        wait_listening(process, paths)


def wait_ready(planned: Sequence[PlannedNode], deadline: float, out: Output) -> None:
    """Wait until every node serves with its quorum and sees all members.

    Raises:
        Unreachable: which node is not ready in time, and what it says.
    """
    for node in planned:
        words: list[str] = ["it does not answer"]

        ready = functools.partial(_ready, node, len(planned), words)
        if wait_for(ready, max(0.0, deadline - time.monotonic())) is None:
            raise Unreachable(
                f"{node.name} is not ready",
                why=words[0],
                fix=f"See {node.paths.log}; its last line: {last_line(node.paths.log)}",
            )
        out.say(f"{node.name} is ready")


def _ready(node: PlannedNode, members: int, words: list[str]) -> bool | None:
    words[0] = unready(node, members)
    return None if words[0] else True


def unready(node: PlannedNode, members: int) -> str:
    """Why a node does not serve with all members yet; empty when it does."""
    try:
        client = Client(running_target(node.paths))
        health = client.ask("GET", "/readyz", query={"require": "quorum"}, timeout=5.0)
        if health.status != HTTPStatus.OK:
            return str(health.data).strip()
        seen = fetch_mesh(client)["quorum"]["n"]
    except NodeError as error:
        return error.why or error.what
    return "" if seen >= members else f"it counts {seen} of {members} members"


def remember_peers(planned: Sequence[PlannedNode]) -> None:
    """Write the addresses of the others down, for the next start.

    A node that loses its store then asks them, and does not found a mesh of its own.
    """
    for node in planned:
        others = [other.peer_url for other in planned if other is not node]
        values = read_config(node.paths.config)
        if others and values.get("quorum", {}).get("peers") != others:
            values["quorum"] = {**values.get("quorum", {}), "peers": others}
            write_config(node.paths.config, values)


def set_quorum(
    planned: Sequence[PlannedNode], plan: MeshPlan, deadline: float, out: Output
) -> None:
    """Set W where it was asked for.

    Only now, because a first node that is alone may not start with a W above one.
    """
    wanted = plan.quorum_writes
    if wanted is None:
        return
    told = [node for node in planned if _written(node, wanted)]
    for node in told:  # all of them first, so that they reload side by side
        signal_node(node.paths, signal.SIGHUP)
    for node in told:
        taken = functools.partial(_takes, node, wanted)
        if wait_for(taken, _RELOAD_SECONDS):
            continue
        stop_node(node.paths, force=False)
        process = spawn(serve_command(["--data-dir", str(node.paths.data_dir)]), node.paths)
        wait_listening(process, node.paths)
    wait_ready(planned, deadline, out)


def _written(node: PlannedNode, wanted: int) -> bool:
    """Write W into a node's configuration; whether the node has to be told."""
    values = read_config(node.paths.config)
    if values.get("quorum", {}).get("writes") == wanted and needed(node) == max(wanted, 1):
        return False
    values["quorum"] = {**values.get("quorum", {}), "writes": wanted}
    write_config(node.paths.config, values)
    return True


def _takes(node: PlannedNode, wanted: int) -> bool | None:
    return True if needed(node) == max(wanted, 1) else None


def needed(node: PlannedNode) -> int:
    """W as the node itself tells it; 0 while it does not answer."""
    try:
        told = int(fetch_mesh(Client(running_target(node.paths)))["quorum"]["w"])
    except (NodeError, KeyError, TypeError, ValueError):
        return 0
    return max(told, 1)


def answer(out: Output, known: Sequence[Known]) -> None:
    """Print the one object that says how to reach every node."""
    rows = [_row(one, running_facts(one.node.paths)) for one in known]
    people = table(
        ("NAME", "PID", "AGENTS", "PEERS", "API KEY"),
        [(r["name"], r["pid"], r["url"], r["peer_url"], r["api_key_file"]) for r in rows],
    )
    out.answer({"nodes": rows}, people)


def _row(one: Known, facts: ListenerFacts | None) -> dict[str, Any]:
    node = one.node
    return {
        "name": node.name,
        "node_id": facts.node_id if facts else None,
        "fingerprint": one.fingerprint,
        "url": f"http://{HOST}:{node.agent_port}",
        "peer_url": node.peer_url,
        "api_key_file": str(node.paths.api_key),
        "data_dir": str(node.paths.data_dir),
        "pid": facts.pid if facts else None,
    }


def _kept(directory: Path) -> tuple[PlannedNode, ...]:
    plan = read_plan(directory)
    if plan is None:
        raise UsageError(
            f"{directory} holds no mesh", fix=f"Make one: mnemesh mesh up --dir {directory}"
        )
    return planned_nodes(plan, directory)


def status(*, directory: Folder, as_json: AsJson = False) -> None:
    """Say which nodes of a local mesh run and whether they are ready."""
    planned = _kept(directory)
    rows = []
    for node in planned:
        facts, words = running_facts(node.paths), unready(node, len(planned))
        certificate = node.paths.tls_cert
        digest = fingerprint(load_der(certificate)) if certificate.exists() else ""
        known = Known(node=node, fingerprint=digest, certificate_pem=b"")
        state = {"running": facts is not None, "ready": not words, "why": words}
        rows.append(_row(known, facts) | state)
    people = table(
        ("NAME", "PID", "READY", "AGENTS", "WHY"),
        [(r["name"], r["pid"] or "-", r["ready"], r["url"], r["why"]) for r in rows],
    )
    Output(as_json=as_json).answer({"nodes": rows}, people)
    if not all(row["running"] for row in rows):
        raise typer.Exit(int(Exit.UNREACHABLE))


def down(
    *,
    directory: Folder,
    force: Annotated[
        bool, typer.Option("--force", help="Kill what does not stop in time.")
    ] = False,
    yes: Yes = False,  # noqa: ARG001 -- accepted as everywhere; stopping can be undone
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Stop all nodes of a local mesh; their data stays."""
    planned = _kept(directory)
    out = Output(as_json=as_json)
    if dry_run:
        names = [node.name for node in planned if find_holder(node.paths.lock)]
        out.answer(
            {"dry_run": True, "would_stop": names}, f"would stop {', '.join(names) or 'none'}"
        )
        return
    # All at once first, so that they drain side by side.
    asked = {node.name: signal_node(node.paths, signal.SIGTERM) for node in planned}
    stopped = []
    for node in planned:
        holder = asked[node.name]
        stop_node(node.paths, force=force, asked=True)
        stopped.append({"name": node.name, "pid": holder.pid if holder else None})
    out.answer({"stopped": True, "nodes": stopped}, f"stopped the mesh in {directory}")
