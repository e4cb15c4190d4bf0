import json

import pytest

from crdt.document.gathering import Aside, gather
from crdt.document.model import (
    Action,
    Change,
    ChangeError,
    ChangeOp,
    DocumentLimits,
    DocumentTooLargeError,
    MissingChangesError,
    OpId,
)
from crdt.document.opened import Document
from crdt.document.pack import Kept, pack
from tests.unit.crdt.document.authors_rig import (
    ANN,
    BOB,
    EVE,
    LIMITS,
    all_of,
    document,
    edit,
    made,
    typed,
    written,
)
from tests.unit.crdt.document.changes_rig import stored

PUT = {"op": "put", "path": ["text"], "value": "hello world"}
FIRST = edit(document([]), ANN, [PUT])
LEFT = edit(document([FIRST]), ANN, [{"op": "splice", "path": ["text"], "insert": "!"}])
RIGHT = edit(
    document([FIRST]), BOB, [{"op": "splice", "path": ["text"], "index": 0, "insert": "Oh, "}]
)


def test_a_document_is_what_its_changes_make() -> None:
    doc = document([FIRST, LEFT, RIGHT])
    assert doc.value() == {"text": "Oh, hello world!"}
    assert doc.text() == "Oh, hello world!"
    assert doc.heads == tuple(sorted([LEFT.hash, RIGHT.hash]))
    assert doc.history()[0].change == FIRST
    assert doc.changes == 3
    assert doc.weight > len(doc.data()) == sum(len(one.data) for one in (FIRST, LEFT, RIGHT))
    assert doc.is_plain()
    assert doc.conflicts() == {}
    assert doc.package_shape() == {"text": list("Oh, hello world!")}


def test_an_empty_document_takes_a_first_change() -> None:
    doc = Document.opened(gather([], LIMITS))
    assert (doc.value(), doc.heads, doc.text()) == ({}, (), "")
    assert doc.accepts([FIRST]) == [FIRST]
    assert doc.since([]) == []
    assert doc.at([]).value() == {}


def test_no_heads_are_before_everything() -> None:
    doc = document([FIRST, LEFT])
    assert [one.change for one in doc.since([])] == [FIRST, LEFT]
    assert doc.at([]).value() == {}


def test_heads_that_are_not_there_are_named() -> None:
    doc = document([FIRST])
    for ask in (doc.since, doc.at, lambda heads: doc.next_seq(ANN, heads)):
        with pytest.raises(MissingChangesError) as caught:
            ask([FIRST.hash, LEFT.hash])
        assert caught.value.missing == (LEFT.hash,)


def test_the_text_is_made_anew_when_the_document_grew() -> None:
    gathered = gather([stored(FIRST)], LIMITS)
    doc = Document.opened(gathered)
    assert doc.text() == "hello world"
    doc = doc.grown(gathered.grown([stored(FIRST), stored(LEFT, 2)]))
    assert doc.text() == "hello world!"
    doc = doc.grown(gathered)
    assert doc.text() == "hello world"


def test_positions_mean_what_was_there_at_the_heads() -> None:
    doc = document([FIRST, LEFT, RIGHT])
    change = edit(
        doc,
        EVE,
        [{"op": "splice", "path": ["text"], "index": 6, "delete": 5, "insert": "you"}],
        heads=[FIRST.hash],
    )
    assert change.deps == (FIRST.hash,)
    assert document([FIRST, LEFT, RIGHT, change]).text() == "Oh, hello you!"


def test_heads_that_lie_behind_others_are_left_out_of_the_dependencies() -> None:
    doc = document([FIRST, LEFT, RIGHT])
    change = edit(doc, ANN, [PUT], heads=[FIRST.hash, LEFT.hash])
    assert change.deps == (LEFT.hash,)


