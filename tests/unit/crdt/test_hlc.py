from crdt.hlc import COUNTER_BITS, HybridClock, millis, stamp_of

NOW = 1_750_000_000_000


def test_a_stamp_is_milliseconds_and_a_counter() -> None:
    assert millis(stamp_of(NOW, 7)) == NOW
    assert stamp_of(NOW, 7) - stamp_of(NOW) == 7
    assert stamp_of(NOW + 1) - stamp_of(NOW) == 1 << COUNTER_BITS


def test_stamps_grow_within_a_millisecond_and_when_the_wall_clock_steps_back() -> None:
    clock = HybridClock(skew_max_ms=5_000)
    stamps = [clock.tick(now) for now in (NOW, NOW, NOW - 60_000, NOW + 1)]
    assert stamps == sorted(set(stamps))
    assert millis(stamps[-1]) == NOW + 1


def test_it_follows_a_stamp_within_the_skew_and_never_one_beyond() -> None:
    clock = HybridClock(skew_max_ms=5_000)
    clock.observe(stamp_of(NOW + 5_000), NOW)
    assert millis(clock.tick(NOW)) == NOW + 5_000
    clock.observe(stamp_of(NOW + 5_001), NOW)
    assert millis(clock.last) == NOW + 5_000


def test_an_older_stamp_does_not_pull_it_back() -> None:
    clock = HybridClock(skew_max_ms=5_000, last=stamp_of(NOW))
    clock.observe(stamp_of(NOW - 9), NOW)
    assert clock.last == stamp_of(NOW)
