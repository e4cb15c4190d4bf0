"""What is answered before the index shows it."""

from node.recall.bag import bag_of
from node.recall.filters import passes
from node.recall.lexical import Lexical
from node.recall.lexical_query import wanted
from node.recall.overlay import Overlay
from node.recall.values import Change, Document, Filters

FILTERS = Filters(reader="", now_ms=0)


def document(ident: str, content: str) -> Document:
    return Document(
        key=f"d{ident}", id=ident, namespace="n", owner="o", title="", content=content, order=1
    )


def put(over: Overlay, ident: str, content: str | None) -> int:
    key = f"d{ident}"
    over.mark(key)
    made = None if content is None else document(ident, content)
    mark = over.mark_of(key)
    over.put(mark, Change(key, made), b"" if made is None else bag_of(made))
    return mark


def found(over: Overlay, text: str) -> list[str]:
    fresh = over.having(wanted(text), FILTERS)
    asked = Lexical(None).snapshot().asked(wanted(text), FILTERS, fresh.seen)
    scores = {key[1:]: asked.score(bag) for key, bag in fresh.bags.items()}
    return sorted(scores, key=lambda ident: -scores[ident])


def test_more_and_rarer_words_rank_first() -> None:
    over = Overlay()
    put(over, "one", "red fish")
    put(over, "two", "red red fish blue")
    put(over, "three", "green")
    assert found(over, "red blue") == ["two", "one"]
    assert found(over, "nothing") == []


def test_a_change_takes_the_place_of_what_was_there() -> None:
    over = Overlay()
    put(over, "one", "red")
    put(over, "one", "blue")
    assert found(over, "red") == []
    assert found(over, "blue") == ["one"]
    put(over, "one", None)
    assert found(over, "blue") == []
    assert over.covers("done")


def test_what_was_marked_and_not_read_is_covered_and_not_found() -> None:
    over = Overlay()
    put(over, "one", "red")
    over.mark("done")
    assert over.unknown().keys() == {"done"}
    assert over.covers("done")
    assert found(over, "red") == []


def test_what_was_read_before_the_last_mark_is_not_kept() -> None:
    over = Overlay()
    over.mark("done")
    old = over.mark_of("done")
    over.mark("done")
    change = Change("done", document("one", "red"))
    over.put(old, change, bag_of(document("one", "red")))
    assert found(over, "red") == []


def test_an_entry_leaves_when_the_index_shows_it_and_not_before() -> None:
    over = Overlay()
    first = put(over, "one", "red")
    second = put(over, "one", "blue")
    over.settle({"done": first})
    assert found(over, "blue") == ["one"]
    over.settle({"done": second})
    assert not over.covers("done")
    assert len(over) == 0
    assert not over._postings


def test_the_oldest_leave_when_there_are_too_many() -> None:
    over = Overlay(entries_max=3)
    for ident in "abcd":
        put(over, ident, "red")
    assert sorted(found(over, "red")) == ["b", "c", "d"]


def test_filters_hold_and_what_may_not_be_seen_is_not_noticed() -> None:
    over = Overlay()
    put(over, "one", "red fish")
    for filters, bags, seen in (
        (FILTERS, 1, 1),
        (Filters(reader="", now_ms=0, namespace="other"), 0, 1),
        (Filters(reader="", now_ms=0, within=("other",)), 0, 0),
    ):
        fresh = over.having(wanted("red unicorn"), filters)
        assert (len(fresh.bags), len(fresh.seen)) == (bags, seen)
        assert len(list(over.documents(filters))) == bags
    assert all(passes(one, FILTERS) for one in over.documents(FILTERS))


def test_what_was_read_is_bounded_in_bytes_and_the_oldest_leaves_first() -> None:
    over = Overlay(bytes_max=10_000)
    for number in range(20):
        put(over, f"m{number}", "red " * 250)
        assert over._bytes <= 10_000
    assert not over.covers("dm0")
    assert over.covers("dm19")
    assert len(found(over, "red")) == len(over) > 1
    put(over, "large", "red " * 5_000)
    assert over.keys() == set()
    assert over._bytes == 0
    put(over, "m20", "red")
    over.clear()
    assert over._bytes == 0
