"""Scripts: several authors write one document, apart and together.

Law: a pure function of the seed, of the library and of who else writes. Replicas live in the
oracle. What an author writes is written by the library, or by another writer who sees the same
document; at the end all have met, in a random order, and show the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final, NamedTuple

from crdt.document.change import read_change
from crdt.document.chunk import split_chunks
from crdt.document.model import DocumentLimits
from tests.interop.rig import Oracle, OracleError
from tests.interop.scripts import Author, Text, sketch_of

LIMITS: Final = DocumentLimits()
ACTOR_BYTES: Final = (16, 16, 16, 1, 5, 32, 50)
"""Not more: who writes on the past gets a longer name from the library."""


class Asked(NamedTuple):
    """What another writer is asked to write.

    Attributes:
        chunks: all changes that the author has seen, in a causal order.
        heads: the edits are made on the document as it was there; None for all of it.
    """

    chunks: Sequence[bytes]
    heads: Sequence[bytes] | None
    edits: list[dict[str, Any]]
    actor: bytes
    message: str | None
    time: int


BLOCK: Final = {"type": "paragraph", "parents": [], "attrs": {"deep": [1, "x"]}}

Writer = Callable[[Asked], bytes | None]
"""Writes the chunk of a change; None when the edits change nothing."""


@dataclass
class Replica:
    """One author's copy."""

    name: str
    actor: bytes
    chunks: list[bytes]
    heads: list[str]
    past: list[list[str]]


class Played(NamedTuple):
    """How a script ended.

    Attributes:
        chunks: every change, of type 1, in an order in which they could have come.
        raw: those that the library wrote, as it gave them, deflated or not.
        heads: of all replicas, as hex.
        shown: what all replicas show.
        rich: whether there are marks or objects in texts, which the package does not know.
        written: changes that the other writer wrote.
        broken: changes at which the library failed, and that nobody got.
        views: heads of earlier moments, and what the library shows as of them.
    """

    chunks: list[bytes]
    raw: list[bytes]
    heads: list[str]
    shown: dict[str, Any]
    rich: bool
    written: int
    broken: int
    views: list[tuple[list[str], dict[str, Any]]]


def past_of(chunks: Sequence[bytes], fresh: Sequence[bytes]) -> bytes:
    """New changes and what they depend on, in order, and nothing else."""
    changes = [read_change(one, LIMITS) for one in (*chunks, *fresh)]
    wanted = {one.hash for one in changes[len(chunks) :]}
    for one in reversed(changes):
        if one.hash in wanted:
            wanted.update(one.deps)
    return b"".join(one.data for one in changes if one.hash in wanted)


