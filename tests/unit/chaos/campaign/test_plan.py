"""A plan and a seed decide everything, and a plan that cannot be played is refused in words."""

import argparse
import json
import random
from pathlib import Path

import pytest

from chaos.campaign import command
from chaos.campaign.plan import WORKLOADS, BadPlanError, Plan, _drawn, plan_of, plans, read_plan
from chaos.catalogue import CATALOGUE, HEADLINE
from chaos.faults.registry import injectors
from chaos.workloads import WORKLOADS as PLAYED


def given(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_command(parser.add_subparsers())
    return parser.parse_args(["run", *words])


@pytest.mark.parametrize("name", ["smoke", "full", "headline"])
def test_a_shipped_plan_can_be_read_and_played(name: str) -> None:
    assert name in plans()
    plan = read_plan(name)
    assert plan.name == name
    turns = list(plan.cycles())
    assert [turn.number for turn in turns] == list(range(1, len(turns) + 1))
    assert {turn.code for turn in turns} <= CATALOGUE.keys()
    assert {turn.workload for turn in turns} <= PLAYED.keys() == set(WORKLOADS)
    assert plan.quorum_writes == plan.nodes // 2 + 1


def test_the_full_plan_plays_every_class_and_the_headline_ones_most() -> None:
    plan = read_plan("full")
    assert plan.classes.keys() == CATALOGUE.keys()
    assert min(plan.classes.values()) >= 50
    assert all(plan.classes[code] >= 200 for code in HEADLINE)
    assert sum(plan.classes.values()) > 3000


def test_the_smoke_plan_has_eight_classes_that_need_nothing_special() -> None:
    known = injectors()
    plain = [code for code in read_plan("smoke").classes if code in known and not known[code].needs]
    assert len(plain) >= 8


def test_the_order_is_decided_by_the_seed() -> None:
    def order(seed: int) -> list[tuple[str, str, int]]:
        plan = Plan(classes=dict.fromkeys(CATALOGUE, 3), seed=seed)
        return [(turn.code, turn.workload, turn.seed) for turn in plan.cycles()]

    assert order(1) == order(1)
    assert order(1) != order(2)
    codes = [code for code, _, _ in order(1)]
    count = len(CATALOGUE)
    rounds = [codes[at : at + count] for at in range(0, len(codes), count)]
    assert len(rounds) == 3
    assert all(set(one) == CATALOGUE.keys() for one in rounds), "a class comes again too soon"
    assert rounds[0] != rounds[1]
    assert codes[:count] != list(CATALOGUE)


def test_one_cycle_of_a_campaign_is_played_again_by_its_own_seed() -> None:
    """The law of replay: the same class, workload and choices, wherever it stood."""
    for seed in range(20):
        plan = Plan(classes={"F01": 5, "F07": 2, "F30": 3}, seed=seed)
        for turn in plan.cycles():
            words = ("--class", turn.code, "--cycles", "1", "--seed", str(turn.seed))
            (again,) = command.plan_from(given(*words)).cycles()
            assert (again.code, again.workload, again.seed) == (turn.code, turn.workload, turn.seed)
            assert random.Random(again.seed).random() == random.Random(turn.seed).random()


def test_a_workload_that_came_later_takes_its_share_and_leaves_the_rest() -> None:
    """Seeds of cycles that were found say what they said, but for those that are its own."""
    names = list(PLAYED)
    seeds = [f"{number} F01" for number in range(9_000)]
    now = [_drawn(names, seed) for seed in seeds]
    before = [_drawn(names[:8], seed) for seed in seeds]
    assert before == [random.Random(seed).choice(names[:8]) for seed in seeds]
    assert {b for a, b in zip(before, now, strict=True) if a != b} == set(names[8:])
    counts = [now.count(name) for name in names]
    assert min(counts) > 850, counts
    assert max(counts) < 1150, counts


def test_seeds_of_one_class_are_all_different() -> None:
    seeds = [turn.seed for turn in Plan(classes={"F01": 500}, seed=7).cycles()]
    assert len(set(seeds)) == 500


def test_a_plan_comes_back_from_the_disk_as_it_was() -> None:
    plan = read_plan("smoke")
    again = plan_of(json.loads(json.dumps(plan.as_dict())), "of the folder")
    assert again.as_dict() == plan.as_dict()
    assert list(again.cycles()) == list(plan.cycles())


def test_every_class_but_some() -> None:
    plan = plan_of({"cycles": 2, "except": ["F21"], "classes": {"F01": 9}}, "x")
    assert "F21" not in plan.classes
    assert (plan.classes["F01"], plan.classes["F02"]) == (9, 2)
    assert len(plan.classes) == len(CATALOGUE) - 1


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("sed = 1", "unknown key 'sed'; known are"),
        ("[classes]\nF99 = 1", "no class 'F99'; see `mnemesh chaos list`"),
        ('except = ["F0"]\ncycles = 1', "no class 'F0'"),
        ('workloads = ["sets"]', "no workload 'sets'; known are set, register"),
        ("seed =", "mine.toml: Invalid value"),
        ('cycles = "many"', "plan mine: invalid literal"),
        ("hold_s = 3", "plan mine: cannot unpack"),
        ("hold_s = [1]", "plan mine: not enough values"),
        ('classes = ["F01"]', "plan mine: "),
        ('[classes]\nF01 = "x"', "plan mine: invalid literal"),
        ("nodes = []", "plan mine: "),
    ],
)
def test_what_cannot_be_played_is_refused_with_the_right_words(
    toml: str, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(toml)
    with pytest.raises(BadPlanError) as refused:
        read_plan(str(path))
    assert says in str(refused.value)


def test_a_plan_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadPlanError, match="expected a file or one of full, headline, smoke"):
        read_plan(str(tmp_path))
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadPlanError, match=r"x\.toml"):
        read_plan(str(tmp_path / "x.toml"))


@pytest.mark.parametrize(
    ("words", "shape"),
    [
        ((), (3, 2)),
        (("--nodes", "5"), (5, 3)),
        (("--nodes", "4"), (4, 3)),
        (("--nodes", "5", "--quorum-writes", "5"), (5, 5)),
        (("--quorum-writes", "3"), (3, 3)),
    ],
)
def test_the_shape_is_a_majority_unless_it_is_said(
    words: tuple[str, ...], shape: tuple[int, int]
) -> None:
    plan = command.plan_from(given(*words))
    assert (plan.nodes, plan.quorum_writes) == shape
    assert plan.seed == 1


def test_classes_by_hand() -> None:
    plan = command.plan_from(given("--class", "f01, F17", "--seed", "5"))
    assert (dict(plan.classes), plan.seed, plan.name) == ({"F01": 1, "F17": 1}, 5, "by hand")
    assert command.plan_from(given("--class", "F01")).seed != 0
    plan = command.plan_from(given("--plan", "headline", "--class", "F01,F02"))
    assert dict(plan.classes) == {"F01": 200, "F02": 1}
    assert plan.seed == 2026
