"""What is remembered once an item was exchanged.

Law: pure. Only what the peer is known to have, and to have seen of ours, goes into an entry;
an item that was passed over leaves none of it.
"""

from dataclasses import replace

from crdt.dot import Dot
from node.foreign.content import Row
from node.foreign.entries import NO_DOTS, PUSHED, Ancestor, Entry
from node.foreign.judging import PASSED_OVER, Plan, Why, equal
from node.foreign.sight import Mine


def after_row(
    row: Row, plan: Plan, entry: Entry, now: Mine | None, minted: frozenset[Dot], *, held: bool
) -> Entry:
    """The entry once a row was judged and what it meant is written.

    Args:
        row: as it came.
        plan: what was done.
        entry: as it is now.
        now: our record as it is now.
        minted: the operations that speak for the peer.
        held: whether governance holds them for approval.
    """
    if plan.why in PASSED_OVER or (now is None and not held):
        return entry
    if plan.why is Why.EXCHANGED:
        return replace(entry, stamp=max(entry.stamp, row.updated or 0))
    there = plan.base is not None and plan.base.archived
    if now is None:
        base = Ancestor(
            theirs=row.content.hashes, ours={}, received=True, held=True, archived=there
        )
        return entry.exchanged(base, stamp=row.updated)
    level = equal(row, now, plan.base)
    known = NO_DOTS if entry.base is None else entry.base.dots
    base = Ancestor(
        theirs=row.content.hashes,
        ours=now.content.hashes,
        dots=now.dots if level else (plan.seen | known | minted) & now.dots,
        settled=now.content.whole if level else b"",
        received=True,
        held=held,
        made=now.made,
        archived=there,
    )
    if entry.base == base and (row.updated or 0) <= entry.stamp:
        return entry
    return entry.exchanged(base, stamp=row.updated)


def after_move(entry: Entry, minted: frozenset[Dot], *, archived: bool) -> Entry:
    """The entry once the peer has told that a memory is in its archive, or is not."""
    base = entry.assumed()
    if base is None or (entry.base == base and base.archived is archived):
        return entry
    known = replace(base, archived=archived, dots=base.dots | minted)
    return replace(entry, base=known, count=entry.count + 1)


def after_deletion(entry: Entry, *, received: bool) -> Entry:
    """The entry once a deletion was exchanged."""
    if entry.base is not None and entry.base.gone:
        return entry
    return entry.exchanged(Ancestor(theirs={}, ours={}, gone=True, received=received))


def after_passing_over(entry: Entry) -> Entry:
    """The entry once the peer has said that what was pushed does not count there."""
    left = tuple(offer for offer in entry.offers if offer.place != PUSHED)
    return entry if left == entry.offers else replace(entry, offers=left)


def after_giving(given: Ancestor, entry: Entry, before: int, updated: int) -> Entry:
    """The entry once the peer has said that it took, or already had, what was given.

    Args:
        given: what it has now.
        entry: as it is now.
        before: how many exchanges there were when it was given.
        updated: the time of change that it was given with (ms).
    """
    if entry.base is not None and entry.count != before:
        # Something else was exchanged meanwhile: this only adds to what the peer has seen.
        seen = entry.base.dots | given.dots
        return replace(entry, base=replace(entry.base, dots=seen), offers=())
    if entry.base == given:
        return replace(entry, offers=())
    return replace(entry.exchanged(given, given=updated), offers=())
