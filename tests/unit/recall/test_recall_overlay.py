"""What is answered before the index shows it."""

from node.recall.filters import passes
from node.recall.overlay import Overlay
from node.recall.values import Change, Document, Filters

FILTERS = Filters(reader="", now_ms=0)


def overlay(entries_max: int = 100) -> Overlay:
    return Overlay(
        fields=lambda one: [(one.title, 1.0), (one.content, 1.0)],
        terms=lambda text: text.lower().split(),
        rarity=lambda _word: (10, 1000),
        entries_max=entries_max,
    )


def document(ident: str, content: str) -> Document:
    return Document(
        key=f"d{ident}", id=ident, namespace="n", owner="o", title="", content=content, order=1
    )


def put(over: Overlay, ident: str, content: str | None) -> int:
    key = f"d{ident}"
    over.mark(key)
    made = None if content is None else document(ident, content)
    mark = over.mark_of(key)
    over.put(mark, Change(key, made), None if made is None else over.weigh(made))
    return mark


def found(over: Overlay, text: str) -> list[str]:
    return [hit.id for hit in over.find(text, FILTERS)]


def test_more_and_rarer_words_rank_first() -> None:
    over = overlay()
    put(over, "one", "red fish")
    put(over, "two", "red red fish blue")
    put(over, "three", "green")
    assert found(over, "red blue") == ["two", "one"]
    assert found(over, "nothing") == []


def test_a_change_takes_the_place_of_what_was_there() -> None:
    over = overlay()
    put(over, "one", "red")
    put(over, "one", "blue")
    assert found(over, "red") == []
    assert found(over, "blue") == ["one"]
    put(over, "one", None)
    assert found(over, "blue") == []
    assert over.covers("done")


def test_what_was_marked_and_not_read_is_covered_and_not_found() -> None:
    over = overlay()
    put(over, "one", "red")
    over.mark("done")
    assert over.unknown().keys() == {"done"}
    assert over.covers("done")
    assert found(over, "red") == []


def test_what_was_read_before_the_last_mark_is_not_kept() -> None:
    over = overlay()
    over.mark("done")
    old = over.mark_of("done")
    over.mark("done")
    change = Change("done", document("one", "red"))
    over.put(old, change, {"red": 1.0})
    assert found(over, "red") == []


def test_an_entry_leaves_when_the_index_shows_it_and_not_before() -> None:
    over = overlay()
    first = put(over, "one", "red")
    second = put(over, "one", "blue")
    over.settle({"done": first})
    assert found(over, "blue") == ["one"]
    over.settle({"done": second})
    assert not over.covers("done")
    assert len(over) == 0
    assert not over._postings


def test_the_oldest_leave_when_there_are_too_many() -> None:
    over = overlay(entries_max=3)
    for ident in "abcd":
        put(over, ident, "red")
    assert sorted(found(over, "red")) == ["b", "c", "d"]


def test_filters_hold_and_pieces_are_found_literally() -> None:
    over = overlay()
    put(over, "one", "Red-fish and chips")
    assert [hit.id for hit in over.holding("red-fish chips", FILTERS)] == ["one"]
    assert not over.holding("red-fis", FILTERS)
    other = Filters(reader="", now_ms=0, namespace="other")
    assert not over.holding("chips", other)
    assert not over.find("chips", other)
    assert all(passes(one, FILTERS) for one in over.documents(FILTERS))
