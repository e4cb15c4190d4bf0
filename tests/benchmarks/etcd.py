"""Three nodes of etcd, loaded through the HTTP gateway of the leader.

Law: nothing is tuned against it: its own defaults, all members on this machine as our nodes
are, and the load goes to the leader, so that no put takes a further step.
"""

import json
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.benchmarks import certificates
from tests.benchmarks.driver import trusting
from tests.benchmarks.mesh import free_base
from tests.benchmarks.processes import started, version
from tests.benchmarks.rival import Rival
from tests.benchmarks.sending import BenchmarkError, Place, own

_HOST: Final = "127.0.0.1"
_MEMBERS: Final = 3
_SEED_CLIENTS: Final = 64


def installed() -> str | None:
    """The version, or None."""
    return version("etcd", "--version")


@contextmanager
def running(folder: Path, *, tls: bool) -> Iterator[Rival]:
    """A fresh cluster; with `tls` for clients and, with certificates of both ends, for peers."""
    folder.mkdir(parents=True)
    base = free_base(2 * _MEMBERS)
    scheme = "https" if tls else "http"
    clients = {f"etcd-{at}": f"{scheme}://{_HOST}:{base + at}" for at in range(_MEMBERS)}
    peers = {name: f"{scheme}://{_HOST}:{base + _MEMBERS + at}" for at, name in enumerate(clients)}
    secured = _secured(certificates.made(folder)) if tls else []
    cluster = ",".join(f"{name}={url}" for name, url in peers.items())
    commands = {
        name: [
            *("etcd", "--name", name, "--data-dir", str(folder / name)),
            *("--listen-client-urls", url, "--advertise-client-urls", url),
            *("--listen-peer-urls", peers[name], "--initial-advertise-peer-urls", peers[name]),
            *("--initial-cluster", cluster, "--initial-cluster-state", "new"),
            *("--log-level", "error", *secured),
        ]
        for name, url in clients.items()
    }
    with started(commands, folder, lambda name: _healthy(clients[name])) as pids:
        leader = _leader(clients)
        order = [leader, *(name for name in clients if name != leader)]
        yield Rival(
            name="etcd",
            security="tls" if tls else "plain",
            place=Place(url=clients[leader]),
            processes={name: pids[name] for name in order},
        )


def seed(place: Place, records: int) -> None:
    """Put so many keys that a load reads."""
    wanted = {"kind": "etcd-put", "space": "s", "first": 0, "requests": records}
    own(place, clients=_SEED_CLIENTS, **wanted)


def _secured(files: certificates.Certificates) -> list[str]:
    cert, key, top = str(files.certificate), str(files.key), str(files.authority)
    return [
        *("--cert-file", cert, "--key-file", key),
        *("--peer-cert-file", cert, "--peer-key-file", key),
        *("--peer-trusted-ca-file", top, "--peer-client-cert-auth"),
    ]


def _healthy(url: str) -> bool:
    try:
        return str(_asked(url + "/health")["health"]) == "true"
    except (OSError, ValueError, KeyError):
        return False


def _leader(clients: dict[str, str]) -> str:
    for name, url in clients.items():
        told = _asked(url + "/v3/maintenance/status", b"{}")
        if told["leader"] == told["header"]["member_id"]:
            return name
    raise BenchmarkError("no member of etcd leads")


def _asked(url: str, body: bytes | None = None) -> dict[str, Any]:
    context: ssl.SSLContext | None = trusting() if url.startswith("https") else None
    request = urllib.request.Request(url, data=body)  # noqa: S310 - our own loopback URL
    with urllib.request.urlopen(request, timeout=5, context=context) as answer:  # noqa: S310 - as above
        told: dict[str, Any] = json.loads(answer.read())
    return told
