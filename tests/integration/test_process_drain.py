"""SIGTERM under load: what was acknowledged is there, and the process is gone soon."""

import http.client
import os
import random
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import RealNode, content_hash, until, until_linked
from tests.integration.rig_routes import lone

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROUNDS = 100
WRITERS = 4
SECONDS_MAX = 10.0


class Load:
    """Writers that go on until they are told to stop; they note what was acknowledged."""

    def __init__(self, node: RealNode) -> None:
        self.promised: dict[str, str] = {}
        self.refused: list[int] = []
        self._node = node
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(WRITERS)]
        for thread in self._threads:
            thread.start()

    def _write(self, number: int) -> None:
        connection = http.client.HTTPConnection(*self._node.agent, timeout=SECONDS_MAX)
        for turn in range(1_000_000):
            if self._over.is_set():
                break
            memory = {"title": f"w{number}-{turn}", "content": "x" * 100}
            try:
                reply = self._node.ask("POST", "/memories", memory)
            except (OSError, http.client.HTTPException):
                continue  # the outcome is not known: it may be there or not
            if reply.status == 201:
                self.promised[reply.body["id"]] = content_hash(memory)
            elif reply.status != 503:
                self.refused.append(reply.status)
        connection.close()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)


def awkward(node: RealNode) -> list[socket.socket]:
    """Clients that would keep a careless server: a stream of events, half a request, silence."""
    asks = [
        b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n",
        b"POST /api/v1/memories HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{",
        b"",
    ]
    opened = []
    for ask in asks:
        sock = socket.create_connection(node.agent, timeout=SECONDS_MAX)
        sock.sendall(ask)
        opened.append(sock)
    return opened


def end(node: RealNode) -> float:
    """SIGTERM; how long it took."""
    assert node.process is not None
    began = time.monotonic()
    os.kill(node.pid, signal.SIGTERM)
    code = node.process.wait(30)
    took = time.monotonic() - began
    node.process = None
    assert code == 0, node.tail()
    return took


def test_a_hundred_ends_under_load_lose_nothing(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    node = lone(tmp_path)
    promised: dict[str, str] = {}
    took: list[float] = []
    try:
        for _ in range(ROUNDS):
            node.start()
            until(node.ready, "it is ready", seen=node.tail)
            clients = awkward(node)
            load = Load(node)
            wanted = rng.randrange(1, 40)
            until(
                lambda load=load, wanted=wanted: len(load.promised) >= wanted, "writes go through"
            )
            took.append(end(node))
            load.stop()
            for client in clients:
                client.close()
            assert not load.refused
            promised |= load.promised
        node.start()
        until(node.ready, "it is ready", seen=node.tail)
        held = {i: h for i, h in node.held().items() if i in promised}
    finally:
        node.clean_up()
    assert held == promised
    assert max(took) < SECONDS_MAX
    print(f"{len(promised)} writes, {ROUNDS} ends, longest {max(took):.2f} s")


def test_a_member_that_cannot_reach_its_quorum_ends_in_time_too(found: Found) -> None:
    one, two, three = found(3, flags=("--quorum-timeout-ms", "60000"))
    until_linked([one, two, three])
    load = Load(one)
    until(lambda: len(load.promised) >= 20, "writes go through")
    two.kill()
    three.kill()
    until(lambda: not one.ready(), "nobody is there any more")
    took = end(one)
    load.stop()
    assert took < SECONDS_MAX
    for node in (one, two, three):
        node.start()
    until_linked([one, two, three])
    held = one.held()
    assert {i for i in load.promised if held.get(i) != load.promised[i]} == set()
