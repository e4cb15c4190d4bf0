"""A record of ours as the exchange sees it: what it says, and which operations carry that.

Law: a look changes nothing. What has only expired, or was put away, is still seen here, because
a peer may know of a longer life; what nothing visible is left of is not.
"""

from collections.abc import Callable
from dataclasses import dataclass

from crdt.dot import DATA, Dot
from crdt.op import record_key
from crdt.record import Record
from crdt.view import Approvals, View, shown
from node.contracts import Held
from node.documents.seam import held_of
from node.documents.sheet import Sheet
from node.documents.shelf import Shelf
from node.foreign.content import EXPIRES, Content, content_of
from node.memory.drafts import COLLECTION
from node.memory.record import PRIVATE_SCOPE, created_ms, is_archived, original_end, updated_ms
from node.replication.sound import view


@dataclass(frozen=True, slots=True, kw_only=True)
class Mine:
    """One record of ours.

    Attributes:
        id: its id.
        view: as readers see it.
        content: what it says.
        updated: when it was last changed (ms).
        made: when it was made (ms); a move keeps that.
        births: the operations that made it.
        dots: those, and all whose values are visible or in conflict.
        sheet: what it holds of a document, when it is one.
        changes: all changes of that, one after the other, once it has any.
    """

    id: str
    view: View
    content: Content
    updated: int
    made: int
    births: frozenset[Dot]
    dots: frozenset[Dot]
    sheet: Sheet | None = None
    changes: bytes | None = None

    @property
    def held(self) -> Held:
        """As the rest of the node names it."""
        return Held(
            collection=COLLECTION, id=self.id, private=False, view=self.view, sheet=self.sheet
        )

    @property
    def archived(self) -> bool:
        """Whether it lies in the archive."""
        return is_archived(self.held)

    @property
    def private(self) -> bool:
        """Whether it is nobody's business elsewhere."""
        return self.view.values.get("scope") == PRIVATE_SCOPE


class Sight:
    """Looks at records.

    Args:
        read: the record under a key, committed or not.
        approvals: which pending operations show; asked anew each time.
        shelf: opens documents.
    """

    def __init__(
        self,
        read: Callable[[bytes], Record | None],
        approvals: Callable[[], Approvals],
        shelf: Shelf | None = None,
    ) -> None:
        self._read = read
        self._approvals = approvals
        self._shelf = shelf or Shelf()

    @property
    def approvals(self) -> Approvals:
        """Which pending operations show."""
        return self._approvals()

    def record(self, collection: str, ident: str) -> Record | None:
        """A record of the shared lane with everything that is kept of it."""
        return self._read(record_key(DATA, collection, ident))

    def memory(self, ident: str) -> Mine | None:
        """A memory in the shared lane, expired or not."""
        found = self.look(COLLECTION, ident)
        if found is None:
            return None
        seen, births, dots = found
        held = held_of(record_key(DATA, COLLECTION, ident), seen, self._shelf)
        seen, values, sheet = held.view, held.view.values, held.sheet
        begun = sheet is not None and self._shelf.begun(sheet)
        heads = self._shelf.document(sheet).heads if sheet is not None and begun else ()
        if is_archived(held) and (end := original_end(held)) is not None:
            values = {**values, EXPIRES: end}  # the archive is no part of what a memory says
        return Mine(
            id=ident,
            view=seen,
            content=content_of(values, seen.namespace, heads),
            updated=updated_ms(held),
            made=created_ms(held),
            births=births,
            dots=dots,
            sheet=sheet,
            changes=self._shelf.changes(sheet) if sheet is not None else None,
        )

    def look(
        self, collection: str, ident: str
    ) -> tuple[View, frozenset[Dot], frozenset[Dot]] | None:
        """(view, births, births and versions) of a record in the shared lane."""
        record = self.record(collection, ident)
        approvals = self.approvals
        part = shown(record, approvals)
        seen = view(record, approvals)
        if part is None or seen is None:
            return None
        versions = {one.origin.dot for held in part.fields.values() for one in held}
        return seen, part.births, part.births | versions
