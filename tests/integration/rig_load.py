"""Agents that write while a test breaks something, and remember what was promised.

Law: only a 201 is a promise. A write that breaks off is retried on the next node under the
same key and id, so that its outcome is known in the end.
"""

import contextlib
import http.client
import json
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
        promised: content hash by id of every acknowledged write.
        wrote: acknowledgements by node.
    """

    nodes: Sequence[RealNode]
    promised: dict[str, str] = field(default_factory=dict)
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
        wanted = len(self.promised) + more
        until(lambda: len(self.promised) >= wanted or self._errors, f"{more} more writes")
        assert not self._errors, self._errors[0]

    def _hand(self, first: int) -> None:
        open_to: dict[str, http.client.HTTPConnection] = {}
        number = 0
        try:
            while not self._ends.is_set():
                number += 1
                self._write(f"write {number} of hand {first}", first, open_to)
        except BaseException as error:  # noqa: BLE001 -- shown by the test that waits for it
            self._errors.append(error)
        finally:
            for connection in open_to.values():
                connection.close()

    def _write(
        self, title: str, first: int, open_to: dict[str, http.client.HTTPConnection]
    ) -> None:
        ident = str(uuid.uuid4())
        memory = {"title": title, "content": f"text of {ident}"}
        for attempt in range(_TRIES):
            node = self.nodes[(first + attempt) % len(self.nodes)]
            status = self._post(node, {**memory, "id": ident}, open_to)
            if status == 201:
                self.promised[ident] = content_hash(memory)
                self.wrote[node.name] = self.wrote.get(node.name, 0) + 1
                return
            self.broken += status == 0
            assert status in {0, 503}, f"{node.name} answered {status}"
            if self._ends.wait(0.02) and attempt >= len(self.nodes):
                return

    def _post(
        self,
        node: RealNode,
        body: dict[str, str],
        open_to: dict[str, http.client.HTTPConnection],
    ) -> int:
        connection = open_to.get(node.name)
        if connection is None:
            connection = open_to[node.name] = http.client.HTTPConnection(*node.agent, timeout=10)
        headers = {"content-type": "application/json", "idempotency-key": body["id"]}
        headers |= {"x-agent-id": "ai:load"}
        if node.api_key:
            headers["x-api-key"] = node.api_key
        try:
            connection.request("POST", "/api/v1/memories", json.dumps(body).encode(), headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return 0
        return answer.status
