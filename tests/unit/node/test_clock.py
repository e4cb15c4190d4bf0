"""The time a node goes by: drift is followed, a jump only with the mesh's consent."""

from node.clock import Clock, steady_ms

JUMP = 1_000


class Time:
    """A wall clock that can be set, and a steady one that cannot."""

    def __init__(self) -> None:
        self.passed = 0
        self.away = 1_700_000_000_000

    def wall(self) -> int:
        return self.passed + self.away

    def steady(self) -> int:
        return self.passed


def made() -> tuple[Time, Clock, list[int]]:
    time = Time()
    clock = Clock(time.wall, time.steady)
    followed: list[int] = []
    clock.followed = followed.append
    return time, clock, followed


def test_it_shows_the_time_and_follows_a_drift() -> None:
    time, clock, followed = made()
    for _ in range(100):
        time.passed += 10
        time.away += 9  # nearly twice as fast, but never a jump
        assert clock() == time.wall()
    assert not followed
    assert clock.ahead_ms == 0


def test_a_jump_that_nobody_confirms_is_not_followed_and_time_goes_on() -> None:
    for jump in (3_600_000, -3_600_000, JUMP, -JUMP):
        time, clock, followed = made()
        clock.agrees = lambda _jump: False
        before = clock()
        time.away += jump
        time.passed += 5
        assert clock() == before + 5
        assert clock.ahead_ms == jump
        time.passed += 5
        assert clock() == before + 10
        time.away -= jump  # somebody sets it right
        assert clock() == before + 10
        assert clock.ahead_ms == 0
        assert not followed


def test_a_jump_that_the_mesh_agrees_with_is_followed_once() -> None:
    time, clock, followed = made()
    asked: list[int] = []

    def agrees(jump: int) -> bool:
        asked.append(jump)
        return True

    clock.agrees = agrees
    time.away += 60_000
    assert clock() == time.wall()
    assert clock() == time.wall()
    assert asked == followed == [60_000]


def test_consent_may_come_later() -> None:
    time, clock, followed = made()
    clock.agrees = lambda _jump: False
    clock()
    time.away += 60_000
    assert clock() == time.wall() - 60_000
    clock.agrees = lambda _jump: True
    assert clock() == time.wall()
    assert followed == [60_000]


def test_the_steady_clock_runs() -> None:
    first = steady_ms()
    assert steady_ms() >= first > 0
