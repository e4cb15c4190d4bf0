"""Gauges that come from notes beside the store."""

import json
from pathlib import Path

from crdt.document.model import DocumentLimits
from crdt.view import NOTHING_APPROVED
from node.backup.notes import LAST_BACKUP, RECOVERING
from node.documents.troubles import Troubles
from node.live import Tasks
from node.memory.conflicts_open import OpenConflicts
from node.metrics import Metrics
from node.noted import LastBackup, Noted
from node.store.walk import FeedWalk


def test_the_last_backup_is_read_when_its_note_changes(tmp_path: Path) -> None:
    backup = LastBackup(tmp_path / LAST_BACKUP)
    assert backup.seconds() == 0
    backup.path.write_text(json.dumps({"at_ms": 1_700_000_000_500, "path": "p", "id": "i"}))
    assert backup.seconds() == 1_700_000_000.5
    fresh = tmp_path / "new"
    fresh.write_text(json.dumps({"at_ms": 1_800_000_000_000}))
    fresh.replace(backup.path)
    assert backup.seconds() == 1_800_000_000
    assert backup.seconds() == 1_800_000_000
    for torn in ('{"at_ms": 18', "[]", '{"at_ms": "x"}'):
        fresh.write_text(torn)
        fresh.replace(backup.path)
        assert backup.seconds() == 0
    backup.path.unlink()
    assert backup.seconds() == 0


def test_the_gauges_follow_the_notes(tmp_path: Path) -> None:
    metrics = Metrics()
    conflicts = OpenConflicts(
        walk=FeedWalk(store_id=lambda: "s", pages=lambda _a, _n: ()),
        read=lambda _key: None,
        approvals=lambda: NOTHING_APPROVED,
    )
    noted = Noted(
        metrics=metrics,
        data_dir=tmp_path,
        conflicts=conflicts,
        tasks=Tasks(),
        troubles=Troubles(DocumentLimits()),
    )

    def shown(name: str) -> float:
        lines = metrics.render(process=False).decode().splitlines()
        (line,) = [line for line in lines if line.startswith(f"mnemesh_{name} ")]
        return float(line.rpartition(" ")[2])

    noted.measure()
    names = ("conflicts_open", "backup_last_success_timestamp_seconds", "recovering")
    assert [shown(name) for name in names] == [0, 0, 0]
    (tmp_path / RECOVERING).write_text("{}")
    (tmp_path / LAST_BACKUP).write_text('{"at_ms": 5000}')
    noted.measure()
    assert [shown(name) for name in names] == [0, 5, 1]
    (tmp_path / RECOVERING).unlink()
    noted.measure()
    assert shown("recovering") == 0
