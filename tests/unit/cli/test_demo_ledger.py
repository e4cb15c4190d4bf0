"""The judge of the demonstration sees what it should see: doctored endings are not passed."""

from collections.abc import Callable

import pytest

from node.cli.demo_ledger import Ledger, Verdict, content_hash, judge

ONE = {"title": "one", "content": "first"}
TWO = {"title": "two", "content": "second"}
Held = list[dict[str, str]]


def promised() -> Ledger:
    ledger = Ledger()
    for ident, memory in (("1", ONE), ("2", TWO)):
        ledger.doubt(ident)
        ledger.promise(ident, memory)
    ledger.doubt("3")
    return ledger


def held() -> Held:
    whole = {"1": content_hash(ONE), "2": content_hash(TWO)}
    return [dict(whole) for _ in range(3)]


def verdict(change: Callable[[Held], object]) -> Verdict:
    nodes = held()
    change(nodes)
    return judge(promised(), nodes)


def test_what_was_promised_is_there() -> None:
    found = judge(promised(), held())
    assert found.converged
    assert (found.lost, found.memories) == ((), (2, 2, 2))


def test_what_was_not_confirmed_may_be_there_or_not() -> None:
    assert verdict(lambda nodes: [node.update({"3": "x"}) for node in nodes]).converged


@pytest.mark.parametrize(
    ("change", "lost", "differing", "strangers"),
    [
        (lambda nodes: nodes[1].pop("1"), ("1",), ("1",), ()),
        (lambda nodes: [node.pop("1") for node in nodes], ("1",), (), ()),
        (lambda nodes: nodes[2].update({"2": "other"}), ("2",), ("2",), ()),
        (lambda nodes: [node.update({"2": "other"}) for node in nodes], ("2",), (), ()),
        (lambda nodes: nodes[0].update({"3": "x"}), (), ("3",), ()),
        (lambda nodes: [node.update({"9": "x"}) for node in nodes], (), (), ("9",)),
    ],
)
def test_what_is_wrong_is_named(
    change: Callable[[Held], object],
    lost: tuple[str, ...],
    differing: tuple[str, ...],
    strangers: tuple[str, ...],
) -> None:
    found = verdict(change)
    assert (found.lost, found.differing, found.strangers) == (lost, differing, strangers)
    assert found.lost or not found.converged


def test_an_edit_that_was_confirmed_is_what_counts() -> None:
    ledger = promised()
    ledger.promise("1", TWO)
    assert judge(ledger, held()).lost == ("1",)


def test_a_doubt_does_not_undo_a_promise() -> None:
    ledger = promised()
    ledger.doubt("1")
    assert ledger.unconfirmed == {"3"}


def test_title_and_content_cannot_be_shifted_into_each_other() -> None:
    assert content_hash({"title": "ab", "content": "c"}) != content_hash(
        {"title": "a", "content": "bc"}
    )
