import pytest

from node.http import key_digest
from tests.unit.http.conftest import API, Started, World

OPEN = ("/livez", "/readyz", f"{API}/health")
CLOSED = (
    "/metrics",
    f"{API}/metrics",
    f"{API}/version",
    f"{API}/capabilities",
    f"{API}/stats",
    f"{API}/memories",
    f"{API}/memories/abcdef",
    f"{API}/mesh",
    f"{API}/export",
    f"{API}/nothing",
    "/",
)


async def test_a_configured_key_is_needed_everywhere_but_for_health(world: World) -> None:
    world.keys = (key_digest("right"), key_digest("also right"))
    for path in OPEN:
        assert (await world.ask("GET", path)).status == 200, path
    for path in CLOSED:
        reply = await world.ask("GET", path)
        assert reply.status == 401, path
        assert reply.json["error"] == "missing or invalid API key"
        assert reply.headers["WWW-Authenticate"] == "Bearer"
        assert (await world.ask("GET", path, x_api_key="wrong")).status == 401
        assert (await world.ask("GET", path, x_api_key="right")).status in {200, 404}, path
    for value in ("Bearer also right", "bearer right"):
        assert (await world.ask("GET", f"{API}/stats", authorization=value)).status == 200
    for value in ("right", "Basic right", "Bearer", "Bearer ", "Bearer wrong"):
        assert (await world.ask("GET", f"{API}/stats", authorization=value)).status == 401
    page = world.metrics.render(process=False).decode()
    assert 'mnemesh_auth_rejected_total{reason="no_key"}' in page
    assert 'mnemesh_auth_rejected_total{reason="key"}' in page


async def test_the_key_itself_is_never_logged(world: World) -> None:
    world.keys = (key_digest("right"),)
    await world.ask("GET", f"{API}/stats", x_api_key="s3cret-guess")
    assert [event for event, _ in world.events] == ["auth_rejected"]
    assert "s3cret-guess" not in repr(world.events)


async def test_a_key_in_the_address_is_refused_even_when_right(world: World) -> None:
    world.keys = (key_digest("right"),)
    for path in (f"{API}/stats", f"{API}/health"):
        reply = await world.ask("GET", f"{path}?api_key=right", x_api_key="right")
        assert reply.status == 400
        assert "x-api-key" in reply.json["detail"]


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:1", "127.0.0.1", "127.8.8.8:80", "[::1]:9", "NODE-A.example:9077"],
)
async def test_hosts_that_name_this_node_are_answered(world: World, host: str) -> None:
    assert (await world.ask("GET", f"{API}/health", host=host)).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "10.1.2.3", "[2001:db8::1]", "", "127.0.0.1.nip.io"],
)
async def test_other_hosts_are_not(world: World, host: str) -> None:
    line = f"GET {API}/health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    answer = await world.talk(line.encode())
    assert b" 403 " in answer.partition(b"\r\n")[0]
    assert b"host_not_allowed" in answer


async def test_a_request_without_host_is_not_answered(world: World) -> None:
    answer = await world.talk(f"GET {API}/memories HTTP/1.0\r\n\r\n".encode())
    assert b" 403 " in answer.partition(b"\r\n")[0]


async def test_pages_of_other_hosts_may_not_call(world: World) -> None:
    own = f"127.0.0.1:{world.port}"
    for origin in ("null", "http://evil.example", "http://127.0.0.1:1", "file://", own):
        reply = await world.ask("POST", f"{API}/memories", {}, origin=origin)
        assert (reply.status, reply.json["error"]) == (403, "origin_not_allowed"), origin
        assert "Access-Control-Allow-Origin" not in reply.headers
    reply = await world.ask("GET", f"{API}/memories", origin=f"http://{own}")
    assert reply.status == 200


async def test_tls_without_a_key_needs_an_allowlisted_certificate(start: Started) -> None:
    world = await start(tls=True)
    assert (await world.ask("GET", f"{API}/health")).status == 200
    reply = await world.ask("GET", f"{API}/memories")
    assert (reply.status, reply.json["error"]) == (401, "certificate_required")
    world.fingerprint = "ab" * 32
    assert (await world.ask("GET", f"{API}/memories")).status == 401
    world.allowed = frozenset(["ab" * 32])
    assert (await world.ask("GET", f"{API}/memories")).status == 200
    world.allowed = frozenset()
    assert (await world.ask("GET", f"{API}/memories")).status == 401


async def test_with_a_key_a_certificate_opens_only_what_is_for_peers(start: Started) -> None:
    world = await start(tls=True, keys=(key_digest("right"),))
    world.fingerprint = "ab" * 32
    world.allowed = frozenset(["ab" * 32])
    assert (await world.ask("GET", f"{API}/sync/since")).status == 200
    assert (await world.ask("POST", f"{API}/mesh/join", {})).status == 200
    for method, path in (("GET", "/memories"), ("POST", "/mesh/remove"), ("GET", "/mesh")):
        assert (await world.ask(method, f"{API}{path}", {})).status == 401, path
    world.fingerprint = None
    for path in ("/sync/since", "/peer"):
        reply = await world.ask("GET", f"{API}{path}", x_api_key="right")
        assert reply.status == 401, path


async def test_removal_needs_the_key_or_loopback(start: Started) -> None:
    world = await start()
    body = {"node_id": "node-b", "force": True}
    assert (await world.ask("POST", f"{API}/mesh/remove", body)).status == 200
    assert world.mesh.removed == [("node-b", True)]
    world.keys = (key_digest("right"),)
    assert (await world.ask("POST", f"{API}/mesh/remove", body)).status == 401
    reply = await world.ask("POST", f"{API}/mesh/remove", body, x_api_key="right")
    assert reply.status == 200


async def test_unknown_addresses_and_methods(world: World) -> None:
    for method, path in (
        ("GET", "/"),
        ("GET", f"{API}"),
        ("GET", f"{API}/memories/"),
        ("GET", f"{API}/memories/a/b/c"),
        ("GET", f"{API}/remember"),
        ("POST", "/api/v2/memories"),
        ("GET", "//api/v1/memories"),
    ):
        reply = await world.ask(method, path)
        assert (reply.status, reply.json["error"]) == (404, "not_found"), path
    for method, path, allowed in (
        ("PATCH", f"{API}/memories", "GET, POST"),
        ("DELETE", f"{API}/health", "GET"),
        ("PATCH", f"{API}/memories/bulk", "DELETE, GET, POST, PUT"),
        ("OPTIONS", f"{API}/memories/abcdef", "DELETE, GET, PUT"),
    ):
        reply = await world.ask(method, path)
        assert (reply.status, reply.json["error"]) == (405, "method_not_allowed"), path
        assert reply.headers["Allow"] == allowed


async def test_a_memory_may_be_called_like_a_route(world: World) -> None:
    await world.store("Tea", id="bulk")
    assert (await world.ask("GET", f"{API}/memories/bulk")).json["title"] == "Tea"
    await world.store("Mate", id="a:b")
    assert (await world.ask("GET", f"{API}/memories/a%3Ab")).json["title"] == "Mate"


async def test_head_is_get_without_the_body(world: World) -> None:
    reply = await world.ask("HEAD", f"{API}/health")
    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.headers["Content-Length"]) > 0
