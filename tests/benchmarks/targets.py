"""What the project aims at, as data.

Law: a target is written here once, and judged by what was measured in the same run. Nothing is
left out because it is not reached.
"""

from typing import Any, Final

from tests.benchmarks.summary import Pick, Target

_RATE: Final = "ops_per_second"


def _etcd(side: str, load: str, figure: str, security: str = "plain", **more: Any) -> Pick:
    tags = {"bench": "etcd", "side": side, "load": load, "security": security, **more}
    return Pick(tags, figure)


def _redis(side: str, load: str, figure: str, security: str = "plain", **more: Any) -> Pick:
    return Pick({**_etcd(side, load, figure, security, **more).tags, "bench": "redis"}, figure)


def _million(load: str, figure: str) -> Pick:
    return Pick({"bench": "million", "load": load, "records": 1_000_000}, figure)


def _both(name: str, sign: str, number: float, security: str) -> tuple[Target, ...]:
    """Writes at 64 clients and at one beside etcd."""
    return tuple(
        Target(
            f"{what}, {security}, over etcd's gateway",
            aim,
            bound,
            _etcd("mnemesh", "writes", figure, security, clients=clients),
            _etcd("etcd", "writes", figure, security, clients=clients),
        )
        for what, aim, bound, figure, clients in (
            (name, sign, number, _RATE, 64),
            ("p50 at 1 client", "<=", 1.0, "p50_ms", 1),
        )
    )


TARGETS: Final[tuple[Target, ...]] = (
    *_both("writes at 64 clients", ">=", 3, "plain"),
    *_both("writes at 64 clients", ">=", 3, "tls"),
    Target(
        "writes at 64 clients, tls, over Redis with mTLS and WAIT 1",
        ">",
        1,
        _redis("mnemesh", "writes", _RATE, "tls", clients=64),
        _redis("redis", "writes", _RATE, "tls", clients=64),
    ),
    *(
        Target(
            f"p99 over p50 at 64 clients, {security}",
            "<",
            5,
            _etcd("mnemesh", "writes", "p99_over_p50", security, clients=64),
        )
        for security in ("plain", "tls")
    ),
    Target(
        "bulk records over etcd's single puts",
        ">=",
        8,
        _etcd("mnemesh", "bulk", _RATE),
        _etcd("etcd", "writes", _RATE, clients=64),
    ),
    Target(
        "bulk records over plain Redis with WAIT 1",
        ">",
        1,
        _redis("mnemesh", "bulk", _RATE),
        _redis("redis", "writes", _RATE, clients=64),
    ),
    Target(
        "reads at 64 clients over etcd's serializable reads",
        ">=",
        2,
        _etcd("mnemesh", "reads", _RATE, clients=64),
        _etcd("etcd", "reads", _RATE, clients=64),
    ),
    # 50,000 operations a second of either side's CPU are 20 microseconds each.
    Target(
        "catch-up, receiver, CPU us per operation",
        "<=",
        20,
        Pick({"bench": "catchup"}, "receiver_cpu_us.total"),
    ),
    Target(
        "catch-up, busiest source, CPU us per operation",
        "<=",
        20,
        Pick({"bench": "catchup"}, "busiest_source_cpu_us"),
    ),
    Target(
        "catch-up, bytes moved per byte of operations",
        "<=",
        1.15,
        Pick({"bench": "catchup"}, "bytes_moved_per_byte_of_ops"),
    ),
    Target("bootstrap, records per second", ">=", 60_000, Pick({"bench": "bootstrap"}, _RATE)),
    Target("1,000,000 records: seconds to start", "<", 2, _million("start", "seconds_until_ready")),
    Target(
        "1,000,000 records: anonymous memory after reads, MiB",
        "<",
        200,
        _million("reads", "memory_mib.anonymous"),
    ),
    Target(
        "1,000,000 records: bytes on the disk per byte",
        "<",
        1.6,
        _million("disk", "per_byte.total"),
    ),
    *(
        Target(
            f"a 1,000-op difference, {side}, CPU with the large store over the small one",
            "<=",
            1.2,
            Pick({"bench": "difference", "load": "compared"}, f"cpu_share.{side}"),
        )
        for side in ("receiver", "source")
    ),
    *(
        Target(
            f"{nodes} nodes: ms after the last write until all have it",
            "<",
            1000,
            Pick({"bench": "ladder", "nodes": nodes}, "tail_ms.last"),
        )
        for nodes in (2, 5, 10)
    ),
    *(
        Target(
            f"event loop, p99 of its lag in ms: {load}",
            "<",
            10,
            Pick({"bench": "lag", "load": load}, "loop_lag.*.p99_ms_at_most"),
        )
        for load in ("writes", "writes, scraped", "writes, scraped, a peer catches up")
    ),
    # Further targets: here.
)
