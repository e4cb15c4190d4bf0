"""What a request to forget takes with it.

Law: values only. A record is named by what finds it again: lane, id, and the owner and the
namespace of the births that are meant, because births of others may share the id.
"""

from dataclasses import dataclass, field, replace

from crdt.op import Draft
from node.contracts import Held, Reader
from node.lifecycle.derived import Fate
from node.links.index import COLLECTION as LINK
from node.memory.drafts import delete, revoke
from node.memory.record import GRANTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """One record that ends.

    Attributes:
        owner, space: of the births that end.
        grant: an agent: only its leave to see the record ends; empty for the whole record.
    """

    collection: str
    id: str
    private: bool
    owner: str
    space: str
    grant: str = ""

    def found(self, reader: Reader) -> Held | None:
        """The births as they are now, wherever they were moved meanwhile; None when gone."""
        every = reader.rivals(self.collection, self.id, whole=True)
        own = [held for held in every if held.private is self.private]
        same = [held for held in own if held.view.owner == self.owner]
        exact = [held for held in same if held.view.namespace == self.space]
        return next(iter((*exact, *same)), None)

    def ends(self, reader: Reader) -> list[Draft]:
        """The draft that ends it; none when that is done."""
        held = self.found(reader)
        if held is None:
            return []
        if not self.grant:
            return [replace(delete(held, erased=True), exact=True)]
        there = self.grant in held.view.values.get(GRANTS, ())
        return [revoke(held, self.grant)] if there and is_shown(reader, held) else []


def doomed(held: Held, grant: str = "") -> Doomed:
    """The name of a record, or of a grant on it."""
    return Doomed(
        collection=held.collection,
        id=held.id,
        private=held.private,
        owner=held.view.owner,
        space=held.view.namespace,
        grant=grant,
    )


def is_shown(reader: Reader, held: Held) -> bool:
    """Whether these births are what shows under the id."""
    whole = reader.whole(held.collection, held.id, private=held.private)
    return whole is not None and whole.view.owner == held.view.owner


@dataclass(slots=True, kw_only=True)
class Toll:
    """What a request takes with it.

    Attributes:
        asked: memories that it names.
        derived: memories that follow, and that the caller may see.
        beside: links, other records, and grants.
        unseen: those of them that the caller may not know of, and is not told of.
        fate: what becomes of what derives from them.
        missing: ids that name nothing.
    """

    asked: dict[Doomed, None] = field(default_factory=dict)
    derived: list[str] = field(default_factory=list)
    recomposed: list[str] = field(default_factory=list)
    beside: dict[Doomed, None] = field(default_factory=dict)
    unseen: set[Doomed] = field(default_factory=set)
    fate: Fate = field(default_factory=Fate)
    missing: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """What a caller is told."""
        told = [one for one in self.beside if one not in self.unseen]
        links = sum(1 for one in told if one.collection == LINK)
        return {
            "deleted": len(self.asked) + len(self.derived),
            "derived": len(self.derived),
            "recomposed": len(self.recomposed),
            "links_deleted": links,
            "others_deleted": len(told) - links,
        }
