"""From what an agent asks to what the funnel is given.

Law: only what was given is written, plus tier, title, content and the end of a tier's life;
defaults are added on reading, so a later default reaches old memories. A tier never goes
down. A move to another namespace, or between the lane that never leaves this node and the
shared one, is a new birth with all fields, followed by the end of the old one. A time of
change that was brought from elsewhere ends with the next change made here, and so does an
attestation with a change that its author did not sign.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from crdt.fields import (
    ARCHIVE_FIELDS,
    ARCHIVE_REASON,
    ARCHIVED_AT,
    ORIGINAL_EXPIRES_AT,
    element_field,
)
from crdt.op import ERASE, Draft, Kind, Value
from node.contracts import Held
from node.documents.sheet import DOCUMENT, KIND, NOTHING, Written
from node.limits import Limits
from node.memory.fields import (
    LIFE_MS,
    changes_of,
    elements,
    end_of_life,
    fields_of,
    risen_end,
    rises,
    speaks_of_life,
    written_of,
)
from node.memory.problems import AlreadyOver, InvalidField
from node.memory.record import (
    ATTEST_LEVEL,
    ATTESTED,
    CREATED_AT,
    GRANTS,
    PRIVATE_SCOPE,
    TIER_DEFAULT,
    UPDATED_AT,
    created_ms,
    original_end,
)
from node.memory.rules import checked, moment, namespace

COLLECTION: Final = "memory"
REMOVED_MAX: Final = 400
"""Most fields that one edit takes away; what an operation may name is a little more."""


class Documents(Protocol):
    """What writes into documents; `node.documents.pen` does."""

    def begun(self, held: Held) -> bool:
        """Whether a memory is a document that has changes."""
        ...

    def replaced(self, held: Held, text: str) -> Written:
        """What a plain content writes to a document that has changes."""
        ...

    def plain(self, held: Held) -> Written:
        """What makes a document a memory of another kind."""
        ...

    def taken(self, held: Held, given: Any) -> Written:
        """What all changes of a document, as an export has them, add to one that is here."""
        ...

    def brought(self, given: Any, agent: str) -> dict[str, Value]:
        """The fields of a new document of which an export has all changes."""
        ...

    def said_in(self, fields: Mapping[str, Value]) -> tuple[str, Sequence[bytes]]:
        """The text of a document that fields would make, and its heads."""
        ...

    async def all_of(self, held: Held) -> bytes | None:
        """All changes of a document, one after the other; None while it has none."""
        ...

    def carried(self, held: Held) -> dict[str, Value]:
        """The chunks of a document, as fields of its new birth."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRules:
    """What shapes every draft of this node.

    Attributes:
        limits: bounds of fields.
        default_namespace: where a memory goes that names none.
        share_private: whether private memories travel in the shared lane.
        archive_on_delete: whether a deletion only puts a memory into the archive.
        documents: writes into documents; without it they are plain memories.
    """

    limits: Limits
    default_namespace: str
    share_private: bool
    archive_on_delete: bool = False
    documents: Documents | None = None

    def lane_is_private(self, scope: Value) -> bool:
        """Whether a memory of that scope stays on this node."""
        return scope == PRIVATE_SCOPE and not self.share_private

    def create(
        self,
        body: Mapping[str, Any],
        *,
        record_id: str,
        owner: str,
        now_ms: int,
        keep_dates: bool = False,
        fresh: bool = False,
        attested: bool = False,
    ) -> Draft:
        """The draft of a new memory.

        Args:
            body: the request.
            record_id: id it will have.
            owner: its author.
            now_ms: milliseconds since the epoch.
            keep_dates: an import: the declared `created_at` stays.
            fresh: the id was drawn at random just now, so nothing can have it.
            attested: the author's own key signed the request.

        Raises:
            InvalidField: a field cannot be taken.
        """
        written, sets = written_of(body, self.limits)
        self._say(body, written, owner)
        expires = end_of_life(body, written, now_ms)
        if expires is None:
            life = LIFE_MS[written["tier"]]
            if life is not None:
                expires = now_ms + life
        if expires is not None:
            if expires <= now_ms:
                raise AlreadyOver
            written["expires_at"] = expires
        for name, members in sets:
            written.update(elements(name, members))
        if attested:
            written[ATTEST_LEVEL] = ATTESTED
        if keep_dates and body.get(CREATED_AT) is not None:
            written[CREATED_AT] = min(moment(CREATED_AT, body[CREATED_AT]), now_ms)
        return Draft(
            kind=Kind.CREATE,
            collection=COLLECTION,
            id=record_id,
            namespace=self.namespace_of(body) or self.default_namespace,
            owner=owner,
            set=written,
            private=self.lane_is_private(written.get("scope")),
            fresh=fresh,
        )

    def _say(self, body: Mapping[str, Any], written: dict[str, Value], owner: str) -> None:
        """Hold a new memory to saying something; what changes say goes before a content."""
        needed: tuple[str, ...] = ("title", "content")
        if self.documents is not None and body.get(DOCUMENT) is not None:
            _check_kind(written.get("memory_kind"))
            written.pop("content", None)
            written.update(self.documents.brought(body[DOCUMENT], owner))
            needed = ("title",)
        for name in needed:
            if name not in written:
                raise InvalidField(name, "is required")

    def namespace_of(self, body: Mapping[str, Any]) -> str | None:
        """The namespace that a request names, if it does."""
        given = body.get("namespace")
        return None if given is None else namespace("namespace", given, self.limits)

    def update(
        self, held: Held, body: Mapping[str, Any], now_ms: int, *, attested: bool = False
    ) -> list[Draft]:
        """The drafts that change a memory as a request wants it.

        Args:
            held: the memory as it is.
            body: the request.
            now_ms: milliseconds since the epoch.
            attested: the author's own key signed the request.

        Raises:
            InvalidField: a field cannot be taken.
        """
        fields = checked(body, self.limits)
        for name in ("title", "content", "tier"):
            if name in fields and fields[name] is None:
                raise InvalidField(name, "cannot be unset")
        expires = end_of_life(body, fields, now_ms)
        chunks = self._chunks(held, body, fields)
        written, removed = changes_of(held, fields)
        written.update(chunks.set)
        removed |= chunks.removed
        if expires is None and not speaks_of_life(body):
            expires = risen_end(held, written, now_ms)
        if expires is not None:
            written["expires_at"] = expires
        elif "expires_at" in held.view.values and (speaks_of_life(body) or rises(held, written)):
            removed.add("expires_at")
        if not attested and ATTEST_LEVEL in held.view.values:
            removed.add(ATTEST_LEVEL)
        space = self.namespace_of(body) or held.view.namespace
        scope = written.get("scope", held.view.values.get("scope"))
        private = self.lane_is_private(None if "scope" in removed else scope)
        if space == held.view.namespace and private == held.private:
            return _edits(held, written, removed)
        return self._move(held, written, removed, namespace=space, private=private)

    def _chunks(self, held: Held, body: Mapping[str, Any], fields: dict[str, Value]) -> Written:
        """What a request changes in a document; what that is about is taken out of its fields."""
        documents, given = self.documents, body.get(DOCUMENT)
        if documents is None or (held.sheet is None and given is None):
            return NOTHING
        kind = fields.get("memory_kind", held.view.values.get("memory_kind"))
        if given is not None:
            _check_kind(kind)
            fields.pop("content", None)
            return documents.taken(held, given)
        if kind != KIND:
            plain = documents.plain(held)
            said = {name: fields.pop(name) for name in ("content",) if name in fields}
            return plain._replace(set={**plain.set, **said})
        if "content" in fields and documents.begun(held):
            return documents.replaced(held, str(fields.pop("content")))
        return NOTHING

    def rewritten(
        self,
        held: Held,
        written: Mapping[str, Value],
        removed: Collection[str],
        *,
        attested: bool = False,
    ) -> list[Draft]:
        """The drafts that change what a document holds, and nothing else of the memory."""
        gone = set(removed)
        if not attested and ATTEST_LEVEL in held.view.values:
            gone.add(ATTEST_LEVEL)
        return _edits(held, dict(written), gone)

    def promote(self, held: Held, to_namespace: str | None) -> list[Draft]:
        """The drafts that make a memory last, out of the archive too, and elsewhere if asked."""
        written: dict[str, Value] = {"tier": "long"}
        removed = held.view.values.keys() & {"expires_at", *ARCHIVE_FIELDS}
        if to_namespace is None or to_namespace == held.view.namespace:
            return [_edit(held, written, removed)]
        return self._move(held, written, removed, namespace=to_namespace, private=held.private)

    def _move(
        self,
        held: Held,
        written: dict[str, Value],
        removed: set[str],
        *,
        namespace: str,
        private: bool,
    ) -> list[Draft]:
        """A birth elsewhere with every field, then the end of the old one."""
        values = fields_of(held.view.values)
        for name in (*removed, UPDATED_AT):
            values.pop(name, None)
        if self.documents is not None and self.documents.begun(held):
            values.pop("content", None)
            if written.get("memory_kind", KIND) == KIND and "memory_kind" not in removed:
                values.update(self.documents.carried(held))
        values.update(written)
        values[CREATED_AT] = created_ms(held)
        birth = Draft(
            kind=Kind.CREATE,
            collection=COLLECTION,
            id=held.id,
            namespace=namespace,
            owner=held.view.owner,
            set=values,
            private=private,
        )
        return [birth, delete(held)]


