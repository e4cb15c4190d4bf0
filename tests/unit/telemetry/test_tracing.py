"""Spans around requests, and what of writes is remembered for how long."""

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from crdt.dot import DATA, PRIVATE, Dot, new_actor
from node.telemetry.crossing import Crossed, decode, encode
from node.telemetry.spans import Kind
from node.telemetry.traceparent import TraceParent
from node.telemetry.tracing import Tracing
from tests.unit.http.conftest import API, Started, World

NODE, PEER = bytes(32), bytes([1]) * 32
ACTOR = new_actor(DATA, 1, bytes(8), NODE)
SECRET_LANE = new_actor(PRIVATE, 1, bytes(8), NODE)
SAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@dataclass
class FakeSpan:
    name: str
    parent: TraceParent | None
    place: TraceParent
    facts: dict[str, Any] = field(default_factory=dict)
    failed: str = ""
    ended: bool = False

    def say(self, key: str, value: str | int) -> None:
        self.facts[key] = value

    def fail(self, why: str) -> None:
        self.failed = why

    def end(self, at_ns: int | None = None) -> None:
        del at_ns
        assert not self.ended
        self.ended = True


class FakeSpans:
    """Records what was told; follows a trace that says so, and others when `on`."""

    def __init__(self, *, on: bool = True) -> None:
        self.on = on
        self.made: list[FakeSpan] = []
        self.closed = False

    def start(
        self, name: str, parent: TraceParent | None, kind: Kind, at_ns: int | None = None
    ) -> FakeSpan | None:
        del kind, at_ns
        if not (parent.sampled if parent is not None else self.on):
            return None
        number = len(self.made) + 1
        trace = parent.trace_id if parent is not None else number
        place = TraceParent(trace_id=trace, span_id=number, sampled=True)
        self.made.append(FakeSpan(name, parent, place))
        return self.made[-1]

    def close(self) -> None:
        self.closed = True

    def named(self, name: str) -> list[FakeSpan]:
        return [span for span in self.made if span.name == name]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


# --- requests -------------------------------------------------------------------------


async def traced(start: Started, spans: FakeSpans, **fields: Any) -> tuple[World, Tracing]:
    tracing = Tracing(spans)
    world: World = await start(parts={"tracing": tracing}, **fields)
    return world, tracing


@pytest.mark.parametrize("direct", [True, False])
async def test_a_request_is_a_span_and_its_answer_says_where(
    start: Started,
    direct: bool,  # noqa: FBT001 - a case of the test
) -> None:
    spans = FakeSpans(on=False)
    world, tracing = await traced(start, spans, direct=direct)
    reply = await world.ask(
        "POST", f"{API}/memories", {"title": "t", "content": "c"}, traceparent=SAMPLED
    )
    (span,) = spans.made
    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}" in SAMPLED
    assert reply.headers["traceparent"] == span.place.text()
    assert span.facts == {
        "http.request.method": "POST",
        "http.response.status_code": 201,
        "http.route": f"{API}/memories",
    }
    assert span.ended
    assert tracing.current is None


async def test_nobody_traces_what_nobody_asked_to_trace(start: Started) -> None:
    spans = FakeSpans(on=False)
    world, _ = await traced(start, spans)
    for header in ("", SAMPLED[:-1] + "0", "nonsense"):
        reply = await world.ask("GET", f"{API}/memories", traceparent=header)
        assert reply.status == 200
        assert "traceparent" not in reply.headers
    assert (await world.ask("GET", "/livez", traceparent=SAMPLED)).status == 200
    assert spans.made == []


async def test_a_refusal_is_a_span_too_and_a_defect_has_failed(start: Started) -> None:
    spans = FakeSpans()
    world, _ = await traced(start, spans)
    assert (await world.ask("GET", f"{API}/memories/absent")).status == 404
    world.trouble = "the disk failed"
    assert (await world.ask("GET", f"{API}/health")).status == 503
    assert [(s.facts["http.response.status_code"], s.failed) for s in spans.made] == [
        (404, ""),
        (503, "503"),
    ]


async def test_the_span_at_hand_is_that_of_the_request_in_every_step() -> None:
    spans = FakeSpans()
    tracing = Tracing(spans)
    seen: list[tuple[int, int]] = []

    async def answer(call: Any, _found: Any) -> Any:
        for _ in range(5):
            assert tracing.current is not None
            seen.append((call.number, tracing.current.place.span_id))
            await asyncio.sleep(0)
        return SimpleNamespace(status=200)

    work = tracing.around(answer)
    calls: list[Any] = [
        SimpleNamespace(path="/x", method="GET", headers={}, route=None, number=n) for n in range(5)
    ]
    await asyncio.gather(*(work(call, None) for call in calls))
    assert len({span for _, span in seen}) == 5
    assert len(set(seen)) == 5  # each request has one, whoever runs in between
    assert tracing.current is None


async def test_a_wait_that_gives_up_inside_a_traced_request_is_its_own_affair() -> None:
    async def answer(_call: Any, _found: Any) -> Any:
        try:
            async with asyncio.timeout(0):  # it ends its wait by a cancellation
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            return SimpleNamespace(status=503)

    spans = FakeSpans()
    call: Any = SimpleNamespace(path="/x", method="GET", headers={}, route=None)
    result = await Tracing(spans).around(answer)(call, None)
    assert (result.status, spans.made[0].failed) == (503, "503")


