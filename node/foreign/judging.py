"""What a row of a foreign peer means here: nothing, a creation, an edit, or a move.

Law: pure. A row equal to ours, or to what was last exchanged, is nothing new. What the peer
changed is what differs from the last exchange, field by field; that is written over the
operations the peer has seen, and over no other. So a stale copy never reverts an edit, and a
field that both changed is a conflict. Which side of a conflict shows is decided by times of
change and contents alone, so that both meshes show the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from crdt.dot import Dot
from crdt.fields import CHUNK, FieldKind, element_field, kind_of, tier_rank
from crdt.op import Draft, Kind, Value
from node.foreign.content import EXPIRES, NAMESPACE, Hashes, Row, without
from node.foreign.entries import GIVEN, NO_DOTS, RECEIVED, Ancestor, Entry
from node.foreign.sight import Mine
from node.memory.drafts import COLLECTION, archive, restore
from node.memory.record import ALIASES, ATTEST_LEVEL, CREATED_AT, GRANTS, UPDATED_AT, created_ms

_SETS: Final = ("tags", GRANTS, ALIASES)
PUT_AWAY: Final = "archived elsewhere"
"""The reason of what a peer has put away."""


class Why(Enum):
    """Why a row is nothing new, or what it is; goes out as the `reason` of a duplicate.

    EQUAL: it says what is here. EXCHANGED: it is what was exchanged last. HELD_ALREADY: every
    change of it is here. STALE: older than what was exchanged. OLDER: older than what is here,
    and nothing was exchanged before. DELETED: what it is about was deleted here. OVER: its life
    has ended. NEW, CHANGED: it is written.
    """

    EQUAL = "equal"
    EXCHANGED = "exchanged"
    HELD_ALREADY = "held_already"
    STALE = "stale"
    OLDER = "older"
    DELETED = "deleted"
    OVER = "over"
    NEW = "new"
    CHANGED = "changed"


PASSED_OVER: Final = frozenset({Why.STALE, Why.OLDER, Why.DELETED, Why.OVER})
"""Such a row is as if it had never come: nothing of it is here, and its sender must know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do about one row.

    Attributes:
        why: in a word.
        drafts: what to write; empty for a duplicate.
        base: what the judgement rests on.
        seen: our operations that the peer is taken to have seen.
    """

    why: Why
    drafts: tuple[Draft, ...] = ()
    base: Ancestor | None = None
    seen: frozenset[Dot] = NO_DOTS

    def of_peer(self, dots: Sequence[Dot]) -> frozenset[Dot]:
        """Of the operations that it became, those that say what the peer says."""
        if self.drafts[0].kind is not Kind.EDIT or len(self.drafts) == 1:
            return frozenset(dots)
        return frozenset(dots[:2])  # the time, and what it changed

    @property
    def duplicate(self) -> bool:
        """Whether there is nothing to write."""
        return not self.drafts


def judge(row: Row, mine: Mine | None, entry: Entry) -> Plan:
    """What a row means.

    Args:
        row: as the peer states it.
        mine: the record of that id here; None when nothing visible is left of it.
        entry: what is remembered of the peer and the id.
    """
    base = entry.assumed()
    if mine is not None and equal(row, mine, base):
        return Plan(why=Why.EQUAL, base=base)
    if base is not None and not base.gone and row.content.hashes == base.theirs:
        return Plan(why=Why.DELETED if mine is None else Why.EXCHANGED, base=base)
    if _stale(row, entry):
        return Plan(why=Why.STALE, base=base)
    if base is None or base.gone:
        return _without_memory(row, mine)
    if mine is None:
        # A move is a birth that the deletion here did not know of; all else it has ended.
        moved = row.content.hashes[NAMESPACE] != base.theirs.get(NAMESPACE)
        return _created(row) if base.held or moved else Plan(why=Why.DELETED, base=base)
    return _merged(row, mine, base)


def equal(row: Row, mine: Mine, base: Ancestor | None) -> bool:
    """Whether a row says what ours says; a life that it does not speak of is not compared."""
    theirs, ours = row.content.hashes, mine.content.hashes
    if theirs == ours:
        return True
    silent = EXPIRES not in theirs and (base is None or EXPIRES not in base.theirs)
    return silent and theirs == without(ours, EXPIRES)


def _stale(row: Row, entry: Entry) -> bool:
    """Whether a row is an old copy that comes late."""
    if row.updated is not None and row.updated < entry.stamp:
        return True
    times = {GIVEN: max(entry.stamp, entry.given), RECEIVED: entry.stamp}
    before = [mark for mark in times if mark + row.content.whole in entry.past]
    # What we gave carries our time; what the peer stated itself is old only by its own.
    return any(row.updated is None or row.updated <= times[mark] for mark in before)


def _without_memory(row: Row, mine: Mine | None) -> Plan:
    if mine is None:
        return Plan(why=Why.OVER) if row.over else _created(row)
    if not _later(row, mine):
        return Plan(why=Why.OLDER)
    wanted = {name for name in _names(row, mine.content.hashes) if _differs(name, row, mine)}
    if EXPIRES not in row.content.hashes:
        wanted.discard(EXPIRES)
    return _written(row, mine, wanted, seen=mine.dots)


def _created(row: Row) -> Plan:
    return Plan(why=Why.NEW, drafts=(row.draft,))


def _merged(row: Row, mine: Mine, base: Ancestor) -> Plan:
    """What the peer changed since the last exchange, over what it has seen."""
    theirs, ours = row.content.hashes, mine.content.hashes
    changed = {
        name for name in _names(row, base.theirs) if theirs.get(name) != base.theirs.get(name)
    }
    wanted = {name for name in changed if _differs(name, row, mine)}
    clash = {name for name in wanted if ours.get(name) != base.ours.get(name)}
    if row.updated == mine.updated and _later(row, mine):
        # Both merged what both had changed, and came to different ends: one of them counts.
        others = {n for n in _names(row, ours) - wanted if _differs(n, row, mine)}
        wanted, clash = wanted | others, clash | others
    return _written(row, mine, wanted, seen=base.dots, clash=frozenset(clash), base=base)


def _names(row: Row, others: Hashes) -> set[str]:
    return {*row.content.hashes, *others}


def _differs(name: str, row: Row, mine: Mine) -> bool:
    if row.content.hashes.get(name) == mine.content.hashes.get(name):
        return False
    if name != "tier":
        return True
    # A tier never goes down.
    return tier_rank(row.content.values[name]) > tier_rank(mine.content.values[name])


def _later(row: Row, mine: Mine) -> bool:
    if row.updated is None:
        return False
    return (row.updated, row.content.whole) > (mine.updated, mine.content.whole)


def _written(
    row: Row,
    mine: Mine,
    wanted: set[str],
    *,
    seen: frozenset[Dot],
    clash: frozenset[str] = frozenset(),
    base: Ancestor | None = None,
) -> Plan:
    """The plan that writes some fields of a row over what the peer has seen of ours."""
    lost = frozenset() if _later(row, mine) else clash
    fields = wanted - {NAMESPACE}
    own = base is not None and mine.content.hashes != base.ours
    if NAMESPACE in wanted - lost:
        drafts = _move(row, mine, fields - lost, own=own)
    elif not fields:
        return Plan(why=Why.HELD_ALREADY, base=base, seen=seen)
    elif not seen & mine.births:
        return _elsewhere(row, mine, fields - lost, base)
    else:
        plain = _plain(row, mine, fields - clash, own=own)
        drafts = (plain, *_disputed(row, mine, fields & clash, lost, seen))
    return Plan(why=Why.CHANGED, drafts=drafts, base=base, seen=seen)


def _plain(row: Row, mine: Mine, fields: set[str], *, own: bool) -> Draft:
    """What only the peer changed, and its time; a later one where ours has changed as well.

    It goes first, whatever is in it: a revision is superseded whatever a peer has seen, and
    with it what its operation wrote into the same fields. So the latest revision must not be
    the one that holds what is in dispute.
    """
    values, removed = _fields(row, mine, fields)
    if ATTEST_LEVEL in mine.view.values:
        removed |= {ATTEST_LEVEL}  # its author did not sign this change here
    edit = _edit(mine.id, values, removed)
    if row.updated is None:
        return replace(edit, removed=edit.removed | {UPDATED_AT})
    moment = _merged_at(row, mine) if own else row.updated
    return replace(edit, set={**edit.set, UPDATED_AT: moment})


def _merged_at(row: Row, mine: Mine) -> int:
    """The time of what two changes came to: after both, and the same on both sides."""
    return max(row.updated or 0, mine.updated) + 1


def _disputed(
    row: Row, mine: Mine, fields: set[str], lost: frozenset[str], seen: frozenset[Dot]
) -> tuple[Draft, ...]:
    """What both changed: written over what the peer has seen; then ours again where it shows."""
    if not fields:
        return ()
    first = _edit(mine.id, *_fields(row, mine, fields), seen=seen)
    values = mine.content.values
    again = {
        name: values[name]
        for name in fields & lost
        if name in values and name in row.content.values and kind_of(name) is FieldKind.REGISTER
    }
    if not again:
        return (first,)
    return first, _edit(mine.id, {}), _edit(mine.id, again, seen=mine.dots)


def _elsewhere(row: Row, mine: Mine, fields: set[str], base: Ancestor | None) -> Plan:
    """What the peer has seen is gone: moved since, or deleted and another one made under the id.

    The new birth carries every value, so there is nothing left to be in conflict with: the side
    that shows is written, the other gives way.
    """
    if base is None or base.made != mine.made:
        return Plan(why=Why.DELETED, base=base)
    if not fields:
        return Plan(why=Why.HELD_ALREADY, base=base)
    edit = _edit(mine.id, *_fields(row, mine, fields), seen=mine.dots)
    dated = replace(edit, set={**edit.set, UPDATED_AT: _merged_at(row, mine)})
    return Plan(why=Why.CHANGED, drafts=(dated,), base=base, seen=mine.dots)


def _fields(row: Row, mine: Mine, wanted: set[str]) -> tuple[dict[str, Value], frozenset[str]]:
    values = row.content.values
    removed = {name for name in wanted if name not in values and name in mine.content.values}
    return {name: values[name] for name in wanted if name in values}, frozenset(removed)


def _edit(
    ident: str,
    values: Mapping[str, Value],
    removed: frozenset[str] = frozenset(),
    seen: frozenset[Dot] | None = None,
) -> Draft:
    return Draft(
        kind=Kind.EDIT,
        collection=COLLECTION,
        id=ident,
        set=dict(values),
        removed=removed,
        seen=seen,
    )


def _move(row: Row, mine: Mine, wanted: set[str], *, own: bool) -> tuple[Draft, ...]:
    """A birth in the namespace that the peer states, then the end of what was here."""
    written, removed = _fields(row, mine, wanted)
    values: dict[str, Value] = {}
    for name, value in mine.view.values.items():
        if isinstance(value, list) and name in _SETS:
            values.update({element_field(name, one): place for place, one in enumerate(value)})
        elif name != CHUNK:
            values[name] = value
    for name in (*removed, UPDATED_AT, ATTEST_LEVEL):
        values.pop(name, None)
    values |= {**written, CREATED_AT: created_ms(mine.held)}
    if row.updated is not None:
        values[UPDATED_AT] = _merged_at(row, mine) if own else row.updated
    birth = Draft(
        kind=Kind.CREATE,
        collection=COLLECTION,
        id=mine.id,
        namespace=row.namespace,
        owner=mine.view.owner,
        set=values,
    )
    return birth, Draft(kind=Kind.DELETE, collection=COLLECTION, id=mine.id, seen=mine.dots)


def moved(mine: Mine | None, entry: Entry, *, archived: bool, now_ms: int) -> Plan:
    """What it means that the peer put a memory away, or took it out: the same here, once.

    It counts for what the peer has seen of ours. Said again, after it was undone here, it is
    what was exchanged before.
    """
    base = entry.assumed()
    if base is None or base.gone or mine is None or not base.dots & mine.births:
        return Plan(why=Why.EXCHANGED, base=base)
    if mine.archived is archived:
        return Plan(why=Why.EQUAL, base=base)
    if base.archived is archived:
        return Plan(why=Why.EXCHANGED, base=base)
    draft = archive(mine.held, PUT_AWAY, now_ms) if archived else restore(mine.held, now_ms)
    return Plan(why=Why.CHANGED, drafts=(draft,), base=base, seen=base.dots)


def deleted(mine: Mine | None, entry: Entry) -> Plan:
    """What a deletion by the peer means: the end of the births it has seen, and of no other."""
    base = entry.assumed()
    if base is None or base.gone or mine is None:
        return Plan(why=Why.EXCHANGED, base=base)
    # What was moved here and offered since is still what the peer speaks of.
    offered = [offer.dots for offer in entry.offers if offer.made == base.made]
    seen = base.dots.union(*offered) & mine.births
    if not seen:
        return Plan(why=Why.EXCHANGED, base=base)
    end = Draft(kind=Kind.DELETE, collection=COLLECTION, id=mine.id, seen=seen)
    return Plan(why=Why.CHANGED, drafts=(end,), base=base, seen=seen)
