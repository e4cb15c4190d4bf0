"""What writes to a document: from what is asked to the fields that an operation sets and removes.

Law: nothing here waits or mints. What is written is made of what shows in the same step, and
names the changes it was made upon; so it overwrites nothing that its author has not seen. The
first change of a document brings along what the plain content was, and takes the content away.
Bounds are held before anything is minted.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from crdt.document.edits import EditError
from crdt.document.gathering import gather
from crdt.document.model import (
    READ_MAX,
    Change,
    DocumentTooLargeError,
    MissingChangesError,
    Stored,
)
from crdt.document.opened import Document
from crdt.document.pack import Kept, claimed, pack
from crdt.fields import CHUNK_MARK
from crdt.hlc import stamp_of
from crdt.op import Value
from node.contracts import Held, RetryKey
from node.documents.actors import Actors
from node.documents.folding import (
    Fates,
    Fold,
    Plan,
    folded,
    hash_in,
    planned,
    readable,
    still_fits,
)
from node.documents.problems import (
    BadEdit,
    DocumentStructured,
    DocumentTooLarge,
    MembersOutdated,
    NotADocument,
    UnknownHeads,
)
from node.documents.sheet import CONTENT, NOTHING, Sheet, Written
from node.documents.shelf import NO_DOT, Shelf, name_of
from node.documents.surroundings import Nobody, Surroundings
from node.documents.taking import accepted, exported

SINGLES_AT_ONCE_MAX: Final = 64
"""More changes than that, brought at once, are stored as one pack."""

INLINE_PACKED_MAX: Final = 128
"""A fold of packs with more changes than that is made aside, before the step that writes."""

_TWICE: Final = 2
"""Two sides of a cut may have folded the same changes: both packs stay, and both count."""


class Prepared(NamedTuple):
    """What was made beside the loop, before the step that writes.

    Attributes:
        then: the document as it was at the heads that an edit names.
        fold: of what was stored.
    """

    then: Document | None = None
    fold: Fold | None = None


NOTHING_PREPARED: Final = Prepared()


class Pen:
    """Drafts changes of documents.

    Args:
        shelf: opens documents.
        entropy: gives so many random bytes.
        now_ms: wall clock, milliseconds since the epoch.
        around: the node.
    """

    def __init__(
        self,
        shelf: Shelf,
        *,
        entropy: Callable[[int], bytes],
        now_ms: Callable[[], int],
        around: Surroundings | None = None,
    ) -> None:
        self.shelf = shelf
        self.around = around or Nobody()
        self._actors = Actors(entropy)
        self._now_ms = now_ms
        self._bytes_max = shelf.limits.stored_bytes_max

    def opened(self, held: Held) -> tuple[Sheet, Document]:
        """A document as it shows.

        Raises:
            NotADocument: it is none.
            DocumentTooLarge: it has plain content only, and too much of it.
        """
        if held.sheet is None:
            raise NotADocument
        try:
            said = ("", 0) if self.shelf.begun(held.sheet) else self.around.said(held)
            return held.sheet, self.shelf.document(held.sheet, said)
        except DocumentTooLargeError as error:
            raise DocumentTooLarge(error) from error

    def edited(
        self,
        held: Held,
        edits: Sequence[Any],
        *,
        message: str | None = None,
        heads: Sequence[bytes] | None = None,
        retry: RetryKey | None = None,
        ready: Prepared = NOTHING_PREPARED,
    ) -> Written:
        """One change that makes edits, as an author saw the document at `heads`.

        With heads and a retry key it is a function of these and the document, whoever makes it.
        One that is here already is told and not written again.

        Raises:
            BadEdit, UnknownHeads, DocumentTooLarge, NotADocument: it cannot be made.
        """
        sheet, document = self.opened(held)
        then = ready.then
        lost = () if then is None else [one for one in then.heads if one not in document]
        if lost:  # it has become another one meanwhile
            raise UnknownHeads(lost)
        known = retry is not None and heads is not None
        try:
            if retry is not None and heads is not None:
                turn = self._actors.again(sheet.key, retry)
                if document.next_seq(turn.actor) != turn.seq:
                    return _made(document, turn.actor)
            else:
                turn = self._actors.turn(sheet.key, document, heads)
            time = 0 if known else self._now_ms() // 1000
            upon = heads if then is None else None
            change = (then or document).edited(
                edits, actor=turn.actor, seq=turn.seq, time=time, message=message, heads=upon
            )
            document.check_room([change] if change.ops else [])
        except EditError as error:
            raise BadEdit(error.index, error.words) from error
        except MissingChangesError as error:
            raise UnknownHeads(error.missing) from error
        except DocumentTooLargeError as error:
            raise DocumentTooLarge(error) from error
        if not change.ops:
            return NOTHING
        if not known:
            self._actors.drew(sheet.key, change)
        return self._written(held, sheet, (change,), fold=ready.fold)

    def replaced(self, held: Held, text: str) -> Written:
        """What a plain `content` writes to a document that has changes: the least that does it.

        Raises:
            DocumentStructured: the document has other texts.
            DocumentTooLarge: a bound would be passed.
        """
        sheet, document = self.opened(held)
        if not document.is_plain():
            raise DocumentStructured
        settled = frozenset((CONTENT,)) if sheet.content is not None else frozenset()
        edits = document.text_edits(text)
        if not edits:
            return Written({}, settled, ())
        written = self.edited(held, edits)
        return written._replace(removed=written.removed | settled)

    def added(
        self,
        held: Held,
        changes: Sequence[Change],
        agent: str,
        ready: Prepared = NOTHING_PREPARED,
    ) -> tuple[Written, int]:
        """Changes that were made elsewhere; and how many of them are here already.

        Args:
            held: the memory.
            changes: in any order.
            agent: who brings them.
            ready: what was prepared.

        Raises:
            BadChange, MissingChanges, DocumentTooLarge, NotADocument: nothing of it is taken.
        """
        sheet, document = self.opened(held)
        new = accepted(document, changes)
        known = len({one.hash for one in changes}) - len(new)
        if not new:
            return NOTHING, known
        return self._written(held, sheet, new, agent, ready.fold), known

    def taken(self, held: Held, given: Any) -> Written:
        """What all changes of a document, as an export has them, add to one that is here.

        A memory that is no document yet becomes one of these changes alone.

        Raises:
            InvalidField, BadChange, MissingChanges, DocumentTooLarge: nothing of it is taken.
        """
        agent = held.view.owner
        if not self.begun(held):
            names = frozenset((CONTENT,)) & held.view.values.keys()
            return Written(self.brought(given, agent), names, ())
        return self.added(held, exported(given, self.shelf.limits), agent)[0]

    def brought(self, given: Any, agent: str) -> dict[str, Value]:
        """The fields of a new document of which an export has all changes.

        Raises:
            InvalidField, BadChange, MissingChanges, DocumentTooLarge: nothing of it is taken.
        """
        limits = self.shelf.limits
        changes = exported(given, limits)
        new = accepted(Document.opened(gather(()), limits), changes)
        fields = self._chunks(new, agent)
        _hold_bytes(sum(map(len, fields.values())), limits.stored_bytes_max)
        return fields

    def said_in(self, fields: Mapping[str, Value]) -> tuple[str, Sequence[bytes]]:
        """The text of a document that fields would make, and its heads."""
        stored = [
            Stored(name, data, "", 0, NO_DOT)
            for name, data in fields.items()
            if name.startswith(CHUNK_MARK)
        ]
        document = Document.opened(gather(stored), self.shelf.limits)
        return document.text(), document.heads

    async def all_of(self, held: Held) -> bytes | None:
        """All changes of a document, one after the other; None while it has none."""
        if held.sheet is None:
            return None
        if self.shelf.is_cold(held.sheet):
            await self.shelf.brought(held.sheet)
        return self.shelf.changes(held.sheet)

    def carried(self, held: Held) -> dict[str, Value]:
        """The chunks of a document, as fields of its new birth.

        Single ones go into a pack, which keeps who wrote them; what is set aside stays behind.

        Raises:
            DocumentTooLarge: many wrote more into it than would be read of the one that moves it.
        """
        sheet = held.sheet
        if sheet is None or not self.shelf.begun(sheet):
            return {}
        gathered = self.shelf.gathered(sheet)
        singles, packs = readable(sheet.stored, gathered, self.shelf.document(sheet).aside)
        fields: dict[str, Value] = {one.name: one.data for one in packs}
        names = {hash_in(one.name) for one in singles}
        kept = [one for one in gathered.kept.values() if one.change.hash in names]
        if kept:
            data = pack(kept)
            fields[CHUNK_MARK + name_of(data)] = data
        count = len(kept) + sum(claimed(one.data)[0] for one in packs)
        if count > READ_MAX.changes_max or _TWICE * gathered.ops > READ_MAX.ops_max:
            error = DocumentTooLargeError("changes_max", READ_MAX.changes_max, count)
            raise DocumentTooLarge(error)
        _hold_bytes(sum(map(len, fields.values())), READ_MAX.stored_bytes_max)
        return fields

    def begun(self, held: Held) -> bool:
        """Whether a memory is a document that has changes."""
        return held.sheet is not None and self.shelf.begun(held.sheet)

    def plain(self, held: Held) -> Written:
        """What makes a document a memory of another kind: its text, and no chunks."""
        if held.sheet is None or not held.sheet.stored:
            return NOTHING
        names = frozenset(one.name for one in held.sheet.stored)
        return Written({CONTENT: held.view.values.get(CONTENT, "")}, names, ())

    def _written(
        self,
        held: Held,
        sheet: Sheet,
        changes: Sequence[Change],
        agent: str = "",
        fold: Fold | None = None,
    ) -> Written:
        fields: dict[str, Value] = {}
        removed: set[str] = set()
        if not self.shelf.begun(sheet):
            seed = self.seed(held, sheet)
            fields[seed.name] = seed.data
            if sheet.content is not None:
                removed.add(CONTENT)
        fields.update(self._chunks(changes, agent))
        fold = self._fold(sheet, fold) if len(changes) <= SINGLES_AT_ONCE_MAX else None
        if fold is not None:
            fields[fold.name] = fold.data
            removed |= fold.removed.keys() - fields.keys()
        kept = {one.name: len(one.data) for one in sheet.stored if one.name not in removed}
        kept.update((name, len(data)) for name, data in fields.items())
        _hold_bytes(sum(kept.values()), self.shelf.limits.stored_bytes_max)
        return Written(fields, frozenset(removed), tuple(changes))

    def seed(self, held: Held, sheet: Sheet) -> Stored:
        """What the plain content of a document becomes, in the name of who wrote it."""
        return self.shelf.seed(sheet, self.around.said(held))

    def _chunks(self, changes: Sequence[Change], agent: str) -> dict[str, Value]:
        """Changes as fields: each its own, or one pack of many.

        Raises:
            MembersOutdated: a member would not read them.
        """
        outdated = self.around.without()
        if outdated:
            raise MembersOutdated(outdated)
        if len(changes) <= SINGLES_AT_ONCE_MAX:
            return {CHUNK_MARK + one.hash.hex(): one.data for one in changes}
        stamp = stamp_of(self._now_ms())
        data = pack([Kept(one, agent, stamp) for one in changes])
        return {CHUNK_MARK + name_of(data): data}

    # --- folding -----------------------------------------------------------------

    def _plan(self, sheet: Sheet) -> Plan | None:
        if not self.shelf.begun(sheet):
            return None
        aside = self.shelf.document(sheet).aside
        fates = Fates(self.around.covered(), self.around.waits)
        return planned(sheet.stored, self.shelf.gathered(sheet), aside, fates)

    def _fold(self, sheet: Sheet, ready: Fold | None) -> Fold | None:
        if ready is not None:
            return ready if still_fits(ready, sheet.stored) else None
        plan = self._plan(sheet)
        if plan is None or plan.packed > INLINE_PACKED_MAX:
            return None
        return folded(plan, self.shelf.gathered(sheet), self._bytes_max)

    def folding(self, held: Held) -> Callable[[], Fold | None] | None:
        """What makes a long fold, for a thread; None when nothing long is to be folded."""
        sheet = held.sheet
        plan = None if sheet is None else self._plan(sheet)
        if sheet is None or plan is None or plan.packed <= INLINE_PACKED_MAX:
            return None
        return partial(folded, plan, self.shelf.gathered(sheet), self._bytes_max)


def _made(document: Document, actor: bytes) -> Written:
    """The change of an actor that made one only; there is nothing to write."""
    done = [one.change for one in document.history() if one.change.actor == actor]
    return Written({}, frozenset(), tuple(done[:1]))


def _hold_bytes(size: int, most: int) -> None:
    if size > most:
        raise DocumentTooLarge(DocumentTooLargeError("stored_bytes_max", most, size))
