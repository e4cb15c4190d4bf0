"""An edit takes the place of the versions that its author saw, and of no others, by no stamp."""

from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.dot import Dot
from crdt.op import Kind, Op
from crdt.record import Record, apply
from tests.unit.crdt.rig import T0_MS, actor

BIRTH = Dot(actor("a"), 1)
AUTHORS = ("b", "c", "d")


def op(kind: Kind, dot: Dot, stamp: int, supersedes: frozenset[Dot] = frozenset()) -> Op:
    return Op(
        dot=dot,
        kind=kind,
        collection="memory",
        id="r",
        owner="ann",
        namespace="n",
        agent="ann",
        hlc=(T0_MS << 16) + stamp,
        births=frozenset((BIRTH,)) if kind is Kind.EDIT else frozenset(),
        set={"title": f"{dot.actor[-1]}:{dot.seq}"},
        supersedes=supersedes,
    )


def versions(record: Record | None) -> set[Dot]:
    assert record is not None
    return set(record.fields["title"])


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 20), st.sets(st.integers(0, 8))), max_size=8
    )
)
@settings(max_examples=100, deadline=None)
def test_what_an_edit_did_not_see_stays(edits: list[tuple[int, int, set[int]]]) -> None:
    record = apply(None, op(Kind.CREATE, BIRTH, 10))
    known, alive = [BIRTH], {BIRTH}
    for number, (who, stamp, places) in enumerate(edits, 1):
        seen = frozenset(known[place] for place in places if place < len(known))
        dot = Dot(actor(AUTHORS[who]), number)
        record = apply(record, op(Kind.EDIT, dot, stamp, seen))
        alive = (alive - seen) | {dot}
        known.append(dot)
        assert versions(record) == alive
