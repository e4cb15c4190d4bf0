"""What overtook what it rests on waits a moment, within a bound."""

from unittest.mock import ANY

import pytest

from crdt import messages as m
from crdt.admission import Fit
from crdt.bundle import Bundle
from crdt.effects import Alarm
from crdt.messages import encode
from tests.unit.crdt.rig import node_of
from tests.unit.crdt.test_relay import Whole


def test_a_bundle_that_overtook_what_it_rests_on_waits_for_it() -> None:
    whole = Whole(w=1)
    whole.write("a")
    whole.settle()
    b, c = whole.sides["b"], whole.sides["c"]
    b.node.edit("r", title="second")
    (edit,) = b.node.close()
    late = b.node.edit("r", title="third")
    (third,) = b.node.close()
    b.node.land()
    me = node_of("c")
    c.exchange.receive(whole.link("b"), encode(m.Spread(third.data, me)))
    assert len(c.exchange.stream.holding) == 1
    assert not c.exchange.catchup.running
    c.exchange.receive(whole.link("b"), encode(m.Spread(third.data, me)))
    assert len(c.exchange.stream.holding) == 1
    c.exchange.receive(whole.link("b"), encode(m.Spread(edit.data, me)))
    assert len(c.exchange.stream.holding) == 0
    assert c.exchange.stream.holding.size_bytes == 0
    assert c.node.replica.clock[late.actor] == late.seq


def test_what_rests_on_nothing_for_too_long_is_behind() -> None:
    whole = Whole(w=1, held_bytes_max=1500)
    b, c = whole.sides["b"], whole.sides["c"]
    b.node.create("r1")
    b.node.close()
    b.node.create("r2")
    (second,) = b.node.close()
    b.node.create("r3", title="x" * 1500)
    (third,) = b.node.close()
    b.node.land()
    c.exchange.receive(whole.link("b"), encode(m.Spread(second.data, node_of("c"))))
    c.pass_time(200)
    c.exchange.tick()
    assert not c.exchange.catchup.running
    c.pass_time(100)
    c.exchange.tick()
    assert c.exchange.catchup.running
    whole.settle()
    whole.sides["d"].exchange.receive(whole.link("b"), encode(m.Spread(third.data, node_of("d"))))
    assert whole.sides["d"].exchange.catchup.running, "there is no room to keep it"


def test_a_swapped_or_lost_link_forgets_what_it_held() -> None:
    whole = Whole(w=1)
    b, c = whole.sides["b"], whole.sides["c"]
    b.node.create("r1")
    b.node.close()
    b.node.create("r2")
    (second,) = b.node.close()
    c.exchange.receive(whole.link("b"), encode(m.Spread(second.data, node_of("c"))))
    holding = c.exchange.stream.holding
    assert len(holding) == 1
    c.exchange.link_down(whole.link("b"))
    assert (len(holding), holding.size_bytes) == (0, 0)


def test_a_forgery_takes_the_place_of_nothing() -> None:
    whole = Whole(w=1)
    b, c = whole.sides["b"], whole.sides["c"]
    b.node.create("r1")
    (first,) = b.node.close()
    b.node.create("r2")
    (second,) = b.node.close()
    forged = second.data[:-1] + bytes([second.data[-1] ^ 1])
    c.exchange.receive(whole.link("d"), encode(m.Spread(forged, node_of("c"))))
    assert len(c.exchange.stream.holding) == 0
    assert c.exchange.effects == [Alarm("bad", whole.link("d"), ANY)]
    c.exchange.receive(whole.link("b"), encode(m.Spread(second.data, node_of("c"))))
    c.exchange.receive(whole.link("b"), encode(m.Spread(first.data, node_of("c"))))
    assert c.node.record("r2") is not None


def test_what_waits_is_looked_at_when_what_it_lacks_has_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = Whole(w=1)
    b, c, d = (whole.sides[name] for name in "bcd")
    bundles = []
    for number in range(50):
        b.node.create(f"r{number}")
        bundles += b.node.close()
    for bundle in reversed(bundles[1:]):
        c.exchange.receive(whole.link("b"), encode(m.Spread(bundle.data, node_of("c"))))
    assert len(c.exchange.stream.holding) == 49
    judged: list[Bundle] = []
    original = c.node.replica.fit

    def fit(bundle: Bundle) -> Fit:
        judged.append(bundle)
        return original(bundle)

    monkeypatch.setattr(c.node.replica, "fit", fit)
    d.node.create("other")
    (other,) = d.node.close()
    c.exchange.receive(whole.link("d"), encode(m.Spread(other.data, node_of("c"))))
    assert len(judged) == 1, "nothing that waits rests on this one"
    c.exchange.receive(whole.link("b"), encode(m.Spread(bundles[0].data, node_of("c"))))
    assert len(c.exchange.stream.holding) == 0
    assert len(judged) == 51


def test_what_is_held_is_bounded_by_its_operations_too() -> None:
    whole = Whole(w=1)
    b, c = whole.sides["b"], whole.sides["c"]
    b.node.create("r")
    b.node.close()
    bundles = []
    for many in range(4):
        for number in range(3_000):
            b.node.create(f"r{many}-{number}")
        bundles += b.node.close()
    for bundle in bundles:
        c.exchange.receive(whole.link("b"), encode(m.Spread(bundle.data, node_of("c"))))
    assert sum(len(bundle.data) for bundle in bundles) < c.exchange.limits.held_bytes_max
    assert len(c.exchange.stream.holding) < 3
    assert c.exchange.catchup.running, "what finds no room is asked for"
