"""Who gets a bundle, and by whom; a small mesh in which nobody pushes to all."""

import random

import pytest

from crdt import messages as m
from crdt.messages import decode, encode
from tests.unit.crdt.rig import Side, mesh, node_of

NAMES = "abcdefgh"


class Whole:
    """Nodes linked in pairs, whose messages are carried by hand."""

    def __init__(self, names: str = NAMES, w: int = 2, **limits: int) -> None:
        bounds = {"full_fanout_max": 3, "relay_extra": 0, "relay_fanout": 2, **limits}
        self.sides = {n.name: Side(n, **bounds) for n in mesh(*names)}
        self.pushes: list[tuple[str, str]] = []
        for left in names:
            self.sides[left].exchange.wanted_w = w
            for right in names:
                if left != right:
                    self.sides[left].open(self.link(right), self.sides[right])
        self.settle()
        for side in self.sides.values():
            assert side.exchange.relay.on == (len(names) > bounds["full_fanout_max"])
        self.pushes.clear()

    @staticmethod
    def link(other: str) -> int:
        return ord(other)

    def carry(self, *, lose: str = "") -> int:
        """One flight of all messages; those with fresh bundles for `lose` never arrive."""
        flights = [
            (left, other, side.boxes[self.link(other)].take(2**30))
            for left, side in self.sides.items()
            for other in self.sides
            if other != left
        ]
        for sender, receiver, messages in flights:
            side = self.sides[receiver]
            for data in messages:
                if isinstance(decode(data), m.Push | m.Spread):
                    self.pushes.append((sender, receiver))
                    if receiver in lose:
                        continue
                side.exchange.advance(side.node.now_ms)
                side.exchange.receive(self.link(sender), data)
        for side in self.sides.values():
            side.commit()
        return sum(len(messages) for *_, messages in flights)

    def settle(self, rounds: int = 60) -> None:
        for _ in range(rounds):
            if not self.carry():
                return
        raise AssertionError("they never stop talking")

    def pass_time(self, ms: int) -> None:
        for side in self.sides.values():
            side.pass_time(ms)
            side.exchange.tick()

    def write(self, name: str, record: str = "r") -> None:
        side = self.sides[name]
        side.node.create(record, title=name)
        side.commit()

    def holders(self, record: str = "r") -> set[str]:
        return {name for name, side in self.sides.items() if side.node.record(record)}


def test_each_node_gets_a_bundle_once_and_the_writer_sends_few() -> None:
    whole = Whole()
    for writer in NAMES:
        whole.pushes.clear()
        whole.write(writer, f"of-{writer}")
        whole.settle()
        assert whole.holders(f"of-{writer}") == set(NAMES)
        assert sorted(to for _, to in whole.pushes) == sorted(set(NAMES) - {writer})
        assert sum(sender == writer for sender, _ in whole.pushes) == 1
    assert all(side.exchange.catchup.sessions == 0 for side in whole.sides.values())


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_bounds_each_gets_it_once(seed: int) -> None:
    r = random.Random(seed)
    names = NAMES[: r.randint(4, 8)]
    w = r.randint(1, len(names))
    extra, fanout = r.randint(0, 2), r.randint(1, 3)
    whole = Whole(names, w, relay_extra=extra, relay_fanout=fanout)
    writer = r.choice(names)
    whole.write(writer)
    whole.settle()
    assert sorted(to for _, to in whole.pushes) == sorted(set(names) - {writer}), seed
    sent = sum(sender == writer for sender, _ in whole.pushes)
    assert sent == min(max(w - 1 + extra, 1), len(names) - 1), seed


def test_a_relay_waits_for_its_disk() -> None:
    whole = Whole()
    whole.write("a")
    ((link, spread),) = [
        (number, data)
        for number, box in whole.sides["a"].boxes.items()
        for data in box.take(2**30)
        if isinstance(decode(data), m.Spread)
    ]
    relay = whole.sides[chr(link)]
    relay.exchange.receive(whole.link("a"), spread)
    assert relay.node.record() is not None
    assert not any(len(box) for box in relay.boxes.values())
    relay.commit()
    out = [decode(d) for box in relay.boxes.values() for d in box.take(2**30)]
    bundle = decode(spread).bundle  # type: ignore[union-attr]
    assert [x.bundle for x in out if isinstance(x, m.Spread)] == [bundle, bundle]


def test_whoever_is_away_is_passed_over() -> None:
    whole = Whole()
    away = "d"
    for name, side in whole.sides.items():
        if name != away:
            side.exchange.link_down(whole.link(away))
    whole.write("a")
    whole.settle()
    assert whole.holders() == set(NAMES) - {away}


