from typing import Any

import pytest

from crdt.mint import Author, MissingRecordError, operation
from crdt.op import ERASE, Draft, Idempotency, Kind, Op
from crdt.record import Record, apply
from crdt.view import NothingPending
from tests.unit.crdt.rig import dot, draft
from tests.unit.crdt.test_record import BORN, EDIT, OTHER, after

HEADS = (dot("a", lane=b"g"),)


def minted(wanted: Draft, record: Record | None, name: str = "z", **more: Any) -> Op:
    author = Author(agent="cat", heads=HEADS, **more)
    return operation(wanted, record, NothingPending(), dot(name, 9), 77, author)


def test_a_create_states_its_place_and_owner() -> None:
    mark = Idempotency(scope=b"s" * 16, body=b"b" * 16)
    op = minted(draft(Kind.CREATE, title="x"), None, idempotency=mark)
    assert (op.owner, op.agent, op.namespace, op.hlc) == ("cat", "cat", "n", 77)
    assert (op.heads, op.idempotency) == (HEADS, mark)
    assert op.set == {"title": "x", "rev": 1}
    assert minted(draft(Kind.CREATE, owner="bob"), None).owner == "bob"


def test_an_edit_takes_owner_and_namespace_of_the_record() -> None:
    op = minted(draft(Kind.EDIT, title="x"), after(BORN))
    assert (op.owner, op.namespace, op.agent) == ("ann", "n", "cat")
    assert op.births == op.supersedes == {BORN.dot}


def test_an_edit_supersedes_every_value_it_saw_of_what_it_touches_and_nothing_else() -> None:
    record = after(BORN, EDIT, OTHER)
    op = minted(draft(Kind.EDIT, title="x"), record)
    assert op.supersedes == {EDIT.dot, OTHER.dot}
    untouched = minted(draft(Kind.EDIT, body="x"), record)
    assert untouched.supersedes == frozenset()
    removed = minted(draft(Kind.EDIT, removed=["title"]), record)
    assert removed.supersedes == {EDIT.dot, OTHER.dot}
    final = apply(record, op)
    assert final is not None
    assert set(final.fields["title"]) == {op.dot}


def test_a_counter_grows_by_its_own_actors_share() -> None:
    record = after(BORN)
    mine = minted(draft(Kind.EDIT, **{"+n": 5}), record, name="a")
    theirs = minted(draft(Kind.EDIT, **{"+n": 5}), record, name="b")
    assert (mine.set["+n"], mine.supersedes) == (6, {BORN.dot})
    assert (theirs.set["+n"], theirs.supersedes) == (5, frozenset())


def test_the_revision_is_one_more_than_the_largest_seen() -> None:
    first = minted(draft(Kind.CREATE), None)
    record = apply(None, first)
    second = minted(draft(Kind.EDIT, title="x"), record, name="y")
    assert (first.set["rev"], second.set["rev"]) == (1, 2)


def test_a_delete_names_the_births_it_saw() -> None:
    op = minted(draft(Kind.DELETE), after(BORN, EDIT))
    assert (op.births, op.supersedes, op.set) == ({BORN.dot}, frozenset(), {})
    assert apply(after(BORN, EDIT), op) is None


@pytest.mark.parametrize("kind", [Kind.EDIT, Kind.DELETE])
def test_what_is_not_visible_cannot_be_changed(kind: Kind) -> None:
    for record in (None, after(BORN, pending={BORN.dot})):
        with pytest.raises(MissingRecordError, match="memory/r"):
            minted(draft(kind), record)


def test_a_delete_carries_the_mark_of_erasure_and_buries_like_any_other() -> None:
    plain = minted(draft(Kind.DELETE), after(BORN, EDIT))
    marked = minted(draft(Kind.DELETE, **{ERASE: True}), after(BORN, EDIT))
    assert plain.set == {}
    assert marked.set == {ERASE: True}
    assert apply(after(BORN, EDIT), plain) == apply(after(BORN, EDIT), marked) is None
