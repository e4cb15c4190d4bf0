"""`python -m tests.benchmarks.openloop`: clients that arrive at their own pace, whatever happens.

Law: request n is due at n / rate after the start and its latency counts from then, answered or
waiting for a free connection, so that a slow server cannot slow its own load down. Arrivals
that find no connection free wait here and are counted; what waited too long is given up and
counted. Reads one JSON object on stdin, prints one on stdout, with the numbers of all writes
that were acknowledged. With `numbers` in the object it reads those back instead.
"""

import asyncio
import gc
import json
import resource
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import urlsplit

import uvloop

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "
_RETRY: Final = b"retry-after:"
_STEP_SECONDS: Final = 0.002
_SETTLE_SECONDS: Final = 0.01
_DRAIN_SECONDS: Final = 15.0
_PER_ADDRESS: Final = 900
_OPENED_AT_ONCE: Final = 64


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the arrivals.

    Attributes:
        statuses: answers by status; `lost` for connections that ended, `given_up` for arrivals
            that no connection was free for, `unanswered` for those still open at the end.
        accepted: (due, seconds) of acknowledged writes.
        shed: (due, seconds) of those answered 503.
        without_retry_after: 503 answers that did not say when to come again.
        acknowledged: numbers of acknowledged writes.
        waiting_max: most arrivals that waited for a connection.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    accepted: list[tuple[float, float]] = field(default_factory=list)
    shed: list[tuple[float, float]] = field(default_factory=list)
    without_retry_after: int = 0
    acknowledged: list[int] = field(default_factory=list)
    waiting_max: int = 0


class Connection(asyncio.Protocol):
    """One connection; takes an arrival at a time."""

    __slots__ = ("_buffer", "_due", "_number", "_pool", "_transport", "busy")

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._number, self._due = 0, 0.0
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass

    def send(self, number: int, due: float) -> None:
        """Send an arrival."""
        self._number, self._due, self.busy = number, due, True
        assert self._transport is not None
        self._transport.write(self._pool.request(number))

    def close(self) -> None:
        """End it; what it waits for is counted already."""
        self.busy = False
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(_END)
        if head < 0:
            return
        lines = self._buffer[: head + 2].lower()
        at = lines.find(_LENGTH) + len(_LENGTH)
        if len(self._buffer) < head + len(_END) + int(lines[at : lines.find(b"\r", at)]):
            return
        status = self._buffer[9:12].decode()
        self._buffer, self.busy = b"", False
        self._pool.answered(self, self._number, self._due, status, again=_RETRY in lines)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None
        self._pool.lost(self, was_busy=self.busy)