def test_what_a_relay_lost_is_asked_for() -> None:
    whole = Whole()
    whole.write("a")
    for _ in range(6):
        whole.carry(lose="cd")
    assert "c" not in whole.holders()
    for _ in range(8):
        whole.pass_time(400)
        whole.settle()
    assert whole.holders() == set(NAMES)


def test_a_quorum_that_does_not_come_is_sought_with_all() -> None:
    whole = Whole(w=3, relay_extra=0)
    whole.write("a")
    first = {chr(n) for n, box in whole.sides["a"].boxes.items() if len(box)}
    assert len(first) == 2
    whole.carry(lose="".join(first))
    tally = whole.sides["a"].exchange.tally
    assert tally.quorum_seq() == 0
    whole.pass_time(10)
    whole.pass_time(501)
    whole.carry()
    whole.carry()
    assert tally.quorum_seq() == 1, "those asked second answer at once"


def test_only_who_was_pushed_to_by_the_author_answers_at_once() -> None:
    whole = Whole(claims_per_s_max=1)
    whole.write("a")
    whole.settle()
    acknowledged = {
        name
        for name, side in whole.sides.items()
        if name != "a" and side.exchange.by_node[node_of("a")].told == side.exchange.claims.version
    }
    assert acknowledged == {to for sender, to in whole.pushes if sender == "a"}


def test_nobody_passes_on_twice() -> None:
    whole = Whole(w=1)
    whole.write("a")
    spreads = [
        (number, data)
        for number, box in whole.sides["a"].boxes.items()
        for data in box.take(2**30)
        if isinstance(decode(data), m.Spread)
    ]
    ((link, data),) = spreads
    relay = whole.sides[chr(link)]
    for _ in range(3):
        relay.exchange.receive(whole.link("a"), data)
        relay.commit()
    out = [decode(d) for box in relay.boxes.values() for d in box.take(2**30)]
    assert len([x for x in out if isinstance(x, m.Spread)]) == 2


@pytest.mark.parametrize("idle", NAMES[1:])
def test_all_get_it_although_one_never_passes_on(
    monkeypatch: pytest.MonkeyPatch, idle: str
) -> None:
    whole = Whole()
    relay = whole.sides[idle].exchange.relay
    monkeypatch.setattr(relay, "committed", lambda _batch: None)
    whole.write("a")
    whole.settle()
    waited_ms, limits = 0, whole.sides["a"].exchange.limits
    while whole.holders() != set(NAMES):
        whole.pass_time(50)
        whole.settle()
        waited_ms += 50
        assert waited_ms <= 2 * limits.relay_ms, "who lacks it sees that in what others claim"


@pytest.mark.parametrize("until", [bytes(32), b"\xff" * 32, *map(node_of, "abh")])
def test_a_wrong_part_of_the_ring_makes_no_storm(until: bytes) -> None:
    whole = Whole()
    whole.write("a")
    (spread,) = [
        message
        for box in whole.sides["a"].boxes.values()
        for data in box.take(2**30)
        if isinstance(message := decode(data), m.Spread)
    ]
    for _ in range(5):
        whole.sides["c"].exchange.receive(whole.link("d"), encode(m.Spread(spread.bundle, until)))
        whole.settle()
    most = len(NAMES) * whole.sides["a"].exchange.limits.relay_fanout
    assert len(whole.pushes) <= most, "each passes it on once, to those who lack it"
    for _ in range(40):
        whole.pass_time(100)
        whole.settle()
    assert whole.holders() == set(NAMES)


def test_a_flood_of_old_bundles_costs_a_look_and_no_answer_to_who_did_not_write_them() -> None:
    whole = Whole(w=1)
    a = whole.sides["a"]
    bundles = []
    for number in range(20):
        a.node.create(f"r{number}")
        bundles += a.node.close()
    a.commit()
    whole.settle()
    for _ in range(40):
        whole.pass_time(100)
        whole.settle()
    assert whole.holders("r19") == set(NAMES)
    whole.pushes.clear()
    c = whole.sides["c"]
    for bundle in bundles * 50:
        for until in (node_of("c"), node_of("b")):
            c.exchange.receive(whole.link("d"), encode(m.Spread(bundle.data, until)))
    whole.settle()
    assert whole.pushes == []
    assert len(c.exchange.stream.holding) == 0
    assert len(c.exchange.relay._duties) == 0
    assert not c.exchange.effects
