"""What an image must hold, what it may hold, and what it must not."""

from collections.abc import Iterator

from chaos.power.cycle import anomalies
from chaos.power.promises import Promises


def clock() -> Iterator[int]:
    yield from range(10, 1000, 10)


def promises() -> Promises:
    ticks = clock()
    return Promises(clock=lambda: next(ticks))


def rules(told: Promises, held: dict[str, str], at_ns: int) -> list[str]:
    return [one.rule for one in told.judge(held, at_ns)]


def test_an_acknowledged_write_must_be_there_and_one_on_its_way_may() -> None:
    told = promises()
    told.kept(told.sent("a", "one"))  # sent at 10, kept at 20
    told.sent("a", "two")  # at 30
    assert told.allowed("a", 10) == {None}
    assert told.allowed("a", 15) == {None, "one"}
    assert told.allowed("a", 25) == {"one"}
    assert told.allowed("a", 35) == {"one", "two"}


def test_anomalies_have_names() -> None:
    told = promises()
    told.kept(told.sent("a", "one"))
    told.kept(told.sent("a", "two"))
    told.kept(told.sent("b", "one"))
    told.kept(told.sent("b", None))
    assert rules(told, {"a": "two"}, 500) == []
    assert rules(told, {}, 500) == ["lost"]
    assert rules(told, {"a": "one"}, 500) == ["reverted"]
    assert rules(told, {"a": "three"}, 500) == ["invented"]
    assert rules(told, {"a": "two", "b": "one"}, 500) == ["back"]
    assert rules(told, {"a": "two", "c": "one"}, 500) == ["invented"]
    assert rules(told, {"a": "two"}, 25) == ["invented"]  # it had not been sent then


def test_a_refused_write_must_not_be_there() -> None:
    told = promises()
    told.refused(told.sent("a", "one"))
    assert rules(told, {}, 500) == []
    assert rules(told, {"a": "one"}, 500) == ["invented"]


def test_an_image_that_does_not_open_is_wrong_once_anything_was_promised() -> None:
    told = promises()
    told.kept(told.sent("a", "one"))
    assert [one.rule for one in anomalies(told, 15, {"error": "no"})] == []
    assert [one.rule for one in anomalies(told, 25, {"error": "no"})] == ["refused"]


def test_entries_of_the_audit_chain_that_were_told_must_be_there() -> None:
    told = promises()
    told.entries.append((10, 3))
    found = {"records": {}, "trouble": [], "audit": 2}
    assert [one.rule for one in anomalies(told, 11, found)] == ["lost"]
    assert [one.rule for one in anomalies(told, 10, found)] == []