def test_an_actor_goes_on_only_where_its_last_change_is_seen() -> None:
    doc = document([FIRST, LEFT, RIGHT])
    assert doc.next_seq(ANN) == 3
    assert doc.next_seq(ANN, [LEFT.hash]) == 3
    assert doc.next_seq(ANN, [FIRST.hash]) is None
    assert doc.next_seq(ANN, [RIGHT.hash]) is None
    assert doc.next_seq(EVE, [FIRST.hash]) == 1
    with pytest.raises(ValueError, match="not the next"):
        doc.edited([PUT], actor=ANN, seq=3, time=0, message=None, heads=[FIRST.hash])


def test_edits_that_change_nothing_come_to_no_operations() -> None:
    doc = document([FIRST])
    assert doc.text_edits("hello world") == []
    assert edit(doc, ANN, [{"op": "splice", "path": ["text"], "index": 0}]).ops == ()


def test_what_was_set_aside_is_told_and_what_depends_on_it_waits_for_ever() -> None:
    bad = made(BOB, [written(None, "k", 1, OpId(1, b"\xee"))], start_op=13, deps=[FIRST])
    after = made(BOB, [written(None, "k", 1)], seq=2, start_op=14, deps=[bad])
    doc = document([FIRST, bad, after])
    assert doc.heads == (FIRST.hash,)
    assert "predecessor 1@ee" in doc.refused[bad.hash]
    assert bad.hash.hex() in doc.refused[after.hash]
    names = sorted(f"chunk/{one.hash.hex()}" for one in (bad, after))
    assert doc.aside == [Aside(name, "refused") for name in names]
    with pytest.raises(ChangeError, match="set aside"):
        doc.accepts([bad])
    with pytest.raises(ChangeError, match="set aside"):
        doc.accepts([made(EVE, [], start_op=15, deps=[after])])
    with pytest.raises(ChangeError, match="set aside already"):
        doc.accepts([made(BOB, [written(None, "k", 2)], start_op=13, deps=[FIRST])])


def test_changes_of_a_pack_are_as_if_they_had_come_alone() -> None:
    alone = gather([stored(FIRST, 1), stored(LEFT, 2), stored(RIGHT, 3)], LIMITS)
    packed = gather([stored(pack(list(alone.kept.values())))], LIMITS)
    doc, other = Document.opened(alone), Document.opened(packed)
    assert all_of(doc) == all_of(other)
    assert doc.data() == other.data()


def test_known_changes_and_changes_sent_twice_are_not_new() -> None:
    doc = document([FIRST, LEFT])
    assert doc.accepts([FIRST, LEFT]) == []
    assert doc.accepts([RIGHT, FIRST, RIGHT]) == [RIGHT]


def test_a_number_that_is_taken_is_refused() -> None:
    doc = document([FIRST, LEFT])
    rival = made(ANN, [written(None, "k", 1)], seq=2, start_op=13, deps=[FIRST])
    with pytest.raises(ChangeError, match="does not follow"):
        doc.accepts([rival])


def test_a_leap_of_counters_is_refused() -> None:
    with pytest.raises(ChangeError, match="there are 12 before"):
        document([FIRST]).accepts([made(BOB, [written(None, "k", 1)], start_op=14, deps=[FIRST])])


@pytest.mark.parametrize(
    ("bound", "limits"),
    [
        ("changes_max", DocumentLimits(changes_max=1)),
        ("ops_max", DocumentLimits(ops_max=12)),
        ("stored_bytes_max", DocumentLimits(stored_bytes_max=len(FIRST.data))),
    ],
)
def test_a_document_that_is_full_takes_no_more(bound: str, limits: DocumentLimits) -> None:
    doc = document([FIRST], limits)
    with pytest.raises(DocumentTooLargeError) as caught:
        doc.accepts([LEFT])
    assert caught.value.bound == bound
    with pytest.raises(DocumentTooLargeError):
        edit(doc, BOB, [PUT])
    assert doc.accepts([FIRST]) == []


