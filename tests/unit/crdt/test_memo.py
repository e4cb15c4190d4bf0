"""What is remembered of records: bounded, and never older than the record."""

from random import Random

from crdt.memo import UNKNOWN, Memo


def test_what_was_kept_is_given_until_it_is_dropped() -> None:
    """None is remembered like any other value."""
    memo = Memo()
    assert memo.get(b"a") is UNKNOWN
    memo.keep(b"a", "value", 10, memo.changes)
    memo.keep(b"b", None, 10, memo.changes)
    assert memo.get(b"a") == "value"
    assert memo.get(b"b") is None
    memo.drop(b"a")
    assert memo.get(b"a") is UNKNOWN
    assert memo.get(b"b") is None


def test_what_was_read_before_a_change_is_not_kept_after_it() -> None:
    """A change of any record while one is being read is reason enough."""
    memo = Memo()
    changes = memo.changes
    memo.drop(b"a")
    memo.keep(b"a", "old", 10, changes)
    assert memo.get(b"a") is UNKNOWN


def test_it_stays_within_its_bytes_and_keeps_what_is_asked_for() -> None:
    """What is used again and again outlives what is not."""
    memo = Memo(bytes_max=2_000, entries_max=1_000)
    memo.keep(b"often", "value", 100, memo.changes)
    for number in range(500):
        memo.keep(b"%d" % number, number, 100, memo.changes)
        assert memo.get(b"often") == "value"
        assert len(memo) <= 20
    assert memo.get(b"1") is UNKNOWN
    assert memo.get(b"499") == 499


def test_it_stays_within_its_count() -> None:
    """Whatever the values weigh."""
    memo = Memo(entries_max=100)
    for number in range(1_000):
        memo.keep(b"%d" % number, number, 0, memo.changes)
        assert len(memo) <= 100


def test_what_is_too_large_is_not_kept() -> None:
    """It would put everything else out."""
    memo = Memo(bytes_max=2_000)
    memo.keep(b"large", "value", 1_001, memo.changes)
    assert memo.get(b"large") is UNKNOWN


def test_it_never_gives_what_was_changed_since() -> None:
    """Against a table of the newest values, over random stories."""
    seed = Random().randrange(2**32)
    print("seed", seed)
    chance = Random(seed)
    memo, newest = Memo(bytes_max=600, entries_max=40), {}
    for step in range(5_000):
        key = b"%d" % chance.randrange(30)
        if chance.random() < 0.3:
            newest[key] = step
            memo.drop(key)
        found = memo.get(key)
        assert found is UNKNOWN or found == newest.get(key)
        memo.keep(key, newest.get(key), chance.randrange(40), memo.changes)
