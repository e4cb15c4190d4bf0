"""From the tables of an older program to those of this one.

Law: forward only, one step a schema, one transaction a step. Nothing of a store is changed
before a snapshot of it lies beside it, read back row by row; a store that was changed is read
as a whole before anything trusts it. Each step is a module of its own that holds the old
forms it reads and the forms it writes, so that no later change of the program changes it.

    step_1_to_2    records leave their table and stand in the feed
    ladder         which step follows which
    before         the snapshot, and whether there is room
    checking       the whole store, read back
    climbing       the ladder, climbed
    going_back     the snapshot in place again

A new schema needs: the number in `node.store.schema`, a step and its line in `ladder`, the
forms of the schema before it moved into that step, and a fixture of it in
`tests/fixtures/stores/`.
"""

from node.store.migrations.before import MigrationRefused, snapshots_of
from node.store.migrations.climbing import (
    Climbed,
    MigrationUnsound,
    climb,
    drop_old_incoming,
)
from node.store.migrations.going_back import go_back
from node.store.migrations.ladder import LADDER, Step, steps_from

__all__ = [
    "LADDER",
    "Climbed",
    "MigrationRefused",
    "MigrationUnsound",
    "Step",
    "climb",
    "drop_old_incoming",
    "go_back",
    "snapshots_of",
    "steps_from",
]
