"""Composes what a node does about the lifecycle by itself.

Law: composition only; everything is asked anew at each use.
"""

import time
from pathlib import Path

from crdt.record import Record
from node.http.services import Services
from node.lifecycle.housekeeping import Housekeeping, Membership
from node.lifecycle.ledger import FOLDER, Ledger
from node.live import Live, Tasks
from node.replication.engine import Engine
from node.store.schema import name_of
from node.store.walk import FeedWalk


def open_forgetting(data_dir: Path, engine: Engine) -> Ledger:
    """What was begun to be forgotten, kept beside a store."""
    return Ledger(data_dir / FOLDER, engine.now_ms)


def open_housekeeping(
    data_dir: Path, live: Live, tasks: Tasks, engine: Engine, services: Services
) -> Housekeeping:
    """The rounds over an engine's memories."""
    readiness = engine.readiness

    def serves() -> bool:
        return readiness.reason() is None and engine.replica.joined

    # Another replica and another store after the store was replaced.
    def read(key: bytes) -> Record | None:
        return engine.replica.read(key)

    keeping = Housekeeping(
        lifecycle=services.lifecycle,
        membership=Membership(
            me=engine.me.node_id,
            members=lambda: engine.replica.governance.now.members,
            serves=serves,
            read=read,
            erasures=lambda: len(engine.store.erasures),
            erased=lambda key: name_of(key) in engine.store.erasures,
            walk=FeedWalk.beside(data_dir, "origins", lambda: engine.store),
        ),
        spawn=tasks.spawn,
        interval_secs=live.settings.storage.maintenance_interval_secs,
        monotonic=time.monotonic,
    )
    engine.on_commit.append(keeping.saw)
    return keeping
