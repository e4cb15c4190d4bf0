"""From a wanted change to an operation that states everything it depends on.

Law: an edit supersedes exactly the versions its author saw of the fields it touches, and
names the births it saw and those that what it supersedes hangs on; a delete names the births
it saw. So concurrent work is never overwritten unseen, and never left as half a record.
"""

from typing import NamedTuple

from crdt.dot import Actor, Dot
from crdt.fields import COUNTER_MARK, REVISION, is_counter, number
from crdt.op import NO_DOTS, Draft, Idempotency, Kind, Op, Value
from crdt.record import Record
from crdt.view import Approvals, Shown, shown


class MissingRecordError(LookupError):
    """An edit or delete of a record of which nothing is visible."""


class Author(NamedTuple):
    """Who mints, when, and having seen which governance."""

    agent: str
    heads: tuple[Dot, ...]
    idempotency: Idempotency | None = None


def operation(
    draft: Draft, record: Record | None, approvals: Approvals, dot: Dot, stamp: int, author: Author
) -> Op:
    """The operation for one draft against the record as it stands.

    Raises:
        MissingRecordError: the draft edits or deletes what is not there.
    """
    part = None
    if record is not None:
        names = (*draft.set, *draft.removed, REVISION)
        part = shown(_births_of(record, draft) if draft.exact else record, approvals, names)
    if draft.kind is Kind.CREATE:
        return creation(draft, part, dot, stamp, author)
    if part is None:
        raise MissingRecordError(f"{draft.collection}/{draft.id}")
    if draft.seen is not None:
        part = _as_seen(part, draft.seen)
        if not part.births:
            raise MissingRecordError(f"{draft.collection}/{draft.id}")
    if draft.kind is Kind.DELETE:
        return _op(draft, part, dot, stamp, author, births=part.births, fields=dict(draft.set))
    return _edit(draft, part, dot, stamp, author)


def _births_of(record: Record | None, draft: Draft) -> Record | None:
    """The record as it would be with the births of one owner in one namespace alone."""
    if record is None:
        return None
    wanted = (draft.owner, draft.namespace)
    births = {d: b for d, b in record.births.items() if (b.owner, b.namespace) == wanted}
    return Record(births, record.fields)


def _as_seen(part: Shown, seen: frozenset[Dot]) -> Shown:
    """The part of a record that somebody knew who had seen these dots alone."""
    fields = {
        name: [version for version in held if version.origin.dot in seen]
        for name, held in part.fields.items()
        if name != REVISION
    }
    # The revision is this node's own count, and grows whatever the other side knew.
    fields[REVISION] = part.fields.get(REVISION, [])
    return part._replace(births=part.births & seen, fields=fields)


def creation(draft: Draft, part: Shown | None, dot: Dot, stamp: int, author: Author) -> Op:
    """The operation for a draft that creates, beside what shows under its id."""
    agent, heads, idempotency = author
    return Op(
        dot,
        Kind.CREATE,
        draft.collection,
        draft.id,
        draft.owner or agent,
        draft.namespace,
        agent,
        stamp,
        set={**draft.set, REVISION: 1 if part is None else _next_revision(part)},
        heads=heads,
        idempotency=idempotency,
    )


def _op(
    draft: Draft,
    part: Shown,
    dot: Dot,
    stamp: int,
    author: Author,
    *,
    births: frozenset[Dot],
    fields: dict[str, Value] | None = None,
    supersedes: frozenset[Dot] = NO_DOTS,
) -> Op:
    return Op(
        dot=dot,
        kind=draft.kind,
        collection=draft.collection,
        id=draft.id,
        owner=part.owner,
        namespace=part.namespace,
        agent=author.agent,
        hlc=stamp,
        births=births,
        set=fields or {},
        removed=draft.removed,
        supersedes=supersedes,
        heads=author.heads,
        idempotency=author.idempotency,
    )


def _edit(
    draft: Draft,
    part: Shown,
    dot: Dot,
    stamp: int,
    author: Author,
) -> Op:
    fields = {**draft.set, REVISION: _next_revision(part)}
    births = set(part.births)
    supersedes = set()
    for name in (*fields, *draft.removed):
        for version in part.fields.get(name, ()):
            if is_counter(name) and version.origin.dot.actor != dot.actor:
                continue
            supersedes.add(version.origin.dot)
            births |= version.origin.births
    for name in draft.set:
        if name.startswith(COUNTER_MARK):
            fields[name] = _own_count(part, name, dot.actor) + draft.set[name]
    return _op(
        draft,
        part,
        dot,
        stamp,
        author,
        births=frozenset(births),
        fields=fields,
        supersedes=frozenset(supersedes),
    )


def _own_count(part: Shown, name: str, actor: Actor) -> int | float:
    """What this actor has counted so far; others' counts are theirs to grow."""
    held = part.fields.get(name, ())
    own: int | float = sum(number(v.value) for v in held if v.origin.dot.actor == actor)
    return own


def _next_revision(part: Shown | None) -> int:
    versions = part.fields.get(REVISION, ()) if part else ()
    return 1 + max((int(number(v.value)) for v in versions), default=0)
