"""A network of Maelstrom machines in one process, on a clock that only steps."""

import hashlib
import heapq
import random
from collections.abc import Callable
from typing import Any

from node.maelstrom.machine import Machine
from node.maelstrom.protocol import Message, decode, encode

STEP_MS = 5


class Network:
    """Machines `n1`..`nN`, messages that are lost, doubled and overtake each other."""

    def __init__(
        self,
        count: int,
        *,
        seed: int = 1,
        delay_ms: int = 0,
        loss: float = 0.0,
        double: float = 0.0,
        **options: Any,
    ) -> None:
        self.random = random.Random(seed)
        self.delay_ms, self.loss, self.double, self.options = delay_ms, loss, double, options
        self.now_ms = 1_700_000_000_000
        self.names = [f"n{number}" for number in range(1, count + 1)]
        self.said: list[str] = []
        self.machines: dict[str, Machine] = {}
        self.flight: list[tuple[int, int, Message]] = []
        self.answers: dict[int, dict[str, Any]] = {}
        self.cut: Callable[[str, str], bool] = lambda _a, _b: False
        self.between = 0
        self._number = 0
        for name in self.names:
            self.start(name)

    def start(self, name: str) -> None:
        machine = Machine(entropy=self.random.randbytes, say=self.said.append, **self.options)
        self.machines[name] = machine
        self.ask(name, "init", node_id=name, node_ids=self.names)

    def ask(self, node: str, kind: str, **fields: Any) -> int:
        """Send a request to a node; its answer comes under the number."""
        self._number += 1
        body = {"type": kind, "msg_id": self._number, **fields}
        line = encode(Message("c1", node, body))
        self.machines[node].receive(decode(line), self.now_ms)
        self._collect(node)
        return self._number

    def call(self, node: str, kind: str, **fields: Any) -> dict[str, Any]:
        """Send a request and step until it is answered."""
        number = self.ask(node, kind, **fields)
        self.until(lambda: number in self.answers)
        return self.answers[number]

    def _collect(self, name: str) -> None:
        for message in self.machines[name].take():
            assert message.src == name
            parsed = decode(encode(message))
            if message.dest.startswith("c"):
                self.answers[parsed.body["in_reply_to"]] = dict(parsed.body)
                continue
            self.between += 1
            copies = 2 if self.random.random() < self.double else 1
            for _ in range(copies):
                if self.random.random() >= self.loss:
                    due = self.now_ms + self.random.randint(0, self.delay_ms)
                    heapq.heappush(self.flight, (due, self.random.getrandbits(40), parsed))

    def step(self) -> None:
        self.now_ms += STEP_MS
        while self.flight and self.flight[0][0] <= self.now_ms:
            message = heapq.heappop(self.flight)[2]
            if not self.cut(message.src, message.dest):
                self.machines[message.dest].receive(message, self.now_ms)
        for name, machine in self.machines.items():
            machine.settle(self.now_ms)
            self._collect(name)

    def run(self, ms: int) -> None:
        for _ in range(ms // STEP_MS):
            self.step()

    def until(self, state: Callable[[], bool], ms: int = 20_000) -> None:
        for _ in range(ms // STEP_MS):
            if state():
                return
            self.step()
        raise AssertionError(f"not within {ms} ms; said: {self.said[-5:]}")

    def digests(self) -> set[bytes]:
        """Of all records, per node; one when all are equal."""
        return {
            hashlib.sha256(repr(sorted(core.state.records.items())).encode()).digest()
            for core in (machine._node.core for machine in self.machines.values() if machine._node)
        }
