"""Where the text of a document takes the place of its content.

Law: the one such place. Whatever reads a memory, on the loop or in a thread, shows the same: of a
document with changes its text, of any other memory its content. A register `content` beside the
changes is a conflict: it was written by who did not know of them, and stays until a content is
written over both.
"""

from crdt.dot import PRIVATE
from crdt.view import View
from node.contracts import Held
from node.documents.sheet import CONTENT, is_document, sheet_of
from node.documents.shelf import Shelf

_MEMORY = b"memory/"
_ID_AT = 1 + len(_MEMORY)


def held_of(
    key: bytes,
    seen: View,
    shelf: Shelf,
    memo: dict[str, object] | None = None,
    *,
    beside: bool = False,
) -> Held:
    """A record as the rest of the node reads it.

    Args:
        key: of the record, as the store has it.
        seen: what shows of it; its values are this caller's own.
        shelf: opens documents.
        memo: keeps what is made of just this state of it.
        beside: whether this is no step of the loop, but a thread.
    """
    collection, _, ident = key[1:].decode().partition("/")
    private = key[:1] == PRIVATE
    if key[1:_ID_AT] != _MEMORY or not is_document(seen.values):
        return Held(collection=collection, id=ident, private=private, view=seen, memo=memo)
    sheet = sheet_of(key, ident, seen.values)
    text = shelf.followed(sheet) if beside else shelf.text(sheet)
    if text is not None:
        seen.values[CONTENT] = text
        if sheet.content is not None:
            seen = seen._replace(conflicts=seen.conflicts + 1)
    return Held(collection=collection, id=ident, private=private, view=seen, sheet=sheet, memo=memo)