class Pool:
    """Connections, the arrivals that wait for one, and the tally.

    Args:
        spec: url, key, rate, seconds, connections, content_bytes, prefix, patience_seconds.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        self._parts = urlsplit(spec["url"])
        self._prefix, self._key = spec["prefix"], spec["key"]
        self._reads = "numbers" in spec
        self._content = "a client that does not wait " * (spec["content_bytes"] // 28 + 1)
        self._head = (
            f"POST /api/v1/memories HTTP/1.1\r\nHost: {self._parts.netloc}\r\n"
            f"X-Api-Key: {spec['key']}\r\nX-Agent-Id: bench\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        )
        self._bytes = spec["content_bytes"]
        self._write = self._pieces()
        self._most = spec["connections"]
        self._patience = spec["patience_seconds"]
        self._all: list[Connection] = []
        self._free: list[Connection] = []
        self._waiting: deque[tuple[int, float]] = deque()
        self._open = 0
        self.tally = Tally()

    def request(self, number: int) -> bytes:
        """A create whose id names the arrival, or a read of it."""
        if self._reads:
            return (
                f"GET /api/v1/memories/{self._prefix}-{number:08d} HTTP/1.1\r\n"
                f"Host: {self._parts.netloc}\r\nX-Api-Key: {self._key}\r\n\r\n"
            ).encode()
        digits = b"%08d" % number
        return digits.join(self._write)

    def _pieces(self) -> list[bytes]:
        """A create without its number; all are of one length, so this is done once."""
        mark = "#" * 8
        body = json.dumps(
            {
                "id": f"{self._prefix}-{mark}",
                "title": f"arrival {mark}",
                "content": self._content[: self._bytes],
            }
        )
        return f"{self._head}{len(body)}\r\n\r\n{body}".encode().split(mark.encode())

    async def open(self) -> None:
        """Open all connections; loopback addresses share them, for a node bounds each of them."""
        loop = asyncio.get_running_loop()
        gate = asyncio.Semaphore(_OPENED_AT_ONCE)

        async def one(number: int) -> None:
            async with gate:
                _, made = await loop.create_connection(
                    lambda: Connection(self),
                    self._parts.hostname,
                    self._parts.port,
                    local_addr=(f"127.0.0.{2 + number // _PER_ADDRESS}", 0),
                )
            self._all.append(made)
            self._free.append(made)

        await asyncio.gather(*(one(number) for number in range(self._most)))
        self._open = self._most

    def arrive(self, number: int, due: float) -> None:
        """A request is due."""
        if self._free:
            self._free.pop().send(number, due)
            return
        self._waiting.append((number, due))
        self.tally.waiting_max = max(self.tally.waiting_max, len(self._waiting))

    def answered(
        self, connection: Connection, number: int, due: float, status: str, *, again: bool
    ) -> None:
        """An answer came."""
        now = time.perf_counter()
        tally = self.tally
        tally.statuses[status] += 1
        if status[0] == "2":
            tally.accepted.append((due, now - due))
            tally.acknowledged.append(number)
        elif status == "503":
            tally.shed.append((due, now - due))
            tally.without_retry_after += not again
        self._next(connection, now)

    def _next(self, connection: Connection, now: float) -> None:
        while self._waiting:
            number, due = self._waiting.popleft()
            if now - due <= self._patience:
                connection.send(number, due)
                return
            self.tally.statuses["given_up"] += 1
        self._free.append(connection)

    def lost(self, connection: Connection, *, was_busy: bool) -> None:
        """A connection ended."""
        self._open -= 1
        if was_busy:
            self.tally.statuses["lost"] += 1
        if connection in self._free:
            self._free.remove(connection)

    async def settle(self, deadline: float) -> None:
        """Wait until nothing is under way any more; count what was never answered; hang up."""
        while self._waiting or len(self._free) < self._open:
            if time.perf_counter() > deadline:
                break
            await asyncio.sleep(_SETTLE_SECONDS)
        self.tally.statuses["given_up"] += len(self._waiting)
        self.tally.statuses["unanswered"] += self._open - len(self._free)
        for connection in self._all:
            connection.close()
        await asyncio.sleep(_SETTLE_SECONDS)


async def until(moment: float) -> None:
    """Return at this moment of `time.perf_counter`; the pace of the load."""
    while (left := moment - time.perf_counter()) > 0:  # noqa: ASYNC110 - time is what passes here
        await asyncio.sleep(left)


async def drive(spec: dict[str, Any]) -> dict[str, Any]:
    """Carry out one specification."""
    pool = Pool(spec)
    await pool.open()
    gc.collect()
    gc.disable()
    rate, seconds = spec["rate"], spec["seconds"]
    began, sent, late = time.perf_counter(), 0, 0.0
    while True:
        passed = time.perf_counter() - began
        due = min(int(passed * rate), int(seconds * rate))
        while sent < due:
            pool.arrive(sent, began + sent / rate)
            sent += 1
        if passed >= seconds:
            break
        await until(began + passed + _STEP_SECONDS)
        late = max(late, time.perf_counter() - began - passed - _STEP_SECONDS)
    deadline = time.perf_counter() + _DRAIN_SECONDS
    await pool.settle(deadline)
    fields = {"arrived": sent, "own_lateness_ms": round(late * 1000, 1)}
    return {**fields, **told(pool.tally, began, seconds), "numbers": pool.tally.acknowledged}


async def check(spec: dict[str, Any]) -> dict[str, Any]:
    """Read back every write whose number is named; how the reads were answered."""
    pool = Pool({**spec, "patience_seconds": float("inf")})
    await pool.open()
    for number in spec["numbers"]:
        pool.arrive(number, time.perf_counter())
    await pool.settle(time.perf_counter() + spec["seconds"])
    return {"statuses": {name: count for name, count in pool.tally.statuses.items() if count}}


def told(tally: Tally, began: float, seconds: float) -> dict[str, Any]:
    """The figures of a run; `by_second` shows whether latency grows while the load lasts."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    by_second: list[list[float]] = [[] for _ in range(max(int(seconds), 1))]
    for due, took in tally.accepted:
        by_second[min(int(due - began), len(by_second) - 1)].append(took)
    return {
        "statuses": {name: count for name, count in tally.statuses.items() if count},
        "accepted_per_second": round(len(tally.accepted) / seconds, 1),
        "shed_per_second": round(len(tally.shed) / seconds, 1),
        "accepted_ms": spread([took for _, took in tally.accepted]),
        "shed_ms": spread([took for _, took in tally.shed]),
        "accepted_p99_ms_by_second": [spread(one).get("p99") for one in by_second],
        "shed_without_retry_after": tally.without_retry_after,
        "waiting_max": tally.waiting_max,
        "driver_cpu_seconds": round(used.ru_utime + used.ru_stime, 3),
    }


def spread(seconds: list[float]) -> dict[str, float]:
    """Median, p99 and greatest in milliseconds; empty for nothing."""
    if not seconds:
        return {}
    ordered = sorted(seconds)
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {
        name: round(ordered[min(int(len(ordered) * q), len(ordered) - 1)] * 1000, 2)
        for name, q in at.items()
    }


def main() -> None:
    """Read the specification, do it, tell the result."""
    spec = json.load(sys.stdin)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(check(spec) if "numbers" in spec else drive(spec))))


if __name__ == "__main__":
    main()
