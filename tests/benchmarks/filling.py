"""`python -m tests.benchmarks.filling`: put drawn memories into a node, from its own process.

Law: reads one JSON object on stdin (url, key, seed, first, count, batch, lanes), prints one on
stdout; every memory was answered for, or it fails. Drawing costs as much as storing, so each
lane is a process.
"""

import http.client
import json
import subprocess
import sys
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from tests.benchmarks.mesh import BenchmarkError, Node
from tests.benchmarks.texts import Texts

_LANES: Final = 2
_BATCH: Final = 500
_GOOD: Final = (HTTPStatus.CREATED, HTTPStatus.OK)


def fill(node: Node, *, first: int, count: int, seed: int = 1, content_bytes: int = 1024) -> int:
    """Store the memories `first` to `first + count - 1`; bytes of text in them.

    Raises:
        BenchmarkError: not all were stored.
    """
    share = -(-count // _LANES)
    lanes = []
    for lane in range(first, first + count, share):
        spec = {
            "url": node.url,
            "key": node.key,
            "seed": seed,
            "first": lane,
            "count": min(share, first + count - lane),
            "content_bytes": content_bytes,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.filling"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(spec))
        process.stdin.close()
        process.stdin = None
        lanes.append(process)
    stored = 0
    for process in lanes:
        told, words = process.communicate()
        if process.returncode:
            raise BenchmarkError(f"filling failed: {words.strip()[-400:]}")
        stored += int(json.loads(told)["text_bytes"])
    return stored


def main() -> None:
    """Store what the specification names."""
    spec: dict[str, Any] = json.load(sys.stdin)
    parts = urlsplit(spec["url"])
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=120)
    texts = Texts(spec["seed"], spec["content_bytes"])
    head = {"x-api-key": spec["key"], "content-type": "application/json", "x-agent-id": "bench"}
    end = spec["first"] + spec["count"]
    stored = 0
    for first in range(spec["first"], end, _BATCH):
        memories = texts.memories(first, min(_BATCH, end - first))
        body = json.dumps(memories).encode()
        connection.request("POST", "/api/v1/memories/bulk", body=body, headers=head)
        answer = connection.getresponse()
        told = answer.read()
        if answer.status not in _GOOD:
            raise SystemExit(f"{answer.status}: {told[:400]!r}")
        stored += sum(len(one["content"]) + len(one["title"]) for one in memories)
    print(json.dumps({"text_bytes": stored}))


if __name__ == "__main__":
    main()
