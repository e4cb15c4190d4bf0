"""Opened documents, kept while somebody may ask for them again.

Law: what stands here follows from the chunks of a record alone, and is compared with them each
time it is asked for, so it is never older than they are and never wrong, only missing. Bounded
by weight: what was not asked for longest goes first. A document is opened from what a member may
have written, so nothing here raises: what cannot be read is set aside by `crdt.document`.

Documents are changed in place as they grow, so only the loop takes them from here; a thread may
open one and put it in, and may read the text of one that stands here. Texts are kept for longer
than documents, which weigh hundreds of times as much.
"""

import asyncio
import hashlib
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from crdt.document.gathering import Gathered, gather, seed_change
from crdt.document.model import (
    ChangeError,
    DocumentLimits,
    DocumentTooLargeError,
    Stored,
)
from crdt.document.opened import Document
from crdt.document.pack import Kept, claimed, is_pack, pack
from crdt.dot import Dot
from crdt.fields import CHUNK_MARK
from node.documents.sheet import Said, Sheet
from node.documents.troubles import Troubles
from node.documents.warming import THREAD_BYTES_MIN, Cold, at_hand, may_wait

SHELF_BYTES_MAX: Final = 64 * 2**20
FOLLOWED_BYTES_MAX: Final = 16 * 2**20
"""Of documents that a thread follows while the loop goes on with them, or nobody does."""

_ENTRY_BYTES: Final = 1024
"""What a document weighs here besides itself and its text, roughly."""

TEXTS_BYTES_MAX: Final = 16 * 2**20
"""Most memory for texts of documents that are not open."""

_THREADS: Final = 2
"""Opening is work of the interpreter alone: more at once make none of them faster."""

_CHANGE_BYTES: Final = 100
"""What a change in a pack counts, besides its part of the streams, as one that comes alone."""

SEED_CHARS_MIN: Final = 2_000
"""More plain content than that, some ten milliseconds of it, is made a change in a thread."""

_SEEDS_MAX: Final = 64

NO_DOT: Final = Dot(b"", 0)


@dataclass(slots=True)
class _Entry:
    """One document, and what it was made of."""

    sheet: Sheet
    gathered: Gathered
    document: Document
    text: str
    weight: int

    @property
    def shown(self) -> str | None:
        """What shows as the content; None while the document has no changes."""
        return self.text if self.document.changes else None


def seed_of(
    ident: str, content: str, limits: DocumentLimits, *, agent: str = "", hlc: int = 0
) -> Stored:
    """What stands for the content that a document had before its first edit.

    A pure function of its arguments, so first edits on two nodes at once agree on it. It is a
    pack, which keeps who wrote the content, and when, whoever stores it.

    Raises:
        DocumentTooLargeError: the content is too long to be a document.
    """
    data = pack([Kept(seed_change(ident, content, limits), agent, hlc)])
    return Stored(CHUNK_MARK + name_of(data), data, agent, hlc, NO_DOT)


def name_of(data: bytes) -> str:
    """How a pack is called: lowercase hex of its SHA-256."""
    return hashlib.sha256(data).hexdigest()


