import random
from collections.abc import Callable
from typing import Any

import pytest

from crdt.document.change import (
    COUNTER_MAX,
    assemble,
    assemble_columns,
    encode_change,
    read_change,
    read_changes,
)
from crdt.document.chunk import contents_at, frame
from crdt.document.model import (
    NULL,
    Action,
    Change,
    ChangeError,
    ChangeOp,
    DocumentTooLargeError,
    OpId,
    Scalar,
    ScalarKind,
)
from crdt.document.operations import write_ops
from tests.unit.crdt.document.changes_rig import ANN, BOB, LIMITS, library, random_changes, said

X = Scalar(ScalarKind.STRING, "x")
YES = Scalar(ScalarKind.TRUE, True)
ONE = Scalar(ScalarKind.INT, 1)
PLAIN = ChangeOp(None, "k", False, Action.SET, X)
HOME, FIRST = OpId(1, ANN), OpId(2, ANN)
DEP = b"\x01" * 32
LIBRARY = library()["changes"]


def again(change: Change, **other: Any) -> Change:
    """The change that says the same, written anew."""
    known = change._asdict()
    del known["hash"], known["data"]
    return encode_change(**{**known, **other})


def a_change(*ops: ChangeOp, **other: Any) -> Change:
    known = {"actor": ANN, "seq": 1, "start_op": 9, "time": 0, "message": None, "deps": (DEP,)}
    return encode_change(**{**known, "ops": ops, **other})


def raw(
    *ops: ChangeOp,
    others: tuple[bytes, ...] = (),
    deps: tuple[bytes, ...] = (DEP,),
    actor: bytes = ANN,
    seq: int = 1,
    start_op: int = 9,
    words: bytes = b"",
    **columns: bytes | None,
) -> bytes:
    """A chunk that is written without any check; columns by number, as `c42`."""
    index = {actor: 0, **{other: place for place, other in enumerate(others, 1)}}
    written: dict[int, bytes | None] = dict(write_ops(ops, index))
    written.update({int(name[1:], 16): data for name, data in columns.items()})
    listed = [(name, data) for name, data in sorted(written.items()) if data is not None]
    head = assemble(deps, actor, seq, start_op, 0, words, others)
    return frame(head + assemble_columns(listed))[1]


@pytest.mark.parametrize("one", LIBRARY, ids=lambda one: one["decoded"]["hash"][:8])
def test_a_change_of_the_library_says_what_the_library_reads_in_it(one: dict[str, Any]) -> None:
    change = read_change(bytes.fromhex(one["chunk"]), LIMITS)
    assert said(change) == one["decoded"]


@pytest.mark.parametrize("one", LIBRARY, ids=lambda one: one["decoded"]["hash"][:8])
def test_what_the_library_says_is_written_as_the_library_writes_it(one: dict[str, Any]) -> None:
    change = read_change(bytes.fromhex(one["chunk"]), LIMITS)
    assert again(change) == change


def test_what_is_written_is_read() -> None:
    for change in random_changes(random.Random(3), 200):
        assert read_change(change.data, LIMITS) == change


def test_a_change_without_operations() -> None:
    change = a_change(seq=5, message="merged", deps=(DEP, b"\x00" * 32))
    assert read_change(change.data, LIMITS) == change
    assert change.deps == (b"\x00" * 32, DEP)
    assert change.ops == ()


def test_the_table_of_actors_begins_with_the_author() -> None:
    ops = [ChangeOp(OpId(3, b"\x99"), "k", False, Action.SET, X, (OpId(2, BOB),))]
    assert read_change(a_change(*ops).data, LIMITS).ops == tuple(ops)
    data = raw(*ops, others=(BOB, b"\x99"))
    assert data == a_change(*ops).data
    with pytest.raises(ChangeError, match="not in order"):
        read_change(raw(*ops, others=(b"\x99", BOB)), LIMITS)


def test_an_empty_message_is_none() -> None:
    assert a_change(PLAIN, message="") == a_change(PLAIN)


