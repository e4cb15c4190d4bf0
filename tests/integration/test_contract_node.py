"""The node itself, its errors and its keys as the contract has them, on real nodes."""

import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from node.http.routes import API
from node.http.table import TABLE
from tests.integration.rig import RealNode
from tests.integration.rig_mesh import founded
from tests.integration.rig_push import Pusher
from tests.integration.rig_routes import Name, furnished, lone, samples, writing
from tests.integration.rig_shapes import (
    DURABLE,
    LINK,
    MEMORY,
    REFUSED,
    Kind,
    each,
    flag,
    having,
    maybe,
    moment,
    number,
    one_of,
    shaped,
    text,
    texts,
    thing,
    whole,
)

pytestmark = pytest.mark.integration
KEY = "k" * 40
NODE_ID = 64


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    one = lone(tmp_path_factory.mktemp("contract"))
    try:
        one.start()
        yield one
    finally:
        one.clean_up()


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    folder = tmp_path_factory.mktemp("keyed")
    key = folder / "api.key"
    key.write_text(KEY)
    key.chmod(0o600)
    one = lone(folder)
    one.environment["MNEMESH_API_KEY_FILE"] = str(key)
    try:
        one.start()
        yield one
    finally:
        one.clean_up()


def node_id(value: Any) -> bool:
    return isinstance(value, str) and len(value) == NODE_ID and int(value, 16) >= 0


PROMISED: Final = """
GET /health, GET /metrics, GET /version, GET /capabilities, GET /stats, POST /memories,
GET /memories, POST /memories/bulk, GET /memories/{id}, PUT /memories/{id}, DELETE /memories/{id},
GET /memories/{id}/conflicts, GET /memories/{id}/history, GET /memories/{id}/lineage,
POST /memories/{id}/promote, POST /memories/{id}/forget, POST /forget, POST /memories/{id}/grant,
POST /memories/{id}/revoke, GET /recall, POST /recall, GET /search, POST /consolidate,
GET /contradictions, POST /check_duplicate, POST /links, DELETE /links, GET /links/{id},
GET /taxonomy, POST /entities, GET /entities/by_alias, GET /entities/by-alias, POST /kg/query,
GET /kg/timeline, POST /kg/invalidate, GET /namespaces, POST /namespaces, DELETE /namespaces,
GET /namespaces/{ns}/standard, POST /namespaces/{ns}/standard, DELETE /namespaces/{ns}/standard,
GET /archive, POST /archive, POST /archive/{id}, POST /archive/{id}/restore, DELETE /archive,
DELETE /archive/{id}, GET /archive/stats, GET /agents, POST /agents, GET /pending,
POST /pending/{id}/approve, POST /pending/{id}/reject, POST /notify, GET /inbox,
POST /subscriptions, GET /subscriptions, DELETE /subscriptions, DELETE /subscriptions/{id},
POST /session/start, POST /gc, GET /export, POST /import, POST /auto_tag, POST /expand_query,
GET /events/stream, GET /pending/stream, GET /quota, GET /openapi.json, POST /sync/push,
GET /sync/since, GET /mesh, POST /cluster
"""


def test_every_route_that_was_promised_is_there() -> None:
    promised = {(*row.split(),) for row in PROMISED.replace("\n", " ").split(",")}
    served = {(route.method, route.path.removeprefix(API)) for route in TABLE}
    assert promised <= served
    assert {("GET", "/livez"), ("GET", "/readyz"), ("POST", "/mcp")} <= served


def test_it_says_who_it_is(node: RealNode) -> None:
    health = shaped(
        node.tell("GET", "/health"),
        {"version": text, "node_id": node_id, "federation_enabled": flag},
    )
    assert (health["status"], health["service"]) == ("ok", "mnemesh")
    version = shaped(node.tell("GET", "/version"), {"version": text, "protocol_version": whole})
    assert (version["api_version"], version["version"]) == ("v1", health["version"])
    for path in ("/livez", "/readyz", "/readyz?require=quorum"):
        reply = node.ask("GET", path)
        assert (reply.status, reply.body) == (200, "ok"), path


