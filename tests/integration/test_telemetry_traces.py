"""One trace through three nodes, seen by a collector that speaks OTLP; and no trace unasked."""

import http.server
import json
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.rig import RealNode, cleaned_up, free_ports, until, until_linked
from tests.integration.rig_mesh import founded, start_all

collector_proto = pytest.importorskip(
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="needs the extra otel"
)

pytestmark = [pytest.mark.integration, pytest.mark.slow]


class Collector:
    """Takes spans as an OpenTelemetry collector does, and keeps them."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, object]] = []
        self.bearers: list[str] = []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                message = collector_proto.ExportTraceServiceRequest.FromString(body)
                for resource in message.resource_spans:
                    told = {a.key: a.value.string_value for a in resource.resource.attributes}
                    for scope in resource.scope_spans:
                        collector.spans += [(told["mnemesh.node"], span) for span in scope.spans]
                collector.bearers.append(self.headers.get("Authorization", ""))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_words: object) -> None:
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1/traces"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def of(self, trace_id: str) -> list[tuple[str, object]]:
        return [(n, s) for n, s in list(self.spans) if s.trace_id.hex() == trace_id]  # type: ignore[attr-defined]  # protobuf

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture(scope="module")
def mesh(
    collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[RealNode]]:
    folder = tmp_path_factory.mktemp("traced")
    key = folder / "collector.key"
    key.write_text("collector-secret\n")
    key.chmod(0o600)
    section = {"otlp_endpoint": collector.url, "api_key_file": str(key), "sample_ratio": 0.0}
    nodes = founded(folder / "mesh", 3, config={"telemetry": section})
    # Variables of the environment must not lead spans, or a proxy, elsewhere.
    for node in nodes:
        node.environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
            "OTEL_TRACES_SAMPLER": "always_on",
            "http_proxy": "http://127.0.0.1:9",
        }
    with cleaned_up(nodes):
        start_all(nodes)
        yield nodes


def parts(found: list[tuple[str, object]]) -> set[tuple[str, str]]:
    return {(node, span.name) for node, span in found}  # type: ignore[attr-defined]  # protobuf


def test_one_trace_runs_through_three_nodes(mesh: list[RealNode], collector: Collector) -> None:
    until_linked(mesh)
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    first = mesh[0]
    reply = first.ask(
        "POST",
        "/memories",
        {"title": "purple", "content": "elephants", "namespace": "zoo"},
        traceparent=f"00-{trace}-{span}-01",
        x_agent_id="ai:alice",
    )
    assert reply.status == 201
    assert reply.headers["traceparent"].split("-")[1] == trace
    expected = {
        ("node-1", "http"),
        ("node-1", "quorum.write"),
        ("node-1", "peer.push"),
        *((node.name, "store.commit") for node in mesh),
    }
    until(lambda: parts(collector.of(trace)) >= expected, "every part of it arrives")
    found = collector.of(trace)
    by_id = {s.span_id: (n, s) for n, s in found}  # type: ignore[attr-defined]  # protobuf
    for node, one in found:
        if one.name == "store.commit":  # type: ignore[attr-defined]  # protobuf
            above = by_id[one.parent_span_id][1]  # type: ignore[attr-defined]  # protobuf
            assert above.name == ("quorum.write" if node == "node-1" else "peer.push")  # type: ignore[attr-defined]  # protobuf
        assert one.end_time_unix_nano >= one.start_time_unix_nano  # type: ignore[attr-defined]  # protobuf
    assert set(collector.bearers) == {"Bearer collector-secret"}
    told = str(found)
    for word in ("purple", "elephants", "zoo", "alice", reply.body["id"]):
        assert word not in told


def test_a_write_that_nobody_traces_sends_nothing(
    mesh: list[RealNode], collector: Collector
) -> None:
    first = mesh[0]
    before = len(collector.spans)
    for number in range(20):
        reply = first.ask("POST", "/memories", {"title": f"t{number}", "content": "c"})
        assert reply.status == 201
        assert "traceparent" not in reply.headers
    trace = secrets.token_hex(16)  # a later one arrives, so earlier ones would have
    first.ask("GET", "/memories", traceparent=f"00-{trace}-{secrets.token_hex(8)}-01")
    until(lambda: collector.of(trace), "the later one arrives")
    assert (
        {s.trace_id.hex() for _, s in collector.spans[before:]}
        <= {trace}
        | {  # type: ignore[attr-defined]  # protobuf
            s.trace_id.hex()  # type: ignore[attr-defined]  # protobuf
            for _, s in collector.spans[:before]
        }
    )


def test_a_collector_that_is_gone_delays_neither_a_write_nor_the_end(tmp_path: Path) -> None:
    (nobody,) = free_ports(1)
    section = {"otlp_endpoint": f"http://127.0.0.1:{nobody}/v1/traces", "sample_ratio": 1.0}
    (node,) = founded(tmp_path, 1, config={"telemetry": section})
    try:
        node.start()
        until(node.ready, "it is ready", seen=node.tail)
        for number in range(10):
            assert node.store(f"t{number}")["id"]
        assert node.stop() == 0
        lines = [json.loads(line) for line in node.log_lines() if line.startswith("{")]
        began = next(line["at"] for line in lines if line["event"] == "node_draining")
        over = next(line["at"] for line in lines if line["event"] == "node_stopped")
        assert _seconds(over) - _seconds(began) < 9
    finally:
        node.clean_up()


def _seconds(at: str) -> float:
    minutes, seconds = at.rstrip("Z").split(":")[1:]
    return int(minutes) * 60 + float(seconds)
