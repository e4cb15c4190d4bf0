"""Attempts to stall a node with what it must hold, on a real node."""

import socket
import time
from collections.abc import Iterator

import pytest

from tests.integration.rig import RealNode, running
from tests.integration.rig_governance import set_policy
from tests.integration.rig_mesh import founded

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

HELD = 2000
STREAMS = 40
CHAIN = 40
FOLLOW = b"GET /api/v1/pending/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    (one,) = founded(tmp_path_factory.mktemp("load"), 1)
    with running(one):
        yield one


def test_many_followers_that_do_not_read_stall_nobody(node: RealNode) -> None:
    set_policy(node, "held", write="approve")
    items = [{"title": "t", "content": "c", "namespace": "held"}] * 1000
    for _ in range(HELD // 1000):
        node.tell("POST", "/memories/bulk", {"memories": items})
    followers = []
    try:
        for _ in range(STREAMS):
            one = socket.create_connection(node.agent)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            one.sendall(FOLLOW)
            followers.append(one)
        slowest = 0.0
        for number in range(40):
            began = time.monotonic()
            node.store(f"meanwhile {number}")
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 2, f"a write took {slowest:.1f} s"
    finally:
        for one in followers:
            one.close()


def test_parents_one_above_the_other_and_loops_cost_little(node: RealNode) -> None:
    for number in range(CHAIN):
        body = {"namespace": f"step-{number}", "governance": {"inherit": True}}
        above = {"parent": f"step-{number - 1}"} if number else {}
        node.tell("POST", "/namespaces", {**body, **above}, x_agent_id="ann")
    began = time.monotonic()
    node.store("deep", namespace=f"step-{CHAIN - 1}")
    assert time.monotonic() - began < 1
    loop = {"namespace": "step-0", "parent": f"step-{CHAIN - 1}"}
    reply = node.ask("POST", "/namespaces", loop, x_agent_id="ann")
    assert (reply.status, reply.body["error"]) == (400, "policy_loop")


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"governance":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"namespace":"n","governance":{"write":["deny"]}}',
        b'{"namespace":"n","governance":{"write":"any","approver":{"consensus":1e400}}}',
        b'{"namespace":"n","governance":{"approver":{"consensus":-1}}}',
        b'{"namespace":"n","governance":{"approver":{"all":[]}}}',
        b'{"namespace":"n","governance":{"inherit":"no"}}',
        b'{"namespace":"n","governance":{"approval_timeout_secs":1e18}}',
        b'{"namespace":"n","parent":{"a":1},"governance":{}}',
        b'{"namespace":"n","owner":["ann"],"governance":{}}',
        b'{"namespace":"n","governance":{},"governance":{}}',
        b'{"namespace":"\\ud800","governance":{}}',
        b'{"namespace":"n/\\u0000","governance":{}}',
        b"\xff\xfe",
    ],
)
def test_hostile_policies_are_named_and_change_nothing(node: RealNode, body: bytes) -> None:
    before = node.mesh()["clock"]
    reply = node.ask("POST", "/namespaces", body, x_agent_id="ann")
    assert reply.status == 400, reply.body
    assert reply.body["error"]
    assert node.mesh()["clock"] == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/agents", {"agent_id": "../../etc", "agent_type": "human"}),
        ("/agents", {"agent_id": "anonymous:req-1", "agent_type": "human"}),
        ("/agents", {"agent_id": "x", "agent_type": "human", "capabilities": ["c"] * 5000}),
        ("/agents", {"agent_id": "x", "agent_type": "human", "capabilities": ["c" * 5000]}),
        ("/agents", {"agent_id": "x", "agent_type": "human", "public_key": "00" * 32}),
        ("/agents", {"agent_id": "x", "agent_type": "human", "public_key": "01" + "00" * 31}),
        ("/agents/x/role", {"role": "root"}),
        ("/agents/x/role", {"role": "team-admin", "namespaces": ["n"] * 1000}),
        ("/agents/x/role", {"role": ["system-admin"]}),
    ],
)
def test_hostile_registrations_and_roles_change_nothing(
    node: RealNode, path: str, body: object
) -> None:
    before = node.mesh()["clock"]
    reply = node.ask("POST", path, body, x_agent_id="x")
    assert reply.status == 400, reply.body
    assert node.mesh()["clock"] == before