def delete(held: Held, *, erased: bool = False) -> Draft:
    """The draft that ends a record; it names its owner and place, so that it can be judged.

    Args:
        held: the record.
        erased: its bytes shall leave every disk as well.
    """
    return Draft(
        kind=Kind.DELETE,
        collection=held.collection,
        id=held.id,
        namespace=held.view.namespace,
        owner=held.view.owner,
        private=held.private,
        set={ERASE: True} if erased else {},
    )


def archive(held: Held, reason: str, now_ms: int) -> Draft:
    """The draft that puts a memory into the archive: its life stops running, its tier stays."""
    written: dict[str, Value] = {ARCHIVED_AT: now_ms, ARCHIVE_REASON: reason}
    expires = held.view.values.get("expires_at")
    if expires is not None:
        written[ORIGINAL_EXPIRES_AT] = expires
    return _kept(held, written, {"expires_at"} if expires is not None else set())


def restore(held: Held, now_ms: int) -> Draft:
    """The draft that takes a memory out of the archive.

    It gets the end that it had; one that had its end meanwhile gets the life of its tier anew.
    """
    values = held.view.values
    removed = set(values.keys() & set(ARCHIVE_FIELDS))
    ends = original_end(held)
    if ends is None:
        return _kept(held, {}, removed)
    if ends <= now_ms:
        life = LIFE_MS[values.get("tier", TIER_DEFAULT)]
        if life is None:
            return _kept(held, {}, removed | (values.keys() & {"expires_at"}))
        ends = now_ms + life
    return _kept(held, {"expires_at": ends}, removed)


