"""One link: a statement that two memories belong together.

Law: source, relation and target make its id, so saying it twice is saying it once, on all
nodes. A record whose fields are not those of its id states nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from crdt.hlc import millis
from crdt.op import Draft, Kind, Value
from node.contracts import Held
from node.links.index import COLLECTION, link_id
from node.memory.problems import InvalidField
from node.memory.record import ATTEST_LEVEL, ATTESTED, CLAIMED, CREATED_AT
from node.memory.times import format_ms

RELATION_DEFAULT: Final = "related_to"
DERIVATIONS: Final = frozenset(("derived_from", "derives_from", "reflects_on"))
"""Relations whose source comes from their target; they show with an end in the archive too."""

_RELATION: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One statement that two memories belong together.

    Attributes:
        id: of its record.
        source, target: ids of memories.
        relation: what the source is to the target.
        owner: who stated it.
        made, valid_from, valid_until: milliseconds since the epoch.
        attest_level: whether its owner's own key signed it.
    """

    id: str
    source: str
    target: str
    relation: str
    owner: str
    made: int
    valid_from: int
    valid_until: int | None
    attest_level: str

    def shown(self) -> dict[str, Any]:
        """The link of the API."""
        out: dict[str, Any] = {
            "source_id": self.source,
            "target_id": self.target,
            "relation": self.relation,
            "created_at": format_ms(self.made),
            "valid_from": format_ms(self.valid_from),
            "observed_by": self.owner,
            ATTEST_LEVEL: self.attest_level,
        }
        if self.valid_until is not None:
            out["valid_until"] = format_ms(self.valid_until)
        return out


def link_of(held: Held) -> Link | None:
    """The link that a record states; None when its fields are not those of its id."""
    get = held.view.values.get
    source, relation, target = get("source_id"), get("relation"), get("target_id")
    if not (isinstance(source, str) and isinstance(relation, str) and isinstance(target, str)):
        return None
    if link_id(source, relation, target) != held.id:
        return None  # a member that does not keep to the format states nothing
    made = _ms(get(CREATED_AT), millis(held.view.created))
    until = get("valid_until")
    return Link(
        id=held.id,
        source=source,
        target=target,
        relation=relation,
        owner=held.view.owner,
        made=made,
        valid_from=_ms(get("valid_from"), made),
        valid_until=until if isinstance(until, int) else None,
        attest_level=ATTESTED if get(ATTEST_LEVEL) == ATTESTED else CLAIMED,
    )


def _ms(value: Value, otherwise: int) -> int:
    return value if isinstance(value, int) and value >= 0 else otherwise


def relation_of(body: Mapping[str, Any]) -> str:
    """The relation that a request names.

    Raises:
        InvalidField: it does not have the shape of one.
    """
    given = body.get("relation")
    if given is None:
        return RELATION_DEFAULT
    if not isinstance(given, str) or not _RELATION.fullmatch(given):
        raise InvalidField(
            "relation", "expected 1 to 64 characters of a-z, 0-9 and _, beginning with a letter"
        )
    return given


def link_draft(
    *,
    source: str,
    relation: str,
    target: str,
    namespace: str,
    owner: str,
    private: bool = False,
    fields: Mapping[str, Value] | None = None,
) -> Draft:
    """The draft of a link, whose ends have been looked at.

    Args:
        source: id of the memory that the statement is about.
        relation: what it is to the other.
        target: id of the other memory.
        namespace: that of the source.
        owner: who states it.
        private: an end of it never leaves this node, so it must not either.
        fields: `valid_from`, `valid_until`, `created_at` (milliseconds), `attest_level`.
    """
    return Draft(
        kind=Kind.CREATE,
        collection=COLLECTION,
        id=link_id(source, relation, target),
        namespace=namespace,
        owner=owner,
        private=private,
        set={
            "source_id": source,
            "relation": relation,
            "target_id": target,
            **(fields or {}),
        },
    )


def required(body: Mapping[str, Any], name: str) -> str:
    """The id that a request must give.

    Raises:
        InvalidField: it does not.
    """
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidField(name, "is required: the id of a memory")
    return value
