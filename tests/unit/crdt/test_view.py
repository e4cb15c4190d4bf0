from typing import Any

from crdt.dot import Dot
from crdt.op import Kind
from crdt.record import Record
from crdt.view import NothingPending, View, etag, in_conflict, revision, shown, view, winner
from tests.unit.crdt.rig import dot
from tests.unit.crdt.test_record import BORN, EDIT, GONE, OTHER, after, op

NONE = NothingPending()


class Approved:
    """These pending operations show, with this stamp."""

    def __init__(self, *dots: Dot, stamp: int = 0) -> None:
        self.dots, self.largest = dots, stamp

    def shown(self, dot: Dot) -> bool:
        return dot in self.dots

    def stamp(self, dot: Dot) -> int:
        return self.largest if dot in self.dots else 0


def seen(record: Record | None, approvals: Any = NONE) -> View:
    out = view(record, approvals)
    assert out is not None
    return out


def born(place: Dot, **parts: Any) -> Any:
    return op(Kind.CREATE, place, **parts)


def test_nothing_is_seen_of_nothing() -> None:
    assert view(None, NONE) is None
    assert view(after(BORN, GONE), NONE) is None


def test_the_largest_stamp_shows_and_the_others_are_conflicts() -> None:
    late, early = EDIT._replace(hlc=9), OTHER._replace(hlc=8)
    for order in ((late, early), (early, late)):
        got = seen(after(BORN, *order))
        assert (got.values["title"], got.conflicts) == ("two", 1)
    tie = seen(after(BORN, EDIT._replace(hlc=9), OTHER._replace(hlc=9)))
    first = max((EDIT, OTHER), key=lambda one: one.dot.actor)
    assert tie.values["title"] == first.set["title"]


def test_every_value_that_the_merge_did_not_choose_counts_once() -> None:
    third = OTHER._replace(dot=dot("z"), set={"title": "third"})
    again = OTHER._replace(dot=dot("y"), set={"title": "third"})
    for order in ((EDIT, OTHER, third, again), (again, third, OTHER, EDIT)):
        assert seen(after(BORN, *order)).conflicts == 2


def test_equal_values_are_no_conflict() -> None:
    assert seen(after(BORN, EDIT, OTHER._replace(set={"title": "two"}))).conflicts == 0


def test_sets_counters_and_tiers_merge_their_own_way() -> None:
    one = born(dot("a"), set={"tags/x": 1, "tags/y": 0, "+n": 2, "tier": "mid"})
    two = born(dot("b"), set={"tags/x": 0, "tags/z": 1, "+n": 3, "tier": "long"})
    for order in ((one, two), (two, one)):
        got = seen(after(*order))
        assert got.values == {"tags": ["x", "y", "z"], "+n": 5, "tier": "long"}
        assert got.conflicts == 0


def test_the_oldest_birth_gives_owner_and_rivals_are_reported() -> None:
    old = born(dot("b"), hlc=5, owner="bob", set={"title": "old"})
    new = born(dot("a"), hlc=6, owner="ann", set={"title": "new"})
    for order in ((old, new), (new, old)):
        got = seen(after(*order))
        assert (got.owner, got.created, got.rivals) == ("bob", 5, 1)
        assert got.values == {"title": "old"}


def test_a_pending_operation_shows_once_approved() -> None:
    held = after(BORN, EDIT, pending={EDIT.dot})
    assert seen(held).values["title"] == "one"
    assert seen(held, Approved(EDIT.dot)).values["title"] == "two"
    unborn = after(BORN, pending={BORN.dot})
    assert view(unborn, NONE) is None
    assert seen(unborn, Approved(BORN.dot)).values["title"] == "one"
    dying = after(BORN, GONE, pending={GONE.dot})
    assert seen(dying).values["title"] == "one"
    assert view(dying, Approved(GONE.dot)) is None


def test_an_approval_orders_by_its_votes() -> None:
    both = after(BORN, EDIT._replace(hlc=1), OTHER._replace(hlc=50), pending={EDIT.dot})
    assert seen(both, Approved(EDIT.dot, stamp=99)).values["title"] == "two"
    assert seen(both, Approved(EDIT.dot, stamp=9)).values["title"] == "three"


def test_version_and_etag_change_with_every_change() -> None:
    first = born(dot("a"), set={"rev": 1})
    second = op(
        Kind.EDIT,
        dot("a", 2),
        births=frozenset([first.dot]),
        supersedes=frozenset([first.dot]),
        set={"rev": 2},
    )
    sibling = second._replace(dot=dot("b", 1))
    states = [after(first), after(first, second), after(first, second, sibling)]
    assert [seen(s).version for s in states] == [1, 2, 3]
    assert len({seen(s).etag for s in states}) == 3
    assert seen(after(first, sibling, second)) == seen(states[2])


def test_small_parts() -> None:
    part = shown(after(BORN, EDIT, OTHER), NONE)
    assert part is not None
    titles = part.fields["title"]
    assert in_conflict(titles)
    assert not in_conflict(titles[:1])
    assert winner(titles[:1], NONE) is titles[0]
    assert etag(titles) == etag(titles[::-1])
    assert revision([]) == 1


def test_every_version_of_a_chunk_is_there_and_none_that_is_no_bytes() -> None:
    right = EDIT._replace(set={"chunk/aa": b"right", "tags/x": 0})
    wrong = OTHER._replace(set={"chunk/aa": b"wrong", "chunk/bb": "no bytes"})
    got = seen(after(BORN, right, wrong)).values
    assert sorted((one.name, one.data, one.dot) for one in got["chunk"]) == sorted(
        [("chunk/aa", b"right", right.dot), ("chunk/aa", b"wrong", wrong.dot)]
    )
    assert got["tags"] == ["x"]
    alone = seen(after(BORN._replace(set={"title": "t", "chunk/aa": b"x"}))).values
    assert [(one.data, one.agent, one.hlc) for one in alone["chunk"]] == [
        (b"x", BORN.agent, BORN.hlc)
    ]
    assert seen(after(BORN, OTHER._replace(set={"chunk/bb": 7}))).values["chunk"] == ()


def test_the_fields_that_are_asked_for_show_as_in_the_whole() -> None:
    record = after(BORN, EDIT, OTHER)
    whole = shown(record, NONE)
    part = shown(record, NONE, ("title", "nowhere"))
    assert whole is not None
    assert part == whole._replace(fields={"title": whole.fields["title"]})
