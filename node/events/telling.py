"""From applied operations to events, as one caller may know of them.

Law: an operation that governance held is told when its approval is full, at the vote that made
it so, on every node alike; one that was refused is told never. An event names what it is about
and says nothing of its content.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from crdt.dot import GOVERNANCE, PRIVATE, Dot, dot_text, lane_of
from crdt.fields import CHUNK, ELEMENT_MARK, REVISION
from crdt.hlc import millis
from crdt.op import ERASE, RECORD_KINDS, Kind, Op
from crdt.pending import Pending
from crdt.roles import within
from node.audit.applied import entry_of
from node.contracts import Applied, Caller, Governing, Place, Reader
from node.documents.sheet import CONTENT
from node.events.event_name import Happening
from node.events.names import (
    APPROVAL_GRANTED,
    APPROVAL_REJECTED,
    APPROVAL_REQUESTED,
    MESSAGE,
    name_of,
)
from node.events.sight import Departed, Sight
from node.governing.waiting import action_at, may_see
from node.links.index import COLLECTION as LINK
from node.memory.drafts import COLLECTION as MEMORY
from node.memory.times import format_ms

_HELD: Final = "held"
_REFUSED: Final = "refused"
_FIRST: Final = Place(0, -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event.

    Attributes:
        name: of `node.events.names.TABLE`.
        about: what it says beside its name.
        namespace: where it happened; empty for what has no place.
        place: where its operation stands.
    """

    name: str
    about: Mapping[str, Any] = field(default_factory=dict)
    namespace: str = ""
    place: Place = _FIRST


