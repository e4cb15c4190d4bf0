"""From what an agent asks to what the funnel is given.

Law: only what was given is written, plus tier, title, content and the end of a tier's life;
defaults are added on reading, so a later default reaches old memories. A tier never goes
down. A move to another namespace, or between the lane that never leaves this node and the
shared one, is a new birth with all fields, followed by the end of the old one. A time of
change that was brought from elsewhere ends with the next change made here, and so does an
attestation with a change that its author did not sign.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from crdt.fields import (
    ARCHIVE_FIELDS,
    ARCHIVE_REASON,
    ARCHIVED_AT,
    ORIGINAL_EXPIRES_AT,
    element_field,
    tier_rank,
)
from crdt.op import ERASE, Draft, Kind, Value
from node.contracts import Held
from node.limits import Limits
from node.memory.problems import AlreadyOver, InvalidField
from node.memory.record import (
    ALIASES,
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
from node.memory.rules import CHECKS, checked, life_ms, moment, namespace

COLLECTION: Final = "memory"
LIFE_MS: Final[Mapping[str, int | None]] = {
    "short": 6 * 3_600_000,
    "mid": 7 * 86_400_000,
    "long": None,
}
_STATED_SETS: Final = ("tags", ALIASES)
"""Sets that a request states as a list."""

_SETS: Final = (*_STATED_SETS, GRANTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRules:
    """What shapes every draft of this node.

    Attributes:
        limits: bounds of fields.
        default_namespace: where a memory goes that names none.
        share_private: whether private memories travel in the shared lane.
        archive_on_delete: whether a deletion only puts a memory into the archive.
    """

    limits: Limits
    default_namespace: str
    share_private: bool
    archive_on_delete: bool = False

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
        written, sets = _written(body, self.limits)
        for name in ("title", "content"):
            if name not in written:
                raise InvalidField(name, "is required")
        expires = _end_of_life(body, written, now_ms)
        if expires is None:
            life = LIFE_MS[written["tier"]]
            if life is not None:
                expires = now_ms + life
        if expires is not None:
            if expires <= now_ms:
                raise AlreadyOver
            written["expires_at"] = expires
        for name, members in sets:
            written.update(_elements(name, members))
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
        expires = _end_of_life(body, fields, now_ms)
        written, removed = _changes(held, fields)
        if expires is None and not _speaks_of_life(body):
            expires = _risen_end(held, written, now_ms)
        if expires is not None:
            written["expires_at"] = expires
        elif "expires_at" in held.view.values and (_speaks_of_life(body) or _rises(held, written)):
            removed.add("expires_at")
        if not attested and ATTEST_LEVEL in held.view.values:
            removed.add(ATTEST_LEVEL)
        space = self.namespace_of(body) or held.view.namespace
        scope = written.get("scope", held.view.values.get("scope"))
        private = self.lane_is_private(None if "scope" in removed else scope)
        if space == held.view.namespace and private == held.private:
            return [_edit(held, written, removed)]
        return _move(held, written, removed, namespace=space, private=private)

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
        return [_edit(held, dict(written), gone)]

    def promote(self, held: Held, to_namespace: str | None) -> list[Draft]:
        """The drafts that make a memory last, out of the archive too, and elsewhere if asked."""
        written: dict[str, Value] = {"tier": "long"}
        removed = held.view.values.keys() & {"expires_at", *ARCHIVE_FIELDS}
        if to_namespace is None or to_namespace == held.view.namespace:
            return [_edit(held, written, removed)]
        return _move(held, written, removed, namespace=to_namespace, private=held.private)


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
    return _edit(held, _elements(GRANTS, [agent]), set())


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


def _move(
    held: Held, written: dict[str, Value], removed: set[str], *, namespace: str, private: bool
) -> list[Draft]:
    """A birth elsewhere with every field, then the end of the old one."""
    values: dict[str, Value] = {}
    for name, value in held.view.values.items():
        if name in _SETS:
            values.update(_elements(name, value))
        else:
            values[name] = value
    for name in (*removed, UPDATED_AT):
        values.pop(name, None)
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


def _written(
    body: Mapping[str, Any], limits: Limits
) -> tuple[dict[str, Value], list[tuple[str, list[str]]]]:
    """The fields of a new memory, and its sets; a null is as if it had not been given."""
    written: dict[str, Value] = {"tier": TIER_DEFAULT}
    sets: list[tuple[str, list[str]]] = []
    check_of = CHECKS.get
    for name, value in body.items():
        check = check_of(name)
        if check is None or value is None:
            continue
        taken = check(name, value, limits)
        if name in _STATED_SETS:
            sets.append((name, taken))
        else:
            written[name] = taken
    return written, sets


def _elements(name: str, members: list[str]) -> dict[str, Value]:
    """A set's elements are fields of their own; the value is the place in the list."""
    return {element_field(name, member): place for place, member in enumerate(members)}


def _speaks_of_life(body: Mapping[str, Any]) -> bool:
    return "expires_at" in body or body.get("ttl_secs") is not None


def _end_of_life(body: Mapping[str, Any], fields: dict[str, Value], now_ms: int) -> int | None:
    """When the request wants the memory to end; `expires_at` goes before `ttl_secs`."""
    life = body.get("ttl_secs")
    end = None if life is None else life_ms("ttl_secs", life, now_ms)
    given = fields.pop("expires_at", None)
    if given is not None and given <= now_ms:
        raise AlreadyOver
    return given if given is not None else end


def _changes(held: Held, fields: dict[str, Value]) -> tuple[dict[str, Value], set[str]]:
    written: dict[str, Value] = {}
    removed: set[str] = set()
    current = held.view.values
    for name, value in fields.items():
        if name in _STATED_SETS:
            wanted = _elements(name, value or [])
            removed.update(_elements(name, current.get(name, [])).keys() - wanted.keys())
            written.update(wanted)
        elif value is not None:
            written[name] = value
        elif name in current:
            removed.add(name)
    if tier_rank(written.get("tier", TIER_DEFAULT)) < tier_rank(current.get("tier")):
        written.pop("tier", None)
    return written, removed


def _rises(held: Held, written: dict[str, Value]) -> bool:
    return "tier" in written and written["tier"] != held.view.values.get("tier", TIER_DEFAULT)


def _risen_end(held: Held, written: dict[str, Value], now_ms: int) -> int | None:
    """The end of life that a higher tier brings to a memory that had one."""
    if not _rises(held, written) or "expires_at" not in held.view.values:
        return None
    life = LIFE_MS[written["tier"]]
    return None if life is None else now_ms + life
