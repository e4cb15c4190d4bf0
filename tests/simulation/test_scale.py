"""The laws of a large mesh, on a small scale: what a write costs its writer, and who gets it."""

from dataclasses import replace

import pytest

from tests.simulation.curve import draw
from tests.simulation.large import Plan
from tests.simulation.scale import W, measure

RELAY = Plan(nodes=30, w=W, relay=True, writes=20)


def test_the_cost_of_a_write_at_its_writer_does_not_grow_with_the_mesh() -> None:
    small, large = measure(RELAY), measure(replace(RELAY, nodes=60))
    assert small["converged"]
    assert large["converged"]
    assert small["pushes_by_author"] == large["pushes_by_author"] == W - 1 + 2
    assert large["max_messages"] < 2 * small["max_messages"]
    assert small["catch_ups"] == large["catch_ups"] == 0, "each got each bundle once, by push"


def test_a_mesh_at_rest_costs_each_node_the_same_whatever_its_size() -> None:
    idle = [measure(replace(RELAY, nodes=n, writes=1))["idle_messages_per_s"] for n in (30, 60)]
    assert idle[0] == idle[1]


def test_pushing_to_all_costs_the_writer_as_many_as_there_are() -> None:
    row = measure(replace(RELAY, relay=False))
    assert row["pushes_by_author"] == 29
    assert row["mean_messages"] > 2 * measure(RELAY)["mean_messages"]


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(1, 4))]
)
@pytest.mark.parametrize("loss", [0.05, 0.2])
@pytest.mark.parametrize("churn_ms", [0, 50])
def test_all_converge_whatever_is_lost_and_whoever_leaves(
    seed: int, loss: float, churn_ms: int
) -> None:
    row = measure(replace(RELAY, seed=seed, loss=loss, churn_ms=churn_ms))
    assert row["converged"], row
    assert row["everywhere_ms"][1] < 10_000, row


def test_a_majority_is_asked_at_once() -> None:
    row = measure(replace(RELAY, w=16))
    assert row["pushes_by_author"] == 16 - 1 + 2
    assert row["quorum_ms"][1] <= 30


def test_equal_plans_cost_the_same() -> None:
    plan = replace(RELAY, loss=0.2, churn_ms=100)
    one, two = measure(plan), measure(plan)
    assert {**one, "cpu_s": 0} == {**two, "cpu_s": 0}


def test_the_curve_is_a_picture_of_the_rows() -> None:
    plans = [replace(RELAY, nodes=n, relay=relay) for n in (14, 28) for relay in (True, False)]
    picture = draw([measure(plan) for plan in plans])
    assert picture.startswith("<svg")
    assert picture.count("<circle") == 12
    assert "href" not in picture
