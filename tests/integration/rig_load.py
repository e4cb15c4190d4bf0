"""Agents that write while a test breaks something, and remember what was promised.

Law: only a 201 is a promise. A write that breaks off is retried on the next node under the
same key and id, so that its outcome is known in the end.
"""

import contextlib
import http.client
import json
import random
import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.integration.rig import RealNode, content_hash, until

_TRIES = 60


@dataclass
class Load:
    """Writers on several nodes.

    Attributes:
        seed: of what the writers choose to do.
        promised: content hash by id, of what was acknowledged last.
        deleted: ids whose deletion was acknowledged.
        wrote: acknowledgements by node.
    """

    nodes: Sequence[RealNode]
    seed: int = 0
    promised: dict[str, str] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    wrote: dict[str, int] = field(default_factory=dict)
    broken: int = 0
    _ends: threading.Event = field(default_factory=threading.Event)
    _errors: list[BaseException] = field(default_factory=list)

    @contextlib.contextmanager
    def running(self, hands: int = 2) -> Iterator[None]:
        """Write for as long as the block lasts."""
        self._ends.clear()
        threads = [
            threading.Thread(target=self._hand, args=(first,))
            for first in range(len(self.nodes))
            for _ in range(hands)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ends.set()
            for thread in threads:
                thread.join(60)
        assert not self._errors, self._errors[0]

    def until_written(self, more: int) -> None:
        """Wait until so many more writes were acknowledged."""
        wanted = sum(self.wrote.values()) + more
        until(lambda: sum(self.wrote.values()) >= wanted or self._errors, f"{more} more writes")
        assert not self._errors, self._errors[0]

    def _hand(self, first: int) -> None:
        hand = _Hand(self, first, random.Random(f"{self.seed}/{first}"))
        try:
            while not self._ends.is_set():
                hand.step()
        except BaseException as error:  # noqa: BLE001 -- shown by the test that waits for it
            self._errors.append(error)
        finally:
            hand.close()

    def ending(self, seconds: float) -> bool:
        """Whether the test wants no more, at most so many seconds later."""
        return self._ends.wait(seconds)

    def tally(self, node: RealNode) -> None:
        self.wrote[node.name] = self.wrote.get(node.name, 0) + 1


@dataclass
class _Hand:
    """One writer; nobody else touches what it wrote."""

    load: Load
    first: int
    draw: random.Random
    mine: list[str] = field(default_factory=list)
    number: int = 0
    _open: dict[str, http.client.HTTPConnection] = field(default_factory=dict)

    def step(self) -> None:
        """Create, or change or delete what this hand created before."""
        self.number += 1
        wish = self.draw.random()
        if self.mine and wish < 0.2:
            self._edit(self.draw.choice(self.mine))
        elif self.mine and wish < 0.3:
            self._delete(self.mine.pop(self.draw.randrange(len(self.mine))))
        else:
            self._create()

    def _create(self) -> None:
        ident = str(uuid.uuid4())
        memory = self._memory(ident)
        done, clean = self._send("POST", "/memories", {**memory, "id": ident}, {201})
        if done:
            self.load.promised[ident] = content_hash(memory)
            if clean:
                # A write that broke off may have two births, of which a delete sees one.
                self.mine.append(ident)

    def _edit(self, ident: str) -> None:
        memory = self._memory(ident)
        # Until it is confirmed either text may be there.
        self.load.promised.pop(ident, None)
        done, _ = self._send("PUT", f"/memories/{ident}", memory, {200})
        if done:
            self.load.promised[ident] = content_hash(memory)
        else:
            self.mine.remove(ident)

    def _delete(self, ident: str) -> None:
        self.load.promised.pop(ident, None)
        done, _ = self._send("DELETE", f"/memories/{ident}", None, {200})
        if done:
            self.load.deleted.add(ident)

    def _memory(self, ident: str) -> dict[str, str]:
        return {"title": f"hand {self.first}", "content": f"text {self.number} of {ident}"}

    def _send(
        self, method: str, path: str, body: dict[str, str] | None, good: set[int]
    ) -> tuple[bool, bool]:
        """Whether it was confirmed, and whether at the first attempt."""
        nodes = self.load.nodes
        key = str(uuid.uuid4())
        for attempt in range(_TRIES):
            node = nodes[(self.first + attempt) % len(nodes)]
            status = self._ask(node, method, path, body, key)
            if status in good:
                self.load.tally(node)
                return True, attempt == 0
            self.load.broken += status == 0
            # 404: another node has not heard of the record yet.
            assert status in {0, 404, 503}, f"{node.name} answered {status} to {method} {path}"
            if self.load.ending(0.02) and attempt >= len(nodes):
                break
        return False, False

    def _ask(
        self, node: RealNode, method: str, path: str, body: dict[str, str] | None, key: str
    ) -> int:
        connection = self._open.get(node.name)
        if connection is None:
            connection = self._open[node.name] = http.client.HTTPConnection(*node.agent, timeout=10)
        headers = {"idempotency-key": key, "x-agent-id": "ai:load"}
        if node.api_key:
            headers["x-api-key"] = node.api_key
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["content-type"] = "application/json"
        try:
            connection.request(method, f"/api/v1{path}", data, headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return 0
        return answer.status

    def close(self) -> None:
        for connection in self._open.values():
            connection.close()
