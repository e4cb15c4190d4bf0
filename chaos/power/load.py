"""Clients that write in every way that changes a node's files, and note what they were promised.

Law: each record has one writer, so the order of its states is known without asking the node.
A 2xx is a promise, another 4xx than 408 and 429 a refusal; everything else may still surface.
"""

import random
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx

from chaos.power.promises import Promises, Step, hash_of

_TIMEOUT_SECONDS: Final = 30.0
_BULK: Final = 25
_LENGTHS: Final = (8, 60, 400, 1500, 5000, 20_000, 70_000)
_LENGTH_WEIGHTS: Final = (4, 8, 8, 6, 3, 1, 1)
_WORDS: Final = ("amber", "basalt", "cedar", "dune", "ember", "fjord", "grove", "harbour", "inlet")


class Writer:
    """One client.

    Args:
        url: base of the API.
        name: of its records, unique among all clients.
        requests: how many it sends.
        promises: where it notes what it was promised.
        seed: draws what it does.
        stop: ends it early.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str,
        requests: int,
        promises: Promises,
        seed: object,
        stop: threading.Event,
    ) -> None:
        self.thread = threading.Thread(target=self._run, name=f"writer-{name}", daemon=True)
        self._url = url
        self._label = name
        self._requests = requests
        self._promises = promises
        self._rng = random.Random(f"{seed}/{name}")
        self._stopped = stop
        self._held: list[str] = []
        self._made = 0
        self.trouble: BaseException | None = None

    def _run(self) -> None:
        """Send all requests, one after the other."""
        deeds: dict[Callable[[httpx.Client], None], int] = {
            self._create: 40,
            self._edit: 24,
            self._delete: 8,
            self._bulk: 4,
            self._erase: 6,
            self._search: 4,
        }
        headers = {"x-agent-id": f"ai:{self._label}"}
        try:
            with httpx.Client(
                base_url=self._url, headers=headers, timeout=_TIMEOUT_SECONDS
            ) as client:
                for _ in range(self._requests):
                    if self._stopped.is_set():
                        return
                    self._rng.choices(list(deeds), list(deeds.values()))[0](client)
        except Exception as error:  # noqa: BLE001 - told to who waits for the thread
            self.trouble = error

    def _row(self, name: str, **more: Any) -> dict[str, Any]:
        length = self._rng.choices(_LENGTHS, _LENGTH_WEIGHTS)[0]
        words = " ".join(self._rng.choices(_WORDS, k=max(1, length // 7)))
        return {
            "id": name,
            "title": f"{name} {self._rng.choice(_WORDS)}",
            "content": f"{self._rng.getrandbits(64):016x} {words}",
            "tags": self._rng.sample(_WORDS, self._rng.randrange(3)),
            "namespace": f"power/{self._rng.randrange(4)}",
            "tier": "long",
            **more,
        }

    def _name(self) -> str:
        self._made += 1
        return f"{self._label}-{self._made:05d}"

    def _tell(
        self,
        client: httpx.Client,
        method: str,
        path: str,
        body: object,
        steps: Mapping[str, Step],
    ) -> bool:
        """Send a write and note its answer; whether it was a promise."""
        try:
            answer = client.request(method, path, json=body)
        except httpx.HTTPError:
            return False
        status = answer.status_code
        if status in {200, 201}:
            self._promises.kept(*steps.values())
            return True
        if 400 <= status < 500 and status not in {408, 429}:
            self._promises.refused(*steps.values())
        return False

    def _create(self, client: httpx.Client) -> None:
        more = {"scope": "private"} if self._rng.random() < 0.15 else {}
        row = self._row(self._name(), **more)
        step = self._promises.sent(row["id"], hash_of(row))
        if self._tell(client, "POST", "/memories", row, {row["id"]: step}):
            self._held.append(row["id"])

    def _edit(self, client: httpx.Client) -> None:
        if not self._held:
            return
        row = self._row(self._rng.choice(self._held))
        name = row.pop("id")
        row.pop("namespace")  # a new one would be a move
        step = self._promises.sent(name, hash_of(row))
        self._tell(client, "PUT", f"/memories/{name}", row, {name: step})

    def _take(self) -> str | None:
        if not self._held:
            return None
        return self._held.pop(self._rng.randrange(len(self._held)))

    def _delete(self, client: httpx.Client) -> None:
        name = self._take()
        if name is not None:
            step = self._promises.sent(name, None)
            self._tell(client, "DELETE", f"/memories/{name}", None, {name: step})

    def _erase(self, client: httpx.Client) -> None:
        name = self._take()
        if name is not None:
            step = self._promises.sent(name, None)
            self._tell(client, "POST", "/forget", {"ids": [name]}, {name: step})

    def _bulk(self, client: httpx.Client) -> None:
        rows = [self._row(self._name()) for _ in range(_BULK)]
        steps = {row["id"]: self._promises.sent(row["id"], hash_of(row)) for row in rows}
        if self._tell(client, "POST", "/memories/bulk", rows, steps):
            self._held.extend(steps)

    def _search(self, client: httpx.Client) -> None:
        body = {"context": " ".join(self._rng.sample(_WORDS, 2)), "limit": 5}
        try:
            client.post("/recall", json=body)
        except httpx.HTTPError:
            return
