"""Pages of a store are what a receiver can apply: governance first, then as it arrived here."""

import tempfile
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.clock import Clock
from crdt.dot import DATA, GOVERNANCE, PRIVATE
from node.store import Store
from tests.unit.store.rig import Maker, open_store

BUNDLES = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([DATA, DATA, GOVERNANCE, PRIVATE])), max_size=25
)


def fill(store: Store, steps: list[tuple[int, bytes]]) -> list[tuple[bytes, bytes, int]]:
    """Bundles of three authors as they come; returns (lane, bytes, last) in that order."""
    makers = [Maker(1), Maker(2), Maker(3)]
    arrived = []
    for number, (who, lane) in enumerate(steps):
        maker = makers[who]
        if lane == GOVERNANCE:
            maker.govern()
        else:
            maker.create(f"r{number}", lane)
        batch = maker.take()
        store.commit(batch._replace(number=number))
        arrived += [(bundle.actor, bundle.data, bundle.last) for bundle in batch.bundles]
    return arrived


@given(BUNDLES, st.sampled_from([1, 250, 10**6]))
@settings(max_examples=60, deadline=None)
def test_governance_comes_first_and_all_else_as_it_arrived(
    steps: list[tuple[int, bytes]], limit: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        store = open_store(Path(name) / "s")
        arrived = fill(store, steps)
        place = {data: at for at, (_, data, _) in enumerate(arrived)}
        lane_of = {data: actor[:1] for actor, data, _ in arrived}
        line = {data: (actor, last) for actor, data, last in arrived}
        clock: Clock = {}
        told: list[bytes] = []
        complete = False
        while not complete:
            page = store.page(clock, limit)
            assert page.bundles or page.complete
            told += page.bundles
            clock |= dict(line[data] for data in page.bundles)
            complete = page.complete
        store.close()
    wanted = [data for actor, data, _ in arrived if actor[:1] != PRIVATE]
    assert sorted(told) == sorted(wanted)
    ranks = [(lane_of[data] != GOVERNANCE, place[data]) for data in told]
    assert all(left < right for left, right in pairwise(ranks))
