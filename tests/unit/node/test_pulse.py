"""What is told of a loop that runs late."""

import pytest

from node.metrics import Metrics
from node.pulse import Pulse

TICK = 0.05


class Stage:
    """A pulse over a clock that jumps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.metrics = Metrics()
        self.pulse = Pulse(self.metrics, tick_seconds=TICK, now=lambda: self.now)

    def tick(self, late: float = 0.0) -> None:
        self.now += self.pulse.pause_seconds() + late
        self.pulse.beat()

    def told(self, name: str) -> float:
        for line in self.metrics.render(process=False).decode().splitlines():
            if line.startswith(f"mnemesh_{name} "):
                return float(line.rpartition(" ")[2])
        raise AssertionError(name)


def test_ticks_in_time_have_no_lag() -> None:
    stage = Stage()
    for _ in range(100):
        stage.tick()

    assert stage.told("event_loop_lag_seconds") == 0.0
    assert stage.told("event_loop_delay_seconds_count") == 100
    assert stage.told('event_loop_delay_seconds_bucket{le="0.0005"}') == 100


def test_a_long_stall_counts_for_all_the_ticks_it_swallowed() -> None:
    stage = Stage()
    stage.tick(late=0.26)

    # 260, 210, 160, 110, 60 and 10 ms late.
    assert stage.told("event_loop_delay_seconds_count") == 6
    assert stage.told("event_loop_delay_seconds_sum") == pytest.approx(0.81)


def test_a_scrape_sees_the_longest_lag_of_the_last_seconds() -> None:
    stage = Stage()
    stage.tick(late=0.03)
    for _ in range(150):
        stage.tick()
    assert stage.told("event_loop_lag_seconds") == pytest.approx(0.03)

    for _ in range(400):
        stage.tick()
    assert stage.told("event_loop_lag_seconds") == 0.0


def test_a_process_that_was_stopped_for_an_hour_counts_a_bounded_number() -> None:
    stage = Stage()
    stage.tick(late=3600.0)

    assert stage.told("event_loop_delay_seconds_count") == 1000


def test_late_ticks_are_not_made_up_for_in_a_burst() -> None:
    stage = Stage()
    stage.tick(late=1.0)

    assert stage.pulse.pause_seconds() == 0.0
    stage.pulse.beat()
    assert stage.pulse.pause_seconds() == pytest.approx(TICK)


def test_an_idle_loop_ticks_seldom_and_hurries_when_something_waits() -> None:
    stage = Stage()
    pulse = Pulse(stage.metrics, tick_seconds=TICK, idle_seconds=0.2, now=lambda: stage.now)

    assert pulse.pause_seconds(idle=True) == pytest.approx(0.2)
    stage.now += 0.03
    assert pulse.hurry_seconds() == pytest.approx(TICK)
    stage.now += TICK
    pulse.beat()
    assert pulse.late_seconds == pytest.approx(0.0)


def test_who_hurries_just_before_a_tick_does_not_put_it_off() -> None:
    stage = Stage()
    pulse = Pulse(stage.metrics, tick_seconds=TICK, idle_seconds=0.2, now=lambda: stage.now)
    pulse.pause_seconds(idle=True)
    stage.now += 0.19

    assert pulse.hurry_seconds() == pytest.approx(0.01)
