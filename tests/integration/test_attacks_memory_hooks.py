"""Webhooks whose receivers, addresses and owners are hostile, on a real node.

Law: nothing near is reached, a secret is told to nobody, and whatever a receiver answers costs
little and holds up no other.
"""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.integration.rig import RealNode, until
from tests.integration.rig_governance import decide, set_policy
from tests.integration.rig_hooks import receiving
from tests.integration.rig_mcp import called
from tests.integration.rig_mesh import founded

pytestmark = [pytest.mark.thorough, pytest.mark.integration, pytest.mark.slow]

SECRET = "signs-what-is-sent-4711"  # noqa: S105 - a text to look for
ALICE, MALLORY = {"x_agent_id": "alice"}, {"x_agent_id": "mallory"}
MIB = 1 << 20
TARPITS = 40


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    """A node whose webhooks may lead to this machine."""
    config = {"subscriptions": {"allow_loopback_webhooks": True, "delivery_timeout_ms": 3000}}
    yield from started(tmp_path_factory.mktemp("lab"), config)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    """A node as it comes."""
    yield from started(tmp_path_factory.mktemp("as-it-comes"), {})


def started(folder: Path, config: dict[str, dict[str, object]]) -> Iterator[RealNode]:
    (one,) = founded(folder, 1, config=config)
    try:
        one.start()
        until(one.ready, "ready", seen=one.tail)
        yield one
    finally:
        one.clean_up()


def resident(node: RealNode) -> int:
    """Bytes of memory that the process has."""
    fields = Path(f"/proc/{node.pid}/statm").read_text().split()
    return int(fields[1]) * 4096


Answering = Callable[[socket.socket], None]


