"""Probes at a fixed pace: a stall counts for every probe that was due in it."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.benchmarks.probing import probe

STALL_SECONDS = 0.2


@pytest.fixture
def stalling() -> Iterator[str]:
    """A server that answers at once, but for one answer that takes long."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            link, _ = door.accept()
            with link:
                answered = 0
                while link.recv(4096):
                    answered += 1
                    if answered == 10:
                        threading.Event().wait(STALL_SECONDS)
                    link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
        thread.join()


def test_a_stall_counts_for_every_probe_that_was_due_in_it(stalling: str) -> None:
    spec = {
        "places": [{"name": "node-1", "url": stalling, "key": "k"}],
        "rate": 100,
        "seconds": 0.5,
        "path": "/livez",
    }
    began = time.monotonic()

    told = probe(spec)["node-1"]

    assert time.monotonic() - began < 30
    assert told["probes"] >= 40
    # Twenty of fifty probes were due while the server stood still; one alone would not move p50+.
    assert told["p99"] >= 0.8 * STALL_SECONDS * 1000
