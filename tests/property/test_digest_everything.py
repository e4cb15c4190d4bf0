"""The digest stands for every collection: what it leaves out may differ unseen."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.digest import move, weight
from crdt.dot import PRIVATE
from crdt.memory_state import MemoryState
from crdt.op import Draft, Kind
from crdt.overlay import pending_key
from tests.unit.crdt.rig import Node, mesh, spread

COLLECTIONS = ("memory", "link", "entity", "message", "pin", "whatever comes later")
STEPS = st.lists(
    st.tuples(st.sampled_from(COLLECTIONS), st.integers(0, 3), st.booleans()),
    min_size=1,
    max_size=25,
)


def step(node: Node, collection: str, number: int, *, ends: bool) -> None:
    """Create, edit or delete one record of a collection."""
    wanted = Draft(
        kind=Kind.CREATE, collection=collection, id=f"r{number}", namespace="n", set={"title": 1}
    )
    if node.replica.read(f"d{collection}/r{number}".encode()) is not None:
        kind = Kind.DELETE if ends else Kind.EDIT
        wanted = replace(wanted, kind=kind, set={} if ends else {"title": node.now_ms})
    node.write(wanted)
    node.commit()


def summed(disk: MemoryState) -> int:
    """What the digest has to be, from what is stored."""
    total = 0
    for key, data in disk.records.items():
        total = move(total, 0, 0 if key[:1] == PRIVATE else weight(key, data))
    for dot, data in disk.pending.items():
        total = move(total, 0, weight(pending_key(dot), data))
    return total


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_the_digest_is_the_sum_over_all_collections(steps: list[tuple[str, int, bool]]) -> None:
    left, right = mesh("a", "b")
    for turn, (collection, number, ends) in enumerate(steps):
        step((left, right)[turn % 2], collection, number, ends=ends)
        spread([left, right])
    for node in (left, right):
        assert node.disk.digest == summed(node.disk)
