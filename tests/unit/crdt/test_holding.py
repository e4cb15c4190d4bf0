"""What overtook what it rests on waits a moment, within a bound."""

from crdt import messages as m
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
