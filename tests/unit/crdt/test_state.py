import inspect

from crdt.memory_state import MemoryState
from crdt.state import ActorRow, Batch, BelowFloorError, Page, State


def test_the_state_in_memory_keeps_to_the_seam() -> None:
    wanted = {n: m for n, m in vars(State).items() if inspect.isfunction(m) and n[0] != "_"}
    assert sorted(wanted) == ["idempotent", "page", "record", "tail"]
    for name, method in wanted.items():
        mine = inspect.signature(getattr(MemoryState, name)).parameters
        assert list(mine) == list(inspect.signature(method).parameters)


def test_a_missing_log_is_a_lookup_that_failed() -> None:
    assert issubclass(BelowFloorError, LookupError)


def test_rows_are_values() -> None:
    assert ActorRow(1, b"h", ()) == ActorRow(1, b"h", (), 0)
    assert Page([b"x"], complete=True) == Page([b"x"], complete=True)


def test_a_batch_weighs_its_bundles_and_its_records() -> None:
    empty = Batch(
        number=0,
        bundles=(),
        actors={},
        records={},
        pending={},
        idempotency={},
        digest=0,
        now_ms=0,
    )
    assert empty.size_bytes() == 0
    assert empty.genesis is None
