"""Sessions of nodes that were started often, with a member away: tokens stay small and exact."""

import time

import pytest

from node.client import Client, Retry
from node.replication.tokens import PLAIN_ACTORS_MAX
from tests.integration.conftest import Found
from tests.integration.rig import RealNode, until

pytestmark = [pytest.mark.integration, pytest.mark.slow]
_RESTARTS = PLAIN_ACTORS_MAX // 2 + 3


def urls(nodes: list[RealNode]) -> list[str]:
    return [f"http://127.0.0.1:{node.agent[1]}" for node in nodes]


def token_shown(node: RealNode) -> str:
    answer = node.ask("GET", "/quota", None, X_Causal_Token="-")  # noqa: S106 - an empty one
    return str(answer.headers["x-causal-token"])


def test_a_session_reads_its_writes_on_nodes_that_were_started_often(found: Found) -> None:
    nodes = found(3)
    one, two, away = nodes
    one.store("before")
    away.kill()
    for turn in range(_RESTARTS):
        for node, other in ((one, two), (two, one)):
            node.kill()
            node.start()
            until(lambda n=node, o=other: o.name in n.links(), "the two are linked")  # type: ignore[misc]  # bound now
            node.store(f"after start {turn}")
    token = token_shown(one)
    assert token.startswith("2."), "it is the short form"
    assert len(token) < 4_100
    retry = Retry(total=30.0, attempt=5.0, connect=1.0)
    with Client(urls([one, two]), retry=retry) as client:
        for turn in range(20):
            stored = client.store(f"t{turn}", "text")
            client._session.preferred = (turn + 1) % 2
            assert client.get(stored["id"])["title"] == f"t{turn}"
            client._session.preferred = turn % 2
            client.update(stored["id"], title="new")
            client._session.preferred = (turn + 1) % 2
            assert client.get(stored["id"])["title"] == "new"
        assert len(client.token) < 4_100

        # The one that was away has not seen it, and says so until it has.
        asked = {"X_Causal_Token": client.token, "X_Causal_Wait_Ms": "0"}
        away.spawn()
        away.wait_alive()
        statuses = set()
        deadline = time.monotonic() + 30
        while 200 not in statuses:
            assert time.monotonic() < deadline, statuses
            answer = away.ask("GET", f"/memories/{stored['id']}", None, **asked)
            statuses.add(answer.status)
            if answer.status == 200:
                assert answer.body["memory"]["title"] == "new", "never an older version"
        assert statuses <= {200, 412, 503}
    until(lambda: len(token_shown(one)) < 400, "all hold it, and tokens name next to nothing")
