"""`mnemesh mesh prepare`: the folders of a mesh that something else starts.

Law: it starts nothing and talks to nobody. What it makes is whole: each folder holds one node's
keys, its configuration and the list of all others, so that nodes which are rolled out together
found one mesh as soon as they meet. A private key lies in its own node's folder alone. Run again
it keeps what is there and adds what is missing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from node.cli.mesh import Folder, introduce_all, prepare, remember_peers
from node.cli.mesh_plan import NODES_MAX, PlannedNode, node_paths
from node.cli.options import AsJson, DryRun
from node.cli.output import Output, table
from node.errors import Refused, UsageError
from node.settings import check_quorum_possible
from node.settings.toml_file import read_config, write_config

_PLACE: Final = "{name}"
_PORT: Final = 9077


def prepare_all(  # noqa: PLR0913 -- the options of a command are its parameters
    *,
    directory: Folder,
    names: Annotated[
        str, typer.Option("--names", metavar="NAME,NAME", help="What the nodes are called.")
    ],
    advertise: Annotated[
        str,
        typer.Option(
            "--advertise",
            metavar="URL",
            help="Where each is reached, with {name} in it: https://{name}.mnemesh:9077",
        ),
    ],
    cluster: Annotated[
        str, typer.Option("--cluster", help="Name of the mesh that they found.")
    ] = "mesh",
    port: Annotated[
        int, typer.Option("--port", help="Port that each binds.", min=1, max=65535)
    ] = _PORT,
    agent_port: Annotated[
        int,
        typer.Option("--agent-port", help="Loopback port for agents beside it.", min=1, max=65535),
    ] = _PORT + 1,
    quorum_writes: Annotated[
        int | None,
        typer.Option(
            "--quorum-writes", metavar="W", help="As of serve.", min=0, show_default=False
        ),
    ] = None,
    admin: Annotated[
        list[str] | None,
        typer.Option("--admin", help="Agent id of a first administrator; may be repeated."),
    ] = None,
    san: Annotated[
        list[str] | None,
        typer.Option("--san", help="Further name for all certificates; may be repeated."),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make keys, configuration and lists of a whole mesh, for containers or other machines.

    Each folder goes to its machine, to be read by the user of the node alone.
    """
    out = Output(as_json=as_json)
    planned = plan(directory, names, advertise, port=port, agent_port=agent_port)
    check_quorum_possible(quorum_writes, len(planned))
    if not dry_run:
        wanted: dict[str, dict[str, object]] = {"federation": {"cluster": cluster}}
        if quorum_writes is not None:
            wanted["quorum"] = {"writes": quorum_writes}
        if admin:
            wanted["admin"] = {"agent_ids": admin}
        _make_all(planned, san or (), wanted)
    rows: list[dict[str, Any]] = [
        {"name": node.name, "peer_url": node.peer_url, "data_dir": str(node.paths.data_dir)}
        for node in planned
    ]
    data = {"dry_run": dry_run, "cluster": cluster, "nodes": rows}
    out.answer(data, table(("NAME", "PEERS DIAL", "FOLDER"), [tuple(r.values()) for r in rows]))


def plan(
    directory: Path, names: str, advertise: str, *, port: int, agent_port: int
) -> tuple[PlannedNode, ...]:
    """The nodes that were asked for.

    Raises:
        UsageError: names that are no names, or an address that would be the same for all.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if len(set(wanted)) != len(wanted) or not 1 <= len(wanted) <= NODES_MAX:
        raise UsageError(
            f"--names gives {len(wanted)} names, {len(set(wanted))} of them different",
            why=f"expected 1 to {NODES_MAX}, each once",
        )
    if any("/" in name or name.startswith(".") for name in wanted):
        raise UsageError("--names holds what cannot be the name of a folder")
    if _PLACE not in advertise and len(wanted) > 1:
        raise UsageError(
            f"--advertise is {advertise}",
            why="all nodes would be reached at one address",
            fix=f"Put {_PLACE} where their names differ: https://{_PLACE}.mnemesh:9077",
        )
    return tuple(
        PlannedNode(
            name=name,
            paths=node_paths(directory.absolute() / name),
            host="0.0.0.0",  # noqa: S104 -- with a certificate and a list of who may connect
            agent_port=agent_port,
            peer_port=port,
            peer_url=advertise.replace(_PLACE, name),
        )
        for name in wanted
    )


def _make_all(
    planned: Sequence[PlannedNode], sans: Sequence[str], wanted: dict[str, dict[str, object]]
) -> None:
    try:
        planned[0].paths.data_dir.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Refused(f"cannot make {planned[0].paths.data_dir.parent}", why=str(error)) from error
    known = [prepare(node, founder=False, further=sans) for node in planned]
    introduce_all(known)
    remember_peers(planned)
    for node in planned:
        values = read_config(node.paths.config)
        merged = {**values, **{name: {**values.get(name, {}), **wanted[name]} for name in wanted}}
        if merged != values:
            write_config(node.paths.config, merged)
