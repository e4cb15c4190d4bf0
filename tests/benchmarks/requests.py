"""`python -m tests.benchmarks.requests`: what one request costs the thread that serves it.

Law: a real server over real sockets in this process; a second thread plays the clients. What is
told is the CPU time of the serving thread alone, system calls and turns of the loop included.
Writes end in the next turn of the loop and touch no core, so that the HTTP side stands alone;
reads go to a real store.
"""

import argparse
import asyncio
import gc
import json
import socket
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, Final, cast

import uvloop

from crdt.dot import DATA, Dot, new_actor
from crdt.op import Draft, Kind
from node.auth.keys import key_digest
from node.contracts import Caller, Receipt, RetryKey
from node.http import Door, HostRule, Services, build_server
from node.limits import Limits
from node.memory.access import AccessLedger
from node.memory.drafts import DraftRules
from node.memory.memories import Memories
from node.replication.reader import StoreReader
from tests.property.memory_histories import LoneNode
from tests.unit.http.fake_node import FakeMesh

_KEY: Final = "k" * 43
_HEAD: Final = (
    "{line} HTTP/1.1\r\nHost: 127.0.0.1:9077\r\nUser-Agent: bench\r\nx-api-key: " + _KEY + "\r\n"
    "x-agent-id: ai:bench\r\nAccept: */*\r\n"
)
_RECORDS: Final = 256
_CONTENT_BYTES: Final = 1024
_ACTOR: Final = new_actor(DATA, 1_770_000_000, bytes(8), bytes(32))


class QuickFunnel:
    """Reads of a real store; writes that are confirmed together in the next turn."""

    def __init__(self, node: LoneNode) -> None:
        self._node = node
        self._loop = asyncio.get_running_loop()
        self._waiting: list[asyncio.Future[bool]] = []
        self._receipt = Receipt(
            dots=(Dot(_ACTOR, 1),),
            local=True,
            acks=2,
            needed=2,
            peers=("node-b",),
            token="Y2F1c2FsIHRva2Vu.12345",  # noqa: S106 - no secret
        )

    def reader(self) -> StoreReader:
        """The real one."""
        return self._node.funnel.reader()

    def known(self, retry: RetryKey) -> None:
        """Nothing was asked before."""

    def draw_id(self, retry: RetryKey | None, index: int) -> str:
        """As a node does."""
        return self._node.funnel.draw_id(retry, index)

    async def write(
        self, drafts: list[Draft], *, caller: Caller, action: str, retry: RetryKey | None = None
    ) -> Receipt:
        """Confirm in the next turn of the loop."""
        del drafts, caller, action, retry
        if not self._waiting:
            self._loop.call_soon(self._confirm)
        future = self._loop.create_future()
        self._waiting.append(future)
        await future
        return self._receipt

    def _confirm(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            future.set_result(True)


def _services(node: LoneNode, *, keyed: bool) -> tuple[Services, Door]:
    def now_ms() -> int:
        return time.time_ns() // 1_000_000

    limits = Limits()
    memories = Memories(
        funnel=cast("Any", QuickFunnel(node)),
        rules=DraftRules(limits=limits, default_namespace="global", share_private=False),
        now_ms=now_ms,
        entropy=bytes,
    )
    services = Services(
        memories=memories,
        mesh=FakeMesh(),
        limits=limits,
        access=AccessLedger(),
        metrics=node.metrics,
        log=lambda _event, **_facts: None,
        version="1",
        protocol_version=1,
        now_ms=now_ms,
        monotonic=time.monotonic,
        administrators=frozenset,
        store_trouble=lambda: None,
    )
    rule = HostRule(bound=["127.0.0.1"])
    keys = (key_digest(_KEY),) if keyed else ()
    return services, Door(tls=False, hosts=lambda: rule, api_keys=lambda: keys)


async def _filled(node: LoneNode) -> list[str]:
    ids = [node.funnel.draw_id(None, index) for index in range(_RECORDS)]
    for ident in ids:
        fields = {"title": "a title", "content": "x" * _CONTENT_BYTES, "tier": "long"}
        draft = Draft(
            kind=Kind.CREATE,
            collection="memory",
            id=ident,
            namespace="bench",
            owner="ai:bench",
            set=fields,
            fresh=True,
        )
        await node.funnel.write([draft], caller=Caller(agent="ai:bench"), action="store")
    return ids


def _requests(load: str, ids: list[str]) -> list[bytes]:
    if load == "live":
        return [(_HEAD.format(line="GET /livez") + "\r\n").encode()]
    if load == "get":
        lines = [f"GET /api/v1/memories/{ident}" for ident in ids]
        return [(_HEAD.format(line=line) + "\r\n").encode() for line in lines]
    body = json.dumps(
        {
            "title": "memory 123456",
            "content": "lorem ipsum " * (_CONTENT_BYTES // 12),
            "namespace": "bench/space",
            "tags": ["one", "two"],
            "metadata": {"session_id": "s1"},
        }
    )
    head = _HEAD.format(line="POST /api/v1/memories")
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return [(head + body).encode()]


def _drive(sockets: list[socket.socket], asked: list[bytes], rounds: int, expect: bytes) -> None:
    place = 0
    for _ in range(rounds):
        for one in sockets:
            one.sendall(asked[place % len(asked)])
            place += 1
        for one in sockets:
            answer = one.recv(65536)
            if not answer.startswith(expect):
                raise SystemExit(f"answered {answer[:300]!r}")


async def _cost(server: Any, asked: list[bytes], clients: int, rounds: int, expect: bytes) -> float:
    """Microseconds of this thread per request."""
    loop = asyncio.get_running_loop()
    near = []
    for _ in range(clients):
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        await loop.connect_accepted_socket(server, theirs)
        near.append(ours)
    await loop.run_in_executor(None, _drive, near, asked, rounds // 10 + 1, expect)
    began = time.thread_time()
    await loop.run_in_executor(None, _drive, near, asked, rounds, expect)
    spent = time.thread_time() - began
    for one in near:
        one.close()
    return spent * 1e6 / (rounds * clients)


async def measure(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One line a load."""
    node = LoneNode(folder, Random(1))
    lines: list[dict[str, Any]] = []
    try:
        ids = await _filled(node)
        gc.collect()
        gc.freeze()  # as a running node does
        gc.set_threshold(20_000, 20, 50)
        services, door = _services(node, keyed=True)
        server = build_server(services, door, direct=not options.ordinary)
        for load, expect in (
            ("live", b"HTTP/1.1 200"),
            ("get", b"HTTP/1.1 200"),
            ("create", b"HTTP/1.1 201"),
        ):
            if options.only and load not in options.only:
                continue
            found = [
                await _cost(server, _requests(load, ids), options.clients, options.rounds, expect)
                for _ in range(options.repeats)
            ]
            lines.append(
                {
                    "bench": "request",
                    "load": load,
                    "clients": options.clients,
                    "cpu_us": round(median(found), 1),
                    "least_us": round(min(found), 1),
                }
            )
        await server.shutdown(1)
    finally:
        await node.end()
    return lines


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", action="append", choices=("live", "get", "create"))
    parser.add_argument("--ordinary", action="store_true", help="by aiohttp's way alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mnemesh-bench-") as made:
        for line in uvloop.run(measure(Path(made), options)):
            print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
