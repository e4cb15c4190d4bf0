"""Links: in order, once, without holes, or ended; over a network that does as it likes."""

import random

import pytest

from crdt.peer import Outbox
from node.maelstrom.links import WINDOW_MESSAGES_MAX, Link, Names
from tests.unit.maelstrom.maelstrom_rig import Network


class Side:
    """What one end tells the core, written down."""

    def __init__(self) -> None:
        self.up: list[int] = []
        self.down: list[int] = []
        self.got: dict[int, list[bytes]] = {}
        self.outbox: Outbox | None = None

    def link_up(self, link: int, peer: str, outbox: Outbox) -> None:  # noqa: ARG002 - protocol
        self.up.append(link)
        self.got[link] = []
        self.outbox = outbox

    def link_down(self, link: int) -> None:
        self.down.append(link)

    def arrived(self, link: int, data: bytes) -> None:
        self.got[link].append(data)


class Pair:
    """Two ends and what is between them."""

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.now_ms = 1_000_000
        self.names = Names()
        self.sides = (Side(), Side())
        self.links = [self.made(0), self.made(1)]
        self.flight: list[tuple[int, dict[str, object]]] = []
        self.loss = self.double = 0.0
        self.sent: dict[tuple[int, int], list[bytes]] = {}

    def made(self, place: int) -> Link:
        return Link(
            "x",
            self.sides[place],
            lambda: self.names.draw(self.now_ms),
            flush_ms=0,
            now_ms=self.now_ms,
        )

    def step(self, ms: int = 10) -> None:
        self.now_ms += ms
        for place, link in enumerate(self.links):
            for body in link.due(self.now_ms):
                for _ in range(2 if self.random.random() < self.double else 1):
                    if self.random.random() >= self.loss:
                        self.flight.append((1 - place, body))
        self.random.shuffle(self.flight)
        keep = self.random.randint(0, len(self.flight)) if self.double or self.loss else 0
        now, self.flight = self.flight[keep:], self.flight[:keep]
        for place, body in now:
            self.links[place].heard(body, self.now_ms)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.step()

    def put(self, place: int, data: bytes) -> None:
        """Give one end something to send, if it has a link."""
        if self.links[place].up:
            put(self.sides[place], data)
            self.sent.setdefault((place, self.links[place].number), []).append(data)

    def partition(self) -> None:
        """One that outlasts the link."""
        self.flight.clear()
        for _ in range(400):
            self.now_ms += 10
            for link in self.links:
                link.due(self.now_ms)


def put(side: Side, data: bytes) -> None:
    assert side.outbox is not None
    side.outbox.put(data)


def test_both_sides_come_up_once_and_stay() -> None:
    pair = Pair()
    for _ in range(10):
        pair.run(100)
        for side in pair.sides:
            put(side, b"beat")
    assert [len(side.up) for side in pair.sides] == [1, 1]
    assert [side.down for side in pair.sides] == [[], []]


@pytest.mark.parametrize("seed", range(10))
def test_each_link_delivers_a_prefix_in_order_and_the_last_one_all(seed: int) -> None:
    pair = Pair(seed)
    pair.loss, pair.double = pair.random.choice([0, 0.1, 0.4]), pair.random.choice([0, 0.3])
    for turn in range(600):
        pair.step()
        for place in (0, 1):
            if pair.random.random() < 0.3:
                pair.put(place, b"%d %d" % (place, turn))
        if turn % 200 == 150:
            pair.partition()
    pair.loss = pair.double = 0.0
    for _ in range(5):
        pair.run(100)
        pair.put(0, b"beat")
        pair.put(1, b"beat")
    pair.run(50)
    assert all(link.up for link in pair.links)
    print("seed", seed, "links", len(pair.sides[0].up))
    for place, side in enumerate(pair.sides):
        sent = [data for (by, _), data in pair.sent.items() if by == 1 - place]
        for got in side.got.values():
            assert not got or any(got == whole[: len(got)] for whole in sent)
        last = pair.sent[1 - place, pair.links[1 - place].number]
        assert side.got[pair.links[place].number] == last


def test_a_silent_peer_ends_the_link_and_a_new_one_opens() -> None:
    pair = Pair()
    pair.run(50)
    old = pair.sides[0].up[-1]
    for _ in range(400):
        pair.now_ms += 10
        pair.links[0].due(pair.now_ms)
    assert pair.sides[0].down == [old]
    assert not pair.links[0].up
    pair.run(100)
    assert pair.links[0].up
    assert pair.links[1].up
    assert pair.sides[1].down, "the other side hears that the link is another one"