class Teller:
    """Tells callers of operations.

    Args:
        reader: reads the newest state and the log.
        governing: what waits for approval.
        departed: what is known of records that went.
        everything: tell of whatever happened, as whoever runs the machine may know anyway.
    """

    def __init__(
        self,
        reader: Callable[[], Reader],
        governing: Governing,
        departed: Departed | None = None,
        *,
        everything: bool = False,
    ) -> None:
        self._reader = reader
        self._governing = governing
        self._everything = everything
        self._sight = Sight(reader, departed)

    def told(
        self, one: Applied, before: Op | None, after: Op | None, viewer: Caller
    ) -> Iterator[Told]:
        """The events of an operation that a caller may know of.

        Args:
            one: the operation.
            before: the one in front of it in its bundle.
            after: the one behind it.
            viewer: who is told.
        """
        op = one.op
        if one.effect == _REFUSED:
            return
        if lane_of(op.dot.actor) == GOVERNANCE:
            yield from self._governed(one, viewer)
        elif op.kind is Kind.VOTE:
            yield from self._voted(one, viewer)
        elif one.effect == _HELD:
            yield from self._asked(one, viewer)
        elif op.kind in RECORD_KINDS:
            yield from self._changed(op, one.place, before, after, viewer)

    # Records.

    def _changed(
        self, op: Op, place: Place, before: Op | None, after: Op | None, viewer: Caller
    ) -> Iterator[Told]:
        if op.collection not in {MEMORY, LINK, MESSAGE}:
            return
        if not self._everything and not self._sight.knows(op, viewer):
            return
        happening = Happening(
            op=op,
            kind=self._kind(op),
            moves=is_move(op, after),
            ends_move=before is not None and is_move(before, op),
        )
        if op.kind is Kind.DELETE and self._goes_on(op):
            return
        name = name_of(happening)
        if name is not None:
            about = self._about(op, happening, after)
            if happening.moves:  # whoever goes on from here has had both halves
                place = Place(place.arrival, place.step + 1)
            yield Told(name=name, about=about, namespace=op.namespace, place=place)

    def _kind(self, op: Op) -> str:
        if op.collection != MEMORY:
            return ""
        if op.kind is Kind.CREATE:
            return str(op.set.get("memory_kind", ""))
        held = self._sight.own(op)
        return "" if held is None else str(held.view.values.get("memory_kind", ""))

    def _goes_on(self, op: Op) -> bool:
        """Whether what ended in the lane of this node alone went on in the shared one."""
        if lane_of(op.dot.actor) != PRIVATE:
            return False
        held = self._sight.held(op.collection, op.id)
        return held is not None and held.view.owner == op.owner

    def _about(self, op: Op, happening: Happening, after: Op | None) -> dict[str, Any]:
        about = _common(op)
        if op.collection == MEMORY:
            about["memory_id"] = op.id
            about["owner"] = op.owner
            if op.kind is Kind.EDIT:
                about["fields"] = changed_fields(op)
            if happening.moves and after is not None:
                about["from_namespace"] = after.namespace
        elif op.collection == LINK:
            about |= self._sight.ends_of(op)
            held = self._reader().get(LINK, op.id)
            relation = op.set.get("relation") or (
                held.view.values.get("relation") if held is not None else None
            )
            if relation:
                about["relation"] = relation
            about["memory_id"] = about.get("source_id", "")
        else:
            about["message_id"] = op.id
            about["from"], about["to"] = op.owner, op.set.get("to", "")
            about["title"] = op.set.get("title", "")
        return about

    # Approvals.

    def _asked(self, one: Applied, viewer: Caller) -> Iterator[Told]:
        held = self._governing.pendings().get(one.op.dot)
        if held is None or held.leader is not None:
            return  # it is told of with the first one of its request
        yield from self._approval(APPROVAL_REQUESTED, one.op.dot, one.op, one.place, viewer)

    def _voted(self, one: Applied, viewer: Caller) -> Iterator[Told]:
        op = one.op
        pendings = self._governing.pendings()
        held = pendings.get(op.target) if op.target is not None else None
        if op.target is None or held is None:
            return
        leader = held.leader or op.target
        group = [dot for dot in self._governing.together(leader) if dot in pendings]
        now = self._standing(group, one.place, include=True)
        earlier = self._standing(group, one.place, include=False)
        if now == earlier:
            return
        if now == APPROVAL_GRANTED:
            yield from self._approval(APPROVAL_GRANTED, leader, op, one.place, viewer)
            yield from self._granted(group, one.place, viewer)
        elif now == APPROVAL_REJECTED:
            yield from self._approval(APPROVAL_REJECTED, leader, op, one.place, viewer)

    def _standing(self, group: Sequence[Dot], place: Place, *, include: bool) -> str:
        """What the votes that had arrived up to a place made of a request."""
        pendings = self._governing.pendings()
        rejected = False
        approved = True
        for dot in group:
            held = pendings[dot]
            seen = frozenset(vote for vote in held.votes if self._by(vote, place, include=include))
            votes = {vote: held.votes[vote] for vote in seen}
            approved = approved and held.approved_by(seen)
            rejected = rejected or _with(held, votes).rejected()
        if rejected:
            return APPROVAL_REJECTED
        return APPROVAL_GRANTED if approved else ""

    def _by(self, vote: Dot, place: Place, *, include: bool) -> bool:
        """Whether a vote had arrived; one that is no longer in the log had."""
        stands = self._reader().place_of(vote)
        return stands is None or stands < place or (include and stands == place)

    def _granted(self, group: Sequence[Dot], place: Place, viewer: Caller) -> Iterator[Told]:
        """What an approval brought about, as far as the log still has the operations."""
        ops = [op for op in (self._logged(dot) for dot in sorted(group)) if op is not None]
        for at, op in enumerate(ops):
            before = ops[at - 1] if at else None
            after = ops[at + 1] if at + 1 < len(ops) else None
            yield from self._changed(op, place, before, after, viewer)

    def _logged(self, dot: Dot) -> Op | None:
        held = self._governing.pendings()[dot]
        collection, _, ident = held.key[1:].decode().partition("/")
        for op in self._reader().history(collection, ident, _HISTORY_MAX):
            if op.dot == dot:
                return op
        return None

    def _approval(
        self, name: str, leader: Dot, op: Op, place: Place, viewer: Caller
    ) -> Iterator[Told]:
        action = action_at(self._governing, leader)
        if action is None:
            return
        payload: dict[str, Any] = {}
        for dot in action.dots:
            payload |= self._governing.payload(dot)
        held = self._reader().get(*action.record)
        if not self._everything and not may_see(action, payload, held, viewer):
            return
        collection, ident = action.record
        about = {
            **_common(op),
            "pending_id": action.id,
            "action": action.kind,
            "collection": collection,
            "memory_id": ident,
            "requested_by": action.first.requester,
            "namespace": action.namespaces[0],
        }
        yield Told(name=name, about=about, namespace=action.namespaces[0], place=place)

    # Governance.

    def _governed(self, one: Applied, viewer: Caller) -> Iterator[Told]:
        op = one.op
        name = name_of(Happening(op=op))
        spaces = viewer.namespaces
        if name is None or (
            op.namespace and spaces is not None and not within(op.namespace, spaces)
        ):
            return
        facts = entry_of(op)[1]
        about = {**_common(op), **facts}
        yield Told(name=name, about=about, namespace=op.namespace, place=one.place)


_HISTORY_MAX: Final = 1000


def _with(held: Pending, votes: Mapping[Dot, Any]) -> Pending:
    return Pending(
        key=held.key,
        hash=held.hash,
        requester=held.requester,
        approver=held.approver,
        expires=held.expires,
        votes=votes,
    )


def is_move(op: Op, after: Op | None) -> bool:
    """Whether a birth is followed by the end of the record it takes the place of."""
    return (
        after is not None
        and op.kind is Kind.CREATE
        and after.kind is Kind.DELETE
        and (op.collection, op.id, op.agent) == (after.collection, after.id, after.agent)
        and after.set.get(ERASE) is not True
    )


def _common(op: Op) -> dict[str, Any]:
    out: dict[str, Any] = {"dot": dot_text(op.dot), "at": format_ms(millis(op.hlc))}
    if op.agent:
        out["agent_id"] = op.agent
    if op.namespace:
        out["namespace"] = op.namespace
    return out


def changed_fields(op: Op) -> list[str]:
    """The names of the fields that an edit touched; of a set its name alone.

    Chunks of a document are its content: that is what whoever reads it finds changed.
    """
    names = {name.partition(ELEMENT_MARK)[0] for name in (*op.set, *op.removed)} - {REVISION}
    return sorted({CONTENT if name == CHUNK else name for name in names})