BAD: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a deletion of nothing": (
        "delete",
        lambda: raw(PLAIN._replace(action=Action.DELETE, value=NULL)),
    ),
    "a deletion with a value": (
        "delete",
        lambda: raw(PLAIN._replace(action=Action.DELETE, pred=(FIRST,))),
    ),
    "an object with a value": ("make_map", lambda: raw(PLAIN._replace(action=Action.MAKE_MAP))),
    "a step of nothing": (
        "increment",
        lambda: raw(PLAIN._replace(action=Action.INCREMENT, value=ONE)),
    ),
    "a step that is no number": (
        "increment",
        lambda: raw(PLAIN._replace(action=Action.INCREMENT, pred=(FIRST,))),
    ),
    "a mark that is no insertion": (
        "mark",
        lambda: raw(PLAIN._replace(action=Action.MARK, mark="b")),
    ),
    "the end of no mark": ("mark", lambda: raw(ChangeOp(HOME, FIRST, True, Action.MARK))),
    "an end elsewhere": (
        "mark",
        lambda: raw(
            ChangeOp(HOME, None, True, Action.MARK, YES, (), True, "b"),
            PLAIN,
            ChangeOp(HOME, FIRST, True, Action.MARK),
        ),
    ),
    "an end before its beginning": (
        "mark",
        lambda: raw(
            ChangeOp(HOME, FIRST, True, Action.MARK, YES, (), True, "b"),
            ChangeOp(HOME, FIRST, True, Action.MARK),
        ),
    ),
    "a value with the name of a mark": ("marks nothing", lambda: raw(PLAIN._replace(mark="b"))),
    "a value that expands": ("marks nothing", lambda: raw(PLAIN._replace(expand=True))),
    "an insertion over something": (
        "insertion",
        lambda: raw(ChangeOp(HOME, FIRST, True, Action.SET, X, (FIRST,))),
    ),
    "an insertion under a key": ("insertion", lambda: raw(PLAIN._replace(insert=True))),
    "an edit before all elements": (
        "before all",
        lambda: raw(ChangeOp(HOME, None, False, Action.SET, X)),
    ),
    "predecessors out of order": (
        "in order",
        lambda: raw(PLAIN._replace(pred=(FIRST, HOME))),
    ),
    "a predecessor twice": ("in order", lambda: raw(PLAIN._replace(pred=(HOME, HOME)))),
    "a dependency twice": ("in order", lambda: raw(PLAIN, deps=(DEP, DEP))),
    "dependencies out of order": ("in order", lambda: raw(PLAIN, deps=(DEP, b"\x00" * 32))),
    "an actor that nothing mentions": ("mentions", lambda: raw(PLAIN, others=(BOB,))),
    "an actor that is not named": (
        "not name",
        lambda: raw(PLAIN, c70=b"\x7f\x01", c71=b"\x7f\x05", c73=b"\x7f\x05"),
    ),
    "the author named again": ("named twice", lambda: raw(PLAIN, others=(ANN,))),
    "no author": ("actor", lambda: raw(PLAIN, actor=b"")),
    "an author with too long a name": ("actor", lambda: raw(PLAIN, actor=b"x" * 65)),
    "number zero": ("number", lambda: raw(PLAIN, seq=0)),
    "counter zero": ("counter", lambda: raw(PLAIN, start_op=0)),
    "counters that the library cannot count": (
        "counter",
        lambda: raw(PLAIN, PLAIN, start_op=COUNTER_MAX),
    ),
    "a message that is no text": ("UTF-8", lambda: raw(PLAIN, words=b"\xff")),
    "a column of another version": ("0x62", lambda: raw(PLAIN, c62=b"\x7f\x01")),
    "a column in a group of another version": ("0x72", lambda: raw(PLAIN, c72=b"\x7f\x01")),
    "a deflated column": ("deflated", lambda: raw(PLAIN, c42=None, c4a=b"\x7f\x01")),
    "an empty column": ("empty", lambda: raw(PLAIN, c94=b"")),
    "an action of another version": ("version", lambda: raw(PLAIN, c42=b"\x7f\x08")),
    "two spellings of a run": ("run", lambda: raw(PLAIN, c42=b"\x01\x01")),
    "a column that says nothing": ("value", lambda: raw(PLAIN, c01=b"\x00\x01")),
    "marks that say nothing": ("nothing", lambda: raw(PLAIN, c94=b"\x01")),
    "fewer actions than keys": ("rows", lambda: raw(PLAIN, PLAIN, c42=b"\x7f\x01")),
    "more actions than keys": ("rows", lambda: raw(PLAIN, c42=b"\x02\x01")),
    "no insertions": ("lacks", lambda: raw(PLAIN, c34=None)),
    "no actions": ("rows", lambda: raw(PLAIN, c42=None)),
    "no values": ("values", lambda: raw(PLAIN, c56=None)),
    "an empty row of values": (
        "without a value",
        lambda: raw(PLAIN, PLAIN, c56=b"\x7f\x16\x00\x01"),
    ),
    "no key": ("no key", lambda: raw(PLAIN, c15=None)),
    "two keys": ("two keys", lambda: raw(PLAIN, c13=b"\x7f\x05")),
    "half a key": ("half", lambda: raw(PLAIN, c15=None, c13=b"\x7f\x05")),
    "an actor and zero for a key": (
        "half",
        lambda: raw(PLAIN, c15=None, c11=b"\x7f\x00", c13=b"\x7f\x00"),
    ),
    "half an object": ("object", lambda: raw(PLAIN, c02=b"\x7f\x05")),
    "another half of an object": ("object", lambda: raw(PLAIN, c01=b"\x7f\x00")),
    "an object called zero": ("object", lambda: raw(PLAIN, c01=b"\x7f\x00", c02=b"\x7f\x00")),
    "a predecessor called zero": (
        "zero",
        lambda: raw(PLAIN, c70=b"\x7f\x01", c71=b"\x7f\x00", c73=b"\x7f\x00"),
    ),
    "fewer predecessors than counted": ("groups", lambda: raw(PLAIN, c70=b"\x7f\x01")),
    "a value that is cut off": ("longer", lambda: raw(PLAIN, c57=None)),
    "bytes that belong to no value": ("left over", lambda: raw(PLAIN, c57=b"xy")),
    "a value that is no text": ("UTF-8", lambda: raw(PLAIN, c57=b"\xff")),
    "nothing with bytes": ("has bytes", lambda: raw(PLAIN, c56=b"\x7f\x10")),
    "a float of one byte": ("8 bytes", lambda: raw(PLAIN, c56=b"\x7f\x15")),
    "a number with bytes to spare": ("spare", lambda: raw(PLAIN, c56=b"\x7f\x23", c57=b"\x01\x01")),
    "a number that is too long": ("number", lambda: raw(PLAIN, c56=b"\x7f\x23", c57=b"\x80\x00")),
}


