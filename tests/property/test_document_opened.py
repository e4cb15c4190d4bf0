"""Open documents: authors meet, the past is seen as it was, asking changes nothing."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.document.gathering import gather
from crdt.document.model import ChangeError, MissingChangesError, OpId
from crdt.document.opened import Document
from tests.unit.crdt.document.authors_rig import (
    ACTORS,
    LIMITS,
    Author,
    all_of,
    document,
    edit,
    made,
    modelled,
    past_of,
    random_edits,
    shuffled,
    written,
    written_at_once,
)
from tests.unit.crdt.document.changes_rig import stored

seeds = st.integers(0, 2**32)
FRESH = b"\xfe" * 16


@settings(max_examples=20)
@given(seeds)
def test_authors_who_meet_see_one_document(seed: int) -> None:
    r = random.Random(seed)
    changes = written_at_once(r, 15)
    people = [Author(actor, shuffled(r, changes)[:1]) for actor in ACTORS]
    for one in people:
        for part in range(3):
            some = shuffled(r, changes)
            one.take(past_of(changes, [some[-1].hash]) if part < 2 else some)
    assert all_of(people[0].doc) == all_of(people[1].doc) == all_of(people[2].doc)
    assert people[0].doc.aside == []


@settings(max_examples=20)
@given(seeds)
def test_the_past_is_a_document_of_just_those_changes(seed: int) -> None:
    r = random.Random(seed)
    changes = written_at_once(r, 15)
    doc = document(changes)
    before = all_of(doc)
    heads = [one.hash for one in r.sample(changes, r.randint(1, 3))]
    past = past_of(changes, heads)
    then = doc.at(heads)
    assert all_of(then) == all_of(document(past))
    assert {one.change.hash for one in then.history()} == {one.hash for one in past}
    later = [one.change for one in doc.since(heads)]
    assert {one.hash for one in later} == {one.hash for one in changes} - {c.hash for c in past}
    assert all_of(document([*past, *later])) == before == all_of(doc)
    assert doc.at(doc.heads).value() == doc.value()
    assert doc.since(doc.heads) == []


@settings(max_examples=20)
@given(seeds)
def test_an_edit_of_the_past_means_what_was_there(seed: int) -> None:
    r = random.Random(seed)
    changes = written_at_once(r, 15)
    doc = document(changes)
    before = all_of(doc)
    heads = [one.hash for one in r.sample(changes, r.randint(1, 2))]
    then = doc.at(heads)
    value, types = then.value(), then.types()
    edits = random_edits(r, value, types, 3)
    for each in edits:
        value, types = modelled(value, types, each)
    change = edit(doc, FRESH, edits, heads=heads)
    assert change.deps == then.heads
    assert all_of(doc) == before
    assert document([*past_of(changes, heads), change]).value() == value
    late, early = Author(FRESH, [*changes, change]), Author(FRESH, [changes[0]])
    early.take(shuffled(r, [*changes, change]))
    assert all_of(late.doc) == all_of(early.doc)


@settings(max_examples=20)
@given(seeds)
def test_growing_gives_what_opening_gives(seed: int) -> None:
    r = random.Random(seed)
    versions = [stored(one, place) for place, one in enumerate(written_at_once(r, 15), 1)]
    r.shuffle(versions)
    gathered = gather([], LIMITS)
    doc = Document.opened(gathered)
    for end in [*sorted(r.sample(range(len(versions)), 3)), len(versions)]:
        gathered = gathered.grown(versions[:end])
        doc = doc.grown(gathered)
        opened = Document.opened(gather(versions[:end], LIMITS))
        assert all_of(doc) == all_of(opened)
        assert doc.aside == opened.aside
        assert len(doc.data()) == len(opened.data())
    fewer = r.sample(versions, len(versions) // 2)
    doc = doc.grown(gathered.grown(fewer))
    assert all_of(doc) == all_of(Document.opened(gather(fewer, LIMITS)))


@settings(max_examples=20)
@given(seeds)
def test_what_is_accepted_is_new_complete_and_in_order(seed: int) -> None:
    r = random.Random(seed)
    changes = written_at_once(r, 15)
    known = past_of(changes, [r.choice(changes).hash])
    doc = document(known)
    before = all_of(doc)
    sent = r.sample(changes, len(changes))
    accepted = doc.accepts(sent)
    assert {one.hash for one in accepted} == {c.hash for c in changes} - {c.hash for c in known}
    assert all_of(document([*known, *accepted])) == all_of(document(changes))
    assert all_of(doc) == before
    if len(accepted) > 1:
        lost = r.choice(accepted)
        rest = [one for one in accepted if one is not lost]
        if any(lost.hash in one.deps for one in rest):
            with pytest.raises(MissingChangesError) as caught:
                doc.accepts(rest)
            assert caught.value.missing == (lost.hash,)
        assert all_of(doc) == before


@settings(max_examples=20)
@given(seeds)
def test_what_cannot_be_taken_is_set_aside_alike_everywhere(seed: int) -> None:
    r = random.Random(seed)
    changes = written_at_once(r, 10)
    doc = document(changes)
    top = doc._opset.max_op + 1
    nowhere = written(OpId(1, b"\xee"), "k", 1)
    bad = made(FRESH, [written(None, "k", 1), nowhere], start_op=top, deps=doc.heads)
    after = made(FRESH, [written(None, "k", 2)], seq=2, start_op=top + 2, deps=[bad])
    both = document([*changes, bad, after])
    assert all_of(both) == all_of(doc)
    assert sorted(both.refused) == sorted([bad.hash, after.hash])
    assert [one.reason for one in both.aside] == ["refused", "refused"]
    order = [stored(one, place) for place, one in enumerate([*changes, bad, after], 1)]
    r.shuffle(order)
    gathered = gather(order[:5], LIMITS)
    grown = Document.opened(gathered).grown(gathered.grown(order))
    assert all_of(grown) == all_of(both)
    assert grown.aside == both.aside
    for sent in ([bad], [bad, after], [after]):
        with pytest.raises(ChangeError):
            doc.accepts(sent)
        with pytest.raises(ChangeError):
            both.accepts([made(FRESH, [], seq=3, start_op=top + 3, deps=[after])])
    assert all_of(grown) == all_of(both)
