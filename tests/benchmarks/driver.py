"""The load: many keep-alive clients of HTTP/1.1 or of Redis in one cheap process.

Law: it must cost far less than what it drives. Requests are encoded before the clock starts;
of an answer only the status and where it ends are read; a client sends its next request
in the callback that completed the last. Reads one JSON object on stdin, prints one on stdout.
"""

import asyncio
import functools
import gc
import json
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Any, Final, cast
from urllib.parse import urlsplit

import uvloop

from tests.benchmarks import resp
from tests.benchmarks.scale import CONTENT_BYTES
from tests.benchmarks.shapes import memory, shape_of

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"Content-Length: "
_LAST_CHUNK: Final = b"\r\n0\r\n\r\n"
_GOOD: Final = frozenset({"200", "201", "207", resp.GOOD})
Answer = Callable[[bytes], str | None]
"""The status of a whole answer; None while more of it has to come."""
_DRAIN_SECONDS: Final = 20.0


@dataclass(slots=True, kw_only=True)
class Run:
    """What all clients share.

    Attributes:
        request: gives the next request, ready to be sent.
        from_time: loop time at which the measured window begins.
        until: loop time after which no client sends any more.
        most: requests after which no client sends any more.
        sent: requests sent in all.
        done: answers received in all.
        in_window: good answers received inside the window.
        statuses: answers by status; `lost` counts connections that ended early.
        seconds: latencies of the good answers inside the window.
    """

    request: Callable[[], bytes]
    from_time: float = 0.0
    until: float = float("inf")
    most: float = float("inf")
    sent: int = 0
    done: int = 0
    in_window: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


def http_answer(data: bytes) -> str | None:
    """The status once the answer is whole: by its length, or by its last chunk."""
    head = data.find(_END)
    if head < 0:
        return None
    at = data.find(_LENGTH, 0, head + 2)
    if at >= 0:
        at += len(_LENGTH)
        if len(data) < head + len(_END) + int(data[at : data.find(b"\r", at)]):
            return None
    elif not data.endswith(_LAST_CHUNK):
        return None
    return data[9:12].decode()


class Client(asyncio.Protocol):
    """One connection with one request in flight."""

    __slots__ = ("_answer", "_buffer", "_run", "_sent_at", "_transport", "finished")

    def __init__(self, run: Run, finished: "asyncio.Future[None]", answer: Answer) -> None:
        self._run = run
        self._answer = answer
        self._buffer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.finished = finished

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass

    def begin(self) -> None:
        """Send the first request."""
        self._next(time.perf_counter())

    def _next(self, now: float) -> None:
        run = self._run
        if now >= run.until or run.sent >= run.most or self._transport is None:
            if not self.finished.done():
                self.finished.set_result(None)
            return
        run.sent += 1
        self._sent_at = now
        self._transport.write(run.request())

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        status = self._answer(data)
        if status is None:
            self._buffer = data
            return
        self._buffer = b""
        run = self._run
        now = time.perf_counter()
        run.done += 1
        run.statuses[status] += 1
        if status in _GOOD and run.from_time <= self._sent_at and now <= run.until:
            run.in_window += 1
            run.seconds.append(now - self._sent_at)
        self._next(now)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None
        if not self.finished.done():
            self._run.statuses["lost"] += 1
            self.finished.set_result(None)


def encode(method: str, path: str, host: str, key: str, body: bytes = b"") -> bytes:
    """One whole request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nX-Api-Key: {key}\r\nX-Agent-Id: bench\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def seeds(spec: dict[str, Any], host: str, key: str) -> Callable[[], bytes]:
    """Bulks of memories with known ids, which a later load reads."""
    items, size = spec["items"], spec.get("content_bytes", CONTENT_BYTES)
    batches = (
        [memory(size, f"seeded-{first + place:08d}") for place in range(items)]
        for first in range(0, spec["requests"] * items, items)
    )
    path = "/api/v1/memories/bulk"
    return lambda: encode("POST", path, host, key, json.dumps(next(batches)).encode())


def requests(spec: dict[str, Any], host: str, key: str | None) -> Callable[[], bytes]:
    """What gives the clients their next request."""
    if spec["kind"] == "seed":
        return seeds(spec, host, key or "")
    if spec["kind"] in resp.KINDS:
        before, after = resp.halves(spec["kind"], spec.get("content_bytes", CONTENT_BYTES))
        return spliced(before, after, count(spec.get("first", 0)), resp.DIGITS)
    shape = shape_of(spec)
    before, after = shape.halves(host, key)
    if not shape.numbered:
        return lambda: before
    if shape.last is None:
        return spliced(before, after, count(shape.first, shape.step), shape.digits)
    numbers = cycle(range(shape.first, shape.last, shape.step))
    return spliced(before, after, numbers, shape.digits)


def spliced(
    before: bytes, after: bytes, numbers: Iterator[int], digits: int
) -> Callable[[], bytes]:
    """The same request with the next number each time."""
    return lambda: b"%b%0*d%b" % (before, digits, next(numbers), after)


def trusting() -> ssl.SSLContext:
    """TLS that asks for no name: the load talks to what its parent started, as wrk does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _same(client: Client) -> Client:
    return client


async def drive(spec: dict[str, Any]) -> dict[str, Any]:
    """Carry out one specification."""
    parts = urlsplit(spec["url"])
    run = Run(request=requests(spec, parts.netloc, spec.get("key")))
    speak = resp.speaker(spec["kind"]) if spec["kind"] in resp.KINDS else http_answer
    loop = asyncio.get_running_loop()
    secure = trusting() if parts.scheme in {"https", "rediss"} else None
    if secure is not None and "certificate" in spec:
        secure.load_cert_chain(*spec["certificate"])
    clients = []
    for _ in range(spec["clients"]):
        client = Client(run, loop.create_future(), speak)
        await loop.create_connection(
            functools.partial(_same, client), parts.hostname, parts.port, ssl=secure
        )
        clients.append(client)
    gc.collect()
    gc.disable()
    began, spent = time.perf_counter(), time.process_time()
    run.from_time = began + spec.get("warmup_seconds", 0.0)
    if "requests" in spec:
        run.most = spec["requests"]
    else:
        run.until = run.from_time + spec["seconds"]
    for client in clients:
        client.begin()
    longest = spec.get("seconds", 600.0) + spec.get("warmup_seconds", 0.0) + _DRAIN_SECONDS
    async with asyncio.timeout(longest):
        await asyncio.gather(*(client.finished for client in clients))
    ended, spent = time.perf_counter(), time.process_time() - spent
    return _result(run, ended, clients=spec["clients"], cpu_seconds=spent)


def _result(run: Run, ended: float, *, clients: int, cpu_seconds: float) -> dict[str, Any]:
    window = min(ended, run.until) - run.from_time
    seconds = sorted(run.seconds)

    def at(share: float) -> float | None:
        if not seconds:
            return None
        return round(seconds[min(int(len(seconds) * share), len(seconds) - 1)] * 1000, 3)

    return {
        "clients": clients,
        "answers": run.done,
        "good": run.in_window,
        "statuses": dict(run.statuses),
        "window_seconds": round(window, 3),
        "per_second": round(run.in_window / window, 1),
        "p50_ms": at(0.50),
        "p99_ms": at(0.99),
        "max_ms": at(1.0),
        "driver_cpu_seconds": round(cpu_seconds, 3),
    }


def main() -> None:
    """Read the specification, do it, tell the result."""
    spec = json.load(sys.stdin)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(drive(spec))))


if __name__ == "__main__":
    main()
