"""Values of a record that nobody has chosen between.

Law: what shows comes first, then the others by the order in which the merge ranks them. A content
that lies beside the changes of a document is one of them, and what shows there is the text.
"""

from collections.abc import Sequence

from crdt.fields import FieldKind, kind_of
from crdt.record import Version
from crdt.view import Approvals, Shown, in_conflict, order
from node.contracts import ConcurrentValue, Held
from node.documents.sheet import CONTENT
from node.documents.shelf import Shelf


def concurrent(
    part: Shown, approvals: Approvals, text: Sequence[ConcurrentValue]
) -> dict[str, list[ConcurrentValue]]:
    """Per register in conflict: all its values, the shown one first.

    Args:
        part: what shows of a record.
        approvals: which pending operations show.
        text: that of a document which has a content beside it; else empty.
    """
    found: dict[str, list[ConcurrentValue]] = {}
    for name, held in part.fields.items():
        before = text if name == CONTENT else ()
        if before or (kind_of(name) is FieldKind.REGISTER and in_conflict(held)):
            ranked = sorted(held, key=lambda one: order(one, approvals), reverse=True)
            found[name] = [*before, *map(_value, ranked)]
    return found


def _value(one: Version) -> ConcurrentValue:
    origin = one.origin
    return ConcurrentValue(value=one.value, dot=origin.dot, hlc=origin.hlc, agent=origin.agent)


def beside_text(held: Held | None, shelf: Shelf) -> list[ConcurrentValue]:
    """The text of a document that has a content beside it, in the name of who wrote last."""
    sheet = None if held is None else held.sheet
    if held is None or sheet is None or sheet.content is None or not shelf.begun(sheet):
        return []
    last = max(sheet.stored, key=lambda one: (one.hlc, one.dot))
    text = held.view.values[CONTENT]
    return [ConcurrentValue(value=text, dot=last.dot, hlc=last.hlc, agent=last.agent)]
