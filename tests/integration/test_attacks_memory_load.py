"""What one agent asks of a node that others need too: the node stays quick, and says no clearly.

Law: while an attack runs, a small request of somebody else is answered within a second, and
afterwards the process is there and has not grown without bound.
"""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest

from tests.integration.rig import RealNode, Reply, until
from tests.integration.rig_mcp import call_of, opened, posted
from tests.integration.rig_mesh import founded

pytestmark = [pytest.mark.thorough, pytest.mark.integration, pytest.mark.slow]

ALICE, MALLORY = {"x_agent_id": "alice"}, {"x_agent_id": "mallory"}
SLOWEST_SECONDS = 1.5
MIB = 1 << 20


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    config = {"mcp": {"sessions_max": 32}}
    (one,) = founded(tmp_path_factory.mktemp("busy"), 1, config=config)
    try:
        one.start()
        until(one.ready, "ready", seen=one.tail)
        yield one
    finally:
        one.clean_up()


class Watch:
    """Asks something small all the time, and remembers the slowest answer."""

    def __init__(self, node: RealNode) -> None:
        self.node = node
        self.slowest = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self._over.wait(0.01):
            began = time.monotonic()
            assert self.node.ask("GET", "/memories?limit=1", timeout=60, **ALICE).status == 200
            self.slowest = max(self.slowest, time.monotonic() - began)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join(60)


def asked(node: RealNode, method: str, path: str, body: Any = None) -> Reply:
    """One question of mallory, while somebody else asks small ones; those must stay quick."""
    with Watch(node) as watch:
        began = time.monotonic()
        reply = node.ask(method, path, body, timeout=120, **MALLORY)
        took = time.monotonic() - began
    assert reply.status < 500, reply.body
    assert watch.slowest < SLOWEST_SECONDS, f"{path[:60]}: {watch.slowest:.2f} s of {took:.2f} s"
    return reply


def resident(node: RealNode) -> int:
    fields = Path(f"/proc/{node.pid}/statm").read_text().split()
    return int(fields[1]) * 4096


@pytest.fixture(scope="module")
def large(node: RealNode) -> RealNode:
    """A node with large memories that share many beginnings of words."""
    words = " ".join("a" * length for length in range(2, 1400))
    for number in range(30):
        node.store("large", f"{words} {number}", id=f"large-{number}", tags=["a"])
    return node


def test_a_search_for_beginnings_of_long_words(large: RealNode) -> None:
    words = "%20".join("a" * length for length in range(1, 110))
    asked(large, "GET", f"/search?q={words}&limit=1000")
    asked(large, "GET", "/search?q=a&limit=1000")
    asked(large, "GET", "/search?q=" + "a%20" * 1900)


def test_a_recall_of_a_mebibyte_and_of_thousands_of_terms(large: RealNode) -> None:
    asked(large, "POST", "/recall", {"context": "word " * 200_000})
    asked(large, "POST", "/recall", {"context": "x" * MIB})
    many = " ".join(f"term{number}" for number in range(100_000))
    asked(large, "POST", "/recall", {"context": many, "limit": 10**14})
    asked(large, "POST", "/recall", {"context": "\u0301" * 100_000 + "2024-01-01 " * 10_000})
    asked(large, "POST", "/recall", {"context": "a", "tags": ["a"] * 100_000})
    for bad in ({"context": ""}, {"context": 5}, {"context": "x", "limit": -1}, {}):
        assert asked(large, "POST", "/recall", bad).status == 400


