"""Who was away comes level in one session, whatever the pages: no page waits for a tick.

A catch-up that stops after a page is level in the end as well, a page at every tick; so what is
asked here is that no time passes and that each bundle comes once.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.crdt.rig import Side, linked, mesh, shared_state, talk


@given(
    st.lists(st.integers(1, 400), min_size=2, max_size=25),
    st.sampled_from([1, 300, 1_000, 4_000]),
    st.sampled_from([1, 300, 4_000]),
)
@settings(max_examples=40, deadline=None)
def test_a_session_streams_until_it_is_level(sizes: list[int], page: int, piece: int) -> None:
    there, away = mesh("a", "b")
    for number, size in enumerate(sizes):
        there.create(f"r{number}", title="x" * size)
        there.commit()
    bounds = {"page_bytes_max": page, "page_slice_bytes_max": piece}
    left, right = Side(there, **bounds), Side(away, **bounds)
    linked(left, right)
    for _ in range(200):
        moved = talk(left, right, rounds=1)
        sliced = right.exchange.catchup.at_hand(1)
        right.exchange.catchup.go_on(1)
        right.commit()
        if not moved and not sliced:
            break
    assert shared_state(away.disk) == shared_state(there.disk)
    assert right.exchange.catchup.sessions == 1, "it stopped, and had to be begun again"
    assert right.exchange.catchup.bundles_taken == len(sizes)
    assert not right.exchange.catchup.running