async def test_a_request_that_is_cancelled_ends_its_span() -> None:
    spans = FakeSpans()
    tracing = Tracing(spans)
    cleaned = []

    async def answer(_call: Any, _found: Any) -> Any:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cleaned.append(True)

    call: Any = SimpleNamespace(path="/x", method="GET", headers={}, route=None)
    task = asyncio.create_task(tracing.around(answer)(call, None))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned == [True]
    assert spans.made[0].ended


# --- writes ---------------------------------------------------------------------------


def peer(node: bytes, row: dict[bytes, int] | None) -> Any:
    return SimpleNamespace(node_id=node, row=row)


def bundle(actor: bytes, first: int, last: int) -> Any:
    return SimpleNamespace(actor=actor, first=first, last=last)


def written(tracing: Tracing, spans: FakeSpans, dot: Dot) -> FakeSpan:
    """A write in a request that is traced."""
    tracing.current = spans.start("http", None, "server")
    span = tracing.begin_write([dot])
    tracing.current = None
    assert isinstance(span, FakeSpan)
    return span


def test_a_push_lasts_until_the_peer_holds_the_write() -> None:
    spans = FakeSpans()
    tracing = Tracing(spans)
    write = written(tracing, spans, Dot(ACTOR, 7))
    told: dict[int, list[Crossed]] = {}
    peers = {1: peer(PEER, {}), 2: peer(NODE, {}), 3: peer(PEER, None)}
    exchange: Any = SimpleNamespace(peers=peers)

    def tell(topic: str, data: bytes, link: int | None = None) -> None:
        assert topic == "trace"
        assert link is not None
        told[link] = decode(data, NODE)

    tracing.sealed([bundle(ACTOR, 5, 9)], exchange, tell)
    pushes = spans.named("peer.push")
    assert [push.parent for push in pushes] == [write.place] * 2
    assert {link: [(e.seq, e.parent) for e in entries] for link, entries in told.items()} == {
        1: [(7, pushes[0].place)],
        2: [(7, pushes[1].place)],
    }
    peers[1].row[ACTOR] = 6
    tracing.heard(exchange)
    assert not pushes[0].ended
    peers[1].row[ACTOR] = 9
    tracing.heard(exchange)
    assert (pushes[0].ended, pushes[0].failed, pushes[1].ended) == (True, "", False)
    del peers[2]
    tracing.heard(exchange)
    assert (pushes[1].ended, pushes[1].failed) == (True, "link lost")


def test_the_other_side_continues_the_trace_when_it_commits() -> None:
    spans = FakeSpans(on=False)
    tracing = Tracing(spans)
    place = TraceParent(trace_id=9, span_id=8, sampled=True)
    tracing.crossed(NODE, 1, encode([Crossed(ACTOR, 7, place)]))
    batch: Any = SimpleNamespace(bundles=[bundle(ACTOR, 1, 6)])
    tracing.committed(batch, 0.001)
    assert spans.made == []
    batch = SimpleNamespace(bundles=[bundle(SECRET_LANE, 7, 7), bundle(ACTOR, 7, 7)])
    tracing.committed(batch, 0.001)
    (commit,) = spans.made
    assert (commit.name, commit.parent, commit.ended) == ("store.commit", place, True)
    tracing.committed(batch, 0.001)
    assert len(spans.made) == 1


def test_what_is_private_is_told_to_nobody() -> None:
    spans = FakeSpans()
    tracing = Tracing(spans)
    written(tracing, spans, Dot(SECRET_LANE, 1))

    def tell(*_said: object) -> None:
        raise AssertionError("nobody is told")

    exchange: Any = SimpleNamespace(peers={1: peer(PEER, {})})
    tracing.sealed([bundle(SECRET_LANE, 1, 1)], exchange, tell)
    assert not spans.named("peer.push")


def test_what_is_remembered_is_bounded_in_number_and_time() -> None:
    spans, clock = FakeSpans(), Clock()
    tracing = Tracing(spans, clock)
    place = TraceParent(trace_id=9, span_id=8, sampled=True)
    for start in range(1, 5000, 200):
        many = [Crossed(ACTOR, start + n, place) for n in range(200)]
        tracing.crossed(NODE, 1, encode(many))
    assert len(tracing._writes) == 1000
    clock.now += 60
    tracing.crossed(NODE, 1, encode([Crossed(ACTOR, 9999, place)]))
    assert len(tracing._writes) == 1


def test_a_push_that_nobody_acknowledges_ends_all_the_same() -> None:
    spans, clock = FakeSpans(), Clock()
    tracing = Tracing(spans, clock)
    exchange: Any = SimpleNamespace(peers={1: peer(PEER, {})})
    written(tracing, spans, Dot(ACTOR, 1))
    tracing.sealed([bundle(ACTOR, 1, 1)], exchange, lambda *_said: None)
    clock.now += 60
    tracing.heard(exchange)
    (push,) = spans.named("peer.push")
    assert (push.ended, push.failed) == (True, "not acknowledged")
    tracing.close()
    assert spans.closed