def _kept(held: Held, written: dict[str, Value], removed: set[str]) -> Draft:
    """An edit that changes nothing of what the author said."""
    return Draft(
        kind=Kind.EDIT,
        collection=COLLECTION,
        id=held.id,
        namespace=held.view.namespace,
        owner=held.view.owner,
        set=written,
        removed=frozenset(removed),
        private=held.private,
    )


def grant(held: Held, agent: str) -> Draft:
    """The draft that lets an agent see a memory while it is private."""
    return _edit(held, elements(GRANTS, [agent]), set())


def revoke(held: Held, agent: str) -> Draft:
    """The draft that takes that back."""
    return _edit(held, {}, {element_field(GRANTS, agent)})


def _edit(held: Held, written: dict[str, Value], removed: set[str]) -> Draft:
    if UPDATED_AT in held.view.values:
        removed.add(UPDATED_AT)
    return Draft(
        kind=Kind.EDIT,
        collection=COLLECTION,
        id=held.id,
        set=written,
        removed=frozenset(removed),
        private=held.private,
    )


def _edits(held: Held, written: dict[str, Value], removed: set[str]) -> list[Draft]:
    """One edit; several when more chunks go than one operation names."""
    if len(removed) <= REMOVED_MAX:
        return [_edit(held, written, removed)]
    names = sorted(removed)
    parts = [set(names[at : at + REMOVED_MAX]) for at in range(0, len(names), REMOVED_MAX)]
    return [_edit(held, written if part is parts[0] else {}, part) for part in parts]


def _check_kind(kind: Value) -> None:
    if kind != KIND:
        raise InvalidField(DOCUMENT, f"belongs to memory_kind {KIND} alone")
