"""What an operator should know of documents: what is set aside, nearly full, or not folded.

Law: derived and local, of the documents that this process has opened; each node opens what it
hears of, to index it, so after a start the count is too low until documents are read or changed.
Only documents in trouble are kept in mind, at most so many, and one is forgotten when it ends, or
is opened and well. Nothing here is asked for while a request waits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crdt.document.gathering import Gathered
from crdt.document.model import DocumentLimits
from crdt.document.pack import is_pack
from crdt.dot import PRIVATE
from crdt.fields import CHUNK_MARK
from crdt.state import Batch, Change
from crdt.view import shown
from node.documents.sheet import Sheet

FULL_RATIO: Final = 0.8
"""Above so much of any bound a document is nearly full."""

SINGLES_MANY: Final = 128
"""With so many single changes, twice what an edit folds, somebody has been away: it is told
before they are folded all the same."""

SET_ASIDE: Final = "set_aside"
FULL: Final = "nearly_full"
UNFOLDED: Final = "unfolded"
TROUBLES: Final = (SET_ASIDE, FULL, UNFOLDED)

_DOCUMENTS_MAX: Final = 4096
_NAMED_MAX: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One kind of it.

    Attributes:
        count: how many documents have it.
        named: ids of some of them; of what never leaves the node none.
    """

    count: int
    named: tuple[str, ...]


class Troubles:
    """Keeps them in mind.

    Args:
        limits: bounds of one document.
    """

    def __init__(self, limits: DocumentLimits) -> None:
        self._limits = limits
        self._of: dict[bytes, tuple[str, frozenset[str]]] = {}

    def opened(self, sheet: Sheet, gathered: Gathered, aside: Sequence[object]) -> None:
        """A document was opened; from any thread.

        Args:
            sheet: what its record holds.
            gathered: what was read of it.
            aside: what was set aside of it.
        """
        found = frozenset(self._found(sheet, gathered, aside))
        if not found:
            self._of.pop(sheet.key, None)
        elif sheet.key in self._of or len(self._of) < _DOCUMENTS_MAX:
            self._of[sheet.key] = (sheet.id, found)

    def _found(self, sheet: Sheet, gathered: Gathered, aside: Sequence[object]) -> list[str]:
        limits = self._limits
        fill = max(
            len(gathered.kept) / limits.changes_max,
            gathered.ops / limits.ops_max,
            gathered.stored_bytes / limits.stored_bytes_max,
        )
        singles = sum(not is_pack(one.data) for one in sheet.stored)
        signs = (bool(aside), fill >= FULL_RATIO, singles >= SINGLES_MANY)
        return [name for name, seen in zip(TROUBLES, signs, strict=True) if seen]

    def saw(self, batch: Batch) -> None:
        """Follow a commit: what ended, or is no document any more, is in no trouble."""
        for key, change in batch.records.items():
            if key in self._of and not _has_chunks(change):
                self._of.pop(key, None)

    def now(self) -> dict[str, Trouble]:
        """Every kind of trouble, as far as is known."""
        held = list(self._of.items())
        out = {}
        for name in TROUBLES:
            having = [(key, ident) for key, (ident, found) in held if name in found]
            names = sorted(ident for key, ident in having if key[:1] != PRIVATE)
            out[name] = Trouble(count=len(having), named=tuple(names[:_NAMED_MAX]))
        return out


def _has_chunks(change: Change) -> bool:
    part = None if change.after is None else shown(change.after, change.approved_after)
    return part is not None and any(name.startswith(CHUNK_MARK) for name in part.fields)
