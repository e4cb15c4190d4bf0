"""Every corruption of a clean history is caught by the rule that is there for it."""

import copy
import random

import pytest

from chaos.check.cycle import check_cycle
from chaos.history import parse
from tests.unit.chaos.check import rig_doctor_documents, rig_doctor_more
from tests.unit.chaos.check.rig_doctor import DOCTORED, Doctored
from tests.unit.chaos.check.rig_model import Row, clean

# What they register is what is wanted of them.
assert rig_doctor_more
assert rig_doctor_documents
SEEDS = range(200)
WANTED = 3


def rules(rows: list[Row]) -> set[str]:
    judged = check_cycle([parse(row) for row in rows])
    assert (judged.verdict == "fail") == bool(judged.anomalies)
    return {f"{one.checker}/{one.rule}" for one in judged.anomalies}


def test_there_are_enough_of_them() -> None:
    assert len(DOCTORED) >= 30
    assert len({each.name for each in DOCTORED}) == len(DOCTORED)


@pytest.mark.parametrize("doctored", DOCTORED, ids=lambda each: each.name)
def test_it_is_caught(doctored: Doctored) -> None:
    caught = 0
    for seed in SEEDS:
        rows = clean(doctored.workload, seed)
        spoilt = copy.deepcopy(rows)
        if not doctored.corrupt(spoilt, random.Random(seed)):
            continue
        assert rules(rows) == set()
        found = rules(spoilt)
        assert doctored.rule in found, f"seed {seed}: {found}"
        caught += 1
        if caught == WANTED:
            return
    raise AssertionError(f"{doctored.name}: {caught} histories have a place for it")
