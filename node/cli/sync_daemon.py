"""`mnemesh sync-daemon`: exchange memories with nodes of other meshes, as long as it runs.

Law: the daemon itself moves no memory. It asks the running node to exchange with the peers,
shows how that goes, and withdraws them when it ends. So there is one place that judges what a
row means and that remembers what was exchanged, however often the daemon is started, and what
comes in passes the node's own gate. Were the daemon killed, the node would notice: it keeps
only what is asked for again in time.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from node.cli.client import Client, running_target
from node.cli.options import AsJson, DataDir, paths_of
from node.cli.output import Output
from node.errors import Exit, UsageError

_PATH: Final = "/api/v1/federation/peers"
_LEASE_SECONDS: Final = 30.0
_RENEW_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.5
_SETTLED: Final = ("level", "away", "failing", "stopped")


def sync_daemon(
    *,
    peers: Annotated[
        str, typer.Option("--peers", metavar="URL,URL", help="Foreign nodes, as https://host:port.")
    ],
    interval: Annotated[
        float, typer.Option("--interval", metavar="SECONDS", help="Time between two rounds.")
    ] = 2.0,
    client_cert: Annotated[
        Path | None,
        typer.Option(
            "--client-cert",
            metavar="FILE",
            help="Certificate (PEM) shown to the peers; the node's own when left out.",
            show_default=False,
        ),
    ] = None,
    client_key: Annotated[
        Path | None,
        typer.Option(
            "--client-key",
            metavar="FILE",
            help="Private key (PEM) of --client-cert.",
            show_default=False,
        ),
    ] = None,
    peer_id: Annotated[
        str | None,
        typer.Option(
            "--peer-id",
            metavar="ID",
            help="Identity by which the peers know this node; the only one when left out.",
            show_default=False,
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="One round with each peer, then end.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Bridge to nodes of other meshes through the running node, until interrupted."""
    out = Output(as_json=as_json)
    urls = [one.strip() for one in peers.split(",") if one.strip()]
    if not urls:
        raise UsageError("--peers names nobody", fix="Give addresses, as https://host:port")
    if (client_cert is None) != (client_key is None):
        raise UsageError("--client-cert and --client-key come together")
    wish: dict[str, Any] = {
        "peers": urls,
        "interval": interval,
        "lease_secs": _LEASE_SECONDS,
        "client_cert": _absolute(client_cert),
        "client_key": _absolute(client_key),
        "peer_id": peer_id,
    }
    client = Client(running_target(paths_of(data_dir)))
    with _interrupted() as ended:
        told = client.call("POST", _PATH, body=wish).data["peers"]
        names = [one["url"] for one in told]
        try:
            last = _follow(client, out, wish, names, ended, once=once)
        finally:
            client.ask("DELETE", _PATH, body={"peers": names})
    words = [f"{one['url']}: {_words(one)}" for one in last]
    out.answer({"peers": last}, words)
    if once and any(one["state"] != "level" for one in last):
        raise typer.Exit(int(_worst(last)))


def _absolute(path: Path | None) -> str | None:
    if path is None:
        return None
    if not path.exists():
        raise UsageError(f"there is no file {path}")
    return str(path.expanduser().absolute())


@contextmanager
def _interrupted() -> Iterator[threading.Event]:
    """An event that is set when somebody wants the command to end."""
    ended = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: ended.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(
    client: Client,
    out: Output,
    wish: dict[str, Any],
    names: list[str],
    ended: threading.Event,
    *,
    once: bool,
) -> list[dict[str, Any]]:
    """Show how it goes, and keep asking for it, until it is to end."""
    renewed = time.monotonic()
    said: dict[str, str] = {}
    while True:
        ending = ended.wait(_LOOK_SECONDS if said else 0)
        every = client.call("GET", _PATH).data["peers"]
        found = [one for one in every if one["url"] in names]
        for one in found:
            words = _words(one)
            if said.get(one["url"]) != words:
                said[one["url"]] = words
                out.say(f"{one['url']}: {words}")
        if ending or (once and all(one["state"] in _SETTLED for one in found)):
            return found
        if time.monotonic() - renewed >= _RENEW_SECONDS:
            client.call("POST", _PATH, body=wish)
            renewed = time.monotonic()


def _words(one: dict[str, Any]) -> str:
    words = f"{one['state']}, {one['pulled']} in, {one['pushed']} out"
    if one["refused"]:
        words += f", {one['refused']} refused"
    return f"{words} ({one['error']})" if one["error"] else words


def _worst(last: list[dict[str, Any]]) -> Exit:
    away = any(one["state"] == "away" for one in last)
    return Exit.UNREACHABLE if away else Exit.REFUSED
