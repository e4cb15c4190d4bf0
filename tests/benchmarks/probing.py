"""`python -m tests.benchmarks.probing`: how late nodes answer, asked from outside at a fixed pace.

Law: probe n of a node is due at n / rate after the start and its latency counts from then,
though the one before is not answered yet, so that a stall is counted for as long as it lasts.
Reads one JSON object on stdin (places, rate, seconds, path), prints one on stdout.
"""

import json
import select
import socket
import sys
import time
from typing import Any, Final
from urllib.parse import urlsplit

from tests.benchmarks.openloop import spread

_END: Final = b"\r\n\r\n"
_DRAIN_SECONDS: Final = 5.0


class Probe:
    """One kept-alive connection to one node; probes are sent one behind the other.

    Args:
        place: url and key of the node.
        path: what is asked for.
    """

    def __init__(self, place: dict[str, str], path: str) -> None:
        parts = urlsplit(place["url"])
        self.name = place["name"]
        self.socket = socket.create_connection((str(parts.hostname), parts.port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nX-Api-Key: {place['key']}\r\n\r\n"
        self._request = head.encode()
        self._buffer = b""
        self._due: list[float] = []
        self._asked = False
        self.seconds: list[float] = []

    def arrive(self, due: float) -> None:
        """A probe is due; it is sent when the one before is answered."""
        self._due.append(due)
        self._send()

    def _send(self) -> None:
        if self._due and not self._asked:
            self._asked = True
            self.socket.sendall(self._request)

    def take(self, now: float) -> None:
        """Bytes are there to be read."""
        self._buffer += self.socket.recv(65536)
        head = self._buffer.find(_END)
        if head < 0:
            return
        at = self._buffer.lower().find(b"content-length: ") + 16
        end = head + len(_END) + int(self._buffer[at : self._buffer.find(b"\r", at)])
        if len(self._buffer) >= end:
            self._buffer = self._buffer[end:]
            self.seconds.append(now - self._due.pop(0))
            self._asked = False
            self._send()

    @property
    def waits(self) -> bool:
        """Whether an answer is missing."""
        return bool(self._due)


def probe(spec: dict[str, Any]) -> dict[str, Any]:
    """Carry out one specification."""
    probes = [Probe(place, spec["path"]) for place in spec["places"]]
    by_socket = {one.socket: one for one in probes}
    began, sent = time.perf_counter(), 0
    until = began + spec["seconds"]
    while (now := time.perf_counter()) < until or (
        any(one.waits for one in probes) and now < until + _DRAIN_SECONDS
    ):
        due = began + sent / spec["rate"]
        if now < until and now >= due:
            for one in probes:
                one.arrive(due)
            sent += 1
            continue
        ready, _, _ = select.select(list(by_socket), [], [], max(min(due - now, 0.05), 0.0005))
        now = time.perf_counter()
        for handle in ready:
            by_socket[handle].take(now)
    for one in probes:
        one.socket.close()
    return {one.name: {"probes": len(one.seconds), **spread(one.seconds)} for one in probes}


def main() -> None:
    """Read the specification, do it, tell the result."""
    print(json.dumps(probe(json.load(sys.stdin))))


if __name__ == "__main__":
    main()
