"""What the network does to messages, and who is cut from whom."""

import random
from itertools import pairwise

import pytest
import trio
import trio.testing

from chaos.maelstrom.message import MalformedError, Message, canonical, made, read
from chaos.maelstrom.nemesis import Partitions, between, majority, one, ring
from chaos.maelstrom.network import Network
from chaos.maelstrom.workload import WORKLOADS, topology

NAMES = [f"n{number}" for number in range(1, 8)]


def network(**options: float | str) -> tuple[Network, list[Message]]:
    got: list[Message] = []
    net = Network(random.Random(3), **options)  # type: ignore[arg-type]
    for name in ("n1", "n2", "c1"):
        net.join(name, got.append)
    return net, got


def send(net: Network, src: str, dest: str, count: int = 1) -> None:
    for number in range(count):
        net.send(made(src, dest, {"type": "x", "n": number}))


def test_without_delay_all_arrives_at_once_and_is_counted() -> None:
    net, got = network()
    send(net, "n1", "n2", 3)
    send(net, "c1", "n1")
    assert len(got) == 4
    figures = net.figures(2)
    assert figures["servers"] == {
        "send_count": 3,
        "recv_count": 3,
        "msg_count": 3,
        "msgs_per_op": 1.5,
    }
    assert figures["clients"]["msg_count"] == 1
    assert net.kinds == {"x": 3}


def test_a_cut_is_one_way_if_it_says_so_and_never_a_clients() -> None:
    net, got = network()
    net.cut({("n1", "n2")})
    send(net, "n1", "n2")
    send(net, "n2", "n1")
    send(net, "c1", "n2")
    assert [m.dest for m in got] == ["n1", "n2"]
    assert net.counts["cut"] == 1
    net.cut(())
    send(net, "n1", "n2")
    assert len(got) == 3


def test_the_first_message_of_all_is_no_part_of_the_figures() -> None:
    net, got = network()
    net.send(made("c1", "n1", {"type": "init"}))
    net.send(made("n1", "c1", {"type": "init_ok"}))
    assert len(got) == 2
    assert net.figures(1)["all"]["msg_count"] == 0


def test_who_is_unknown_gets_nothing() -> None:
    net, got = network()
    net.leave("c1")
    send(net, "n1", "c1")
    send(net, "n1", "n9")
    assert not got
    assert net.counts["undeliverable"] == 2


def test_shares_of_messages_are_lost_and_doubled() -> None:
    net, got = network(loss=0.2, double=0.1)
    send(net, "n1", "n2", 2000)
    assert 300 < net.counts["lost"] < 500
    assert 100 < net.counts["doubled"] < 230
    assert len(got) == 2000 - net.counts["lost"] + net.counts["doubled"]


@pytest.mark.parametrize("distribution", ["constant", "uniform", "exponential"])
def test_delays_have_the_mean_and_let_messages_overtake(distribution: str) -> None:
    async def play() -> None:
        clock = trio.current_time()
        times: list[float] = []
        order: list[int] = []
        all_of_them = trio.Event()
        net = Network(random.Random(1), latency_ms=100, distribution=distribution)

        def deliver(message: Message) -> None:
            times.append(trio.current_time() - clock)
            order.append(message.body["n"])
            if len(order) == 500:
                all_of_them.set()

        net.join("n2", deliver)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(net.carry)
            send(net, "n1", "n2", 500)
            await all_of_them.wait()
            nursery.cancel_scope.cancel()
        assert len(times) == 500
        assert sum(times) / 500 == pytest.approx(0.1, rel=0.15)
        assert (order == sorted(order)) == (distribution == "constant")

    trio.run(play, clock=trio.testing.MockClock(autojump_threshold=0))


def test_partitions_come_and_go_and_say_what_they_took() -> None:
    async def play() -> None:
        net = Network(random.Random(1))
        for name in NAMES[:5]:
            net.join(name, lambda _message: None)
        nemesis = Partitions(
            net,
            NAMES[:5],
            targets=["one", "majority", "majorities-ring"],
            interval_s=1.0,
            dice=random.Random(5),
            now=trio.current_time,
        )

        async def until(deadline: float) -> None:
            while trio.current_time() < deadline:
                for name in NAMES[1:5]:
                    net.send(made("n1", name, {}))
                    net.send(made(name, "n1", {}))
                await trio.sleep(0.1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(nemesis.run)
            await until(trio.current_time() + 20)
            nursery.cancel_scope.cancel()
        assert 5 < len(nemesis.windows) < 20
        assert {w.kind for w in nemesis.windows} == {"one", "majority", "majorities-ring"}
        assert sum(w.cut for w in nemesis.windows) == net.counts["cut"] > 0
        assert all(w.began_s < w.ended_s for w in nemesis.windows)
        assert all(a.ended_s < b.began_s for a, b in pairwise(nemesis.windows))
        before = net.counts["cut"]
        net.send(made("n1", "n2", {}))
        assert net.counts["cut"] == before, "whole again"

    trio.run(play, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.parametrize("count", range(3, 10))
def test_sides_of_partitions(count: int) -> None:
    names = [f"n{number}" for number in range(count)]
    assert one(names)[0] == between(names[:1], names[1:])
    side = count // 2 + 1
    assert majority(names)[0] == between(names[:side], names[side:])
    cut = ring(names)[0]
    views = []
    for name in names:
        hears = {other for other in names if (other, name) not in cut}
        assert len(hears) >= side, "everybody hears a majority"
        views.append(frozenset(hears))
    assert {(b, a) for a, b in cut} == cut
    if count > 4:
        assert len(set(views)) == count


def test_a_grid_has_neighbours_both_ways() -> None:
    for kind in ("grid", "line", "total"):
        near = topology(NAMES, kind)
        assert all(a in near[b] for a in near for b in near[a])
    assert topology(NAMES, "grid")["n1"] == ["n4", "n2"]
    assert topology(NAMES, "line")["n2"] == ["n1", "n3"]
    assert len(topology(NAMES, "total")["n1"]) == 6


@pytest.mark.parametrize("line", [b"x", b"[]", b"{}", b'{"src":"a","dest":1,"body":{}}'])
def test_a_line_that_is_no_message(line: bytes) -> None:
    with pytest.raises(MalformedError):
        read(line)


def test_answers_have_the_documented_fields_and_no_others() -> None:
    request = WORKLOADS["g-set"].requests["read"]
    assert request.answer("read", {"type": "read_ok", "in_reply_to": 1, "value": [1]}) == [1]
    wrong: list[dict[str, object]] = [
        {"type": "read_ok", "in_reply_to": 1, "value": [1], "more": 1},
        {"type": "read_ok", "in_reply_to": 1},
        {"type": "read_ok", "in_reply_to": 1, "value": 1},
        {"type": "add_ok", "in_reply_to": 1, "value": [1]},
    ]
    for body in wrong:
        with pytest.raises(MalformedError):
            request.answer("read", body)


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_same_dice_ask_the_same(name: str) -> None:
    workload = WORKLOADS[name]
    first, second = workload.asks(random.Random(4)), workload.asks(random.Random(4))
    asked = [next(first) for _ in range(200)]
    assert asked == [next(second) for _ in range(200)]
    assert {f for f, _ in asked} == set(workload.requests)
    given = [canonical(value) for f, value in asked if f in {"broadcast", "add"}]
    if name in {"broadcast", "g-set"}:
        assert len(set(given)) == len(given), "elements are given once"
    if name == "g-counter":
        assert all(int(text) >= 0 for text in given)
