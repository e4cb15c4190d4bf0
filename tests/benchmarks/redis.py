"""A Redis master with two replicas that write to the disk before they answer.

Law: the promise compared is ours: on the disk of the one that answers and on a second. Every SET
is followed by `WAIT 1` in the same send, and all three have `appendfsync always`. A replica of
this version may count for WAIT a moment before its own disk has the write; that favours Redis.
The rewriting of the log is off, which favours it too.
"""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.benchmarks import certificates, resp
from tests.benchmarks.driver import trusting
from tests.benchmarks.mesh import free_base
from tests.benchmarks.processes import started, version
from tests.benchmarks.rival import Rival
from tests.benchmarks.sending import BenchmarkError, Place

_HOST: Final = "127.0.0.1"
_REPLICAS: Final = 2
_ANSWER_BYTES: Final = 4096
_SETTLE_MS: Final = b"30000"


def installed() -> str | None:
    """The version, or None."""
    return version("redis-server", "--version")


@contextmanager
def running(folder: Path, *, tls: bool) -> Iterator[Rival]:
    """A fresh master with its replicas; with `tls`, certificates of both ends everywhere.

    Raises:
        BenchmarkError: it did not start, as a build without TLS does not.
    """
    folder.mkdir(parents=True)
    base = free_base(1 + _REPLICAS)
    names = ["master", *(f"replica-{at + 1}" for at in range(_REPLICAS))]
    ports = {name: base + at for at, name in enumerate(names)}
    files = certificates.made(folder) if tls else None
    commands = {name: _command(folder, name, ports, files) for name in names}

    def asked(name: str, *words: bytes) -> bytes:
        return _asked(ports[name], files, *words)

    def ready(name: str) -> bool:
        try:
            told = asked(name, b"INFO", b"replication")
        except OSError:
            return False
        wanted = b"connected_slaves:%d" % _REPLICAS if name == "master" else b"link_status:up"
        return wanted in told

    def settle() -> None:
        if asked("master", b"WAIT", b"%d" % _REPLICAS, _SETTLE_MS) != b":%d\r\n" % _REPLICAS:
            raise BenchmarkError("the replicas of Redis did not follow in time")

    with started(commands, folder, ready) as pids:
        yield Rival(
            name="redis",
            security="tls" if tls else "plain",
            place=Place(
                url=f"{'rediss' if tls else 'redis'}://{_HOST}:{base}",
                certificate=(files.certificate, files.key) if files else None,
            ),
            processes=pids,
            settle=settle,
        )


def _command(
    folder: Path, name: str, ports: dict[str, int], files: certificates.Certificates | None
) -> list[str]:
    where = folder / name
    where.mkdir()
    port = str(ports[name])
    words = ["redis-server", "--bind", _HOST, "--dir", str(where), "--save", ""]
    words += [
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--auto-aof-rewrite-percentage",
        "0",
    ]
    words += ["--repl-diskless-sync-delay", "0"]
    if name != "master":
        words += ["--replicaof", _HOST, str(ports["master"])]
    if files is None:
        return [*words, "--port", port]
    words += ["--port", "0", "--tls-port", port, "--tls-replication", "yes"]
    words += ["--tls-cert-file", str(files.certificate), "--tls-key-file", str(files.key)]
    return [*words, "--tls-ca-cert-file", str(files.authority), "--tls-auth-clients", "yes"]


def _asked(port: int, files: certificates.Certificates | None, *words: bytes) -> bytes:
    """The answer to one command; what is asked here fits into one read."""
    with socket.create_connection((_HOST, port), timeout=40) as plain:
        stream: socket.socket = plain
        if files is not None:
            context: ssl.SSLContext = trusting()
            context.load_cert_chain(files.certificate, files.key)
            stream = context.wrap_socket(plain)
        with stream:
            stream.sendall(resp.command(*words))
            return stream.recv(_ANSWER_BYTES)
