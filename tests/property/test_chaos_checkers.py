"""The checkers against a model store: what is right is never flagged, what is wrong always is."""

import copy
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.check.cycle import check_cycle
from chaos.history import parse
from tests.unit.chaos.check import rig_doctor_documents, rig_doctor_more
from tests.unit.chaos.check.rig_doctor import DOCTORED, Doctored
from tests.unit.chaos.check.rig_model import WORKLOADS, Row, clean

# What they register is what is wanted of them.
assert rig_doctor_more
assert rig_doctor_documents


def rules(rows: list[Row]) -> set[str]:
    judged = check_cycle([parse(row) for row in rows])
    return {f"{one.checker}/{one.rule}" for one in judged.anomalies}


@pytest.mark.parametrize("workload", WORKLOADS)
@given(seed=st.integers(min_value=0, max_value=2**32), steps=st.integers(20, 120))
def test_a_clean_history_is_never_flagged(workload: str, seed: int, steps: int) -> None:
    assert rules(clean(workload, seed, steps)) == set()


@given(
    doctored=st.sampled_from(DOCTORED),
    seed=st.integers(min_value=0, max_value=2**32),
    draw=st.integers(min_value=0, max_value=2**32),
)
def test_one_corruption_is_always_caught(doctored: Doctored, seed: int, draw: int) -> None:
    rows = copy.deepcopy(clean(doctored.workload, seed))
    if doctored.corrupt(rows, random.Random(draw)):
        assert doctored.rule in rules(rows)