class Shelf:
    """Opened documents by the key of their record.

    Args:
        bytes_max: most bytes that they may weigh together; one alone may weigh more.
        limits: bounds of one document.
    """

    def __init__(
        self, bytes_max: int = SHELF_BYTES_MAX, limits: DocumentLimits | None = None
    ) -> None:
        self.limits = limits or DocumentLimits()
        self.troubles = Troubles(self.limits)
        self._bytes_max = bytes_max
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._followed: OrderedDict[bytes, _Entry] = OrderedDict()
        self._followed_weight = 0
        self._guard = threading.Lock()
        self._texts: OrderedDict[bytes, tuple[bytes, str | None]] = OrderedDict()
        self._texts_weight = 0
        self._seeds: OrderedDict[tuple[bytes, Said], tuple[str, Stored | DocumentTooLargeError]]
        self._seeds = OrderedDict()
        self._threads: ThreadPoolExecutor | None = None
        self._opening: dict[tuple[object, ...], asyncio.Future[str | None]] = {}
        self.weight = 0
        self.opened_here = 0

    # --- on the loop -------------------------------------------------------------

    def document(self, sheet: Sheet, said: Said = ("", 0)) -> Document:
        """The document that a record holds; it is changed here when the record grows.

        Args:
            sheet: what the record holds.
            said: who wrote its plain content, and the stamp of that; asked for while the
                document has nothing else.

        Raises:
            DocumentTooLargeError: it has plain content only, and too much of it.
        """
        if self.begun(sheet):
            return self._entry(sheet).document
        planted = sheet._replace(stored=(self.seed(sheet, said), *sheet.stored))
        if sheet.stored:  # all of it set aside, so two states of one record: neither is kept
            return Document.opened(gather(planted.stored), self.limits)
        return self._entry(planted).document

    def seed(self, sheet: Sheet, said: Said) -> Stored:
        """What stands for the plain content of a document: `seed_of`, which is made once.

        Raises:
            DocumentTooLargeError: as `seed_of`.
        """
        known = self._seeds.get((sheet.key, said))
        if known is None or known[0] != (sheet.content or ""):
            if len(sheet.content or "") > SEED_CHARS_MIN and may_wait():
                raise Cold(sheet, said)
            known = self._sown(sheet, said)
        if isinstance(known[1], DocumentTooLargeError):
            raise known[1]
        return known[1]

    def text(self, sheet: Sheet) -> str | None:
        """What shows as the content of a document; None while that is its plain content."""
        if not sheet.stored:
            return None
        if not self._stands(sheet):
            known = at_hand(sheet)
            if known is not None:
                return known[1]
            said = self._said(sheet)
            if said is not None:
                return said[1]
        return self._entry(sheet).shown

    def gathered(self, sheet: Sheet) -> Gathered:
        """What was read of the chunks of a record."""
        return self._entry(sheet).gathered

    def changes(self, sheet: Sheet) -> bytes | None:
        """All changes of a document, one after the other; None while it has none."""
        if not self.begun(sheet):
            return None
        return self._entry(sheet).document.data()

    def begun(self, sheet: Sheet) -> bool:
        """Whether a document has changes; what has only content, or chunks set aside, has none."""
        return bool(sheet.stored) and bool(self._entry(sheet).document.changes)

    def _found(self, sheet: Sheet) -> _Entry | None:
        """The document of a record as it was last; one that is half taken back is none."""
        found = self._entries.get(sheet.key)
        return found if found is not None and found.document.whole else None

    def _stands(self, sheet: Sheet) -> bool:
        found = self._found(sheet)
        return found is not None and found.sheet.stored == sheet.stored

    def _entry(self, sheet: Sheet) -> _Entry:
        long = not self._stands(sheet) and self.is_cold(sheet)
        if long and may_wait():
            raise Cold(sheet)
        self.opened_here += long
        with self._guard:
            found = self._found(sheet)
            if found is not None and found.sheet.stored == sheet.stored:
                self._entries.move_to_end(sheet.key)
                return found
            if found is not None:  # whatever happens while it grows, half of it is not kept
                self._drop(sheet.key)
        if found is None:
            entry = _opened(sheet, self.limits)
        else:
            gathered = found.gathered.grown(sheet.stored)
            entry = _entry_of(sheet, gathered, found.document.grown(gathered))
        self._put(entry)
        return entry

    async def brought(self, sheet: Sheet, said: Said | None = None) -> str | None:
        """Open a document in a thread and keep it; however many ask, it is opened once.

        Args:
            sheet: what its record holds.
            said: as for `seed`, which is made too then.

        Returns:
            What shows as its content.
        """
        place = (sheet.key, _state_of(sheet), said, None if said is None else sheet.content)
        task = self._opening.get(place)
        if task is None:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="documents")
            loop = asyncio.get_running_loop()
            task = loop.run_in_executor(self._threads, self._opened_beside, sheet, said)
            self._opening[place] = task
            task.add_done_callback(partial(self._brought, place))
        return await asyncio.shield(task)

    def _brought(self, place: tuple[object, ...], _task: asyncio.Future[str | None]) -> None:
        self._opening.pop(place, None)

    # --- from any thread ---------------------------------------------------------

    def is_cold(self, sheet: Sheet) -> bool:
        """Whether there is much to read of a document before it is open here."""
        return self.unread(sheet) > THREAD_BYTES_MIN

    def unread(self, sheet: Sheet) -> int:
        """How much there is to read of a document that is not open here, in bytes of changes."""
        found = self._found(sheet)
        known = set() if found is None else {(one.name, one.dot) for one in found.sheet.stored}
        fresh = [one.data for one in sheet.stored if (one.name, one.dot) not in known]
        return sum(map(_toil, fresh))

    def _opened_beside(self, sheet: Sheet, said: Said | None) -> str | None:
        seed = None if said is None else self._sown(sheet, said)[1]
        if isinstance(seed, Stored) and not sheet.stored:
            self.text_beside(sheet._replace(stored=(seed,)))
        return self.text_beside(sheet)

    def _sown(self, sheet: Sheet, said: Said) -> tuple[str, Stored | DocumentTooLargeError]:
        content = sheet.content or ""
        made: Stored | DocumentTooLargeError
        try:
            made = seed_of(sheet.id, content, self.limits, agent=said[0], hlc=said[1])
        except DocumentTooLargeError as error:
            made = error
        with self._guard:
            self._seeds[sheet.key, said] = content, made
            while len(self._seeds) > _SEEDS_MAX:
                self._seeds.popitem(last=False)
        return content, made

    def text_beside(self, sheet: Sheet) -> str | None:
        """As `text`, for a thread: a document that does not stand here is opened, and kept."""
        found = self._entries.get(sheet.key)
        if not sheet.stored:
            return None
        if found is None or found.sheet.stored != sheet.stored:
            found = _opened(sheet, self.limits)
            self._put(found)
        return found.shown

    def followed(self, sheet: Sheet) -> str | None:
        """As `text`, for a thread that follows what changes: it goes on from what it read last.

        A document that the loop goes on with stays the loop's; a second one grows here beside it.
        """
        if not sheet.stored:
            return None
        with self._guard:
            other = self._entries.get(sheet.key)
            if other is not None and other.sheet.stored == sheet.stored:
                return other.shown
            mine = self._followed.pop(sheet.key, None)  # half of what fails is not kept
            if mine is not None:
                self._followed_weight -= mine.weight
        if mine is None:
            mine = _opened(sheet, self.limits)
            if other is None:
                self._put(mine)
                return mine.shown
        else:
            gathered = mine.gathered.grown(sheet.stored)
            mine = _entry_of(sheet, gathered, mine.document.grown(gathered))
        with self._guard:
            before = self._followed.pop(sheet.key, None)  # of another thread, meanwhile
            self._followed[sheet.key] = mine
            self._followed_weight += mine.weight - (before.weight if before else 0)
            while self._followed_weight > FOLLOWED_BYTES_MAX:
                self._followed_weight -= self._followed.popitem(last=False)[1].weight
        return mine.shown

    def foretold(self, sheet: Sheet) -> str:
        """What would show as the content of what may never be; it is not kept."""
        shown = _opened(sheet, self.limits).shown
        return (sheet.content or "") if shown is None else shown

    def _said(self, sheet: Sheet) -> tuple[bytes, str | None] | None:
        """The text of a document that was open, as it is now."""
        found = self._texts.get(sheet.key)
        return found if found is not None and found[0] == _state_of(sheet) else None

    def _put(self, entry: _Entry) -> None:
        self.troubles.opened(entry.sheet, entry.gathered, entry.document.aside)
        state = _state_of(entry.sheet) if _is_long(entry.sheet) else None
        with self._guard:
            self._drop(entry.sheet.key)
            self._say(entry, state)
            self._entries[entry.sheet.key] = entry
            self.weight += entry.weight
            while self.weight > self._bytes_max and len(self._entries) > 1:
                self._drop(next(iter(self._entries)))

    def _say(self, entry: _Entry, state: bytes | None) -> None:
        key, texts = entry.sheet.key, self._texts
        before = texts.pop(key, None)
        if before is not None:
            self._texts_weight -= _weight_of(before[1])
        if state is None:
            return
        texts[key] = state, entry.shown
        self._texts_weight += _weight_of(entry.shown)
        while self._texts_weight > TEXTS_BYTES_MAX:
            self._texts_weight -= _weight_of(texts.popitem(last=False)[1][1])

    def _drop(self, key: bytes) -> None:
        gone = self._entries.pop(key, None)
        if gone is not None:
            self.weight -= gone.weight

    def __len__(self) -> int:
        return len(self._entries)


