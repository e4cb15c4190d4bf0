"""From a memory of the store to what engines index.

Law: a document is a function of the memory alone, so it can be made again at any time. Who
may know of a memory goes into `readers` and says exactly what `visible_to` says, but for keys
limited to subtrees, which filter by namespace. Tags and grants come sorted, so that equal
memories are equal documents.
"""

from typing import Any, Final

from crdt.dot import DATA, PRIVATE
from node.contracts import Held, Reader
from node.errors import IntegrityError
from node.memory.record import (
    GRANTS,
    PRIORITY_DEFAULT,
    PRIVATE_SCOPE,
    TIER_DEFAULT,
    created_ms,
    updated_ms,
)
from node.recall.values import PUBLIC, Change, Document

MEMORY: Final = "memory"
_SHARED: Final = DATA.decode()
_OWN: Final = PRIVATE.decode()
_STORED: Final = f"{MEMORY}/".encode()
_ID_AT: Final = 1 + len(_STORED)


def key_of(held: Held) -> str:
    """The key under which engines know a memory: lane letter and id."""
    return (_OWN if held.private else _SHARED) + held.id


def id_of(key: str) -> str:
    """The memory's id in a key."""
    return key[1:]


def keys_of(ident: str) -> tuple[str, str]:
    """Both keys that one id may have on this node."""
    return _SHARED + ident, _OWN + ident


def key_of_stored(key: bytes) -> str | None:
    """The key of a record of the store; None when it is no memory."""
    return (key[:1] + key[_ID_AT:]).decode() if key[1:_ID_AT] == _STORED else None


def held_at(reader: Reader, key: str) -> Held | None:
    """The memory with a key as the store shows it now; None while its row is damaged."""
    try:
        if key.startswith(_OWN):
            return reader.own(MEMORY, id_of(key))
        held = reader.get(MEMORY, id_of(key))
    except IntegrityError:
        return None
    return None if held is None or held.private else held


def change_at(reader: Reader, key: str) -> Change:
    """What the memory with a key is now."""
    held = held_at(reader, key)
    return Change(key, None if held is None else document_of(held))


def document_of(held: Held) -> Document:
    """What engines index of a memory."""
    values, view = held.view.values, held.view
    metadata = values.get("metadata")
    facts: dict[str, Any] = metadata if isinstance(metadata, dict) else {}
    expires = values.get("expires_at")
    return Document(
        key=key_of(held),
        id=held.id,
        namespace=view.namespace,
        owner=view.owner,
        title=str(values.get("title", "")),
        content=str(values.get("content", "")),
        tags=tuple(sorted(values.get("tags", ()))),
        speaker=_text(facts.get("speaker")),
        session=_text(facts.get("session_id")),
        metadata=facts,
        tier=str(values.get("tier", TIER_DEFAULT)),
        priority=int(values.get("priority", PRIORITY_DEFAULT)),
        created_ms=created_ms(held),
        updated_ms=updated_ms(held),
        order=view.created,
        expires_ms=expires if isinstance(expires, int) else None,
        readers=_readers(held),
    )


def _readers(held: Held) -> tuple[str, ...]:
    """As `node.memory.record.visible_to` decides; a name that is empty reads nothing private."""
    if held.view.values.get("scope") != PRIVATE_SCOPE:
        return (PUBLIC,)
    parties = {held.view.owner, *held.view.values.get(GRANTS, ())}
    return tuple(sorted(name for name in parties if name and name != PUBLIC))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