@contextmanager
def hostile(answer: Answering) -> Iterator[tuple[int, list[int]]]:
    """A receiver that answers each connection with `answer`: (port, a row per connection)."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    over, seen, threads = threading.Event(), list[int](), list[threading.Thread]()

    def talk(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(20)
            connection.recv(65536)
            answer(connection)

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            seen.append(1)
            thread = threading.Thread(target=talk, args=(connection,), daemon=True)
            thread.start()
            threads.append(thread)

    server = threading.Thread(target=serve)
    server.start()
    try:
        yield listening.getsockname()[1], seen
    finally:
        over.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        server.join(10)


def endless_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    line = b"".join(b"X-%d: %b\r\n" % (number, b"v" * 4000) for number in range(64))
    while True:
        connection.sendall(line)


def one_long_header(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        connection.sendall(b"v" * 65536)


def endless_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"10000\r\n" + b"v" * 65536 + b"\r\n")


def endless_hints(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" * 100)


def nothing_of_http(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"\x00\xff" * 32768)


@pytest.mark.parametrize(
    "answer", [endless_headers, one_long_header, endless_body, endless_hints, nothing_of_http]
)
def test_an_answer_without_end_costs_little(lab: RealNode, answer: Answering) -> None:
    before = resident(lab)
    peak = before
    with hostile(answer) as (port, seen):
        said = {"url": f"http://127.0.0.1:{port}/", "events": "memory_store"}
        made = lab.tell("POST", "/subscriptions", said, **MALLORY)["id"]
        lab.store("told", agent_id="bob")

        def failed() -> bool:
            nonlocal peak
            peak = max(peak, resident(lab))
            assert lab.ask("GET", "/livez", timeout=2).status == 200
            rows = lab.tell("GET", "/subscriptions", **MALLORY)["subscriptions"]
            (row,) = (one for one in rows if one["id"] == made)
            return bool(row["failure_count"] or row["dispatch_count"])

        until(failed, "the delivery is over")
        lab.tell("DELETE", f"/subscriptions/{made}", **MALLORY)
        assert seen
    assert peak - before < 64 * MIB, f"{(peak - before) / MIB:.0f} MiB"


def silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def test_receivers_that_never_answer_hold_up_no_other(lab: RealNode) -> None:
    with hostile(silent) as (port, seen), receiving() as receiver:
        for number in range(TARPITS):
            said = {"url": f"http://127.0.0.1:{port}/{number}", "events": "memory_store"}
            lab.tell("POST", "/subscriptions", said, **MALLORY)
        lab.store("first", agent_id="bob")
        until(lambda: len(seen) >= TARPITS // 4, "many hang")
        said = {"url": receiver.url, "events": "memory_store"}
        made = lab.tell("POST", "/subscriptions", said, **ALICE)["id"]
        for number in range(5):
            ident = f"told-in-time-{number}"
            lab.store("told", id=ident, agent_id="bob")
            until(
                lambda ident=ident: ident in {one.get("memory_id") for one in receiver.events},
                "it is delivered in time",
                2.5,
            )
        assert lab.tell("DELETE", "/subscriptions?agent_id=mallory", **MALLORY)["count"] >= TARPITS
        lab.tell("DELETE", f"/subscriptions/{made}", **ALICE)


def test_a_secret_is_told_to_nobody(lab: RealNode) -> None:
    for agent, kind in (("hana", "human"), ("alice", "human")):
        lab.tell("POST", "/agents", {"agent_id": agent, "agent_type": kind})
    set_policy(lab, "hooked", "root", write="approve")
    with receiving() as receiver:
        said = {"url": receiver.url, "secret": SECRET, "namespace": "hooked"}
        waits = lab.ask("POST", "/subscriptions", said, **ALICE)
        assert waits.status == 202, waits.body
        shown = [waits.body]
        asked = (
            *("/subscriptions", "/pending", "/export", "/memories?limit=1000", "/quota"),
            *("/doctor", "/metrics", "/mesh", "/archive", "/search?q=signs-what-is-sent-4711"),
        )
        agents = (ALICE, MALLORY, {"x_agent_id": "hana"}, {"x_agent_id": "root"}, {})
        shown += [lab.ask("GET", path, **agent).body for path in asked for agent in agents]
        assert decide(lab, waits.body["pending_id"], "hana").status == 200
        shown += [lab.ask("GET", path, **agent).body for path in asked for agent in agents]
        body = {"ids": [waits.body["id"]]}
        shown += [
            lab.ask(m, p, b, **ALICE).body
            for m, p, b in (
                ("GET", f"/memories/{waits.body['id']}", None),
                ("GET", f"/memories/{waits.body['id']}/history", None),
                ("POST", "/archive", body),
                ("POST", "/forget", {"pattern": SECRET, "dry_run": True}),
                ("POST", "/recall", {"context": SECRET}),
            )
        ]
        plain = {"url": receiver.url, "secret": SECRET}
        shown.append(lab.tell("POST", "/subscriptions", plain, **ALICE))
        shown.append(lab.ask("POST", "/subscriptions", {**plain, "url": "http://10.0.0.1/"}).body)
        for tool in ("memory_list_subscriptions", "memory_pending_list"):
            shown.append(called(lab, tool, {}, **ALICE))
        lab.store("told", agent_id="bob")
        until(lambda: receiver.got, "it is delivered")
        assert all(SECRET.encode() not in body for _, body in receiver.got)
        assert all("x-mnemesh-signature" in headers for headers, _ in receiver.got)
    told = json.dumps(shown).replace(f'"query": "{SECRET}"', "")
    assert SECRET not in told
    assert SECRET not in "".join(lab.log_lines())


NEAR = (
    *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "0.0.0.0"),  # noqa: S104
    *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]"),
    *("[2002:7f00:1::]", "[fe80::1]", "[fe80::1%25lo]", "[fd00::1]", "[ff02::1]"),
    *("localhost", "LOCALHOST", "localhost.", "foo.localhost", "127.0.0.1.", "0x7f.1"),
    *("169.254.169.254", "metadata.google.internal", "10.0.0.1", "192.168.0.1", "100.100.100.200"),
    *("\uff11\uff12\uff17.0.0.1", "\u2460\u2461\u2466.0.0.1", "127\u30020\u30020\u30021"),
    *("user@127.0.0.1", "127.0.0.1:22", "example.org@127.0.0.1", "example.org#@127.0.0.1"),
    *("127.0.0.1\\@example.org", "example.org\\127.0.0.1", "router", "printer.local", "x.internal"),
)


@pytest.mark.parametrize("host", NEAR)
def test_no_spelling_of_what_is_near_is_taken(node: RealNode, host: str) -> None:
    for scheme in ("http", "https", "HTTP"):
        url = f"{scheme}://{host}/hook"
        reply = node.ask("POST", "/subscriptions", {"url": url}, **MALLORY)
        assert reply.status == 400, (url, reply.body)
        assert reply.body["field"] == "url"
    assert node.tell("GET", "/subscriptions", **MALLORY)["count"] == 0


def test_a_name_that_leads_near_when_it_is_looked_up_gets_nothing(node: RealNode) -> None:
    """Whatever the machine's resolver says of it: a record of a member is looked at again."""
    with receiving() as receiver:
        url = f"http://{socket.gethostname()}.invalid:{receiver.port}/"
        made = node.tell("POST", "/subscriptions", {"url": url}, **MALLORY)["id"]
        node.store("told", agent_id="bob")

        def failed() -> bool:
            rows = node.tell("GET", "/subscriptions", **MALLORY)["subscriptions"]
            return any(one["id"] == made and one["failure_count"] for one in rows)

        until(failed, "it is not delivered")
        assert not receiver.got
        node.tell("DELETE", f"/subscriptions/{made}", **MALLORY)


def test_a_redirect_leads_to_no_route_of_the_node(lab: RealNode) -> None:
    host, port = lab.agent
    for status in (301, 302, 303, 307, 308):

        def answer(connection: socket.socket, status: int = status) -> None:
            place = f"http://{host}:{port}/api/v1/memories"
            head = f"HTTP/1.1 {status} Go\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n"
            connection.sendall(head.encode())

        before = lab.tell("GET", "/stats")["total"]
        with hostile(answer) as (port_of, seen):
            said = {"url": f"http://127.0.0.1:{port_of}/", "events": "memory_store"}
            made = lab.tell("POST", "/subscriptions", said, **MALLORY)["id"]
            lab.store("told", agent_id="bob")
            until(lambda seen=seen: seen, "it is sent")
            lab.tell("DELETE", f"/subscriptions/{made}", **MALLORY)
        assert lab.tell("GET", "/stats")["total"] == before + 1
