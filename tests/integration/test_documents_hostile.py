"""Hostile changes at the door of a running node: each refused in words, and nothing grows."""

import base64
import http.client
import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.integration.rig import RealNode, running
from tests.integration.rig_automerge import AUTOMERGE, wire
from tests.integration.rig_routes import lone
from tests.property.document_hostile import at_the_door, inputs
from tests.property.document_target import Target

pytestmark = pytest.mark.integration
GROWN_KIB_MAX = 64 * 1024
REFUSED = {(400, "bad_change"), (409, "changes_missing"), (413, "document_too_large")}


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[RealNode]:
    with running(lone(tmp_path)) as one:
        yield one


def memory(node: RealNode, name: str) -> int:
    """KiB that a node has (VmRSS), or the most it ever had (VmHWM)."""
    lines = Path(f"/proc/{node.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


class Door:
    """The route that takes changes, asked over one connection."""

    def __init__(self, node: RealNode, ident: str) -> None:
        self._connection = http.client.HTTPConnection(*node.agent, timeout=60)
        self._path = f"/api/v1/memories/{ident}/document/changes"

    def send(self, data: bytes, *, as_json: bool) -> tuple[int, dict[str, Any]]:
        body, kind = data, AUTOMERGE
        if as_json:
            body = json.dumps({"changes": [base64.b64encode(data).decode()]}).encode()
            kind = "application/json"
        headers = {"content-type": kind, "x-agent-id": "eve"}
        self._connection.request("POST", self._path, body=body, headers=headers)
        answer = self._connection.getresponse()
        told: dict[str, Any] = json.loads(answer.read())
        return answer.status, told

    def close(self) -> None:
        self._connection.close()


def attacked(node: RealNode, seed: int, count: int) -> None:
    """Send so many hostile inputs, and look at the document and at the memory of the process."""
    print(f"seed {seed}")
    target = Target()
    document = base64.b64encode(target.document.data()).decode()
    new = {"title": "Attacked", "memory_kind": "document", "document": document}
    ident = node.tell("POST", "/memories", new, X_Agent_Id="ann")["id"]
    before = node.tell("GET", f"/memories/{ident}/document")
    assert before["heads"] == [head.hex() for head in target.heads]
    ways: Counter[str] = Counter()
    good = 0
    with closing(Door(node, ident)) as door:
        door.send(target.changes[0].data, as_json=False)
        resident = memory(node, "VmRSS")
        for number, (kind, data) in enumerate(inputs(target, seed, count)):
            if at_the_door(target, data) == "taken":
                # Changed bytes may be another change that is as good as any; that one stays here.
                good += 1
                continue
            status, told = door.send(data, as_json=number % 2 == 0)
            ways[f"{kind}: {status} {told.get('error')}"] += 1
            if status == 200:
                assert told["added"] == 0
                assert kind in {"mutated", "deflated_mutation", "spliced"}, kind
                continue
            assert (status, told["error"]) in REFUSED, (kind, status, told)
            assert told["detail"]
    grown = memory(node, "VmHWM") - resident
    print(f"{grown} KiB", dict(sorted(ways.items())))
    assert grown < GROWN_KIB_MAX
    assert good <= max(3, count // 100)
    assert node.tell("GET", f"/memories/{ident}/document") == before
    status, data = wire(node, "GET", f"/memories/{ident}/document", Accept=AUTOMERGE)
    assert status == 200
    assert data == target.document.data()
    assert not node.events("request_failed")


@pytest.mark.thorough
def test_hostile_changes_are_refused_and_nothing_grows(fresh: RealNode) -> None:
    attacked(fresh, random.randrange(2**32), 300)


@pytest.mark.slow
def test_ten_thousand_hostile_changes_are_refused_and_nothing_grows(fresh: RealNode) -> None:
    attacked(fresh, 9, 10_000)
