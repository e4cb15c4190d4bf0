"""Short causal tokens: written and judged by what a node knows of who came before whom.

Law: never says yes without knowing. The processes of one node follow one another, so what all
but the newest of them did changes no more, and all nodes that hold it have the same hash of it.
A hash that is not this node's own, and was not at an earlier time, is not reached. What was
once reached stays so, because a clock only grows.
"""

import hashlib
from collections.abc import Mapping
from itertools import islice
from typing import Final

from crdt.dot import ACTOR_BYTES, Actor
from node.replication.tokens import (
    HASH_BYTES,
    NAME_BYTES,
    OLDER_BYTES,
    SHORT_BYTES_MAX,
    Marks,
    fits_plain,
    home_of,
    name_of,
)

_START: Final = hashlib.sha256(b"mnemesh-older").digest()
_REMEMBERED_MAX: Final = 10_000
_ENTRY_BYTES: Final = NAME_BYTES - 9 + 4
_HOME_BYTES: Final = 11 + NAME_BYTES - 9 + HASH_BYTES + _ENTRY_BYTES


class Ancestry:
    """What one clock says about the actors of each node, in the order of their births.

    Args:
        clock: it grows, and loses nothing.
    """

    def __init__(self, clock: Mapping[Actor, int]) -> None:
        self.clock = clock
        self._counted = 0
        self._lines: dict[bytes, _Line] = {}
        self._by_name: dict[bytes, list[Actor]] = {}
        self._reached: dict[bytes, None] = {}

    def shorten(self, wanted: Mapping[Actor, int]) -> Marks:
        """Marks that cover a part of the clock, and may cover more of it.

        The newest actors are named, as many as fit and at least one of each node; those of that
        node that are older go into one hash.
        """
        if fits_plain(len(wanted)):
            return dict(wanted)
        self._index()
        newest = sorted(wanted, key=lambda actor: (actor[1:], actor[:1]), reverse=True)
        oldest: dict[bytes, Actor] = {}
        for actor in newest:
            oldest.setdefault(home_of(actor), actor)
        named = set(oldest.values())
        room = SHORT_BYTES_MAX - _HOME_BYTES * len(oldest)
        left: set[bytes] = set()
        for actor in newest:
            if actor in named:
                continue
            home = home_of(actor)
            if room < _ENTRY_BYTES:
                left.add(home)
                continue
            room -= _ENTRY_BYTES
            named.add(actor)
            oldest[home] = actor
        marks: Marks = {name_of(actor): wanted[actor] for actor in named}
        marks.update((self._before(oldest[home]), 1) for home in left)
        return marks

    def covers(self, marks: Mapping[bytes, int]) -> bool:
        """Whether the clock has reached every mark."""
        get = self.clock.get
        older = []
        for mark, seq in marks.items():
            if len(mark) == ACTOR_BYTES:
                if get(mark, 0) < seq:
                    return False
            elif len(mark) == OLDER_BYTES:
                older.append(mark)
            else:
                self._index()
                actors = self._by_name.get(mark, ())
                if not actors or any(get(actor, 0) < seq for actor in actors):
                    return False
        return all(map(self._has_reached, older))

    def _has_reached(self, mark: bytes) -> bool:
        if mark in self._reached:
            return True
        self._index()
        actors = self._by_name.get(mark[:NAME_BYTES], ())
        # `_before` keeps what it made, so that it is known when more has come.
        return any(self._before(actor) == mark for actor in actors)

    def _index(self) -> None:
        """Sort the actors of each node by birth, when there are new ones."""
        if self._counted == len(self.clock):
            return
        self._lines, self._by_name = {}, {}
        for actor in sorted(self.clock):
            self._lines.setdefault(home_of(actor), _Line()).append(actor)
            self._by_name.setdefault(name_of(actor), []).append(actor)
        self._counted = len(self.clock)

    def _before(self, actor: Actor) -> bytes:
        """The mark of all that the node of an actor did in that lane before it."""
        digest = self._lines[home_of(actor)].before(actor, self.clock)
        mark = name_of(actor) + digest[:HASH_BYTES]
        self._reached[mark] = None
        if len(self._reached) > _REMEMBERED_MAX:
            del self._reached[next(iter(self._reached))]
        return mark


class _Line:
    """The actors of one node in one lane by birth, and a chain of hashes over them."""

    def __init__(self) -> None:
        self._places: dict[Actor, int] = {}
        self._seqs: list[int] = []
        self._hashes = [_START]

    def append(self, actor: Actor) -> None:
        self._places[actor] = len(self._places)

    def before(self, actor: Actor, clock: Mapping[Actor, int]) -> bytes:
        """The hash of all actors before one. Only from the first change on is it made anew."""
        place = self._places[actor]
        held = list(map(clock.__getitem__, islice(self._places, place)))
        if held != self._seqs[:place]:
            known = zip(self._seqs, held, strict=False)
            same = next((i for i, (old, new) in enumerate(known) if old != new), None)
            same = min(len(self._seqs), place) if same is None else same
            del self._hashes[same + 1 :]
            for each, seq in zip(islice(self._places, same, None), held[same:], strict=False):
                link = self._hashes[-1] + each + seq.to_bytes(8, "big")
                self._hashes.append(hashlib.sha256(link).digest())
            self._seqs = held
        return self._hashes[place]
