"""The command tree, and the one place where errors become exit codes.

Law: every command is registered here; every exception that a person can cause ends as words
on stderr and an exit code, and with `--json` as one JSON object too. Anything else is a bug
and keeps its traceback. Only the module of the command that runs is imported.
"""

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, cast

import typer
from typer.exceptions import Abort, TyperException

from node.cli.coercion import read_plainly
from node.cli.faults import as_node_error
from node.cli.output import print_json, show_error
from node.errors import Exit, NodeError
from transport.errors import TransportError

_INTERRUPTED: Final = 130

Commands = Mapping[str, str]
"""Name -> `module:function` below `node.cli`."""

COMMANDS: Final[Commands] = {
    "init": "setup:init",
    "serve": "serve:serve",
    "stop": "status:stop",
    "status": "status:status",
    "doctor": "doctor:doctor",
    "verify": "verify:verify",
    "restore": "restore:restore_store",
    "demo": "demo_command:demo",
    "version": "status:version",
    "store": "memories:store",
    "get": "memories:get",
    "list": "memories:list_memories",
    "update": "memories:update",
    "delete": "memories:delete",
    "promote": "lifecycle:promote",
    "grant": "sharing:grant",
    "revoke": "sharing:revoke",
    "recall": "recall:recall",
    "search": "recall:search",
    "duplicates": "lifecycle:duplicates",
    "contradictions": "lifecycle:contradictions",
    "taxonomy": "graph:taxonomy",
    "link": "links:link",
    "links": "links:links",
    "lineage": "links:lineage",
    "consolidate": "lifecycle:consolidate",
    "forget": "lifecycle:forget",
    "erasure": "erase:erasure",
    "compact": "erase:compact",
    "scrub": "scrub:scrub",
    "gc": "lifecycle:gc",
    "events": "events:follow",
    "notify": "messages:notify",
    "inbox": "messages:inbox",
    "export": "transfer:export_file",
    "import": "importer:import_path",
    "sync-daemon": "sync_daemon:sync_daemon",
    "maelstrom": "maelstrom:maelstrom",
    "chaos": "chaos:chaos",
    "quota": "quota:quota",
    "auto-tag": "llm:auto_tag",
    "expand-query": "llm:expand_query",
}
# A name that is empty stands for the group itself, called without a command.
GROUPS: Final[Mapping[str, tuple[str, Commands]]] = {
    "node": (
        "Who belongs to the mesh, and who may connect.",
        {
            "fingerprint": "members:show_fingerprint",
            "certificate": "certificate:certificate",
            "allow": "members:allow",
            "deny": "members:deny",
            "join": "join:join",
            "list": "members:list_members",
            "remove": "members:remove",
        },
    ),
    "doc": (
        "Documents that many write at once.",
        {
            "show": "doc:show",
            "edit": "doc_edit:edit",
            "history": "doc:history",
            "verify": "doc:verify",
            "watch": "doc:watch",
        },
    ),
    "archive": (
        "Memories that are kept and shown nowhere else.",
        {
            "list": "archive:list_archive",
            "stats": "archive:stats",
            "add": "archive:add",
            "restore": "archive:restore",
            "purge": "archive:purge",
        },
    ),
    "namespace": (
        "Which rules hold where.",
        {
            "set-standard": "namespaces:set_standard",
            "get-standard": "namespaces:get_standard",
            "clear-standard": "namespaces:clear_standard",
            "list": "namespaces:list_spaces",
        },
    ),
    "governance": (
        "All rules, agents and roles at once.",
        {"export": "governance:export", "import": "governance:import_file"},
    ),
    "pending": (
        "What waits for approval.",
        {
            "list": "pending:list_pending",
            "approve": "pending:approve",
            "reject": "pending:reject",
        },
    ),
    "entity": (
        "What names stand for.",
        {"register": "graph:register", "find": "graph:find"},
    ),
    "kg": (
        "What memories are connected with, and when.",
        {
            "query": "graph:query",
            "timeline": "graph:timeline",
            "invalidate": "graph:invalidate",
        },
    ),
    "subscription": (
        "Who is told of events.",
        {
            "add": "events:subscribe",
            "list": "events:list_subscriptions",
            "remove": "events:unsubscribe",
        },
    ),
    "session": ("The beginnings of sessions.", {"start": "messages:start_session"}),
    "agent": (
        "Registered agents and their roles.",
        {
            "register": "agents:register",
            "list": "agents:list_agents",
            "role": "agents:role",
        },
    ),
    "identity": (
        "Keys of agents and of REST peers.",
        {
            "generate": "identity:generate",
            "list": "identity:list_identities",
            "export-pub": "identity:export_public",
            "import": "identity:import_public",
            "rm": "identity:remove",
            "backup": "identity_backup:backup_identity",
            "restore": "identity_backup:restore_identity",
        },
    ),
    "key": (
        "API keys with a role, an agent and namespaces.",
        {"create": "keys:create", "list": "keys:list_keys", "revoke": "keys:revoke_key"},
    ),
    "mesh": (
        "Several local nodes at once, to try things.",
        {
            "up": "mesh:up",
            "status": "mesh:status",
            "down": "mesh:down",
            "prepare": "mesh_prepare:prepare_all",
        },
    ),
    "index": (
        "What recall and search look things up in.",
        {"status": "recall:index_status", "rebuild": "recall:index_rebuild"},
    ),
    "hooks": (
        "Programs that are asked before something happens, or told afterwards.",
        {"list": "hooks:list_hooks", "test": "hooks:try_hooks"},
    ),
    "config": (
        "The configuration file.",
        {
            "check": "config:check",
            "show": "config:show",
            "schema": "config:schema",
            "migrate": "config:migrate",
        },
    ),
    "upgrade": (
        "From one version to the next: what it takes, a rehearsal, and the way back.",
        {"plan": "upgrade:plan", "check": "upgrade:check", "back": "upgrade:back"},
    ),
    "audit": ("The chain of events of this node.", {"tail": "audit:tail"}),
    "backup": (
        "Copies of the store; alone, make one.",
        {
            "": "backup:backup",
            "list": "backup:list_backups",
            "verify": "backup:verify_backups",
            "drill": "backup:drill_backup",
        },
    ),
    "mcp": (
        "The memory as tools of the Model Context Protocol; alone, serve them over stdio.",
        {
            "": "mcp:serve",
            "config": "mcp:show_config",
            "import-graph": "mcp_import:import_graph",
        },
    ),
}