def _state_of(sheet: Sheet) -> bytes:
    """What all that a record holds of a document is known by: an operation writes a field once."""
    named = hashlib.blake2b(digest_size=16)
    for one in sheet.stored:
        named.update(b"%b\0%b\0%d\0" % (one.name.encode(), one.dot.actor, one.dot.seq))
    return named.digest()


def _is_long(sheet: Sheet) -> bool:
    return sum(_toil(one.data) for one in sheet.stored) > THREAD_BYTES_MIN


def _weight_of(text: str | None) -> int:
    return _ENTRY_BYTES + len(text or "")


def _toil(data: bytes) -> int:
    """How much there is to read in a chunk; a pack of a kilobyte may hold thousands of changes."""
    if not is_pack(data):
        return len(data)
    try:
        changes, size = claimed(data)
    except ChangeError:
        return len(data)  # nobody will read it
    return size + _CHANGE_BYTES * changes


def _opened(sheet: Sheet, limits: DocumentLimits) -> _Entry:
    gathered = gather(sheet.stored)
    return _entry_of(sheet, gathered, Document.opened(gathered, limits))


def _entry_of(sheet: Sheet, gathered: Gathered, document: Document) -> _Entry:
    text = document.text() if document.changes else ""
    weight = _ENTRY_BYTES + sheet.size_bytes + document.weight + len(text)
    return _Entry(sheet, gathered, document, text, weight)
