"""W of N: what a node says when it can confirm, and when it cannot."""

import signal
import time

import pytest

from tests.integration.conftest import SHARED_TIMEOUT_MS, Found
from tests.integration.rig import RealNode, check_equal, until, until_linked
from tests.integration.rig_mesh import cut, heal

pytestmark = pytest.mark.integration


def test_a_node_cut_off_keeps_its_writes_says_so_and_spreads_them_later(
    shared_mesh: list[RealNode],
) -> None:
    one, two, three = nodes = shared_mesh
    before = one.store("before the cut")
    check_equal(nodes)
    cut(three, [one, two])
    until(lambda: not three.links(), "node-3 is alone")
    assert three.ready(quorum=False)
    assert not three.ready()

    began = time.monotonic()
    reply = three.ask("POST", "/memories", {"title": "alone", "content": "kept"})
    took_ms = (time.monotonic() - began) * 1000
    assert reply.status == 503
    assert reply.headers["retry-after"] == "2"
    body = reply.body
    assert (body["error"], body["got"], body["needed"]) == ("quorum_not_met", 1, 2)
    assert body["reason"] == "unreachable"
    assert body["durability"]["local"] is True
    assert body["durability"]["peers"] == []
    assert took_ms < SHARED_TIMEOUT_MS + 250

    # It is there at once for whoever asks this node, and the others go on without it.
    assert three.get(body["id"])["title"] == "alone"
    assert one.store("with two of three")["quorum_acks"] == 2
    assert one.ask("GET", f"/memories/{body['id']}").status == 404

    heal(three, [one, two])
    until_linked(nodes)
    check_equal(nodes)
    for node in nodes:
        assert node.get(body["id"])["content"] == "kept"
        assert node.get(before["id"])["version"] == 1


@pytest.mark.thorough
def test_every_mutation_falls_short_the_same_way(shared_mesh: list[RealNode]) -> None:
    one, two, three = nodes = shared_mesh
    ident = one.store("to be changed")["id"]
    check_equal(nodes)
    cut(one, [two, three])
    until(lambda: not one.links(), "node-1 is alone")
    bulk = [{"title": "a", "content": "b"}, {"title": "c", "content": "d"}]
    for method, path, body in (
        ("PUT", f"/memories/{ident}", {"title": "changed"}),
        ("POST", f"/memories/{ident}/promote", {}),
        ("POST", "/memories/bulk", bulk),
        ("POST", "/import", {"memories": bulk}),
        ("DELETE", f"/memories/{ident}", None),
    ):
        reply = one.ask(method, path, body)
        assert (reply.status, reply.body["error"]) == (503, "quorum_not_met"), path
        assert reply.body["durability"]["local"] is True, path
    assert len(one.ask("POST", "/memories/bulk", bulk).body["ids"]) == 2
    heal(one, [two, three])
    until_linked(nodes)
    check_equal(nodes)
    assert two.ask("GET", f"/memories/{ident}").status == 404


@pytest.mark.parametrize("writes", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_w_of_zero_and_one_answer_after_the_local_commit(found: Found, writes: int) -> None:
    nodes = found(2, flags=("--quorum-writes", str(writes)))
    one, two = nodes
    two.kill()
    answer = one.store("alone and content")
    assert answer["durability"]["needed"] == 1
    assert answer["durability"]["local"] is True
    assert one.ready()
    two.start()
    until_linked(nodes)
    check_equal(nodes)
    assert two.get(answer["id"])["title"] == "alone and content"


@pytest.mark.slow
def test_w_of_all_needs_every_member(found: Found) -> None:
    nodes = found(3, flags=("--quorum-writes", "3", "--quorum-timeout-ms", "300"))
    one, _, three = nodes
    answer = one.store("on all")
    assert sorted(answer["durability"]["peers"]) == ["node-2", "node-3"]
    three.kill()
    short = one.ask("POST", "/memories", {"title": "on two", "content": "of three"})
    assert (short.status, short.body["got"], short.body["needed"]) == (503, 2, 3)
    three.start()
    until_linked(nodes)
    check_equal(nodes)


def test_a_paused_peer_times_out_and_is_served_when_it_wakes(found: Found) -> None:
    nodes: list[RealNode] = found(2, flags=("--quorum-timeout-ms", "400"))
    one, two = nodes
    assert two.process is not None
    two.process.send_signal(signal.SIGSTOP)
    try:
        short = one.ask("POST", "/memories", {"title": "while it sleeps", "content": "text"})
        assert short.status == 503
        assert short.body["reason"] in {"timeout", "unreachable"}
        assert short.body["durability"]["local"] is True
    finally:
        two.process.send_signal(signal.SIGCONT)
    until_linked(nodes)
    check_equal(nodes)
    assert two.get(short.body["id"])["title"] == "while it sleeps"
