"""`mnemesh serve`: from a command line to a running node.

Law: the options are generated from the table of settings, so that help, file and environment
cannot disagree. The directory is locked and everything that can be known to be wrong is
refused before the node opens its store or a socket; how the process ended is written down.
"""

import errno
import gc
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated

import typer

from node import failpoints
from node.cli.faults import as_node_error
from node.cli.options import AsJson, ConfigFile, DataDir, KeyDir, paths_of
from node.cli.output import Output, facts_table, print_json
from node.cli.process import serve_command, spawn, wait_listening
from node.cli.setting_options import flags_of, with_settings
from node.cli.setup import make_folders
from node.errors import DiskError, Exit, NodeError, Refused
from node.facts import LastExit
from node.lock import DirectoryLock, find_holder, held_error
from node.logs import make_log
from node.paths import Paths
from node.settings import (
    Material,
    Settings,
    check_quorum_possible,
    find_material,
    load_settings,
    plan_listeners,
    read_api_key,
)
from node.settings.endpoint import check_collector
from transport.errors import TransportError
from transport.identity import NodeKey


@with_settings
def serve(
    *,
    detach: Annotated[
        bool, typer.Option("--detach", help="Run in the background; return when it listens.")
    ] = False,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
    **given: str | None,
) -> None:
    """Run a node until it is stopped.

    Every option can also be set in the configuration file or the environment; the command
    line wins, then the environment, then the file.
    """
    paths = paths_of(data_dir, key_dir, config)
    flags = flags_of(given)
    settings = load_settings(
        paths,
        environ=os.environ,
        flags=flags,
        hostname=socket.gethostname().split(".")[0] or "node",
        config_required=config is not None or bool(os.environ.get("MNEMESH_CONFIG")),
    )
    if detach:
        _detach(Output(as_json=as_json), paths)
        return
    if as_json and settings.logging.format == "auto":
        settings = replace(settings, logging=replace(settings.logging, format="json"))
    code = run_locked(settings, os.environ)
    if as_json:
        print_json({"stopped": True, "exit_code": code})
    raise typer.Exit(code)


def _detach(out: Output, paths: Paths) -> None:
    holder = find_holder(paths.lock)
    if holder is not None:
        raise held_error(paths.lock, holder)
    make_folders(paths)
    at = sys.orig_argv.index("serve")
    arguments = [part for part in sys.orig_argv[at + 1 :] if part != "--detach"]
    facts = wait_listening(spawn(serve_command(arguments), paths), paths)
    data = {
        "pid": facts.pid,
        "name": facts.name,
        "node_id": facts.node_id,
        "agent_url": facts.agent_url,
        "peer_url": facts.peer_url,
        "data_dir": str(paths.data_dir),
        "log": str(paths.log),
    }
    out.answer(data, facts_table(data.items()))


def run_locked(settings: Settings, environ: Mapping[str, str]) -> int:
    """Take the data directory and run the node on it.

    Returns:
        The exit code of the node.

    Raises:
        NodeError: it could not start, or ended with an error; noted for `mnemesh status`.
    """
    paths = settings.paths
    with DirectoryLock(paths.lock):
        try:
            prepare(settings, environ)
            code = _run(settings)
        except (NodeError, TransportError) as error:
            failed = as_node_error(error)
            _note(paths, int(failed.exit_code), str(failed))
            raise
        except OSError as error:
            if error.errno != errno.EIO:
                _note(paths, int(Exit.ERROR), str(error))
                raise
            failed_disk = DiskError(
                "the disk reported an error",
                why=str(error),
                fix="Replace the disk; the other members hold what was acknowledged",
            )
            _note(paths, int(Exit.DISK), str(failed_disk))
            raise failed_disk from error
        except Exception as error:
            _note(paths, int(Exit.ERROR), f"{type(error).__name__}, a defect: see the log")
            raise
        _note(paths, code, "")
        return code


def _run(settings: Settings) -> int:
    # Only now: other commands shall not wait for the event loop and the store to load.
    # What is made while starting stays; looking for garbage in it is a fifth of the start.
    gc.disable()
    with _no_authorities():
        from node.node import run  # noqa: PLC0415 -- see above

    return run(settings)


@contextmanager
def _no_authorities() -> Iterator[None]:
    """Keep the system's certificate authorities out while modules load.

    aiohttp reads them all as it is imported, for contexts that nothing here uses: who speaks
    TLS here makes its own. It takes longer than all the rest of that library.
    """
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, os.devnull))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _note(paths: Paths, code: int, what: str) -> None:
    note = LastExit(code=code, at_ms=time.time_ns() // 1_000_000, what=what)
    try:
        note.write(paths.last_exit)
    except OSError:
        # The disk may be the very thing that failed; the exit code still says so.
        sys.stderr.write("mnemesh: could not write last_exit.json\n")


def prepare(settings: Settings, environ: Mapping[str, str]) -> Material:
    """Check what can be checked before anything is opened.

    Raises:
        ConfigError: listeners, files or keys that contradict each other.
        ImpossibleQuorum: a mesh founded by flags could never meet W.
        Refused: there is no identity.
    """
    failpoints.arm(environ)
    log = make_log(settings.logging)
    for text in settings.warnings:
        log("setting_warning", text=text)
    material = find_material(settings, environ)
    plan_listeners(settings, material)
    check_collector(settings.telemetry)
    read_api_key(settings, material, environ)
    paths = settings.paths
    if not paths.current.exists() and not paths.join.exists():
        check_quorum_possible(settings.quorum.writes, 1 + len(settings.quorum.peers))
    if not material.node_key.exists():
        if material.tls_cert is not None and not material.founded_by_flags:
            raise Refused(
                f"{material.node_key} is missing",
                why="this node has a certificate and has lost its signing key",
                fix="Restore it from a backup, or make a new identity: mnemesh init --force",
            )
        make_folders(paths)
        key = NodeKey.generate(os.urandom)
        key.save(material.node_key)
        log("identity_made", node_id=key.node_id.hex(), path=str(material.node_key))
    return material
