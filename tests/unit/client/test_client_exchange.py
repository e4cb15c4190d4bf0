"""Which node is asked what, how often, and which error a call ends with: no socket, no clock."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from crdt.dot import DATA, actor_text, new_actor
from node.auth.signatures import agent_bytes, signature_in, verifies
from node.client.call import Call, make_call, plain
from node.client.causal import Seen
from node.client.errors import (
    BadRequest,
    Behind,
    BrokenAnswer,
    CertificateRefused,
    ClientError,
    Conflict,
    Forbidden,
    NoAnswer,
    NotAvailable,
    NotFound,
    QuorumNotMet,
    QuotaExceeded,
    Unreachable,
)
from node.client.exchange import Fault, Outcome, Pause, Reply, Send, Session, exchange
from node.client.pace import Ambience, Retry
from node.client.places import settle
from transport.identity import NodeKey

URLS = ["http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"]


def token(seq: int, birth: int = 7) -> str:
    return f"{actor_text(new_actor(DATA, birth, b'e' * 8, b'n' * 32))}.{seq}"


def ok(body: Any | None = None, *, own: str | None = None) -> Reply:
    sent = {} if own is None else {"x-causal-token": own}
    text = json.dumps(body if body is not None else {}).encode()
    return Reply(status=200, headers={"content-type": "application/json", **sent}, body=text)


def no(status: int, code: str, retry_after: int | None = None, **fields: Any) -> Reply:
    headers = {"content-type": "application/json"}
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    return Reply(
        status=status, headers=headers, body=json.dumps({"error": code, **fields}).encode()
    )


def away() -> Fault:
    return Fault(error=Unreachable("nobody listens"))


def lost() -> Fault:
    return Fault(error=NoAnswer("the connection broke"))


@dataclass
class World:
    """Drives calls against scripted nodes; time passes only in pauses and where a test says so."""

    urls: list[str] = field(default_factory=lambda: URLS[:1])
    now: float = 0.0
    retry: Retry = field(default_factory=Retry)
    sent: list[Send] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    identity: NodeKey | None = None
    session: Session = field(init=False)

    def __post_init__(self) -> None:
        drawn = iter(range(1, 1000))
        ambience = Ambience(
            monotonic=lambda: self.now,
            chance=lambda: 0.5,
            entropy=lambda size: next(drawn).to_bytes(size),
        )
        settled = settle(self.urls, {"retry": self.retry, "ambience": ambience, "agent_id": "a"})
        if self.identity is not None:
            object.__setattr__(settled, "identity", self.identity)
        self.session = Session(settled=settled, seen=Seen(len(self.urls)))

    def run(self, call: Call[Any], answer: Callable[[Send], Outcome] | list[Outcome]) -> Any:
        script = iter(answer) if isinstance(answer, list) else None
        steps = exchange(self.session, call)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    self.pauses.append(step.seconds)
                    self.now += step.seconds
                    step = steps.send(None)
                    continue
                self.sent.append(step)
                if script is not None:
                    step = steps.send(next(script))
                else:
                    assert callable(answer)
                    step = steps.send(answer(step))
        except StopIteration as done:
            return done.value

    @property
    def nodes(self) -> list[int]:
        return [send.node for send in self.sent]


def write(**options: Any) -> Call[Any]:
    return make_call("POST", "/memories", plain, body={"title": "t"}, **options)


def read() -> Call[Any]:
    return make_call("GET", "/memories", plain)


def test_an_answer_ends_the_call() -> None:
    world = World()
    assert world.run(read(), [ok({"count": 3})]) == {"count": 3}
    assert world.sent[0].target == "/api/v1/memories"
    assert "idempotency-key" not in world.sent[0].headers


def test_every_try_of_a_write_carries_one_key() -> None:
    world = World(urls=URLS)
    outcomes: list[Outcome] = [away(), lost(), no(503, "draining", 1), lost(), ok({"id": "x"})]
    assert world.run(write(), outcomes) == {"id": "x"}
    keys = {send.headers["idempotency-key"] for send in world.sent}
    assert len(keys) == 1
    assert "" not in keys
    assert {send.body for send in world.sent} == {b'{"title":"t"}'}


def test_two_writes_have_two_keys_and_a_given_one_is_kept() -> None:
    world = World()
    world.run(write(), [ok()])
    world.run(write(), [ok()])
    world.run(write(idempotency_key="mine"), [ok()])
    first, second, third = [send.headers["idempotency-key"] for send in world.sent]
    assert first != second
    assert third == "mine"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (no(400, "invalid_field"), BadRequest),
        (no(403, "denied"), Forbidden),
        (no(404, "not_found"), NotFound),
        (no(409, "already_there"), Conflict),
        (no(429, "quota_exceeded", 1), QuotaExceeded),
        (no(503, "llm_not_configured"), NotAvailable),
    ],
)
def test_a_definite_no_is_not_asked_twice(reply: Reply, kind: type[ClientError]) -> None:
    world = World(urls=URLS)
    with pytest.raises(kind) as caught:
        world.run(write(), [reply])
    assert len(world.sent) == 1
    assert caught.value.indefinite is False
    assert caught.value.idempotency_key == world.sent[0].headers["idempotency-key"]


@pytest.mark.parametrize("status", [502, 504])
def test_what_a_proxy_says_may_have_arrived(status: int) -> None:
    world = World(retry=Retry(total=1.0, first_pause=0.4, longest_pause=0.4))
    with pytest.raises(ClientError) as caught:
        world.run(write(), lambda _send: no(status, "bad gateway"))
    assert len(world.sent) > 1
    assert caught.value.indefinite


def test_the_next_node_is_asked_and_stays_the_first() -> None:
    world = World(urls=URLS)
    world.run(read(), [away(), away(), ok()])
    world.run(read(), [ok()])
    assert world.nodes == [0, 1, 2, 2]
    assert world.pauses == []


def test_pauses_grow_between_rounds_and_heed_the_node() -> None:
    rule = Retry(total=100.0, first_pause=1.0, longest_pause=8.0)
    world = World(urls=URLS[:2], retry=rule)
    outcomes: list[Outcome] = [away(), away(), away(), away(), away(), away()]
    world.run(read(), [*outcomes, no(503, "joining", 7), away(), ok()])
    assert world.pauses == [0.5, 1.0, 2.0, 7.0]


def test_everything_is_over_at_the_deadline() -> None:
    world = World(retry=Retry(total=10.0))

    def slow(send: Send) -> Outcome:
        assert send.seconds <= 10.0 - world.now + 0.001
        world.now += send.seconds
        return lost()

    with pytest.raises(NoAnswer) as caught:
        world.run(write(), slow)
    assert world.now <= 10.0
    assert caught.value.indefinite


def test_no_node_at_all_is_definite() -> None:
    world = World(urls=URLS, retry=Retry(total=2.0))
    with pytest.raises(Unreachable) as caught:
        world.run(write(), lambda _send: away())
    assert caught.value.indefinite is False
    assert set(world.nodes) == {0, 1, 2}


def test_one_lost_try_makes_the_end_indefinite() -> None:
    world = World(urls=URLS[:2], retry=Retry(total=2.0))
    answers = iter([lost()])
    with pytest.raises(NoAnswer) as caught:
        world.run(write(), lambda _send: next(answers, away()))
    assert caught.value.indefinite
    other = World(urls=URLS[:2])
    with pytest.raises(Forbidden) as refused:
        other.run(write(), [lost(), no(403, "denied")])
    assert refused.value.indefinite


def test_a_read_is_never_indefinite() -> None:
    world = World(retry=Retry(total=1.0))
    with pytest.raises(NoAnswer) as caught:
        world.run(read(), lambda _send: lost())
    assert caught.value.indefinite is False


def test_a_shortfall_is_tried_again_and_then_told() -> None:
    world = World(retry=Retry(total=5.0))
    short = no(503, "quorum_not_met", 2, id="m", durability={"token": token(4)})
    assert world.run(write(), [short, ok({"id": "m"})]) == {"id": "m"}
    with pytest.raises(QuorumNotMet) as caught:
        world.run(write(), lambda _send: short)
    assert caught.value.indefinite
    assert caught.value.body["id"] == "m"


def test_a_stranger_is_not_asked_again() -> None:
    world = World(urls=URLS[:2], retry=Retry(total=3.0))
    stranger = Fault(error=CertificateRefused("another certificate"))
    world.run(read(), [stranger, away(), ok()])
    assert world.nodes == [0, 1, 1]
    alone = World()
    with pytest.raises(CertificateRefused):
        alone.run(read(), [stranger])


def test_reads_carry_what_was_written_and_shrink_it_again() -> None:
    world = World(urls=URLS[:2])
    world.run(write(), [ok({"durability": {"token": token(5)}})])
    world.run(read(), [ok(own=token(9))])
    assert world.sent[1].headers["x-causal-token"] == token(5)
    world.run(read(), [ok(own="-")])
    assert world.sent[2].headers["x-causal-token"] == token(9)
    world.run(read(), [ok(own="-")])
    assert world.sent[3].headers["x-causal-token"] == "-"


def test_a_node_that_is_behind_is_passed_over() -> None:
    world = World(urls=URLS[:2])
    world.run(write(), [ok({"durability": {"token": token(5)}})])
    behind = no(412, "behind")
    world.run(read(), [behind, ok()])
    assert world.nodes == [0, 0, 1]
    short = World(retry=Retry(total=1.0))
    with pytest.raises(Behind):
        short.run(read(), lambda _send: behind)


def test_a_write_on_another_node_waits_until_that_node_knows_the_past() -> None:
    world = World(urls=URLS[:2])
    world.run(write(), [ok({"durability": {"token": token(5)}})])
    world.run(write(), [away(), ok(own=token(6)), ok()])
    first, gone, level, second = world.sent
    assert [first.node, gone.node, level.node, second.node] == [0, 0, 1, 1]
    assert level.method == "GET"
    assert level.headers["x-causal-token"] == token(5)
    assert second.headers["idempotency-key"] == gone.headers["idempotency-key"]
    world.run(write(), [ok()])
    assert len(world.sent) == 5, "a node that has shown it is not asked again"


def test_every_try_is_signed_anew() -> None:
    key = NodeKey.generate(lambda size: b"k" * size)
    world = World(identity=key)
    odd = make_call("PUT", "/memories/a%2Fb", plain, params={"q": "ä &+'"}, body={"é": 1})
    world.run(odd, [lost(), ok()])
    nonces = [send.headers["x-agent-nonce"] for send in world.sent]
    assert len(set(nonces)) == 2
    for send, nonce in zip(world.sent, nonces, strict=True):
        path, _, query = send.target.partition("?")
        message = agent_bytes("PUT", path, query, send.body or b"", nonce)
        signature = signature_in(send.headers["x-agent-sig"])
        assert signature is not None
        assert verifies(key.public, message, signature)


def test_an_answer_that_is_none_is_told_as_such() -> None:
    world = World()
    headers = {"content-type": "application/json"}
    with pytest.raises(BrokenAnswer):
        world.run(write(), [Reply(status=200, headers=headers, body=b'{"id"')])
    text = Reply(status=200, headers={"content-type": "text/plain"}, body=b"ok")
    assert world.run(make_call("GET", "/livez", plain), [text]) == {"text": "ok"}


def test_a_shortfall_on_one_node_does_not_hold_up_the_others() -> None:
    world = World(urls=URLS[:2])
    short = no(503, "quorum_not_met", 2, id="m", durability={"token": token(4)})
    assert world.run(write(), [short, ok({"id": "m"})]) == {"id": "m"}
    assert [send.method for send in world.sent] == ["POST", "POST"]
    assert world.nodes == [0, 1]
