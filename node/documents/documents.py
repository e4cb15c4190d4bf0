"""Reading and writing documents, above memories and the funnel.

Law: that of `node.memory.memories`: what a change is based on is read in the step that mints it,
without waiting in between; a request mints all or nothing; what a caller may not see does not
exist for it; a retry gets the answer of its first request. Before that step there may be a wait,
in which a long document is opened, or folded, in a thread: what was made there is compared with
what is there when it is used.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from crdt.document.model import HASH_BYTES, READ_MAX, MissingChangesError
from crdt.document.opened import Document
from crdt.document.pack import is_pack, unpack
from crdt.dot import Dot
from crdt.fields import CHUNK_MARK
from node.contracts import Caller, Held, Receipt
from node.documents.folding import Fold
from node.documents.pen import Pen, Prepared
from node.documents.problems import BadEdit
from node.documents.sheet import Written
from node.documents.taking import read_all
from node.documents.warming import THREAD_BYTES_MIN
from node.memory.memories import Ask, Changed, Memories, check_match
from node.memory.problems import InvalidField
from node.memory.record import check_author

EDITS_MAX: Final = 1000
MESSAGE_CHARS_MAX: Final = 512
HEADS_MAX: Final = 256
FOLDS_MAX: Final = 64
"""So many folds are kept for the next edit of their documents."""

_TRIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """A document after an edit.

    Attributes:
        id: of the memory.
        held: the memory as it shows now; None when it is no longer there.
        receipt: what is known of the durability; `pending_id` is set when governance holds the
            edit for approval; None when the edits change nothing and nothing was written.
        document: as it shows now; None when it is no longer there, or no document any more.
        change_hash: of the change; None when there was none, or when a retry's first request is no
            longer in the log.
    """

    id: str
    held: Held | None
    receipt: Receipt | None
    document: Document | None
    change_hash: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """A document after changes were brought.

    Attributes:
        id, held, document: as in `Edited`.
        receipt: as there; None when all changes were here already and nothing was written.
        added: how many were new.
        known: how many were here.
    """

    id: str
    held: Held | None
    receipt: Receipt | None
    document: Document | None
    added: int
    known: int


class Wish(NamedTuple):
    """The body of an edit, checked."""

    edits: Sequence[Any]
    message: str | None
    heads: tuple[bytes, ...] | None


class Documents:
    """The operations of agents on documents.

    Args:
        memories: what a document is one of.
        pen: makes what is written.
    """

    def __init__(self, memories: Memories, pen: Pen) -> None:
        self._memories = memories
        self._pen = pen
        self.limits = pen.shelf.limits
        self.shelf = pen.shelf
        self._folds: dict[bytes, asyncio.Future[Fold | None]] = {}

    # --- reading -----------------------------------------------------------------

    def read(self, wanted: str, viewer: Caller) -> tuple[Held, Document]:
        """A document as it shows now; nothing here waits.

        Raises:
            NotFound, Ambiguous: there is none that the caller may see.
            NotADocument: it is a memory of another kind.
            DocumentTooLarge: its plain content is too long to be a document.
        """
        held = self._memories.find(wanted, viewer)
        return held, self._pen.opened(held)[1]

    async def opened(self, wanted: str, viewer: Caller) -> tuple[Held, Document]:
        """The same; a long document that nobody has read lately is opened in a thread first."""
        await self.ready(wanted)
        return self.read(wanted, viewer)

    async def ready(self, wanted: str) -> None:
        """Open what is long and not open, in a thread. Tells nothing of what is there."""
        shelf = self._pen.shelf
        for _ in range(_TRIES):  # somebody may write more while it is read
            cold = [one for one in self._pen.around.sheets(wanted) if shelf.is_cold(one)]
            if not cold:
                return
            for sheet in cold:
                await shelf.brought(sheet)

    # --- writing -----------------------------------------------------------------

    async def edit(self, wanted: str, ask: Ask, if_match: str | None) -> Edited:
        """Make edits in one change: `{"ops": [...], "message"?, "heads"?: [hex]}`.

        Raises:
            NotFound, Ambiguous, StaleVersion, NotOwner, NotADocument, BadEdit, UnknownHeads,
                DocumentTooLarge, InvalidField: nothing was minted.
            Shortfall: stored here, not on W members.
            node.errors.WriteError: nothing was minted.
        """
        wish = wish_of(ask.body)
        if self._memories.known(ask.retry) is not None:
            return self._edited(await self._memories.again(wanted, ask), None)
        fold = await self._folded(wanted, ask.caller)
        then = await self._then(wanted, ask.caller, wish.heads)
        held = self._memories.find(wanted, ask.caller)
        check_match(held, if_match)
        check_author(held, ask.agent)
        written = self._pen.edited(
            held,
            wish.edits,
            message=wish.message,
            heads=wish.heads,
            retry=ask.retry,
            ready=Prepared(then, fold),
        )
        if not written.set:  # it changes nothing, or was made before its key was forgotten
            return Edited(
                id=held.id,
                held=held,
                receipt=None,
                document=self._document(held),
                change_hash=written.changes[0].hash if written.changes else None,
            )
        return self._edited(await self._write(held, written, ask), written.changes[-1].hash)

    def _edited(self, changed: Changed, made: bytes | None) -> Edited:
        if changed.receipt.replayed:  # also of one that came while this one was made
            hashes = self._wrote(changed.receipt.dots)
            made = hashes[-1] if hashes else None
        return Edited(
            id=changed.id,
            held=changed.held,
            receipt=changed.receipt,
            document=self._document(changed.held),
            change_hash=made,
        )

    async def add(self, wanted: str, ask: Ask, data: bytes, if_match: str | None) -> Added:
        """Take changes of any Automerge client: chunks, one after the other.

        Raises:
            NotFound, Ambiguous, StaleVersion, NotOwner, NotADocument, BadChange, MissingChanges,
                DocumentTooLarge: nothing was minted.
            Shortfall: stored here, not on W members.
            node.errors.WriteError: nothing was minted.
        """
        changes = await asyncio.to_thread(read_all, data, self.limits)
        if self._memories.known(ask.retry) is not None:
            changed = await self._memories.again(wanted, ask)
            wrote = set(self._wrote(changed.receipt.dots))
            new = sum(one.hash in wrote for one in changes)
            return self._added(changed.held or changed.id, changed.receipt, new, len(changes) - new)
        ready = Prepared(fold=await self._folded(wanted, ask.caller))
        held = self._memories.find(wanted, ask.caller)
        check_match(held, if_match)
        check_author(held, ask.agent)
        written, known = self._pen.added(held, changes, ask.agent, ready)
        if not written.changes:
            return self._added(held, None, 0, known)
        changed = await self._write(held, written, ask)
        new = len(written.changes)
        return self._added(changed.held or changed.id, changed.receipt, new, known)

    def _added(self, what: Held | str, receipt: Receipt | None, added: int, known: int) -> Added:
        held = what if isinstance(what, Held) else None
        return Added(
            id=what if isinstance(what, str) else what.id,
            held=held,
            receipt=receipt,
            document=self._document(held),
            added=added,
            known=known,
        )

    async def _folded(self, wanted: str, caller: Caller) -> Fold | None:
        """A long fold, if one is ready; what is long is open then.

        Nobody waits for a fold: an edit has it made in a thread, and a later one writes it.
        """
        await self.ready(wanted)
        held = self._memories.find(wanted, caller)
        key = b"" if held.sheet is None else held.sheet.key
        begun = self._folds.get(key)
        if begun is None:
            folding = self._pen.folding(held)
            if folding is not None:
                self._folds[key] = asyncio.get_running_loop().run_in_executor(None, folding)
                self._forget_folds()
            return None
        if not begun.done():
            return None
        del self._folds[key]
        return None if begun.cancelled() or begun.exception() is not None else begun.result()

    def _forget_folds(self) -> None:
        """Those of documents that nobody has edited since."""
        done = [key for key, fold in self._folds.items() if fold.done()]
        for key in done[: max(0, len(self._folds) - FOLDS_MAX)]:
            del self._folds[key]

    async def _then(
        self, wanted: str, caller: Caller, heads: Sequence[bytes] | None
    ) -> Document | None:
        """The document as it was at heads, when much would have to be taken back to see it."""
        held = self._memories.find(wanted, caller)
        if not heads or held.sheet is None:
            return None
        document = self._pen.opened(held)[1]
        try:
            later = {one.change.hash: len(one.change.data) for one in document.since(heads)}
        except MissingChangesError:
            return None  # who edits is told
        if sum(later.values()) <= THREAD_BYTES_MIN:
            return None
        kept = [one for one in document.history() if one.change.hash not in later]
        return await asyncio.to_thread(Document.of, kept, self.limits)

    async def _write(self, held: Held, written: Written, ask: Ask) -> Changed:
        drafts = self._memories.rules.rewritten(
            held, written.set, written.removed, attested=ask.attests(held.view.owner)
        )
        return await self._memories.change(held, drafts, ask, "store")

    def _document(self, held: Held | None) -> Document | None:
        return None if held is None or held.sheet is None else self._pen.opened(held)[1]

    def _wrote(self, dots: Sequence[Dot]) -> list[bytes]:
        """Hashes of the changes that operations brought, as far as the log tells."""
        singles: list[bytes] = []
        packed: list[bytes] = []
        for op in self._memories.funnel.reader().written(dots):
            for name, data in op.set.items():
                if not name.startswith(CHUNK_MARK) or not isinstance(data, bytes):
                    continue
                if is_pack(data):
                    packed += [one.change.hash for one in unpack(data, READ_MAX)]
                else:
                    singles.append(bytes.fromhex(name[len(CHUNK_MARK) :]))
        return singles or packed  # beside single ones a pack is a fold, or what was the content


def wish_of(body: Mapping[str, Any]) -> Wish:
    """The body of an edit.

    Raises:
        BadEdit, InvalidField: it is none.
    """
    edits = body.get("ops")
    if not isinstance(edits, list) or not edits:
        raise BadEdit(None, "ops: expected a list of edits, one at least")
    if len(edits) > EDITS_MAX:
        raise BadEdit(None, f"ops: {len(edits)} edits, at most {EDITS_MAX} are taken at once")
    message = body.get("message")
    if message is not None and (not isinstance(message, str) or len(message) > MESSAGE_CHARS_MAX):
        raise InvalidField("message", f"expected text of at most {MESSAGE_CHARS_MAX} characters")
    heads = body.get("heads")
    return Wish(edits, message or None, None if heads is None else heads_of("heads", heads))


def heads_of(name: str, value: Any) -> tuple[bytes, ...]:
    """The hashes of a list, or of a text with commas between them.

    Raises:
        InvalidField: it holds something else.
    """
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or len(parts) > HEADS_MAX:
        raise InvalidField(name, f"expected at most {HEADS_MAX} hashes of changes")
    out: list[bytes] = []
    for part in parts:
        text = part.strip() if isinstance(part, str) else ""
        if not text and isinstance(value, str):
            continue
        try:
            out.append(bytes.fromhex(text))
        except ValueError:
            out.append(b"")
        if len(out[-1]) != HASH_BYTES:
            raise InvalidField(name, "a hash is 64 hexadecimal digits")
    return tuple(dict.fromkeys(out))
