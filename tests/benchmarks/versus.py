"""Ours and theirs in turn, in one run: etcd by its gateway, Redis by its own protocol.

Law: plain is compared with plain and TLS with TLS, by the same sender, minutes apart, and one
side's processes are gone before the other's begin. Between our nodes it is mTLS always. What a
rival cannot do here is told in a line of its own.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.benchmarks import etcd, redis
from tests.benchmarks.measure import loaded, seed
from tests.benchmarks.mesh import Mesh
from tests.benchmarks.mesh import running as mesh_running
from tests.benchmarks.rival import Rival, Security
from tests.benchmarks.scale import Line, Scale
from tests.benchmarks.sending import BenchmarkError

_SECURITIES: Final[tuple[Security, ...]] = ("plain", "tls")
_MANY: Final = 64
_BULK: Final = {"items": 500, "clients": 4}
_READABLE: Final = {"bench": 20_000, "full": 20_000, "quick": 5_000, "tiny": 1_000}


def against_etcd(folder: Path, scale: Scale) -> Iterator[Line]:
    """Writes, bulk and reads beside puts and serializable ranges of etcd."""
    if etcd.installed() is None:
        yield skipped("etcd", "etcd is not on the path (Debian package etcd-server)")
        return
    for security in _SECURITIES:
        with mesh_running(folder / f"ours-{security}") as mesh:
            for line in _ours(mesh, scale, security, reads=True):
                yield {"bench": "etcd", **line}
        with etcd.running(folder / f"etcd-{security}", tls=security == "tls") as rival:
            yield from _etcd(rival, scale)


def against_redis(folder: Path, scale: Scale) -> Iterator[Line]:
    """Writes and bulk beside SET with WAIT 1 and SET alone, all sent by our own driver."""
    if redis.installed() is None:
        yield skipped("redis", "redis-server is not on the path (Debian package redis-server)")
        return
    for security in _SECURITIES:
        with mesh_running(folder / f"ours-{security}") as mesh:
            for line in _ours(mesh, scale, security, sender="own"):
                yield {"bench": "redis", **line}
        try:
            with redis.running(folder / f"redis-{security}", tls=security == "tls") as rival:
                yield from _redis(rival, scale)
        except BenchmarkError as error:
            if security == "plain":
                raise
            yield skipped("redis", f"with TLS: {error}")


def skipped(name: str, why: str) -> Line:
    """What could not be compared."""
    return {"skipped": name, "why": why}


def _ours(
    mesh: Mesh, scale: Scale, security: Security, *, reads: bool = False, **how: Any
) -> Iterator[Line]:
    tls = security == "tls"
    side = {"side": "mnemesh", "security": security}
    for clients in (1, _MANY):
        line = loaded(mesh, scale, kind="write", clients=clients, tls=tls, **how)
        yield {**side, "load": "writes", "clients": clients, **line}
    line = loaded(mesh, scale, kind="bulk", tls=tls, **_BULK, **how)
    yield {**side, "load": "bulk", **_BULK, **line}
    if reads:
        seed(mesh, _READABLE[scale.name])
        line = loaded(mesh, scale, kind="read", clients=_MANY, tls=tls, ids=_READABLE[scale.name])
        yield {**side, "load": "reads", "clients": _MANY, **line}


def _etcd(rival: Rival, scale: Scale) -> Iterator[Line]:
    side = {"bench": "etcd", "side": rival.name, "security": rival.security}
    for clients in (1, _MANY):
        line = rival.loaded(scale, kind="etcd-put", clients=clients)
        yield {**side, "load": "writes", "clients": clients, **line}
    etcd.seed(rival.place, _READABLE[scale.name])
    line = rival.loaded(scale, kind="etcd-range", clients=_MANY, ids=_READABLE[scale.name])
    yield {**side, "load": "reads", "clients": _MANY, **line}


def _redis(rival: Rival, scale: Scale) -> Iterator[Line]:
    side = {"bench": "redis", "side": rival.name, "security": rival.security}
    for clients in (1, _MANY):
        line = rival.loaded(scale, kind="redis-set-wait", clients=clients)
        yield {**side, "load": "writes", "clients": clients, **line}
    line = rival.loaded(scale, kind="redis-set", clients=_MANY)
    yield {**side, "load": "set without wait", "clients": _MANY, **line}
