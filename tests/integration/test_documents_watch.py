"""Who watches a document is told everything, although the node that told it dies."""

import itertools
from typing import Any

import pytest

from node.client import Client
from tests.integration.conftest import Found
from tests.integration.rig import RealNode, until_level, until_linked
from tests.integration.rig_documents import SPLICE

pytestmark = [pytest.mark.integration, pytest.mark.thorough]


def options(nodes: list[RealNode]) -> dict[str, Any]:
    flags = dict(itertools.pairwise(nodes[0].flags))
    return {
        "agent_id": "ai:watcher",
        "fingerprint": [node.fingerprint for node in nodes],
        "client_cert": flags["--tls-cert"],
        "client_key": flags["--tls-key"],
    }


def test_a_watcher_goes_on_at_another_node(found: Found) -> None:
    nodes = found(3)
    until_linked(nodes)
    one, two, _ = nodes
    ident = two.store("Plan", "words", memory_kind="document", agent_id="ann")["id"]
    path = f"/memories/{ident}/document"
    until_level(nodes)
    wanted = {two.tell("GET", path)["heads"][0]}
    told: list[str] = []
    with Client([node.url for node in nodes], **options(nodes)) as client:
        stream = iter(client.watch(ident))

        def until_told() -> None:
            while not wanted <= set(told):
                told.extend(next(stream)["hashes"])

        until_told()
        wanted.add(two.tell("PATCH", path, SPLICE)["change"])
        until_told()
        one.kill()
        wanted.update(two.tell("PATCH", path, SPLICE)["change"] for _ in range(3))
        until_told()
        two.tell("DELETE", f"/memories/{ident}", X_Agent_Id="ann")
        assert list(stream) == []
    assert len(told) == len(set(told)), "what both nodes have comes once"