def test_a_document_takes_no_more_than_is_read_of_it_however_small_its_packs_are() -> None:
    limits = DocumentLimits(stored_bytes_max=2_000)
    log: list[Change] = []
    while sum(len(one.data) for one in log) <= 16_000:
        put = [written(None, "log", "x" * 600)]
        log.append(made(BOB, put, seq=len(log) + 1, start_op=len(log) + 1, deps=log[-1:]))
    taken, one_more = log[:-1], log[-1]
    kept = list(gather([stored(one, n) for n, one in enumerate(taken)]).kept.values())
    doc = Document.opened(gather([stored(pack(kept))], limits), limits)
    assert doc.changes == len(taken)
    with pytest.raises(DocumentTooLargeError) as caught:
        doc.accepts([one_more])
    assert (caught.value.bound, caught.value.most) == ("stored_bytes_max", 16_000)
    kept.append(Kept(one_more, "bob", 1))
    assert gather([stored(pack(kept))], limits).aside


def test_keys_count_as_often_as_they_show() -> None:
    key = "k" * 500
    ops = [ChangeOp(None, "maps", False, Action.MAKE_LIST)]
    ops += [ChangeOp(OpId(1, BOB), None, True, Action.MAKE_MAP) for _ in range(40)]
    ops += [written(OpId(2 + n, BOB), key, 1) for n in range(40)]
    change = made(BOB, ops)
    assert len(change.data) < 1_000
    assert len(json.dumps(document([change]).value())) > 20_000
    limits = DocumentLimits(stored_bytes_max=2_000)
    with pytest.raises(DocumentTooLargeError) as caught:
        document([], limits).accepts([change])
    assert (caught.value.bound, caught.value.most) == ("stored_bytes_max", 16_000)
    for one in (change, pack([Kept(change, "bob", 1)])):
        assert [aside.reason for aside in gather([stored(one)], limits).aside] == ["beyond_bounds"]


def test_a_change_has_only_so_many_bytes() -> None:
    doc = document([FIRST], DocumentLimits(change_bytes_max=200))
    put = {"op": "put", "path": ["k"], "value": "x" * 300, "type": "string"}
    with pytest.raises(DocumentTooLargeError, match="change_bytes_max"):
        edit(doc, BOB, [put])


def test_many_changes_are_taken_in_the_order_they_need() -> None:
    chain = [FIRST]
    for n in range(2, 400):
        top = 11 + n
        behind = OpId(top - 1 if n > 2 else 12, ANN)
        ops = typed(OpId(1, ANN), behind, "x", at=OpId(top, ANN))
        chain.append(made(ANN, ops, seq=n, start_op=top, deps=[chain[-1]]))
    assert document([]).accepts(chain[::-1]) == chain
    doc = document(chain)
    assert [one.change for one in doc.history()] == chain
    for behind_by in (1, 17, 200, 399):
        assert len(doc.since([chain[-1 - behind_by + 1].hash])) == behind_by - 1


def test_a_document_takes_what_follows_and_stays_as_it_is_without() -> None:
    gathered = gather([stored(FIRST)], LIMITS)
    doc = Document.opened(gathered)
    longer = gathered.grown([stored(FIRST), stored(LEFT, 2)])
    assert longer.tail is not None
    assert longer.tail.after is gathered.order
    assert [one.change for one in longer.tail.kept] == [LEFT]
    assert doc.grown(longer) is doc
    same = longer.grown([stored(FIRST), stored(LEFT, 2), stored(LEFT, 3)])
    assert same.order is longer.order
    assert doc.grown(same) is doc
    assert [one.change for one in doc.history()] == [FIRST, LEFT]
    assert doc.text() == Document.opened(same).text()
    assert LEFT.hash in doc
    # A document that never saw the one before takes all of it.
    assert Document.opened(gather([stored(FIRST)], LIMITS)).grown(longer).history() == doc.history()
