"""Where a node keeps what it knows: one LMDB environment, one writing thread, checked reads.

Law: committed means on this disk. Nothing outside this package opens the environment.
"""

from node.store.committer import Committer
from node.store.errors import (
    BelowFloor,
    CorruptRecord,
    JoinRefused,
    NoRoom,
    QueueFull,
    StoreDamaged,
)
from node.store.store import Store
from node.store.upkeep import Truncated

__all__ = [
    "BelowFloor",
    "Committer",
    "CorruptRecord",
    "JoinRefused",
    "NoRoom",
    "QueueFull",
    "Store",
    "StoreDamaged",
    "Truncated",
]
