"""`python -m tests.benchmarks.lookups`: how quickly one node recalls among many memories.

Law: memories go in and questions are asked over HTTP, as agents do, one after the other; the
index alone is then asked the same questions in this process. Words are drawn by Zipf's law
from a made-up vocabulary with a printed seed, so that a run can be repeated.
"""

import argparse
import http.client
import itertools
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from node.recall.lexical import Lexical
from node.recall.shelf import Shelf
from node.recall.values import Filters
from node.recall.words import STOP_WORDS
from tests.benchmarks import machine
from tests.benchmarks.mesh import Node, running

_BATCH: Final = 1000
_WORDS: Final = 50_000
_CONTENT_WORDS: Final = (8, 40)
_SPACES: Final = 50
_TURNS: Final = 20
_LEVEL_SECONDS: Final = 1800.0
_WARM: Final = 50


class Vocabulary:
    """Words as often as in a language: the n-th most frequent with a weight of 1/n."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        letters = "abcdefghijklmnopqrstuvwxyz"
        drawn = (
            "".join(self._random.choices(letters, k=self._random.randint(3, 9)))
            for _ in itertools.count()
        )
        # The most frequent words of a language say nothing, and recall leaves them out.
        frequent = [*STOP_WORDS.split(), *itertools.islice(drawn, 2 * _WORDS)]
        self._words = list(dict.fromkeys(frequent))[:_WORDS]
        self._weights = list(itertools.accumulate(1 / n for n in range(1, _WORDS + 1)))

    def text(self, least: int, most: int) -> str:
        """So many words."""
        count = self._random.randint(least, most)
        return " ".join(self._random.choices(self._words, cum_weights=self._weights, k=count))

    def memories(self, first: int, private_in_100: int = 0) -> list[dict[str, Any]]:
        """The memories of one request; so many in a hundred only their agent may read."""
        return [
            {
                "title": self.text(3, 6),
                "content": self.text(*_CONTENT_WORDS),
                "namespace": f"space-{number % _SPACES}",
                "metadata": {"session_id": f"s{number // _TURNS}"},
                **({"scope": "private"} if number * 7 % 100 < private_in_100 else {}),
            }
            for number in range(first, first + _BATCH)
        ]


class Client:
    """One kept-alive connection."""

    def __init__(self, node: Node) -> None:
        parts = urlsplit(node.url)
        self._connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=120)
        self._headers = {
            "x-api-key": node.key,
            "content-type": "application/json",
            "x-agent-id": "bench",
        }

    def post(self, path: str, body: object) -> Any:
        """The answer to a POST."""
        data = json.dumps(body).encode()
        self._connection.request("POST", f"/api/v1{path}", body=data, headers=self._headers)
        return self._answer()

    def get(self, path: str) -> Any:
        """The answer to a GET."""
        self._connection.request("GET", f"/api/v1{path}", headers=self._headers)
        return self._answer()

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _answer(self) -> Any:
        response = self._connection.getresponse()
        body = json.loads(response.read())
        if response.status >= http.client.BAD_REQUEST:
            raise SystemExit(f"the node answered {response.status}: {body}")
        return body


def timed(questions: list[str], ask: Callable[[str], object]) -> dict[str, float]:
    """Milliseconds that asking took; the first few are not counted."""
    took = []
    for question in questions:
        began = time.perf_counter()
        ask(question)
        took.append((time.perf_counter() - began) * 1000)
    took = sorted(took[_WARM:])
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {name: round(took[min(int(len(took) * q), len(took) - 1)], 2) for name, q in at.items()}


def measure(node: Node, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Everything there is to measure, one line each."""
    vocabulary, client = Vocabulary(options.seed), Client(node)
    records, asked = options.records, options.questions
    yield {"bench": "empty", "resident_mib": machine.resident_mib(node.pid)}
    began = time.monotonic()
    for first in range(0, records, _BATCH):
        client.post("/memories/bulk", vocabulary.memories(first, options.private))
    stored = time.monotonic() - began
    status = settle(client)
    yield {
        "bench": "filled",
        "records": records,
        "stored_per_second": round(records / stored),
        "level_after_seconds": round(time.monotonic() - began - stored, 1),
        "documents": status["documents"],
        "resident_mib": machine.resident_mib(node.pid),
    }
    questions = [vocabulary.text(6, 14) for _ in range(asked + _WARM)]
    for name, fields in (
        ("recall", {}),
        ("recall in a namespace", {"namespace": "space-7"}),
        ("recall of 50", {"limit": 50}),
    ):
        took = timed(
            questions, lambda q, more=fields: client.post("/recall", {"context": q, **more})
        )
        yield {"bench": name, "ms": took}
    words = [" ".join(question.split()[:2]) for question in questions]
    yield {
        "bench": "search",
        "ms": timed(words, lambda q: client.get(f"/search?q={'+'.join(q.split())}")),
    }
    progress = Shelf(node.data_dir / "recall").read()
    if progress is not None:
        lexical = Lexical(node.data_dir / "recall" / progress.generation / "lexical")
        filters = Filters(reader="bench", now_ms=int(time.time() * 1000), over_too=True)
        yield {
            "bench": "index alone",
            "ms": timed(questions, lambda q: lexical.find(q, filters, 300)),
        }
    yield {"bench": "after", "resident_mib": machine.resident_mib(node.pid)}
    began = time.monotonic()
    client.post("/index/rebuild", {})
    settle(client, other_than=status["generation"])
    yield {"bench": "rebuild", "seconds": round(time.monotonic() - began, 1)}


def settle(client: Client, other_than: str = "") -> dict[str, Any]:
    """Wait until the index is level, of another generation where one is named."""
    deadline = time.monotonic() + _LEVEL_SECONDS
    while time.monotonic() < deadline:
        status: dict[str, Any] = client.get("/index")
        quiet = not status["lag_ops"] and not status["waiting"] and status["state"] == "ready"
        if quiet and status["generation"] != other_than:
            return status
        time.sleep(0.1)
    raise SystemExit("the index did not become level")


def main() -> None:
    """Measure one node."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.lookups", description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--private", type=int, default=0, help="so many in a hundred are private")
    parser.add_argument("--dir", type=Path, help="where the node keeps its data")
    asked = parser.parse_args()
    print(json.dumps({"seed": asked.seed, **machine.facts()}), flush=True)
    with (
        tempfile.TemporaryDirectory(dir=asked.dir) as folder,
        running(Path(folder) / "mesh", nodes=1, writes=1) as mesh,
    ):
        for line in measure(mesh.nodes[0], asked):
            print(json.dumps(line), flush=True)
    sys.exit(0)


if __name__ == "__main__":
    main()
