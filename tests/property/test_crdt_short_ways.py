"""The short way of the usual case and the general way agree, byte for byte and view for view."""

from collections.abc import Mapping
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from crdt.digest import weight
from crdt.dot import Dot
from crdt.fields import REVISION
from crdt.op import Kind, Op
from crdt.record import Record, apply, seal
from crdt.record_codec import decode, encode
from crdt.view import Approved, shown, view
from tests.property.test_crdt_values import dots, stamps, texts, values

NAMES = ("title", "tags/a", "tags/b", "tags", "+n", "+a/b", "tier", REVISION, "rev/x", "tier/y", "")
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
creations = st.builds(
    Op,
    dot=dots,
    kind=st.just(Kind.CREATE),
    collection=st.just("memory"),
    id=texts,
    owner=texts,
    namespace=texts,
    agent=texts,
    hlc=stamps,
    set=st.dictionaries(st.sampled_from(NAMES) | texts, values | numbers, max_size=6),
)


class Pending:
    """Approvals drawn at random."""

    def __init__(self, known: Mapping[Dot, int]) -> None:
        self.known = known

    def shown(self, dot: Dot) -> bool:
        return dot in self.known

    def stamp(self, dot: Dot) -> int:
        return self.known.get(dot, 0)


def general(record: Record) -> Record:
    """The same record in the form that any record has."""
    return Record(dict(record.births), {name: dict(held) for name, held in record.fields.items()})


@given(creations, st.booleans(), st.none() | stamps)
def test_a_created_record_reads_as_any_other(op: Op, held: bool, approved: int | None) -> None:  # noqa: FBT001 - drawn
    record = apply(None, op, pending=held)
    assert record is not None
    twin = general(record)
    data = encode(record)
    assert data == encode(twin)
    back = decode(b"dmemory/r", data)
    assert back == record == twin
    assert back.weight == weight(b"dmemory/r", data)
    assert encode(back) == encode(general(back)) == data
    known = Approved({} if approved is None else {op.dot: approved})
    for one in (record, back):
        short, long = view(one, known), view(general(one), known)
        assert short == long
        if short is not None and long is not None:
            assert list(short.values) == list(long.values)
            assert repr(short) == repr(long)
        assert shown(one, known) == shown(twin, known)


@given(creations, creations, st.booleans(), stamps)
def test_what_follows_a_creation_does_not_tell_the_ways_apart(
    op: Op,
    after: Op,
    held: bool,  # noqa: FBT001 - drawn
    stamp: int,
) -> None:
    assume(after.dot != op.dot)
    record = apply(None, op, pending=held)
    assert record is not None
    edit: dict[str, Any] = {
        "owner": op.owner,
        "namespace": op.namespace,
        "births": frozenset((op.dot,)),
        "supersedes": frozenset((op.dot,)),
    }
    for one in (
        after,
        after._replace(kind=Kind.EDIT, **edit),
        after._replace(kind=Kind.EDIT, **{**edit, "removed": frozenset(op.set)}),
        after._replace(kind=Kind.DELETE, **edit),
    ):
        for pending in (False, True):
            left = apply(record, one, pending=pending)
            right = apply(general(record), one, pending=pending)
            assert left == right
            if left is not None and right is not None:
                assert encode(left) == encode(right) == encode(general(left))
                assert decode(b"k", encode(left)) == left
    final, twin = seal(record, op.dot, stamp), seal(general(record), op.dot, stamp)
    assert final == twin
    if final is not None and twin is not None:
        assert encode(final) == encode(twin)
        assert decode(b"k", encode(final)) == twin
