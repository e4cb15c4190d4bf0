"""What is remembered of one peer and one id, and how it is written down.

Law: an entry holds what the peer is known to have (hashes of its fields, as it stated them),
what we had then, and which of our operations the peer has thereby seen. What was only offered,
because the peer fetched a page and has not said yet that it took it, is kept apart.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgpack

from crdt.dot import Dot
from node.foreign.content import Hashes, whole_of

PAST_MAX: Final = 16
RECEIVED: Final = b"r"
GIVEN: Final = b"g"
PUSHED: Final = 1 << 62
"""The place of an offer that was pushed: no fetched page tells whether it arrived."""

NO_DOTS: Final[frozenset[Dot]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestor:
    """The last exchange that is known to have happened.

    Attributes:
        theirs: what the peer stated, or was given.
        ours: what we held right after.
        dots: our births and versions that the peer has seen.
        settled: hash of our content that need not be given to it; empty when there is none.
        gone: the exchange was a deletion.
        received: the peer gave it to us; else we gave it to the peer.
        held: it waits here for an approval.
        made: when our record was made (ms): one that was moved since is still the same.
        archived: the peer has it in its archive, or was told that it is in ours.
    """

    theirs: Hashes
    ours: Hashes
    dots: frozenset[Dot] = NO_DOTS
    settled: bytes = b""
    gone: bool = False
    received: bool = False
    held: bool = False
    made: int = 0
    archived: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a page showed to the peer.

    Attributes:
        hashes: of the content; empty for a deletion.
        dots: our births and versions in it.
        place: its place in the order of arrival here.
        after: how many exchanges had been when it was made.
        updated: the time of change that it stated (ms).
        made: when the record was made (ms).
        gone: it was a deletion.
        archived: it was said to be in the archive.
    """

    hashes: Hashes
    dots: frozenset[Dot]
    place: int
    after: int
    updated: int = 0
    made: int = 0
    gone: bool = False
    archived: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Everything remembered of one peer and one id.

    Attributes:
        base: the last exchange; None when there were only offers.
        stamp: the latest time of change that the peer itself has stated (ms).
        given: the latest time of change that was stated to the peer (ms); by another clock.
        past: contents exchanged before, the latest first: `RECEIVED` or `GIVEN`, then the hash.
        count: how many exchanges there were.
        store: the store whose order of arrival the offers speak of.
        offers: what was shown, or pushed, without a word about it; the first and the latest.
    """

    base: Ancestor | None = None
    stamp: int = 0
    given: int = 0
    past: tuple[bytes, ...] = ()
    count: int = 0
    store: str = ""
    offers: tuple[Offer, ...] = field(default=())

    def exchanged(self, base: Ancestor, *, stamp: int | None = None, given: int = 0) -> "Entry":
        """After one more exchange.

        Args:
            base: what holds from now on.
            stamp: the time of change that the peer stated; None when it stated none.
            given: the time of change that the peer was given.
        """
        past = self.past
        if self.base is not None and self.base.theirs != base.theirs and not self.base.gone:
            mark = RECEIVED if self.base.received else GIVEN
            past = (mark + whole_of(self.base.theirs), *past)[:PAST_MAX]
        return replace(
            self,
            base=base,
            stamp=max(self.stamp, stamp or 0),
            given=max(self.given, given),
            past=past,
            count=self.count + 1,
        )

    def offered(self, offer: Offer, store: str) -> "Entry":
        """After something was shown; between the first and the latest nothing is kept."""
        earlier = self.offers[:1] if self.store in ("", store) else ()
        return replace(self, store=store, offers=(*earlier, offer))

    def confirmed(self, place: int, store: str) -> "Entry":
        """After the peer asked for what comes after a place: it took all up to there."""
        if self.store != store:
            return replace(self, offers=()) if store else self
        taken = [offer for offer in self.offers if offer.place <= place]
        if not taken:
            return self
        left = tuple(offer for offer in self.offers if offer.place > place)
        return replace(self._taken(taken[-1]), offers=left)

    def _taken(self, offer: Offer) -> "Entry":
        if self.base is not None and self.count != offer.after:
            # Something was exchanged since: the offer only adds to what the peer has seen.
            return replace(self, base=replace(self.base, dots=self.base.dots | offer.dots))
        return self.exchanged(base_of(offer), given=offer.updated)

    def recognised(self, stated: Hashes) -> "Entry":
        """After the peer stated something: an offer that is whole in it, it took.

        No word may have come back about what was offered. That everything new in it is there is
        a word as well, and does no harm where the peer came to the same by itself.
        """
        known = self.assumed()
        for place in reversed(range(len(self.offers))):
            offer = self.offers[place]
            if offer.gone or known is None or known.gone:
                continue
            names = {*offer.hashes, *known.theirs}
            fresh = [n for n in names if offer.hashes.get(n) != known.theirs.get(n)]
            if fresh and all(stated.get(name) == offer.hashes.get(name) for name in fresh):
                return replace(self._taken(offer), offers=self.offers[place + 1 :])
        return self

    def assumed(self) -> Ancestor | None:
        """The base to judge by: the last exchange, else the first thing that was shown."""
        if self.base is not None or not self.offers:
            return self.base
        return base_of(self.offers[0])


def base_of(offer: Offer) -> Ancestor:
    """An offer, once the peer has taken it."""
    return Ancestor(
        theirs=offer.hashes,
        ours=offer.hashes,
        dots=offer.dots,
        settled=b"" if offer.gone else whole_of(offer.hashes),
        gone=offer.gone,
        made=offer.made,
        archived=offer.archived,
    )


def encode_entry(entry: Entry) -> bytes:
    """The stored form."""
    base = entry.base
    packed: bytes = msgpack.packb(
        [
            None
            if base is None
            else [
                dict(base.theirs),
                dict(base.ours),
                _flat(base.dots),
                base.settled,
                base.gone,
                base.received,
                base.held,
                base.made,
                base.archived,
            ],
            entry.stamp,
            entry.given,
            list(entry.past),
            entry.count,
            entry.store,
            [
                [
                    *(dict(o.hashes), _flat(o.dots), o.place, o.after, o.updated, o.made),
                    *(o.gone, o.archived),
                ]
                for o in entry.offers
            ],
        ]
    )
    return packed


def decode_entry(data: bytes) -> Entry:
    """Read what `encode_entry` wrote.

    Raises:
        ValueError: it is something else.
    """
    try:
        base, stamp, given, past, count, store, offers = msgpack.unpackb(data, raw=False)
        return Entry(
            base=None if base is None else _base(base),
            stamp=stamp,
            given=given,
            past=tuple(past),
            count=count,
            store=store,
            offers=tuple(
                Offer(
                    hashes=hashes,
                    dots=_dots(dots),
                    place=place,
                    after=after,
                    updated=updated,
                    made=made,
                    gone=gone,
                    archived=bool(rest and rest[0]),  # entries of the first days lack it
                )
                for hashes, dots, place, after, updated, made, gone, *rest in offers
            ),
        )
    except Exception as error:
        raise ValueError(f"stored bytes are no entry: {error}") from error


def _base(row: list[Any]) -> Ancestor:
    theirs, ours, dots, settled, gone, received, held, made, *rest = row
    return Ancestor(
        theirs=theirs,
        ours=ours,
        dots=_dots(dots),
        settled=settled,
        gone=gone,
        received=received,
        held=held,
        made=made,
        archived=bool(rest and rest[0]),
    )


def _flat(dots: Iterable[Dot]) -> list[Any]:
    return [list(dot) for dot in sorted(dots)]


def _dots(rows: Iterable[Any]) -> frozenset[Dot]:
    return frozenset(Dot(actor, seq) for actor, seq in rows)


Entries = Mapping[tuple[str, str], Entry]
"""(kind, id) -> entry."""
