"""Who may know of an event.

Law: whoever may see the record may know what happens to it, but for what happened while it was
private: that is its author's, and theirs whom the author let in. Of a record that is gone, the
log tells how private it was; where the log no longer tells, it was private. A link is seen by
who sees both of its ends, a message by whom it is for.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from crdt.dot import DATA, PRIVATE, Dot, lane_of
from crdt.fields import ELEMENT_MARK
from crdt.op import Kind, Op
from crdt.roles import within
from crdt.state import Batch
from node.contracts import Caller, Held, Reader
from node.events.names import MESSAGE
from node.links.index import COLLECTION as LINK
from node.memory.drafts import COLLECTION as MEMORY
from node.memory.record import GRANTS, PRIVATE_SCOPE, is_party, visible_to

_HISTORY_MAX: Final = 1000
_DEPARTED_MAX: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What the log tells of a record at one of its operations.

    Attributes:
        open: whether it was open to all just after the operation.
        parties: who could see it anyway.
    """

    open: bool
    parties: frozenset[str]


class Sight:
    """Judges events for callers.

    Args:
        reader: reads the newest state.
        departed: what is known of records that went.
    """

    def __init__(self, reader: Callable[[], Reader], departed: "Departed | None" = None) -> None:
        self._reader = reader
        self._departed = departed or Departed()

    def held(self, collection: str, ident: str) -> Held | None:
        """The record as it stands, in the archive or out of it."""
        reader = self._reader()
        found = reader.get(collection, ident)
        if found is None and collection == MEMORY:
            found = reader.archived(collection, ident)
        return found

    def own(self, op: Op) -> Held | None:
        """The record that an operation of this lane is about, as it stands."""
        if lane_of(op.dot.actor) == PRIVATE:
            return self._reader().own(op.collection, op.id)
        held = self.held(op.collection, op.id)
        return None if held is not None and held.private else held

    def knows(self, op: Op, viewer: Caller) -> bool:
        """Whether a caller may know of an operation on a record."""
        if viewer.namespaces is not None and not within(op.namespace, viewer.namespaces):
            return False
        if op.collection == MEMORY:
            return self._knows_memory(op, viewer)
        if op.collection == LINK:
            return self._knows_link(op, viewer)
        return op.collection == MESSAGE and self._is_for(op, viewer)

    def _knows_memory(self, op: Op, viewer: Caller) -> bool:
        if viewer.agent and viewer.agent == op.owner:
            return True
        held = self.own(op)
        if held is not None and held.view.owner != op.owner:
            held = None  # somebody else's by now; what was before is told by the log
        if held is not None and not visible_to(held, viewer):
            return False
        if held is not None and is_party(held, viewer.agent):
            return True
        return lane_of(op.dot.actor) != PRIVATE and self._was_open(op, held, viewer)

    def _was_open(self, op: Op, held: Held | None, viewer: Caller) -> bool:
        """Whether an operation of the shared lane was made while others could see it."""
        if held is not None and op.kind is Kind.CREATE:
            return op.set.get("scope") != PRIVATE_SCOPE
        if held is None and self._departed.was_open(op):
            return True
        past = self._past(op, shows=held is not None)
        return past.open or (bool(viewer.agent) and viewer.agent in past.parties)

    def _past(self, op: Op, *, shows: bool) -> Past:
        """How private a record was, as far as the log tells."""
        newest_first = self._reader().history(op.collection, op.id, _HISTORY_MAX)
        mine = [one for one in newest_first if one.owner == op.owner]
        return _at(mine[::-1], op, shows=shows)

    def _knows_link(self, op: Op, viewer: Caller) -> bool:
        if viewer.agent and viewer.agent == op.owner:
            return True
        ends = self._ends(op)
        if ends is None:
            return False
        seen = [self.held(MEMORY, one) for one in ends]
        return all(one is not None and visible_to(one, viewer) for one in seen)

    def _ends(self, op: Op) -> tuple[str, str] | None:
        """The two memories of a link; None when nothing tells any more."""
        held = self._reader().get(LINK, op.id)
        told = dict(held.view.values) if held is not None else dict(op.set)
        if "target_id" not in told:
            for one in self._reader().history(LINK, op.id, _HISTORY_MAX):
                if one.kind is Kind.CREATE:
                    told = dict(one.set)
                    break
        source, target = told.get("source_id"), told.get("target_id")
        return (source, target) if isinstance(source, str) and isinstance(target, str) else None

    def ends_of(self, op: Op) -> dict[str, str]:
        """The ends of a link, for those who may know of it."""
        ends = self._ends(op)
        return {} if ends is None else {"source_id": ends[0], "target_id": ends[1]}

    def _is_for(self, op: Op, viewer: Caller) -> bool:
        held = self._reader().get(MESSAGE, op.id)
        return bool(
            held is not None and viewer.agent and held.view.values.get("to") == viewer.agent
        )


def _at(oldest_first: Sequence[Op], op: Op, *, shows: bool) -> Past:
    """The past at an operation; `shows` says that the record is open to all now."""
    known: bool | None = None
    settled = False
    parties: set[str] = {op.owner}
    grant = f"{GRANTS}{ELEMENT_MARK}"
    # A process may end and another go on, and members write at once: stamps tell what was first.
    for one in sorted(oldest_first, key=_moment):
        scope = _scope(one)
        settled = settled or scope is not None
        if _moment(one) > _moment(op):
            continue
        known = known if scope is None else scope != PRIVATE_SCOPE
        parties.update(name[len(grant) :] for name in one.set if name.startswith(grant))
    if not settled:  # nothing in the log ever touched it, so it is as it was
        known = shows
    return Past(open=known is True, parties=frozenset(parties))


def _moment(op: Op) -> tuple[int, Dot]:
    """Where an operation stands among those of all processes (Kulkarni et al., 2014)."""
    return op.hlc, op.dot


def _scope(op: Op) -> str | None:
    """The scope that an operation settles; None for no word of it."""
    if "scope" in op.set:
        return str(op.set["scope"])
    return "" if op.kind is Kind.CREATE or "scope" in op.removed else None


class Departed:
    """How private the records were that went lately, kept while this process lives.

    The log may no longer tell of a record that was made long before it went.
    """

    def __init__(self) -> None:
        # By id: the stamp of the oldest birth of what was open, None of what was private.
        self._open: OrderedDict[tuple[str, str], int | None] = OrderedDict()

    def saw(self, batch: Batch) -> None:
        """Follow a commit."""
        for key, change in batch.records.items():
            before = change.before
            if change.after is None and before is not None and before.births and key[:1] == DATA:
                collection, _, ident = key[1:].decode().partition("/")
                scopes = before.fields.get("scope", {})
                shown = all(one.value != PRIVATE_SCOPE for one in scopes.values())
                born = min(birth.hlc for birth in before.births.values())
                self._open[collection, ident] = born if shown else None
                while len(self._open) > _DEPARTED_MAX:
                    self._open.popitem(last=False)

    def was_open(self, op: Op) -> bool:
        """Whether the record of a delete is known to have been open to all when it went.

        An id may be used again; what ended before the one that is known was born is another.
        """
        born = self._open.get((op.collection, op.id))
        return op.kind is Kind.DELETE and born is not None and op.hlc > born
