"""Births that share an id and do not show.

Law: a record shows one class of births, those of one owner in one namespace; each further
class is a record of its own beside it, read by the same rules.
"""

from collections.abc import Iterator

from crdt.record import Record
from crdt.view import Approvals, shown
from node.contracts import Held
from node.documents.seam import held_of
from node.documents.shelf import Shelf
from node.replication.sound import view


def beside(record: Record, approvals: Approvals) -> Iterator[Record]:
    """The record as it would be without the births that show, again and again, oldest first."""
    rest = record
    while True:
        part = shown(rest, approvals)
        if part is None:
            return
        left = {dot: birth for dot, birth in rest.births.items() if dot not in part.births}
        rest = Record(left, rest.fields)
        if shown(rest, approvals) is None:
            return
        yield rest


def classes(key: bytes, record: Record | None, approvals: Approvals, shelf: Shelf) -> list[Held]:
    """Every class of births under a key, the one that shows first."""
    if record is None:
        return []
    seen = (view(one, approvals) for one in (record, *beside(record, approvals)))
    return [held_of(key, one, shelf) for one in seen if one is not None]