# How the help is divided; a name in no panel stands under "Commands".
PANELS: Final[Mapping[str, tuple[str, ...]]] = {
    "A node": (
        "init",
        "serve",
        "stop",
        "status",
        "doctor",
        "verify",
        "mcp",
        "demo",
        "version",
        "config",
    ),
    "Against loss": ("backup", "restore", "scrub", "upgrade"),
    "Memories": (
        *("store", "get", "list", "update", "delete", "promote", "grant", "revoke"),
        "doc",
    ),
    "Finding": ("recall", "search", "duplicates", "contradictions", "taxonomy", "index"),
    "Connections": ("link", "links", "lineage", "entity", "kg"),
    "What ends": ("archive", "consolidate", "forget", "erasure", "compact", "gc"),
    "Between agents": ("notify", "inbox", "session", "events", "subscription"),
    "In and out": ("import", "export", "sync-daemon"),
    "The mesh": ("node", "mesh", "maelstrom", "chaos"),
    "Who may do what": (
        *("namespace", "pending", "agent", "key", "identity", "quota", "governance", "audit"),
        "hooks",
    ),
    "With a language model": ("auto-tag", "expand-query"),
}
# Its words are another program's, `--help` among them.
_PASSED_ON: Final[Mapping[str, dict[str, Any]]] = {
    "chaos": {"ignore_unknown_options": True, "help_option_names": []},
}
_PANEL_OF: Final = {name: panel for panel, names in PANELS.items() for name in names}


def command_tree(first: str | None = None) -> typer.Typer:
    """The commands as Typer takes them.

    Args:
        first: the first word of a command line: only what it names is imported. All commands
            when it names none, as for the help and for a word that was misspelt.
    """
    tree = typer.Typer(
        name="mnemesh",
        help="Peer-to-peer memory for AI agents: run a node, join nodes, store and read memories.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    tree.callback()(_nothing)  # else a tree of one command takes no name of a command
    known = first in COMMANDS or first in GROUPS
    for name, (words, commands) in GROUPS.items():
        if not known or name == first:
            group = typer.Typer(help=words, no_args_is_help="" not in commands)
            _register(group, commands)
            tree.add_typer(group, name=name, rich_help_panel=_PANEL_OF.get(name))
    _register(tree, {n: t for n, t in COMMANDS.items() if not known or n == first})
    return tree


def _nothing() -> None:
    """Options of all commands would stand here; there are none."""


def _register(tree: typer.Typer, commands: Commands) -> None:
    for name, target in commands.items():
        module, _, function = target.partition(":")
        body = getattr(import_module(f"node.cli.{module}"), function)
        if name:
            settings = _PASSED_ON.get(name)
            tree.command(name, rich_help_panel=_PANEL_OF.get(name), context_settings=settings)(body)
        else:
            tree.callback(invoke_without_command=True)(body)


def dispatch(args: list[str]) -> int:
    """Run one command line and return its exit code."""
    as_json = "--json" in args
    if args[:1] == ["--version"]:
        args = ["version", *args[1:]]
    try:
        tree = command_tree(args[0] if args else None)
        command = cast("Any", typer.main.get_command(tree))
        read_plainly(command)
        outcome = command(args=args, prog_name="mnemesh", standalone_mode=False)
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
