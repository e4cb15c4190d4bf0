"""The time a node goes by, under any clock of its machine.

Law: in a mesh whose others have the right time, a node that began with the right time is never
off by as much as a jump plus what drifted in; a clock that is set right is followed at once.
"""

from hypothesis import given
from hypothesis import strategies as st

from node.clock import JUMP_MS_MIN, Clock

DRIFT_MS = 3
STEPS = st.lists(
    st.tuples(
        st.integers(1, 10_000),  # how long until the next look, ms
        st.integers(-DRIFT_MS, DRIFT_MS),  # how much the wall clock drifts meanwhile
        st.sampled_from((0, 0, 0, -86_400_000, -5_000, -1_500, 1_500, 5_000, 86_400_000)),
    ),
    min_size=1,
    max_size=60,
)


@given(steps=STEPS)
def test_no_jump_carries_a_node_away_from_its_mesh(
    steps: list[tuple[int, int, int]],
) -> None:
    truth, wall_off, steady = 1_700_000_000_000, 0, 0
    clock = Clock(lambda: truth + wall_off, lambda: steady)
    shown = [clock()]

    def agrees(jump: int) -> bool:
        """As peers do that have the right time."""
        off = clock_off()
        return abs(off + jump) < abs(off)

    def clock_off() -> int:
        return shown[-1] + (steady - at) - truth

    at = 0
    clock.agrees = agrees
    drifted = 0
    for passed, drift, jump in steps:
        truth += passed
        steady += passed
        wall_off += drift + jump
        drifted += abs(drift)
        now = clock()
        assert abs(now - truth) < JUMP_MS_MIN + drifted, (now - truth, wall_off)
        shown.append(now)
        at = steady
    wall_off = 0
    assert abs(clock() - truth) < JUMP_MS_MIN + drifted


@given(steps=STEPS)
def test_alone_a_node_goes_by_the_clock_of_its_machine(
    steps: list[tuple[int, int, int]],
) -> None:
    truth, wall_off, steady = 1_700_000_000_000, 0, 0
    clock = Clock(lambda: truth + wall_off, lambda: steady)
    for passed, drift, jump in steps:
        truth += passed
        steady += passed
        wall_off += drift + jump
        assert clock() == truth + wall_off