@pytest.mark.parametrize("name", BAD)
def test_what_no_change_says_is_refused(name: str) -> None:
    words, make = BAD[name]
    with pytest.raises(ChangeError, match=words):
        read_change(make(), LIMITS)


@pytest.mark.parametrize(
    "bad",
    [
        {"actor": b""},
        {"actor": b"x" * 65},
        {"seq": 0},
        {"start_op": 0},
        {"start_op": COUNTER_MAX + 1},
        {"time": 2**53},
        {"deps": (b"short",)},
        {"message": "\ud800"},
        {"ops": [PLAIN._replace(action=Action.DELETE)]},
        {"ops": [PLAIN._replace(key="\ud800")]},
        {"ops": [PLAIN._replace(value=Scalar(ScalarKind.STRING, "\ud800"))]},
        {"ops": [PLAIN._replace(value=Scalar(ScalarKind.UINT, -1))]},
        {"ops": [PLAIN._replace(value=Scalar(ScalarKind.INT, 2**63))]},
        {"ops": [PLAIN._replace(value=Scalar(ScalarKind.STRING, 5))]},
        {"ops": [PLAIN._replace(value=Scalar(ScalarKind.TRUE, False))]},
        {"ops": [PLAIN._replace(value=Scalar(16, b""))]},
        {"ops": [PLAIN._replace(obj=OpId(1, b""))]},
    ],
    ids=str,
)
def test_what_cannot_be_read_is_not_written(bad: dict[str, Any]) -> None:
    with pytest.raises(ChangeError):
        again(a_change(PLAIN), **bad)


def test_bytes_for_later_versions_are_kept() -> None:
    for extra, seq in ((b"later", 7), (b"\x01abc", 1), (b"\x00\x01", 2)):
        change = a_change(PLAIN, extra=extra, seq=seq)
        assert read_change(change.data, LIMITS).extra == extra


def test_bytes_over_which_the_official_library_stops_are_refused() -> None:
    data = a_change(PLAIN, seq=2).data
    with pytest.raises(ChangeError, match="first change"):
        read_change(frame(data[contents_at(data) :] + b"\x01abc")[1], LIMITS)
    with pytest.raises(ChangeError, match="first change"):
        a_change(PLAIN, seq=2, extra=b"\x01abc")


def test_a_change_has_so_many_operations_and_no_more() -> None:
    change = a_change(*[PLAIN._replace(key=str(n)) for n in range(30)])
    assert len(read_change(change.data, LIMITS._replace(change_ops_max=30)).ops) == 30
    with pytest.raises(DocumentTooLargeError) as caught:
        read_change(change.data, LIMITS._replace(change_ops_max=29))
    assert caught.value.bound == "change_ops_max"


def test_a_few_bytes_do_not_make_a_million_predecessors() -> None:
    bomb = b"\x80\x89\x7a\x00"
    data = raw(PLAIN, c70=b"\x7f\x80\x89\x7a", c71=bomb, c73=bomb)
    with pytest.raises(DocumentTooLargeError) as caught:
        read_change(data, LIMITS)
    assert caught.value.bound == "change_ops_max"


def test_no_number_of_chunks_makes_more_operations_than_a_document_has() -> None:
    """A hundred bytes each, they would fill the memory of any machine."""
    run = [PLAIN._replace(key=f"{n}") for n in range(30)]
    one, two, three = (a_change(*run, seq=seq) for seq in (1, 2, 3))
    data = one.data + two.data + one.data
    assert read_changes(data, LIMITS._replace(ops_max=60)) == [one, two]
    for most in (59, 31, 30):
        with pytest.raises(DocumentTooLargeError) as caught:
            read_changes(data + three.data, LIMITS._replace(ops_max=most))
        assert caught.value.bound == "ops_max"
    with pytest.raises(DocumentTooLargeError) as caught:
        read_changes(data, LIMITS._replace(change_ops_max=29))
    assert caught.value.bound == "change_ops_max"
