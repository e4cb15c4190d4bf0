from node.memory.access import AccessLedger


def test_reads_add_up_over_a_flush() -> None:
    stored: dict[str, tuple[int, int]] = {}
    ledger = AccessLedger(lambda name: stored.get(name, (0, 0)))
    ledger.touch("a", 5)
    ledger.touch("a", 3)
    assert ledger.of("a") == (2, 5)
    stored.update(ledger.take())
    assert stored == {"a": (2, 5)}
    assert ledger.take() == {}
    ledger.touch("a", 9)
    assert ledger.take() == {"a": (3, 9)}


def test_it_is_bounded_when_nobody_flushes() -> None:
    ledger = AccessLedger(entries_max=2)
    for name in ("a", "b", "c", "a"):
        ledger.touch(name, 1)
    assert ledger.take() == {"a": (2, 1), "b": (1, 1)}


def test_flushed_counts_are_let_go_when_there_are_too_many() -> None:
    stored: dict[str, tuple[int, int]] = {}
    ledger = AccessLedger(lambda name: stored.get(name, (0, 0)), entries_max=2)
    for name in ("a", "b", "c"):
        ledger.touch(name, 1)
        stored.update(ledger.take())
    assert [ledger.of(name) for name in "abc"] == [(1, 1)] * 3
