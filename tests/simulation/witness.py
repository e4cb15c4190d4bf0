"""What one simulated disk can say about a snapshot of another, and a source that lies.

Law: a second reading of the rule that the nodes follow (`node.replication.comparing`), over plain
dictionaries: rows are equal, or what changed them lies above the snapshot's clock.
"""

import random
from dataclasses import replace

from crdt.clock import Clock
from crdt.digest import move, weight
from crdt.dot import DATA, GOVERNANCE, PRIVATE
from crdt.memory_state import MemoryState
from crdt.pending import decode_pending
from crdt.weighing import Word

LIES = ("empty", "some", "older", "chain")
"""What a rogue leaves out of a copy, or puts into it."""


def compared(snapshot: MemoryState, witness: MemoryState) -> Word:
    """The word of a member about a snapshot."""
    clock, held = snapshot.clock(), witness.actors
    lacks = any(actor not in held or held[actor].seq < seq for actor, seq in clock.items())
    if lacks or any(row.floor > clock.get(a, 0) for a, row in held.items() if a[:1] == DATA):
        return Word.UNABLE
    same = all(
        held[actor].seq != row.seq or held[actor].hash == row.hash
        for actor, row in snapshot.actors.items()
    )
    sealed = _sealed(snapshot, witness)
    if not same or sealed is None:
        return Word.OTHER
    moved = _moved(witness, clock) | sealed
    for key in snapshot.records.keys() | witness.records.keys():
        unlike = snapshot.records.get(key) != witness.records.get(key)
        if key[:1] == DATA and key not in moved and unlike:
            return Word.OTHER
    return Word.SAME


def _sealed(snapshot: MemoryState, witness: MemoryState) -> set[bytes] | None:
    """The records of what was sealed at the witness alone; None for votes that nobody cast."""
    clock = snapshot.clock()
    sealed: set[bytes] = set()
    for dot in snapshot.pending.keys() | witness.pending.keys():
        theirs, ours = snapshot.pending.get(dot), witness.pending.get(dot)
        if theirs == ours:
            continue
        if ours is None:
            return None
        there = decode_pending(ours)
        late = any(clock.get(a, 0) < n for a, n in (dot, *there.votes))
        here = decode_pending(theirs) if theirs is not None else None
        if here is not None and there.sealed and not here.sealed:
            sealed.add(there.key)
        elif not late:
            return None
    return sealed


def _moved(disk: MemoryState, clock: Clock) -> set[bytes]:
    return {
        key
        for actor, entries in disk.log.items()
        if actor[:1] != PRIVATE
        for _, bundle in entries
        if bundle.last > clock.get(actor, 0)
        for key in bundle.keys
    }


def forged(copy: MemoryState, r: random.Random) -> MemoryState:
    """A frozen copy as a rogue hands it out; its digest adds up."""
    lie = r.choice(LIES)
    keys = [key for key in sorted(copy.records) if key[:1] == DATA]
    gone = keys if lie == "empty" else r.sample(keys, min(len(keys), 1 + len(keys) // 4))
    if lie == "chain":
        actor = r.choice([a for a in sorted(copy.actors) if a[:1] == GOVERNANCE])
        copy.actors[actor] = replace(copy.actors[actor], hash=r.randbytes(32))
        return copy
    for place, key in enumerate(gone):
        data = copy.records[key]
        copy.digest = move(copy.digest, weight(key, data), 0)
        if lie == "older" and place + 1 < len(keys):
            # Somebody else's content under this name.
            other = copy.records.get(keys[place + 1], data)
            copy.records[key] = other
            copy.digest = move(copy.digest, 0, weight(key, other))
        else:
            del copy.records[key]
    return copy