def test_capabilities_say_what_there_is(node: RealNode) -> None:
    parts = ("permissions", "hooks", "compaction", "approval", "transcripts", "federation")
    told = shaped(
        node.tell("GET", "/capabilities"),
        {
            "tier": one_of("keyword", "semantic", "smart"),
            "version": text,
            "features": having({}),
            "models": thing,
            **dict.fromkeys(parts, thing),
        },
    )
    assert told["schema_version"] == "2"
    assert told["permissions"]["mode"] == "enforce"
    assert all(flag(value) for value in told["features"].values())
    for path in ("/auto_tag", "/expand_query"):
        reply = node.ask("POST", path, {"content": "c", "query": "q", "title": "t"})
        assert (reply.status, reply.body["error"]) == (503, "llm_not_configured")


def test_stats_count_what_is_there(node: RealNode) -> None:
    before = node.tell("GET", "/stats")
    one, two = (node.store(f"s{n}", namespace="counted", ttl_secs=60)["id"] for n in range(2))
    node.tell("POST", "/links", {"source_id": one, "target_id": two})
    tier: dict[str, Kind] = {"tier": text, "count": whole}
    space: dict[str, Kind] = {"namespace": text, "count": whole}
    figures = ("total", "expiring_soon", "links_count", "db_size_bytes")
    told = shaped(
        node.tell("GET", "/stats"),
        {"by_tier": each(tier), "by_namespace": each(space), **dict.fromkeys(figures, whole)},
    )
    for name, more in (("total", 2), ("expiring_soon", 2), ("links_count", 1)):
        assert told[name] == before[name] + more, name
    assert {"namespace": "counted", "count": 2} in told["by_namespace"]
    assert sum(row["count"] for row in told["by_tier"]) == told["total"]
    shown = node.tell("GET", "/namespaces")["namespaces"]
    assert any((row["namespace"], row["count"]) == ("counted", 2) for row in shown)


def page_of(node: RealNode, path: str) -> str:
    connection = http.client.HTTPConnection(*node.agent, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_metrics_are_text_for_prometheus(node: RealNode) -> None:
    fresh, page = page_of(node, "/metrics"), page_of(node, f"{API}/metrics")
    assert "\nprocess_resident_memory_bytes " in fresh
    assert "process_" not in page
    for name in ("mnemesh_memory_writes_total", "mnemesh_memory_reads_total"):
        assert f"\n{name} " in fresh
        assert f"\n{name} " in page
    gauges = [line for line in page.splitlines() if line.endswith(" gauge")]
    assert gauges
    assert not [line for line in gauges if "memory_" in line]


def test_the_mesh_is_told_under_both_names(node: RealNode) -> None:
    member: dict[str, Kind] = {
        **dict.fromkeys(("name", "peer_url", "state"), text),
        "node_id": node_id,
        "clock": thing,
        "lag_ops": maybe(whole),
        "lag_seconds": maybe(number),
        "digest_agree": maybe(flag),
        "last_success_at": maybe(moment),
    }
    shape: dict[str, Kind] = {
        "node_id": node_id,
        **dict.fromkeys(("name", "cluster", "digest"), text),
        "clock": thing,
        "quorum": having({"n": whole, "w": whole}),
        "members": each(member),
    }
    told = shaped(node.tell("GET", "/mesh"), shape)
    assert shaped(node.tell("POST", "/cluster", {}), shape)["digest"] == told["digest"]
    assert told["quorum"] == {"n": 1, "w": 1}


def test_quota_and_the_description_are_there(node: RealNode) -> None:
    shaped(node.tell("GET", "/quota", X_Agent_Id="ann"), {"limits": thing})
    described = shaped(node.tell("GET", "/openapi.json"), {"paths": thing})
    assert described["openapi"].startswith("3.1")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing/here", 404),
        ("PATCH", "/memories", 405),
        ("DELETE", "/stats", 405),
        ("GET", "/forget", 405),
        ("GET", "/memories/no-such-id", 404),
        ("GET", "/readyz?require=magic", 400),
        ("GET", "/memories?api_key=x", 400),
        ("GET", "/sync/since", 401),
        ("POST", "/sync/push", 401),
    ],
)
def test_errors_have_one_shape(node: RealNode, method: str, path: str, status: int) -> None:
    reply = node.ask(method, path)
    assert reply.status == status
    shaped(reply.body, REFUSED)
    assert ("allow" in reply.headers) == (status == 405)


