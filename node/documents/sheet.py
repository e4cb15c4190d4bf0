"""What a record holds of a document, before anybody has read it.

Law: plain data. A memory is a document by its `memory_kind` alone; what lies in its chunks, and
whether they can be read at all, is decided in `crdt.document`.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from crdt.document.model import Change, Stored
from crdt.fields import CHUNK
from crdt.op import Value

KIND: Final = "document"
CONTENT: Final = "content"
DOCUMENT: Final = "document"
"""The field of a request, an export or a row of a peer that brings all changes of a document:
base64 of the chunks, one after the other."""

Said: TypeAlias = tuple[str, int]
"""Who wrote something, and the stamp of that."""


class Sheet(NamedTuple):
    """A document as its record has it.

    Attributes:
        key: of the record, as the store has it.
        id: of the memory.
        stored: its chunks.
        content: the register `content`: what the document begins with while it has no changes; a
            value in conflict when it has.
    """

    key: bytes
    id: str
    stored: tuple[Stored, ...]
    content: str | None

    @property
    def size_bytes(self) -> int:
        """What there is to read."""
        return sum(len(one.data) for one in self.stored)


class Written(NamedTuple):
    """What one operation writes into a document.

    Attributes:
        set: fields to write.
        removed: fields to unset.
        changes: the changes that are new.
    """

    set: dict[str, Value]
    removed: frozenset[str]
    changes: tuple[Change, ...]


NOTHING: Final = Written({}, frozenset(), ())


def is_document(values: Mapping[str, Value]) -> bool:
    """Whether values are those of a memory that is a document."""
    return values.get("memory_kind") == KIND


def sheet_of(key: bytes, ident: str, values: Mapping[str, Value]) -> Sheet:
    """What the values of a record hold of a document."""
    return Sheet(key, ident, values.get(CHUNK, ()), values.get(CONTENT))
