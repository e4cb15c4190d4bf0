"""The reference's side of the scripts: documents of chunks, and the other writer.

Law: it is given what an author has seen and what the author wants, as the library is, and writes
the change that a node would write. A record holds the chunks as a node would have stored them:
each alone, or many of them in packs, in any order.
"""

import hashlib
import random
from collections.abc import Sequence

from crdt.document.change import read_change
from crdt.document.gathering import gather
from crdt.document.model import Change, Stored
from crdt.document.opened import Document
from crdt.document.pack import Kept, pack
from crdt.dot import Dot
from crdt.fields import CHUNK_MARK
from tests.interop.playing import LIMITS, Asked


def kept_of(changes: Sequence[Change]) -> list[Kept]:
    """Changes as if several agents had written them, one a second."""
    return [
        Kept(change, f"agent-{number % 3}", (1_700_000_000_000 + 1_000 * number) << 16)
        for number, change in enumerate(changes)
    ]


def stored_of(changes: Sequence[Change], dice: random.Random) -> list[Stored]:
    """What a record holds of them: some folded into packs, some not."""
    kept = kept_of(changes)
    stored: list[Stored] = []
    while kept:
        count = dice.choice((1, 1, 1, dice.randint(1, len(kept))))
        some, kept = kept[:count], kept[count:]
        if count > 1 or dice.random() < 0.2:
            data = pack(some)
            name = hashlib.sha256(data).hexdigest()
        else:
            data, name = some[0].change.data, some[0].change.hash.hex()
        dot = Dot("n1", len(stored) + 1)
        stored.append(Stored(CHUNK_MARK + name, data, some[0].agent, some[0].hlc, dot))
    dice.shuffle(stored)
    return stored


def document_of(changes: Sequence[Change], dice: random.Random) -> Document:
    """The document of these changes, stored in some way."""
    return Document.opened(gather(stored_of(changes, dice), LIMITS), LIMITS)


def written(asked: Asked) -> bytes | None:
    """The chunk of the change that the edits come to; None when they change nothing."""
    changes = [read_change(chunk, LIMITS) for chunk in asked.chunks]
    document = document_of(changes, random.Random(len(changes)))
    actor = asked.actor
    seq = document.next_seq(actor, asked.heads)
    if seq is None:
        # Under one name the second of two changes comes after the first, so this is another name.
        actor, seq = b"past" + document.heads[0][:8] + bytes([len(changes)]), 1
    change = document.edited(
        asked.edits,
        actor=actor,
        seq=seq,
        time=asked.time,
        message=asked.message,
        heads=asked.heads,
    )
    return change.data if change.ops else None
