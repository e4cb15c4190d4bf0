from typing import Any

from crdt.dot import Dot
from crdt.op import Kind, Op
from crdt.record import Record, apply, join, seal
from tests.unit.crdt.rig import dot


def op(kind: Kind, place: Dot, **parts: Any) -> Op:
    parts = {"owner": "ann", "namespace": "n", "agent": "ann", "hlc": place.seq, **parts}
    return Op(dot=place, kind=kind, collection="memory", id="r", **parts)


BORN = op(Kind.CREATE, dot("a", 1), set={"title": "one", "+n": 1})
EDIT = op(
    Kind.EDIT,
    dot("a", 2),
    births=frozenset([BORN.dot]),
    supersedes=frozenset([BORN.dot]),
    set={"title": "two"},
)
OTHER = op(
    Kind.EDIT,
    dot("b", 1),
    births=frozenset([BORN.dot]),
    supersedes=frozenset([BORN.dot]),
    set={"title": "three"},
)
GONE = op(Kind.DELETE, dot("b", 2), births=frozenset([BORN.dot]))


def after(*ops: Op, pending: Any = ()) -> Record | None:
    record: Record | None = None
    for one in ops:
        record = apply(record, one, pending=one.dot in pending)
    return record


def versions(record: Record | None, name: str = "title") -> set[Any]:
    return {v.value for v in record.fields.get(name, {}).values()} if record else set()


def test_an_edit_hides_exactly_what_it_saw() -> None:
    assert versions(after(BORN, EDIT)) == {"two"}
    assert (
        versions(after(BORN, EDIT, OTHER))
        == versions(after(BORN, OTHER, EDIT))
        == {
            "two",
            "three",
        }
    )
    assert versions(after(BORN, EDIT), "+n") == {1}


def test_applying_leaves_the_argument_as_it_was() -> None:
    record = after(BORN)
    assert record is not None
    copy = Record(dict(record.births), {n: dict(f) for n, f in record.fields.items()})
    for one in (EDIT, GONE):
        apply(record, one)
        apply(record, one, pending=True)
    assert record == copy


def test_a_delete_wins_over_a_concurrent_edit_in_both_orders() -> None:
    assert after(BORN, EDIT, GONE) is None
    assert after(BORN, GONE, EDIT) is None


def test_a_birth_nobody_named_survives_the_delete() -> None:
    again = op(Kind.CREATE, dot("c", 1), set={"title": "again"})
    record = after(BORN, again, GONE)
    assert record is not None
    assert set(record.births) == {again.dot}
    assert versions(record) == {"again"}


def test_a_version_hangs_on_any_of_its_births() -> None:
    twin = op(Kind.CREATE, dot("c", 1))
    both = EDIT._replace(births=frozenset([BORN.dot, twin.dot]))
    assert versions(after(BORN, twin, both, GONE)) == {"two"}
    assert after(BORN, twin, both, GONE) == after(BORN, twin, GONE, both)


def test_only_births_of_the_stated_owner_and_namespace_are_touched() -> None:
    for change in ({"owner": "bob"}, {"namespace": "m"}):
        assert after(BORN, GONE._replace(**change)) == after(BORN)
        assert versions(after(BORN, EDIT._replace(**change))) == {"one"}


def test_only_versions_all_of_whose_births_are_named_are_hidden() -> None:
    blind = OTHER._replace(births=frozenset([dot("z", 9)]))
    assert versions(after(BORN, blind)) == {"one"}


def test_an_increment_hides_its_own_actors_count_alone() -> None:
    births = frozenset([BORN.dot])
    mine = op(Kind.EDIT, dot("a", 2), births=births, supersedes=births, set={"+n": 3})
    theirs = mine._replace(dot=dot("b", 1), set={"+n": 10})
    assert versions(after(BORN, mine, theirs), "+n") == {3, 10}
    assert versions(after(BORN, theirs), "+n") == {1, 10}


def test_a_removed_field_is_gone() -> None:
    bare = EDIT._replace(set={}, removed=frozenset(["title"]))
    record = after(BORN, bare)
    assert record is not None
    assert set(record.fields) == {"+n"}


def test_a_pending_edit_marks_and_a_seal_makes_it_final() -> None:
    held = after(BORN, EDIT, pending={EDIT.dot})
    assert held is not None
    assert versions(held) == {"one", "two"}
    assert held.fields["title"][BORN.dot].marks == {EDIT.dot}
    final = seal(held, EDIT.dot, 99)
    assert final is not None
    assert versions(final) == {"two"}
    assert final.fields["title"][EDIT.dot].origin.hlc == 99
    assert not final.fields["title"][EDIT.dot].origin.pending


def test_a_pending_delete_hides_only_when_sealed() -> None:
    held = after(BORN, GONE, pending={GONE.dot})
    assert held is not None
    assert held.births[BORN.dot].marks == {GONE.dot}
    assert seal(held, GONE.dot, 9) is None
    assert seal(None, GONE.dot, 9) is None


def test_a_pending_birth_is_sealed_with_its_versions() -> None:
    final = seal(after(BORN, pending={BORN.dot}), BORN.dot, 9)
    assert final is not None
    assert not final.births[BORN.dot].pending
    assert final.births[BORN.dot].hlc == 1


def test_what_a_clock_covers_and_a_record_lacks_is_dead() -> None:
    left, right = after(BORN, EDIT), after(BORN, OTHER)
    mine, theirs = {dot("a").actor: 2}, {dot("a").actor: 1, dot("b").actor: 1}
    assert versions(join(left, right, mine, theirs)) == {"two", "three"}
    dead = join(left, None, mine, {**mine, dot("b").actor: 2})
    assert dead is None
    assert join(left, None, mine, {}) == left
    assert join(None, left, {}, mine) == left
    assert join(None, None, {}, {}) is None


def test_joining_keeps_marks_of_both_and_a_seal_of_either() -> None:
    held = after(BORN, EDIT, pending={EDIT.dot})
    sealed = seal(held, EDIT.dot, 9)
    a, b = dot("a").actor, dot("b").actor
    assert join(held, sealed, {a: 2}, {a: 2, b: 1}) == sealed
    assert join(sealed, held, {a: 2, b: 1}, {a: 2}) == sealed


def test_a_record_is_compared_never_hashed() -> None:
    assert after(BORN) == after(BORN)
    assert after(BORN) != after(BORN, EDIT)
    assert after(BORN) != "record"
    assert Record.__hash__ is None
    assert "births" in repr(after(BORN))


def test_nothing_is_left_of_nothing() -> None:
    """A delete that waits for approval may arrive after another one ended the record."""
    assert apply(None, GONE, pending=True) is None
    again = GONE._replace(dot=dot("c", 1))
    first = after(BORN, GONE, again, pending={GONE.dot})
    second = after(BORN, again, GONE, pending={GONE.dot})
    assert first is second is None