def test_who_is_heard_again_is_sent_what_is_missing_soon() -> None:
    """Patience grows while nothing is acknowledged; a word of the peer says that it is there."""
    pair = Pair()
    pair.run(50)
    put(pair.sides[0], b"before")
    pair.run(50)
    put(pair.sides[0], b"missing")
    for _ in range(150):  # shorter than what ends a link
        pair.now_ms += 10
        pair.links[0].due(pair.now_ms)
    put(pair.sides[1], b"I am here")
    pair.run(40)
    number = pair.links[1].number
    assert len(pair.sides[1].up) == 1, "it is the same link"
    assert pair.sides[1].got[number] == [b"before", b"missing"]


def test_a_peer_that_starts_again_is_known_at_once() -> None:
    pair = Pair()
    pair.run(50)
    pair.links[1] = pair.made(1)
    pair.run(50)
    assert len(pair.sides[0].down) == 1
    put(pair.sides[0], b"new")
    pair.run(10)
    assert pair.sides[1].got[pair.links[1].number] == [b"new"]


def test_what_is_left_of_an_older_link_is_passed_over() -> None:
    pair = Pair()
    pair.run(50)
    put(pair.sides[0], b"old")
    left = pair.links[0].due(pair.now_ms + 10)
    pair.links[0].close()
    pair.run(50)
    assert pair.links[1].up
    for body in left:
        pair.links[1].heard(body, pair.now_ms)
    assert b"old" not in pair.sides[1].got[pair.links[1].number]


def test_a_window_bounds_what_is_on_its_way() -> None:
    pair = Pair()
    pair.run(50)
    for _ in range(3 * WINDOW_MESSAGES_MAX):
        put(pair.sides[0], bytes(300_000))
    assert len(pair.links[0].due(pair.now_ms + 10)) == WINDOW_MESSAGES_MAX


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"from": -1, "to": 0, "seq": 0, "ack": 0, "data": []},
        {"from": 1, "to": 0, "seq": True, "ack": 0, "data": []},
        {"from": 1, "to": 0, "seq": 1, "ack": 0, "data": "x"},
        {"from": 1, "to": 0, "seq": 1, "ack": 0, "data": ["?"]},
        {"from": 1, "to": 0, "seq": 1, "ack": 0, "data": [1]},
    ],
)
def test_a_body_of_the_wrong_shape_changes_nothing(body: dict[str, object]) -> None:
    pair = Pair()
    pair.run(50)
    number = pair.links[0].number
    pair.links[0].heard(body, pair.now_ms)
    assert pair.links[0].number == number


@pytest.mark.parametrize("seed", range(3))
def test_a_mesh_over_a_bad_network_ends_equal_with_every_acknowledged_add(seed: int) -> None:
    net = Network(5, seed=seed, delay_ms=120, loss=0.1, double=0.1, workload="g-set", flush_ms=20)
    print("seed", seed)
    asked: dict[int, int] = {}
    value = 0
    for turn in range(40):
        if turn % 10 == 3:
            side = set(net.random.sample(net.names, 2))
            net.cut = lambda a, b, side=side: (a in side) != (b in side)  # type: ignore[misc]
        elif turn % 10 == 8:
            net.cut = lambda _a, _b: False
        for _ in range(3):
            value += 1
            asked[net.ask(net.random.choice(net.names), "add", element=value)] = value
        net.run(net.random.choice([50, 200, 700]))
    net.cut = lambda _a, _b: False
    net.until(lambda: all(number in net.answers for number in asked))
    assert all(net.answers[number]["type"] == "add_ok" for number in asked)
    want = sorted(asked.values())
    net.until(lambda: all(sorted(net.call(n, "read")["value"]) == want for n in net.names))
    net.until(lambda: len(net.digests()) == 1)
    assert not [words for words in net.said if "alarm" in words]


def test_fifteen_nodes_spread_by_relay() -> None:
    net = Network(15, delay_ms=20, workload="g-set")
    for value in range(30):
        net.call(net.names[value % 15], "add", element=value)
    net.until(lambda: all(sorted(net.call(n, "read")["value"]) == [*range(30)] for n in net.names))
