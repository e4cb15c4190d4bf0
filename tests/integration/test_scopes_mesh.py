"""Private memories, links and quotas on real meshes."""

import http.client
import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import RealNode, check_equal, until, until_level, until_linked
from tests.integration.rig_traces import traces

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

SECRET = "the-heron-stands-in-the-reeds"  # noqa: S105 - a text to look for
LATER = "and-flies-off-at-noon"
OWNER, FRIEND = {"X_Agent_Id": "ai:owner"}, {"X_Agent_Id": "ai:friend"}


def as_peer(node: RealNode, of: RealNode, path: str) -> Any:
    """What a node answers to the certificate of another one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    own = {name: of.flags[of.flags.index(name) + 1] for name in ("--tls-cert", "--tls-key")}
    context.load_cert_chain(own["--tls-cert"], own["--tls-key"])
    place = urlsplit(node.url)
    assert place.hostname is not None
    connection = http.client.HTTPSConnection(
        place.hostname, place.port, context=context, timeout=10
    )
    try:
        connection.request("GET", f"/api/v1{path}")
        response = connection.getresponse()
        assert response.status == 200, response.read()
        return json.loads(response.read())
    finally:
        connection.close()


def keep_secret(node: RealNode) -> tuple[str, str]:
    """A private memory that is changed, linked, and opened to a friend; (it, an open one)."""
    public = node.store("open", "for everybody", agent_id="ai:owner")["id"]
    made = node.store(SECRET, SECRET, scope="private", agent_id="ai:owner", tags=[SECRET])
    ident = made["id"]
    node.tell("PUT", f"/memories/{ident}", {"content": LATER}, **OWNER)
    node.tell("POST", "/links", {"source_id": public, "target_id": ident}, **OWNER)
    node.tell("POST", f"/memories/{ident}/grant", {"agent_id": "ai:friend"}, **OWNER)
    return ident, public


def test_a_private_memory_never_leaves_its_node(found: Found) -> None:
    one, two = nodes = found(2)
    answer = one.store("first", scope="private", agent_id="ai:owner")
    assert answer["durability"]["needed"] == 1
    ident, public = keep_secret(one)
    for other in range(20):
        two.store(f"other {other}")
    until_level(nodes)
    for text in (SECRET, LATER, ident):
        assert traces(one, text), "what is looked for can be found where it is"
        assert not traces(two, text)
    for agent in ({}, OWNER, FRIEND):
        assert two.ask("GET", f"/memories/{ident}", **agent).status == 404
        assert ident not in str(two.tell("GET", "/export", **agent))
        assert two.tell("GET", f"/links/{public}", **agent)["links"] == []
    given = [
        as_peer(one, two, "/sync/since?limit=1000"),
        as_peer(two, one, "/sync/since?limit=1000"),
    ]
    assert public in str(given)
    for text in (SECRET, LATER, ident):
        assert text not in str(given)
    assert one.tell("GET", f"/memories/{ident}", **FRIEND)["memory"]["content"] == LATER
    assert one.tell("GET", f"/links/{public}", **OWNER)["count"] == 1
    assert one.tell("GET", "/stats", **OWNER)["total"] == 23
    assert one.tell("GET", "/stats", **FRIEND)["total"] == 22
    assert one.tell("GET", "/stats")["total"] == 21

    one.kill()
    one.start()
    until_linked(nodes)
    assert one.tell("GET", "/stats")["total"] == 21
    assert one.tell("GET", f"/links/{ident}", **OWNER)["count"] == 1
    one.tell("DELETE", f"/memories/{ident}", **OWNER)
    until_level(nodes)
    assert not traces(two, ident)

    # Shared, it is there for all, and what it said before is not.
    shared = one.store(SECRET, SECRET, scope="private", agent_id="ai:owner")["id"]
    change = {"scope": "collective", "title": "shared", "content": "shared"}
    one.tell("PUT", f"/memories/{shared}", change, **OWNER)
    until(lambda: two.ask("GET", f"/memories/{shared}").status == 200, "it is shared")
    assert not traces(two, SECRET)
    for node in nodes:
        assert SECRET not in str(node.tell("GET", f"/memories/{shared}/history"))
    assert SECRET in str(one.tell("GET", f"/memories/{shared}/history", **OWNER))


def test_where_private_memories_travel_the_same_agents_see_them_everywhere(found: Found) -> None:
    nodes: list[RealNode] = found(2, config={"federation": {"share_private": True}})
    one, two = nodes
    ident, public = keep_secret(one)
    until_level(nodes)
    for node in nodes:
        for agent in (OWNER, FRIEND):
            assert node.tell("GET", f"/memories/{ident}", **agent)["memory"]["content"] == LATER
            assert node.tell("GET", f"/links/{public}", **agent)["count"] == 1
        assert node.ask("GET", f"/memories/{ident}").status == 404
        assert SECRET not in str(node.tell("GET", "/export"))
        assert node.tell("GET", f"/links/{public}")["count"] == 0
    given = [as_peer(one, two, "/sync/since"), as_peer(two, one, "/sync/since")]
    assert public in str(given)
    assert not [text for text in (SECRET, LATER, ident) if text in str(given)]
    two.tell("POST", f"/memories/{ident}/revoke", {"agent_id": "ai:friend"}, **OWNER)
    until_level(nodes)
    assert one.ask("GET", f"/memories/{ident}", **FRIEND).status == 404


def test_links_are_the_same_on_all_nodes_and_after_a_restart(found: Found) -> None:
    one, two = nodes = found(2)
    a, b, c = (one.store(title)["id"] for title in "abc")
    until_level(nodes)
    one.tell("POST", "/links", {"source_id": a, "target_id": b, "relation": "derived_from"})
    two.tell("POST", "/links", {"source_id": b, "target_id": c, "relation": "derived_from"})
    # Said on both sides at once, it is still one link.
    for node in nodes:
        node.ask("POST", "/links", {"source_id": a, "target_id": c}, **OWNER)
    check_equal(nodes)

    def told() -> list[Any]:
        asked = (
            *(f"/links/{ident}" for ident in (a, b, c)),
            f"/memories/{a}/lineage",
            f"/memories/{c}/lineage?direction=descendants",
        )
        return [[node.tell("GET", path) for path in asked] for node in nodes]

    first, second = told()
    assert first == second
    assert [links["count"] for links in first[:3]] == [2, 2, 2]
    assert [node["id"] for node in first[3]["nodes"]] == [b, c]
    assert [node["id"] for node in first[4]["nodes"]] == [b, a]
    two.kill()
    two.start()
    until_linked(nodes)
    assert told() == [first, first]
    two.tell("DELETE", "/links", {"source_id": b, "target_id": c, "relation": "derived_from"})
    one.tell("DELETE", f"/memories/{a}")
    check_equal(nodes)
    for node in nodes:
        assert [node.tell("GET", f"/links/{ident}")["count"] for ident in (b, c)] == [0, 0]


@pytest.mark.slow
def test_a_quota_holds_where_one_writes_and_never_for_what_arrives(found: Found) -> None:
    nodes: list[RealNode] = found(
        2, config={"limits": {"max_memories_per_day": 3, "max_storage_bytes": 1000}}
    )
    one = nodes[0]
    counted = "bytes are counted"
    until(lambda: one.tell("GET", "/quota")["use"]["storage_bytes"] is not None, counted)
    for node in nodes:
        for number in range(3):
            node.store(f"{node.name} {number}", "xxxx", agent_id="ai:owner")
    check_equal(nodes)
    assert len(one.held()) == 6
    for path, body in (
        ("/memories", {"title": "t", "content": "c", "agent_id": "ai:owner"}),
        ("/memories/bulk", {"memories": [{"title": "t", "content": "c"}]}),
        ("/import", {"memories": [{"title": "t", "content": "c"}]}),
    ):
        reply = one.ask("POST", path, body, **OWNER)
        assert (reply.status, reply.body["error"]) == (429, "quota_exceeded"), path
        assert (reply.body["limit"], reply.body["current"]) == (3, 3)
        assert int(reply.headers["retry-after"]) > 0
    big = {"title": "t", "content": "x" * 2000, "agent_id": "ai:other"}
    reply = one.ask("POST", "/memories", big)
    assert (reply.status, reply.body["quota"]) == (429, "max_storage_bytes")
    assert one.tell("GET", "/quota", **OWNER)["use"]["memories_today"] == 3

    def flushed() -> bool:
        return bool((one.data_dir / "quota" / "data.mdb").stat().st_size)

    until(flushed, "the quotas are on the disk")
    one.stop()
    one.start()
    until_linked(nodes)
    use = one.tell("GET", "/quota", **OWNER)["use"]
    assert use["memories_today"] == 3
    again = {"title": "t", "content": "c", "agent_id": "ai:owner"}
    assert one.ask("POST", "/memories", again).status == 429
    one.store("somebody else", agent_id="ai:friend")
    check_equal(nodes)
    assert Path(one.data_dir / "quota").stat().st_mode & 0o077 == 0