def test_a_duplicate_of_a_mebibyte(large: RealNode) -> None:
    asked(large, "POST", "/check_duplicate", {"content": "a b " * (MIB // 4), "limit": 10**9})
    asked(large, "POST", "/check_duplicate", {"content": "\u0344" * (MIB // 4)})


def test_patterns_are_text_and_cost_no_more_than_text(large: RealNode) -> None:
    for pattern in ("(a+)+$", "(a|a)*b", ".*" * 1000, "a" * 2048, "\u0130" * 2048):
        body = {"pattern": pattern, "dry_run": True}
        reply = asked(large, "POST", "/forget", body)
        assert reply.body["deleted"] == 0, reply.body
    assert asked(large, "POST", "/forget", {"pattern": "a" * 2049}).status == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/archive"), ("POST", "/forget"), ("POST", "/consolidate"), ("POST", "/inbox/read")],
)
def test_lists_of_ids_are_bounded(large: RealNode, method: str, path: str) -> None:
    for ids in (["large-"] * 100_000, [f"nothing-{number}" for number in range(100_000)]):
        assert asked(large, method, path, {"ids": ids}).status in {400, 404, 409, 413}
    nothing = [f"nothing-{number:04}" for number in range(1000)]
    assert asked(large, method, path, {"ids": nothing}).status in {200, 404, 413}
    assert large.tell("GET", "/archive")["count"] == 0


def test_limits_beyond_measure_are_cut_or_refused(large: RealNode) -> None:
    for limit in ("0", "1", "1000", "9" * 15, "-1", "1.5", "9" * 400, "x", "%00"):
        for path in ("memories", "archive", "inbox", "search", "taxonomy", "kg/timeline"):
            more = {"search": "&q=a", "kg/timeline": "&source_id=large-1"}.get(path, "")
            reply = large.ask("GET", f"/{path}?limit={limit}{more}", **MALLORY)
            assert reply.status in {200, 400}, (path, limit, reply.body)
    for body in ({"limit": 2**64}, {"limit": -1}, {"limit": 1.5}, {"max_depth": 10**9}):
        reply = large.ask("POST", "/kg/query", {"source_id": "large-1", **body}, **MALLORY)
        assert reply.status == 400, (body, reply.body)


def test_a_walk_over_a_dense_graph_is_bounded(node: RealNode) -> None:
    """A star, and a cycle in which each is linked with each."""
    names = [f"knot-{number:03}" for number in range(60)]
    for at in range(0, 60, 30):
        items = [{"title": n, "content": "c", "id": n} for n in names[at : at + 30]]
        node.tell("POST", "/memories/bulk", items, **MALLORY)
    links = [{"source_id": a, "target_id": b} for a in names for b in names if a != b]

    def link(part: list[dict[str, str]]) -> None:
        connection = http.client.HTTPConnection(*node.agent, timeout=60)
        for one in part:
            headers = {"content-type": "application/json", "x-agent-id": "mallory"}
            connection.request("POST", "/api/v1/links", json.dumps(one), headers)
            assert connection.getresponse().read()
        connection.close()

    threads = [threading.Thread(target=link, args=(links[at::4],)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    told = asked(node, "POST", "/kg/query", {"source_id": "knot-000", "max_depth": 5}).body
    assert told["count"] == 59
    assert len(told["edges"]) <= 10_000
    asked(node, "GET", "/memories/knot-000/lineage?max_depth=1000000000")


def test_a_flood_of_one_alias_is_answered_in_part(node: RealNode) -> None:
    for number in range(300):
        aliases = ["flooded", *(f"{number}-{n}" for n in range(20))]
        body = {"canonical_name": f"Entity {number}", "aliases": aliases}
        assert node.ask("POST", "/entities", body, **MALLORY).status == 201
    told = asked(node, "GET", "/entities/by_alias?alias=flooded").body
    assert told["found"]
    assert len(told["others"]) <= 100
    many = {"canonical_name": "Many", "aliases": [f"n{n}" for n in range(100_000)]}
    assert asked(node, "POST", "/entities", many).status == 400


def test_subscriptions_of_one_agent_leave_room_for_others(node: RealNode) -> None:
    statuses = [
        node.ask("POST", "/subscriptions", {"url": "https://example.org/"}, **MALLORY).status
        for _ in range(110)
    ]
    assert statuses.count(201) == 100, statuses
    assert statuses[-1] == 409
    assert node.ask("POST", "/subscriptions", {}, **ALICE).status == 201
    with Watch(node) as watch:
        for number in range(50):
            node.store(f"told {number}", agent_id="bob")
    assert watch.slowest < SLOWEST_SECONDS
    assert node.tell("DELETE", "/subscriptions?agent_id=mallory", **MALLORY)["count"] == 100


def followed(node: RealNode, path: str) -> socket.socket:
    """A stream that nobody reads."""
    connection = socket.create_connection(node.agent, timeout=20)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Agent-Id: mallory\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def test_streams_that_nobody_reads_stall_nobody(node: RealNode) -> None:
    before = resident(node)
    open_ones = [followed(node, "/api/v1/events/stream?cursor=0") for _ in range(300)]
    try:
        with Watch(node) as watch:
            for number in range(100):
                node.store(f"told {number}", "w" * 10_000, agent_id="bob")
        assert watch.slowest < SLOWEST_SECONDS, watch.slowest
        refused = node.ask("GET", "/events/stream", **ALICE)
        assert (refused.status, refused.body["error"]) == (503, "overloaded")
        assert resident(node) - before < 128 * MIB
    finally:
        for one in open_ones:
            one.close()
    until(lambda: _follows(node), "there is room again")


def _follows(node: RealNode) -> bool:
    connection = http.client.HTTPConnection(*node.agent, timeout=10)
    try:
        connection.request("GET", "/api/v1/events/stream", headers={"x-agent-id": "alice"})
        return connection.getresponse().status == 200
    finally:
        connection.close()


def test_sessions_of_tools_are_bounded_and_cost_nobody_the_api(node: RealNode) -> None:
    before = resident(node)
    made = []
    with suppress(AssertionError):
        for _ in range(200):
            session = opened(node, **MALLORY)
            made += [session]
    assert len(made) == 32, len(made)
    params = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "x", "version": "1"},
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    refused = posted(node, message, path="/mcp?profile=full", **ALICE)
    assert refused.status in {429, 503}, refused
    assert node.tell("POST", "/recall", {"context": "told"}, **ALICE)["count"] > 0
    assert resident(node) - before < 128 * MIB
    for session in made:
        posted(node, b"", method="DELETE", path="/mcp?profile=full", **MALLORY, **session)
    until(lambda: posted(node, message, path="/mcp?profile=full", **ALICE).status == 200, "room")


HOSTILE: tuple[Callable[[dict[str, Any]], Any], ...] = (
    lambda message: [message] * 1000,
    lambda message: {**message, "id": None},
    lambda message: {**message, "id": {"a": 1}},
    lambda message: {**message, "params": [[[]]]},
    lambda message: {**message, "params": {"name": "memory_get", "arguments": {"id": ["x"]}}},
    lambda message: {**message, "params": {"name": "../../mesh/remove", "arguments": {}}},
    lambda message: {**message, "method": "tools/" + "x" * 100_000},
    lambda _: json.loads('{"a":' * 500 + "1" + "}" * 500),
    lambda _: "text",
    lambda _: b"\xff\xfe",
)


def test_messages_of_any_shape_are_clear_refusals(node: RealNode) -> None:
    session = opened(node, **MALLORY)
    message = call_of("memory_get", {"id": "x" * 6})
    for change in HOSTILE:
        reply = posted(node, change(message), path="/mcp?profile=full", **MALLORY, **session)
        assert reply.status < 500, reply
    for ident in ("../../../doctor", "x/../../mesh", "a?b=c", "a#b", "%2e%2e%2fdoctor", "\r\nX: y"):
        message = call_of("memory_get", {"id": ident})
        reply = posted(node, message, path="/mcp?profile=full", **MALLORY, **session)
        assert reply.body["result"]["isError"], reply.body
        assert "findings" not in str(reply.body)
    assert not node.events("request_failed"), node.events("request_failed")


@pytest.mark.parametrize(
    "names",
    [
        {"host": "attacker.example"},
        {"host": "attacker.example:9077"},
        {"origin": "https://attacker.example"},
        {"origin": "null"},
        {"host": "127.0.0.1.attacker.example"},
        {"origin": "http://127.0.0.1.attacker.example"},
        {"origin": "file://"},
    ],
)
def test_pages_of_other_hosts_reach_no_tool(node: RealNode, names: dict[str, str]) -> None:
    session = opened(node, **MALLORY)
    message = call_of("memory_store", {"title": "rebound", "content": "c"})
    for method in ("POST", "DELETE"):
        reply = posted(node, message, method=method, **names, **MALLORY, **session)
        assert reply.status == 403, reply
    assert "rebound" not in json.dumps(node.tell("GET", "/export"))


def test_a_session_of_somebody_else_does_not_exist(node: RealNode) -> None:
    node.store("hers", "private words", id="private-of-alice", agent_id="alice", scope="private")
    session = opened(node, **ALICE)
    message = call_of("memory_get", {"id": "private-of-alice"})
    path = "/mcp?profile=full"
    assert "private words" in str(posted(node, message, path=path, **ALICE, **session).body)
    for other in (MALLORY, {}, {"x_agent_id": "Alice"}, {"x_agent_id": "alice "}):
        reply = posted(node, message, path=path, **other, **session)
        if other != {"x_agent_id": "alice "}:  # blanks around a header's value are not part of it
            assert reply.status == 404, (other, reply)
            assert "private words" not in str(reply.body)
    ended = posted(node, b"", method="DELETE", path=path, **MALLORY, **session)
    assert ended.status == 404
    assert "private words" in str(posted(node, message, path=path, **ALICE, **session).body)
