"""What one replica knows of another over one link, and what it has queued for it.

Law: all of it is forgotten when the link ends. The row is assigned from what the peer said on
this link, never taken as a maximum, so a peer that lost its disk stops counting at once.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from crdt.clock import Clock
from crdt.dot import SEQ_MAX, Actor, NodeId
from crdt.messages import MessageError

ROW_ENTRIES_MAX: Final = 250_000
"""Actors of which a peer may speak on one link: thrice what one message can name."""


class Outbox:
    """Messages for one peer, bounded in bytes; pushes can be dropped, the rest cannot."""

    def __init__(self, wake: Callable[[], None] | None = None) -> None:
        self._queue: deque[tuple[bytes, bool]] = deque()
        self._wake = wake
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, message: bytes, *, push: bool = False) -> None:
        """Queue one encoded message."""
        self._queue.append((message, push))
        self.size_bytes += len(message)
        if self._wake is not None:
            self._wake()

    def drop_pushes(self) -> None:
        """Forget queued bundles; the peer is told or has said where it stands."""
        kept = [item for item in self._queue if not item[1]]
        self._queue = deque(kept)
        self.size_bytes = sum(len(message) for message, _ in kept)

    def take(self, bytes_max: int, messages_max: int = 1024) -> list[bytes]:
        """The next messages in order, up to a size and number; at least one if there is any."""
        out: list[bytes] = []
        size = 0
        while self._queue and (
            not out or (size + len(self._queue[0][0]) <= bytes_max and len(out) < messages_max)
        ):
            message, _ = self._queue.popleft()
            size += len(message)
            out.append(message)
        self.size_bytes -= size
        return out


@dataclass(slots=True)
class Peer:
    """One live link to one node.

    Attributes:
        node_id: proven by the greeting.
        claim: the founding place it claims; empty for none.
        outbox: what waits to be sent.
        row: the durable clock it claimed on this link; None before its Hello.
        unseen: entries of its row that were ahead of us when it said them.
        lacks: groups of its clock still on their way.
        joined: whether it says it is caught up.
        digest: of its state at its row; None until it said one.
        pulling: we sent Level: it pushes to us. None while we are behind it.
        pushing: it sent Level: we push to it.
        muted: our actors that it does not take at present.
        shunned: actors whose bundles from this peer we do not take, until a millisecond.
        watch: since when its row has been ahead of us, and by what.
        leaving_ms: since when it is no member any more; 0 while it is one.
        told: how many of the changes of our durable clock it has been told of.
        stopped: the digests disagree at equal clocks: nothing more is exchanged.
        heard_ms: when it last said anything.
        skew_ms: its wall clock minus ours, as last measured.
        round_trip_ms: as last measured.
        beat: number of the last beat it was sent; 0 for none.
        beat_ms: when that was.
    """

    node_id: NodeId
    outbox: Outbox
    claim: str = ""
    row: Clock | None = None
    unseen: Clock = field(default_factory=dict)
    lacks: AbstractSet[int] = frozenset()
    joined: bool = False
    digest: bytes | None = None
    pulling: bool = False
    pushing: bool = False
    muted: AbstractSet[Actor] = frozenset()
    shunned: dict[Actor, int] = field(default_factory=dict)
    watch: tuple[int, Clock] | None = None
    leaving_ms: int = 0
    told: int = 0
    stopped: bool = False
    heard_ms: int = 0
    skew_ms: int = 0
    round_trip_ms: int = 0
    beat: int = 0
    beat_ms: int = 0

    @property
    def known(self) -> bool:
        """Whether its whole clock is known."""
        return self.row is not None and not self.lacks

    def learn(self, entries: Mapping[Actor, int], clock: Mapping[Actor, int]) -> bool:
        """Entries of its durable clock, as it just said.

        Args:
            entries: what it said.
            clock: ours.

        Returns:
            Whether it may hold what we lack.

        Raises:
            MessageError: it speaks of more actors than there may be.
        """
        row = self.row
        if row is None:
            row = self.row = {}
        if (
            len(row) + len(entries) > ROW_ENTRIES_MAX
            and len(row.keys() | entries.keys()) > ROW_ENTRIES_MAX
        ):
            raise MessageError("row_too_large", f"a row has at most {ROW_ENTRIES_MAX} actors")
        unseen, get = self.unseen, clock.get
        for actor, seq in entries.items():
            row[actor] = seq
            if get(actor, 0) < seq:
                unseen[actor] = seq
            elif unseen:
                unseen.pop(actor, None)
        return bool(unseen)

    def shows(self, clock: Mapping[Actor, int]) -> bool:
        """As `is_ahead`, by what it said since: costs only what is missing.

        Our clock only grows, so what it covered once it covers for ever.
        """
        if not self.unseen:
            return False
        for actor in [a for a, n in self.unseen.items() if clock.get(a, 0) >= n]:
            del self.unseen[actor]
        return any(actor not in self.shunned for actor in self.unseen)

    def is_ahead(self, clock: Mapping[Actor, int]) -> bool:
        """Whether it holds anything we lack and would take from it."""
        if self.row is None:
            return False
        get = clock.get
        return any(get(a, 0) < n and a not in self.shunned for a, n in self.row.items())

    def without_shunned(
        self, clock: Mapping[Actor, int], also: Iterable[Actor] = ()
    ) -> dict[Actor, int]:
        """A clock for Want or Level that asks for nothing of the actors we do not take."""
        return {**clock, **dict.fromkeys(self.shunned, SEQ_MAX), **dict.fromkeys(also, SEQ_MAX)}

    def forgive(self, now_ms: int) -> bool:
        """Take shunned actors again whose time is over; returns whether there were any.

        The other side may have stopped pushing them: it begins again with the next Level.
        """
        over = [actor for actor, until in self.shunned.items() if until <= now_ms]
        for actor in over:
            del self.shunned[actor]
            self.pulling = False
        return bool(over)