class Game:
    """One script as it is played.

    Args:
        oracle: where the replicas live.
        seed: decides everything.
        write: another writer, for about half of all changes; the library alone without.
    """

    def __init__(self, oracle: Oracle, seed: int, write: Writer | None = None) -> None:
        self.oracle = oracle
        self.random = Random(seed)
        self.author = Author(self.random)
        self.write = write
        self.rich = self.random.random() < 0.15
        self.raw: list[bytes] = []
        self.written = self.broken = 0
        self.replicas: list[Replica] = []

    def play(self) -> Played:
        """Play it to its end."""
        shared = self.random.random() < 0.75
        for place in range(self.random.randint(1, 3)):
            self._newcomer(place)
            if place and shared:
                self._meet(self.replicas[place], self.replicas[0])
            elif not place:
                self._writes(self.replicas[0])
        for _ in range(self.random.randint(4, 14)):
            replica = self.random.choice(self.replicas)
            if self.random.random() < 0.25:
                self._meet(replica, self.random.choice(self.replicas))
            else:
                self._writes(replica)
        return self._end()

    def _newcomer(self, place: int) -> None:
        actor = bytes([place]) + self.random.randbytes(self.random.choice(ACTOR_BYTES) - 1)
        name = f"replica-{place}"
        self.oracle.ask("make", doc=name, actor=actor.hex())
        self.replicas.append(Replica(name, actor, [], [], []))

    def _meet(self, one: Replica, other: Replica) -> None:
        """One learns what the other knows."""
        new = [chunk for chunk in other.chunks if chunk not in one.chunks]
        if new:
            one.past.append(one.heads)
            one.heads = self.oracle.apply(one.name, new)
            one.chunks += new

    def _writes(self, replica: Replica) -> None:
        past = [heads for heads in replica.past if heads and heads != replica.heads]
        at = self.random.choice(past) if past and self.random.random() < 0.1 else None
        shown = self.oracle.ask("value", doc=replica.name, heads=at)["value"]
        edits = self.author.edits(shown)
        message, time = self.author.message(), self.random.choice((0, 0, 1, 1_700_000_000))
        heads = None if at is None else [bytes.fromhex(head) for head in at]
        if self.rich and at is None and self.random.random() < 0.5:
            edits = self._rich(shown) or edits
        elif self.write is not None and self.random.random() < 0.5:
            # Two programs never write under one name.
            asked = Asked(replica.chunks, heads, edits, replica.actor + b"us", message, time)
            made = [one for one in (self.write(asked),) if one is not None]
            self._keep(replica, made)
            self.written += len(made)
            return
        if at is not None:
            self._writes_on_the_past(replica, edits, at)
            return
        try:
            made = self.oracle.edit(replica.name, edits, message=message, time=time)
        except OracleError:
            # It may stumble over its own view, as it counts in a list beside a string that it puts.
            self.broken += 1
            self.oracle.load(replica.name, b"".join(replica.chunks), replica.actor.hex())
            return
        self.raw += made
        self._keep(replica, split_chunks(b"".join(made), LIMITS))

    def _writes_on_the_past(
        self, replica: Replica, edits: list[dict[str, Any]], at: list[str]
    ) -> None:
        """Now and then the library refers to an element that is not in the past it writes on.

        Given that past and the change alone, it stops with an assertion; or it stops while it
        writes, over an object that it lost. So it writes aside, and gives on what it can read.
        """
        self.oracle.load("aside", b"".join(replica.chunks), replica.actor.hex())
        there = set(replica.chunks)
        try:
            made = self.oracle.edit("aside", edits, at=at)
            # With the change comes what came after that past.
            fresh = [one for one in split_chunks(b"".join(made), LIMITS) if one not in there]
            self.oracle.load("alone", past_of(replica.chunks, fresh))
        except OracleError:
            self.broken += 1
        else:
            self.raw += made[-1:]
            self._keep(replica, fresh)

    def _keep(self, replica: Replica, made: Sequence[bytes]) -> None:
        replica.past.append(replica.heads)
        replica.heads = self.oracle.apply(replica.name, made)
        replica.chunks += made

    def _rich(self, shown: dict[str, Any]) -> list[dict[str, Any]] | None:
        """What the library alone can write: marks, objects in texts."""
        text = sketch_of(shown).get("text")
        if not isinstance(text, Text) or not text:
            return None
        units = len("".join(text).encode("utf-16-le")) // 2
        start = self.random.randrange(units)
        end = self.random.randint(start, units)
        ends = {"start": start, "end": end, "path": ["text"], "name": "bold"}
        expand = self.random.choice(("before", "after", "both", "none"))
        return [
            self.random.choice(
                (
                    {"op": "mark", **ends, "value": True, "expand": expand},
                    {"op": "mark", **ends, "value": "red", "expand": expand},
                    {"op": "unmark", **ends, "expand": expand},
                    {"op": "update", "path": ["text"], "value": self.author.words(20)},
                    {"op": "block", "path": ["text"], "index": start, "value": BLOCK},
                )
            )
        ]

    def _end(self) -> Played:
        """All learn everything, each in its own order; all must show the same then."""
        order = list(self.replicas)
        self.random.shuffle(order)
        first, *others = order
        for other in others:
            self._meet(first, other)
        for other in others:
            self._meet(other, first)
        told = [self.oracle.ask("value", doc=replica.name) for replica in order]
        assert all(one == told[0] for one in told), "the library does not agree with itself"
        earlier = [heads for replica in order for heads in replica.past if heads]
        views = [
            (heads, self.oracle.ask("value", doc=first.name, heads=heads)["value"])
            for heads in self.random.sample(earlier, min(2, len(earlier)))
        ]
        self.oracle.ask("forget", docs=[replica.name for replica in order])
        return Played(
            chunks=first.chunks,
            raw=self.raw,
            heads=told[0]["heads"],
            shown=told[0]["value"],
            rich=self.rich,
            written=self.written,
            broken=self.broken,
            views=views,
        )
