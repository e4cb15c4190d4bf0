"""The command tree, and the one place where errors become exit codes.

Law: every command is registered here; every exception that a person can cause ends as words
on stderr and an exit code, and with `--json` as one JSON object too. Anything else is a bug
and keeps its traceback.
"""

import os
import sys
from collections.abc import Callable
from typing import Any, Final, cast

import typer
from typer.exceptions import Abort, TyperException

from node.cli import (
    agents,
    audit,
    doctor,
    governance,
    identity,
    join,
    keys,
    links,
    members,
    memories,
    mesh,
    namespaces,
    pending,
    quota,
    setup,
    sharing,
    status,
    transfer,
    verify,
)
from node.cli.demo_command import demo
from node.cli.faults import as_node_error
from node.cli.output import print_json, show_error
from node.cli.serve import serve
from node.cli.sync_daemon import sync_daemon
from node.errors import Exit, NodeError
from transport.errors import TransportError

_INTERRUPTED: Final = 130

app = typer.Typer(
    name="mnemesh",
    help="Peer-to-peer memory for AI agents: run a node, join nodes, store and read memories.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
node_app = typer.Typer(help="Who belongs to the mesh, and who may connect.", no_args_is_help=True)
mesh_app = typer.Typer(help="Several local nodes at once, to try things.", no_args_is_help=True)
audit_app = typer.Typer(help="The chain of events of this node.", no_args_is_help=True)
identity_app = typer.Typer(help="Keys of agents and of REST peers.", no_args_is_help=True)
key_app = typer.Typer(help="API keys with a role, an agent and namespaces.", no_args_is_help=True)
namespace_app = typer.Typer(help="Which rules hold where.", no_args_is_help=True)
governance_app = typer.Typer(help="All rules, agents and roles at once.", no_args_is_help=True)
pending_app = typer.Typer(help="What waits for approval.", no_args_is_help=True)
agent_app = typer.Typer(help="Registered agents and their roles.", no_args_is_help=True)
app.add_typer(node_app, name="node")
app.add_typer(namespace_app, name="namespace")
app.add_typer(governance_app, name="governance")
app.add_typer(pending_app, name="pending")
app.add_typer(agent_app, name="agent")
app.add_typer(identity_app, name="identity")
app.add_typer(key_app, name="key")
app.add_typer(mesh_app, name="mesh")
app.add_typer(audit_app, name="audit")

_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "init": setup.init,
    "serve": serve,
    "stop": status.stop,
    "status": status.status,
    "doctor": doctor.doctor,
    "sync-daemon": sync_daemon,
    "verify": verify.verify,
    "store": memories.store,
    "get": memories.get,
    "list": memories.list_memories,
    "update": memories.update,
    "delete": memories.delete,
    "link": links.link,
    "links": links.links,
    "lineage": links.lineage,
    "grant": sharing.grant,
    "revoke": sharing.revoke,
    "quota": quota.quota,
    "export": transfer.export_file,
    "import": transfer.import_path,
    "version": status.version,
    "demo": demo,
}
_NODE_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "fingerprint": members.show_fingerprint,
    "allow": members.allow,
    "deny": members.deny,
    "join": join.join,
    "list": members.list_members,
    "remove": members.remove,
}
_MESH_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "up": mesh.up,
    "status": mesh.status,
    "down": mesh.down,
}
_IDENTITY_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "generate": identity.generate,
    "list": identity.list_identities,
    "export-pub": identity.export_public,
    "import": identity.import_public,
    "rm": identity.remove,
}
_KEY_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "create": keys.create,
    "list": keys.list_keys,
    "revoke": keys.revoke_key,
}
_AUDIT_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "tail": audit.tail,
}
_NAMESPACE_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "set-standard": namespaces.set_standard,
    "get-standard": namespaces.get_standard,
    "clear-standard": namespaces.clear_standard,
    "list": namespaces.list_spaces,
}
_GOVERNANCE_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "export": governance.export,
    "import": governance.import_file,
}
_PENDING_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "list": pending.list_pending,
    "approve": pending.approve,
    "reject": pending.reject,
}
_AGENT_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "register": agents.register,
    "list": agents.list_agents,
    "role": agents.role,
}
for _tree, _commands in (
    (app, _COMMANDS),
    (namespace_app, _NAMESPACE_COMMANDS),
    (governance_app, _GOVERNANCE_COMMANDS),
    (pending_app, _PENDING_COMMANDS),
    (agent_app, _AGENT_COMMANDS),
    (audit_app, _AUDIT_COMMANDS),
    (node_app, _NODE_COMMANDS),
    (identity_app, _IDENTITY_COMMANDS),
    (key_app, _KEY_COMMANDS),
    (mesh_app, _MESH_COMMANDS),
):
    for _name, _command in _commands.items():
        _tree.command(_name)(_command)


def dispatch(args: list[str]) -> int:
    """Run one command line and return its exit code."""
    as_json = "--json" in args
    try:
        outcome = cast("Any", typer.main.get_command(app))(
            args=args, prog_name="mnemesh", standalone_mode=False
        )
    except (NodeError, TransportError, PermissionError) as error:
        return show_error(as_node_error(error), as_json=as_json)
    except TyperException as error:
        return _show_usage(error, as_json=as_json)
    except (Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our answer has had enough; do not complain at interpreter exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.ERROR)
    return outcome if isinstance(outcome, int) else int(Exit.OK)


def _show_usage(error: TyperException, *, as_json: bool) -> int:
    shown = error.format_message()
    show = getattr(error, "show", None)
    if show is not None:
        show()
    else:
        sys.stderr.write(f"error: {shown}\n")
    if as_json:
        print_json({"error": "usage", "what": shown, "exit_code": error.exit_code})
    return error.exit_code
