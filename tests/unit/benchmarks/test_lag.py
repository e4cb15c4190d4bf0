"""The pure parts of the lag benchmark."""

import os

from tests.benchmarks.lag import at_most, buckets, difference, queue_seconds

PAGE = """# TYPE mnemesh_event_loop_delay_seconds histogram
mnemesh_event_loop_delay_seconds_bucket{le="0.001"} 90.0
mnemesh_event_loop_delay_seconds_bucket{le="0.01"} 98.0
mnemesh_event_loop_delay_seconds_bucket{le="+Inf"} 100.0
mnemesh_event_loop_delay_seconds_count 100.0
"""


def test_the_buckets_are_read_from_the_page() -> None:
    assert buckets(PAGE) == {0.001: 90.0, 0.01: 98.0, float("inf"): 100.0}


def test_only_what_came_in_the_window_counts() -> None:
    before = {0.001: 80.0, 0.01: 80.0, float("inf"): 80.0}

    assert difference(before, buckets(PAGE)) == {0.001: 10.0, 0.01: 18.0, float("inf"): 20.0}


def test_a_quantile_is_told_by_the_bound_that_holds_it() -> None:
    found = buckets(PAGE)

    assert at_most(found, 0.5) == 0.001
    assert at_most(found, 0.98) == 0.01
    assert at_most(found, 0.99) == float("inf")
    assert at_most({}, 0.99) == 0.0


def test_the_kernel_tells_how_long_a_thread_waited() -> None:
    assert queue_seconds(os.getpid()) >= 0.0
