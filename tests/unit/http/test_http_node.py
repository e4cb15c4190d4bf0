import asyncio
import hashlib
from typing import Any

from aiohttp import WSMsgType, web

from tests.unit.http.conftest import API, Started, World


async def test_health_says_who_and_whether_the_store_works(world: World) -> None:
    reply = await world.ask("GET", f"{API}/health")
    assert reply.status == 200
    assert reply.json == {
        "status": "ok",
        "service": "mnemesh",
        "version": "1.2.3",
        "node_id": bytes(range(32)).hex(),
        "federation_enabled": True,
    }
    world.trouble = "disk error"
    reply = await world.ask("GET", f"{API}/health")
    assert (reply.status, reply.json["error"]) == (503, "store_unusable")


async def test_readiness_looks_at_peers_only_when_asked(world: World) -> None:
    world.mesh.reachable = False
    assert (await world.ask("GET", "/livez")).body == b"ok"
    assert (await world.ask("GET", "/readyz")).body == b"ok"
    reply = await world.ask("GET", "/readyz?require=quorum")
    assert (reply.status, reply.body) == (503, b"quorum is out of reach")
    world.mesh.reachable = True
    assert (await world.ask("GET", "/readyz?require=quorum")).status == 200
    world.mesh.state = "draining"
    reply = await world.ask("GET", "/readyz")
    assert (reply.status, reply.body) == (503, b"draining")
    assert (await world.ask("GET", "/readyz?require=luck")).status == 400


async def test_metrics_start_at_zero_and_count(world: World) -> None:
    page = (await world.ask("GET", f"{API}/metrics")).body.decode()
    assert "mnemesh_memory_writes_total 0.0" in page
    assert "mnemesh_memory_reads_total 0.0" in page
    assert "process_cpu" not in page
    made = await world.store()
    await world.ask("GET", f"{API}/memories/{made['id']}")
    await world.ask("GET", f"{API}/memories/another-one")
    reply = await world.ask("GET", "/metrics")
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    page = reply.body.decode()
    assert "process_cpu" in page
    assert "mnemesh_memory_writes_total 1.0" in page
    assert "mnemesh_memory_reads_total 1.0" in page
    route = f"{API}/memories/{{id}}"
    assert f'mnemesh_http_requests_total{{code="404",route="{route}"}} 1.0' in page
    assert made["id"] not in page


async def test_version_and_capabilities(world: World) -> None:
    reply = await world.ask("GET", f"{API}/version")
    assert reply.json == {"version": "1.2.3", "api_version": "v1", "protocol_version": 1}
    got = (await world.ask("GET", f"{API}/capabilities")).json
    assert got["schema_version"] == "2"
    assert got["tier"] == "keyword"
    for name in ("models", "permissions", "hooks", "compaction", "approval", "transcripts"):
        assert name in got
    assert got["federation"]["enabled"] is True


async def test_stats(world: World) -> None:
    await world.store(namespace="a")
    await world.store(namespace="a", tier="long")
    await world.store(namespace="b", ttl_secs=60)
    got = (await world.ask("GET", f"{API}/stats")).json
    assert got["total"] == 3
    assert got["by_tier"] == [{"tier": "mid", "count": 2}, {"tier": "long", "count": 1}]
    assert got["by_namespace"][0] == {"namespace": "a", "count": 2}
    assert (got["expiring_soon"], got["links_count"]) == (1, 0)
    assert got["db_size_bytes"] > 0


async def test_mesh_and_cluster_are_the_same(world: World) -> None:
    got = (await world.ask("GET", f"{API}/mesh")).json
    assert got["quorum"] == {"n": 2, "w": 2}
    (member,) = got["members"]
    assert member["name"] == "node-b"
    assert member["last_success_at"] == "2026-02-02T02:40:00.123Z"
    assert (await world.ask("POST", f"{API}/cluster", {})).json == got


async def test_clocks_are_left_out_of_the_mesh_for_who_does_not_want_them(world: World) -> None:
    whole = (await world.ask("GET", f"{API}/mesh")).json
    for clocks, own, members in (("all", True, True), ("own", True, False), ("none", False, False)):
        got = (await world.ask("GET", f"{API}/mesh?clocks={clocks}")).json
        assert ("clock" in got, "clock" in got["members"][0]) == (own, members)
        assert got["digest"] == whole["digest"]
        assert set(whole["members"][0]) - set(got["members"][0]) <= {"clock"}
    wrong = await world.ask("GET", f"{API}/mesh?clocks=some")
    assert (wrong.status, wrong.json["field"]) == (400, "clocks")


async def test_introduce_join_and_remove(start: Started) -> None:
    world = await start(tls=True, fingerprint="ab" * 32, allowed=frozenset(["ab" * 32]))
    pem = "-----BEGIN CERTIFICATE-----"
    reply = await world.ask("POST", f"{API}/mesh/introduce", {"certificate": pem})
    assert reply.json == {"fingerprint": hashlib.sha256(pem.encode()).hexdigest()}
    for body in ({}, {"certificate": 5}, {"certificate": "x"}):
        assert (await world.ask("POST", f"{API}/mesh/introduce", body)).status == 400
    body = {"name": "node-c", "url": "https://c"}
    assert (await world.ask("POST", f"{API}/mesh/join", body)).json["cluster"] == "lab"
    assert world.mesh.admitted == [(body, "ab" * 32)]
    for body, status in (
        ({"node_id": "nobody"}, 404),
        ({}, 400),
        ({"node_id": "node-b", "force": "yes"}, 400),
    ):
        assert (await world.ask("POST", f"{API}/mesh/remove", body)).status == status
    assert not world.mesh.removed


async def test_peers_are_handed_over_with_their_fingerprint(start: Started) -> None:
    seen: list[str] = []

    async def accept(request: web.BaseRequest, fingerprint: str) -> web.StreamResponse:
        seen.append(fingerprint)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_bytes(await socket.receive_bytes())
        await socket.close()
        return socket

    world = await start(tls=True, accept_peer=accept, fingerprint="ab" * 32)
    path = f"{API}/peer"
    assert (await world.ask("GET", path)).status == 401
    world.allowed = frozenset(["ab" * 32])
    assert (await world.ask("GET", path)).status == 400
    assert world.session is not None
    url = f"http://127.0.0.1:{world.port}{path}"
    async with asyncio.timeout(5), world.session.ws_connect(url) as socket:
        await socket.send_bytes(b"hello")
        message = await socket.receive()
        assert (message.type, message.data) == (WSMsgType.BINARY, b"hello")
    assert seen == ["ab" * 32]


async def test_an_unexpected_error_says_nothing_about_itself(
    world: World, monkeypatch: Any
) -> None:
    def broken() -> str | None:
        raise RuntimeError("content that must not leave")

    monkeypatch.setattr(world.mesh, "ready", broken)
    reply = await world.ask("GET", f"{API}/memories")
    assert (reply.status, reply.json["error"]) == (500, "internal")
    assert b"content that" not in reply.body
    ((event, facts),) = world.events
    assert (event, facts["error"]) == ("request_failed", "RuntimeError")
    assert "content that" not in repr(facts)
