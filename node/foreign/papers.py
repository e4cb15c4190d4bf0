"""Documents in the exchange: their changes are united, and nobody's are judged.

Law: a document that both sides know by its changes has no stale copy and no double change: what
one lacks is added to it, and its text follows. A side that knows only the text (an older release,
or another program) is judged by the text, as for any other field: what it alone changed is edited
into the document, what both changed is a conflict.

Among the fields that are compared a document has one more, `@document`: its heads.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from crdt.op import Draft, Kind, Value
from node.documents.pen import Pen
from node.documents.problems import DocumentStructured
from node.documents.sheet import CONTENT, Written
from node.foreign.content import PAPER, Content, Hashes, Row
from node.foreign.judging import Plan, Why
from node.foreign.sight import Mine
from node.memory.drafts import COLLECTION
from node.memory.record import UPDATED_AT

_OF_PAPER: Final = (CONTENT, PAPER)


def beside(mine: Mine | None, row: Row) -> Mine | None:
    """Ours as a row is to be judged against it: what is united differs in nothing."""
    if mine is None or PAPER not in mine.content.hashes:
        return mine
    taken = _OF_PAPER if row.document is not None else (PAPER,)
    content = mine.content
    return replace(
        mine,
        content=Content(
            values=_with(content.values, row.content.values, taken),
            hashes=_with(content.hashes, row.content.hashes, taken),
            whole=content.whole,  # decides ties, on both sides alike
        ),
    )


def _with(ours: Mapping[str, Any], theirs: Mapping[str, Any], names: Collection[str]) -> Hashes:
    kept = {name: value for name, value in ours.items() if name not in names}
    return kept | {name: theirs[name] for name in names if name in theirs}


def settled(plan: Plan, row: Row, mine: Mine | None, pen: Pen | None) -> Plan:
    """The plan with what it means for a document.

    Raises:
        node.memory.problems.RequestError: the changes cannot be taken.
    """
    if pen is None or mine is None:
        return plan
    if PAPER in mine.content.hashes:
        drafts = tuple(_edited(draft, mine, pen) for draft in plan.drafts)
        more = pen.taken(mine.held, row.document) if row.document is not None else None
        if more is not None and more.changes:
            return _united(replace(plan, drafts=drafts), row, mine, more)
        return replace(plan, drafts=drafts)
    if row.document is None:
        return plan
    fields = pen.brought(row.document, mine.view.owner)
    return replace(plan, drafts=tuple(_begun(draft, fields) for draft in plan.drafts))


def _edited(draft: Draft, mine: Mine, pen: Pen) -> Draft:
    """A draft about a document that has changes here."""
    fields = dict(draft.set)
    fields.pop(PAPER, None)
    removed = draft.removed - {PAPER}
    if draft.kind is Kind.CREATE and draft.collection == COLLECTION:
        text = fields.pop(CONTENT, None)
        fields |= pen.carried(mine.held)
        if isinstance(text, str) and text != mine.view.values.get(CONTENT):
            fields[CONTENT] = text  # in conflict with what the document says
    elif CONTENT in fields and fields[CONTENT] == mine.view.values.get(CONTENT):
        del fields[CONTENT]  # ours again: a document says it anyway
    elif CONTENT in fields and draft.seen is None:
        written = _replaced(mine, str(fields[CONTENT]), pen)
        if written is not None:
            del fields[CONTENT]
            fields |= written.set
            removed |= written.removed
    return replace(draft, set=fields, removed=removed)


def _replaced(mine: Mine, text: str, pen: Pen) -> Written | None:
    try:
        return pen.replaced(mine.held, text)
    except DocumentStructured:
        return None  # it stands beside the document, in conflict


def _united(plan: Plan, row: Row, mine: Mine, more: Written) -> Plan:
    """The changes that are lacking here, in the first operation that there is."""
    if plan.drafts:
        first, *rest = plan.drafts
        removed = frozenset() if first.kind is Kind.CREATE else first.removed | more.removed
        first = replace(first, set={**first.set, **more.set}, removed=removed)
        return replace(plan, drafts=(first, *rest))
    stamp: dict[str, Value] = {}
    if row.updated is not None:
        stamp[UPDATED_AT] = max(row.updated, mine.updated)
    draft = Draft(
        kind=Kind.EDIT,
        collection=COLLECTION,
        id=mine.id,
        set={**stamp, **more.set},
        removed=more.removed | (frozenset() if stamp else {UPDATED_AT}),
    )
    return replace(plan, why=Why.CHANGED, drafts=(draft,), seen=plan.seen | mine.births)


def _begun(draft: Draft, fields: Mapping[str, Value]) -> Draft:
    """A draft that would write what the changes of a document say, writes the changes."""
    if PAPER not in draft.set:
        return draft
    kept = {name: value for name, value in draft.set.items() if name not in _OF_PAPER}
    gone = frozenset((CONTENT,)) if draft.kind is Kind.EDIT else frozenset()
    return replace(draft, set={**kept, **fields}, removed=draft.removed | gone)
