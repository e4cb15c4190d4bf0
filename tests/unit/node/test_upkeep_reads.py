"""Counts of reads are stored when there is a store to put them into, and are kept until then."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from node.errors import DiskError
from node.memory.access import AccessLedger
from node.replication.upkeep import Upkeep


class ClosedStore:
    """A committer that was closed, so that a snapshot can take the place of its store."""

    def __init__(self) -> None:
        self.closed = True
        self.stored: list[dict[bytes, Any]] = []

    def run(self, work: Any, done: Any) -> None:
        if self.closed:
            raise DiskError("nothing is written any more", why="the node is shutting down")
        done(work(), None)


def test_a_join_of_a_snapshot_is_waited_for(tmp_path: Path) -> None:
    committer, catchup = ClosedStore(), SimpleNamespace(joining=True)
    store = SimpleNamespace(
        flush_access=committer.stored.append, lists=SimpleNamespace(access=lambda _key: (2, 5))
    )
    engine: Any = SimpleNamespace(
        committer=committer, store=store, exchange=SimpleNamespace(catchup=catchup)
    )
    access = AccessLedger(lambda _ident: (2, 5))
    nothing: Any = None
    upkeep = Upkeep(
        engine=engine,
        cutter=nothing,
        snapshots=nothing,
        access=access,
        reader=nothing,
        settings=nothing,
        data_dir=tmp_path,
        log=nothing,
        now_ms=lambda: 9,
        lags=nothing,
    )
    access.touch("tea", 9)
    upkeep.flush_access()
    assert committer.stored == []
    committer.closed = catchup.joining = False
    upkeep.flush_access()
    assert [[*rows.values()] for rows in committer.stored] == [[(1, 9)]]
    upkeep.flush_access()
    assert len(committer.stored) == 1
