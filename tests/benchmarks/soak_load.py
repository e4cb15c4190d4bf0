"""The load of a soak: writers at a steady pace over a fixed set of memories, and their ledger.

Law: every memory has one writer, and each write of it holds a number greater than the one
before, so that what a node shows at the end is either at least what was acknowledged last or a
lost write. A writer whose node does not answer moves on to the next one, as agents do; it never
sends the same number twice.
"""

import http.client
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from tests.benchmarks.mesh import Node
from tests.benchmarks.texts import Texts

_TIMEOUT_SECONDS: Final = 4.0
_READ_EVERY: Final = 5
_RECALL_EVERY: Final = 40
_PAUSE_SECONDS: Final = 0.05
_SEED: Final = 11


def ident(number: int) -> str:
    """The id of a memory of the set."""
    return f"soak-{number:06d}"


def written(content: str) -> int:
    """The number in a content; -1 when there is none."""
    first, _, rest = content.partition(" ")
    return int(first) if rest and first.isdigit() else -1


@dataclass(slots=True)
class Ledger:
    """What was acknowledged, and how long it took.

    Attributes:
        acknowledged: the last acknowledged number of each memory.
        failures: answers that were not good, by status or name of error.
        seconds: (kind, seconds) of good answers since they were last taken.
    """

    acknowledged: dict[int, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    seconds: list[tuple[str, float]] = field(default_factory=list)
    writes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def good(self, kind: str, seconds: float, number: int = -1, value: int = -1) -> None:
        """A good answer came."""
        with self.lock:
            self.seconds.append((kind, seconds))
            if kind == "write":
                self.writes += 1
                self.acknowledged[number] = max(self.acknowledged.get(number, -1), value)

    def bad(self, name: str) -> None:
        """Another answer, or none."""
        with self.lock:
            self.failures[name] = self.failures.get(name, 0) + 1

    def take(self) -> list[tuple[str, float]]:
        """The latencies since the last call."""
        with self.lock:
            taken, self.seconds = self.seconds, []
            return taken

    def lost(self, shown: dict[int, int]) -> list[int]:
        """Memories that show less than was acknowledged."""
        return [n for n, value in self.acknowledged.items() if shown.get(n, -1) < value]


class Writer(threading.Thread):
    """One client with its own memories.

    Args:
        nodes: where to write, in order of preference from `first` on.
        first: which of them to begin with.
        numbers: its memories.
        pace_seconds: time between two requests.
        ledger: shared by all.
        over: set when the soak ends.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        first: int,
        numbers: range,
        *,
        pace_seconds: float,
        ledger: Ledger,
        over: threading.Event,
    ) -> None:
        super().__init__(daemon=True)
        self._nodes, self._at = nodes, first
        self._numbers, self._pace = numbers, pace_seconds
        self._ledger, self._over = ledger, over
        self._connection: http.client.HTTPConnection | None = None
        texts = Texts(_SEED + first)
        self._texts = [texts.memory(number)["content"] for number in range(50)]

    def run(self) -> None:
        """Send until it is over."""
        due, turn, made = time.monotonic(), 0, set[int]()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._pace, time.monotonic() - 1.0)
            number = self._numbers[turn % len(self._numbers)]
            if turn % _RECALL_EVERY == _RECALL_EVERY - 1:
                words = " ".join(self._texts[turn % len(self._texts)].split()[:6])
                self._send("recall", "POST", "/recall", {"context": words})
            elif turn % _READ_EVERY == _READ_EVERY - 1 and number in made:
                self._send("read", "GET", f"/memories/{ident(number)}", None)
            else:
                self._write(turn, number, made)
            turn += 1
        if self._connection is not None:
            self._connection.close()

    def _write(self, turn: int, number: int, made: set[int]) -> None:
        body: dict[str, Any] = {"content": f"{turn} {self._texts[turn % len(self._texts)]}"}
        if number in made:
            self._send("write", "PUT", f"/memories/{ident(number)}", body, number, turn)
            return
        body |= {"id": ident(number), "title": f"soaked {number}", "tier": "long"}
        status = self._send("write", "POST", "/memories", body, number, turn)
        # 409: an attempt before, which nobody answered, made it after all.
        if status in (HTTPStatus.CREATED, HTTPStatus.CONFLICT):
            made.add(number)

    def _send(
        self,
        kind: str,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        number: int = -1,
        value: int = -1,
    ) -> int:
        node = self._nodes[self._at % len(self._nodes)]
        began = time.perf_counter()
        try:
            if self._connection is None:
                parts = urlsplit(node.url)
                self._connection = http.client.HTTPConnection(
                    str(parts.hostname), parts.port, timeout=_TIMEOUT_SECONDS
                )
            head = {
                "x-api-key": node.key,
                "x-agent-id": "ai:soak",
                "content-type": "application/json",
            }
            data = None if body is None else json.dumps(body).encode()
            self._connection.request(method, f"/api/v1{path}", body=data, headers=head)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._elsewhere(type(error).__name__)
            return 0
        if answer.status < HTTPStatus.BAD_REQUEST:
            self._ledger.good(kind, time.perf_counter() - began, number, value)
        elif answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
            self._elsewhere("503")
        else:
            self._ledger.bad(str(answer.status))
        return answer.status

    def _elsewhere(self, why: str) -> None:
        self._ledger.bad(why)
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._at += 1
        self._over.wait(_PAUSE_SECONDS)
