"""How two differences are compared, and how CPU is read."""

import os
from typing import Any

import pytest

from tests.benchmarks.difference import compared, cpu_seconds


def cost(receiver: float, source: float, moved: float | None) -> dict[str, Any]:
    return {
        "receiver_cpu_us": {"median": receiver},
        "source_cpu_us": {"median": source},
        "bytes_moved_per_byte_of_ops": moved,
    }


@pytest.mark.parametrize(
    ("large", "cpu", "moved"),
    [
        (cost(55, 11, 1.02), True, True),
        (cost(65, 10, 1.02), False, True),
        (cost(50, 13, 1.02), False, True),
        (cost(50, 10, 1.30), True, False),
        (cost(50, 10, None), True, True),
    ],
)
def test_the_large_store_may_cost_a_fifth_more(
    large: dict[str, Any], *, cpu: bool, moved: bool
) -> None:
    told = compared(cost(50, 10, 1.01), large)

    assert told["cpu_within_20_percent"] is cpu
    assert told["bytes_within_bound"] is moved


def test_cpu_of_a_process_grows_with_its_work() -> None:
    before = cpu_seconds(os.getpid())

    # The kernel brings the figure of a running thread up to date at its next tick.
    for _ in range(10_000):
        if cpu_seconds(os.getpid()) > before:
            break
        sum(range(1_000))

    assert before < cpu_seconds(os.getpid()) < before + 60
