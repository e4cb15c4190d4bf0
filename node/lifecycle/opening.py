"""Composes what a node does about the lifecycle by itself.

Law: composition only; everything is asked anew at each use.
"""

import time

from crdt.record import Record
from node.http.services import Services
from node.lifecycle.housekeeping import Housekeeping, Membership
from node.live import Live, Tasks
from node.replication.engine import Engine


def open_housekeeping(live: Live, tasks: Tasks, engine: Engine, services: Services) -> Housekeeping:
    """The rounds over an engine's memories."""
    readiness = engine.readiness

    def serves() -> bool:
        return readiness.reason() is None and engine.replica.joined

    def read(key: bytes) -> Record | None:
        return engine.replica.read(key)  # another one after the store was replaced

    keeping = Housekeeping(
        lifecycle=services.lifecycle,
        membership=Membership(
            me=engine.me.node_id,
            members=lambda: engine.replica.governance.now.members,
            serves=serves,
            read=read,
            ops_of=lambda data: engine.replica.read_bundle(data).ops,
        ),
        spawn=tasks.spawn,
        interval_secs=live.settings.storage.maintenance_interval_secs,
        monotonic=time.monotonic,
    )
    engine.on_commit.append(keeping.saw)
    return keeping