@pytest.mark.parametrize("name", writing(), ids=" ".join)
def test_every_write_tells_its_durability(node: RealNode, name: Name) -> None:
    sample = samples(furnished(node))[name]
    reply = node.ask(name[0], sample.path, sample.body, X_Agent_Id=sample.agent)
    assert reply.status in {200, 201, 202}, reply.body
    shaped(reply.body, DURABLE)
    assert reply.body["quorum_acks"] == reply.body["durability"]["acks"]


def test_nothing_is_needed_but_a_key(keyed: RealNode) -> None:
    for path in ("/health", "/livez", "/readyz"):
        assert keyed.ask("GET", path).status in {200, 503}, path
    closed = [route for route in TABLE if route.path.startswith(API) and "{" not in route.path]
    open_ones = {f"{API}/health", f"{API}/mesh/introduce"}
    for route in closed:
        if route.path in open_ones or route.needs.value == "peer":
            continue
        reply = keyed.ask(route.method, route.path.removeprefix(API))
        assert (reply.status, reply.body["error"]) == (401, "missing or invalid API key"), route
    assert keyed.ask("GET", "/metrics").status == 401
    assert keyed.ask("GET", "/no/such/route").status == 401
    for headers in (
        {"x_api_key": "wrong"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"x_api_key": ""},
    ):
        assert keyed.ask("GET", "/stats", **headers).status == 401, headers
    for headers in (
        {"x_api_key": KEY},
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer {KEY}"},
    ):
        assert keyed.ask("GET", "/stats", **headers).status == 200, headers
    in_url = keyed.ask("GET", f"/stats?api_key={KEY}")
    assert in_url.status == 400
    assert "x-api-key" in str(in_url.body)
    for path in ("/sync/since", "/sync/push"):
        method = "GET" if "since" in path else "POST"
        assert keyed.ask(method, path, x_api_key=KEY).status in {401, 403}, path


def test_the_rest_face_has_its_shape(tmp_path: Path) -> None:
    [node] = founded(tmp_path / "mesh", 1)
    try:
        node.start()
        peer = Pusher.enrolled(node, tmp_path / "peer")
        counts = ("applied", "deleted", "archived", "restored", "links_applied", "noop", "skipped",
                  "pendings_applied", "pending_decisions_applied", "namespace_meta_applied",
                  "namespace_meta_cleared")  # fmt: skip
        result: dict[str, Kind] = {
            "kind": text,
            "id": text,
            "status": one_of("applied", "duplicate", "refused", "invalid"),
        }
        pushed: dict[str, Kind] = {
            **dict.fromkeys(counts, whole),
            "dry_run": flag,
            "receiver_agent_id": text,
            "receiver_clock": having({"entries": thing}),
            "results": each(result),
        }
        row = {"id": "row-1", "title": "t", "content": "c", "metadata": {"agent_id": "ai:far"}}
        dry = shaped(peer.push({"memories": [row], "dry_run": True}), pushed)
        assert (dry["dry_run"], node.ask("GET", "/memories/row-1").status) == (True, 404)
        first = shaped(peer.push({"memories": [row]}), pushed)
        assert (first["applied"], first["dry_run"]) == (1, False)
        assert node.get("row-1")["metadata"]["agent_id"] == "ai:far"
        again = shaped(peer.push({"memories": [row]}), pushed)
        assert [one["status"] for one in again["results"]] == ["duplicate"]
        own = node.store("own")["id"]
        given: dict[str, Kind] = {
            **dict.fromkeys(("count", "limit"), whole),
            "updated_since": maybe(text),
            "earliest_updated_at": maybe(moment),
            "latest_updated_at": maybe(moment),
            "memories": each(MEMORY),
            "deletions": texts,
            "links": each(LINK),
            **dict.fromkeys(("namespace_meta", "pendings", "pending_decisions"), each({})),
            "next_since": text,
            "complete": flag,
        }
        status, told = peer.ask("GET", "/sync/since?limit=500", b"")
        assert status == 200
        shaped(told, given)
        assert own in {memory["id"] for memory in told["memories"]}
        assert told["complete"] is True
        _, rest = peer.ask("GET", f"/sync/since?since={told['next_since']}", b"")
        assert (rest["memories"], rest["deletions"]) == ([], [])
        status, wrong = peer.ask("GET", "/sync/since?since=yesterday", b"")
        assert status == 400
        assert "expected RFC 3339 timestamp or token" in str(wrong)
    finally:
        node.clean_up()
