"""Fresh bundles out, pushed bundles in; see also test_exchange and test_relay."""

from crdt import messages as m
from crdt.header import peek
from crdt.messages import encode
from tests.unit.crdt.test_exchange import alarms
from tests.unit.crdt.test_relay import NAMES, Whole


def test_up_to_the_limit_everybody_is_pushed_to() -> None:
    whole = Whole("abc")
    whole.write("a")
    whole.carry()
    assert whole.pushes == [("a", "b"), ("a", "c")]


def test_governance_goes_to_all_at_once() -> None:
    whole = Whole()
    whole.sides["a"].node.agent("bob")
    whole.sides["a"].commit()
    whole.carry()
    assert sorted(whole.pushes) == [("a", other) for other in NAMES[1:]]


def test_a_duplicate_is_dropped_by_its_header() -> None:
    whole = Whole(w=1)
    b, c = whole.sides["b"], whole.sides["c"]
    for n in range(2):
        b.node.create(f"r{n}")
        (bundle,) = b.node.close()
        c.exchange.receive(whole.link("b"), encode(m.Push(bundle.data)))
        if not n:
            first = bundle
    header = peek(first.data)
    assert header is not None
    # Cut short, so that decoding it would raise an alarm.
    c.exchange.receive(whole.link("b"), encode(m.Push(first.data[:80])))
    assert alarms(c) == []
