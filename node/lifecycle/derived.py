"""What must follow when memories are erased: their words live on in what came of them.

Law: a walk from the erased to what derives from them, as far as it goes. A consolidation whose
words are ours is composed anew without them; one that somebody summed up, or that has no source
left, is erased. When all of an agent is forgotten, so is everything that links say came of it.
A consequence is minted in the name of the record's own author where this program, or that
author, said that it derives: the words are taken back by who wrote them, not by others' leave.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from crdt.fields import element_field
from crdt.op import Draft, Kind, Value
from node.contracts import Held, Reader
from node.lifecycle.composing import (
    AUTHORS,
    CONSOLIDATION,
    Source,
    below_of,
    compose,
    is_consolidation,
    is_ours,
    mark,
    source_of,
    sources_of,
)
from node.lifecycle.origins import Origins
from node.limits import Limits
from node.links.index import COLLECTION as LINK
from node.links.index import LinkIndex
from node.links.link import DERIVATIONS, link_of
from node.memory.drafts import COLLECTION, delete

_STRIDE: Final = 64


@dataclass(slots=True, kw_only=True)
class Fate:
    """What becomes of memories.

    Attributes:
        erased: ids that end; those that were asked for, and what follows.
        recomposed: ids of consolidations that are composed anew.
        everything: what links alone say was derived is erased as well.
        as_owner: of what follows, the ids whose authors take them back themselves.
    """

    erased: dict[str, None] = field(default_factory=dict)
    recomposed: dict[str, None] = field(default_factory=dict)
    everything: bool = False
    as_owner: set[str] = field(default_factory=set)


def anywhere(reader: Reader, ident: str) -> Held | None:
    """A memory that shows, or lies in the archive."""
    return reader.get(COLLECTION, ident) or reader.archived(COLLECTION, ident)


class Derivation:
    """Follows what was derived.

    Args:
        reader: reads the newest state.
        index: which links end where.
        origins: which consolidations have words of what.
        limits: bounds of fields.
    """

    def __init__(self, reader: Reader, index: LinkIndex, origins: Origins, limits: Limits) -> None:
        self._origins = origins
        self._reader = reader
        self._index = index
        self._limits = limits

    async def fate(self, roots: Iterable[str], *, everything: bool) -> Fate:
        """What follows when these are erased.

        Args:
            roots: ids of memories.
            everything: also erase what links alone say was derived.
        """
        found = Fate(erased=dict.fromkeys(roots), everything=everything)
        waiting = deque(found.erased)
        while waiting:
            async for held, owner in self._derived(waiting.popleft()):
                if held.id in found.erased:
                    continue
                made = is_consolidation(held) and owner == held.view.owner
                if not made and not everything:
                    continue
                known = held.id in found.recomposed
                if made and is_ours(held) and self._left(held, found):
                    found.recomposed[held.id] = None
                else:
                    found.recomposed.pop(held.id, None)
                    found.erased[held.id] = None
                    known = False
                if made or owner == held.view.owner:
                    found.as_owner.add(held.id)
                if not known:
                    waiting.append(held.id)
        return found

    async def _derived(self, ident: str) -> AsyncIterator[tuple[Held, str]]:
        """The memories that derive from one, each with the agent who says so."""
        for name in self._origins.made_of(ident):
            held = anywhere(self._reader, name)
            if held is not None:
                yield held, held.view.owner
        for step, name in enumerate(self._index.ending_at(ident), start=1):
            record = self._reader.get(LINK, name)
            link = None if record is None else link_of(record)
            if link is not None and link.target == ident and link.relation in DERIVATIONS:
                held = anywhere(self._reader, link.source)
                if held is not None:
                    yield held, link.owner
            if step % _STRIDE == 0:
                await asyncio.sleep(0)

    def _left(self, held: Held, fate: Fate) -> list[str]:
        """The sources of a consolidation that stay."""
        return [
            one
            for one in sources_of(held)
            if one not in fate.erased and anywhere(self._reader, one) is not None
        ]

    def _below(self, left: Iterable[str], fate: Fate) -> list[str]:
        """What the sources that stay came from, without what goes."""
        found: list[str] = []
        for held in (anywhere(self._reader, one) for one in left):
            if held is not None and held.id in fate.recomposed:
                own = self._left(held, fate)
                found += [*own, *self._below(own, fate)]
            elif held is not None:
                found += below_of(held)
        return [one for one in found if one not in fate.erased]

    def recompose(self, ident: str, fate: Fate) -> list[Draft]:
        """The draft that composes a consolidation anew; none when it says that already."""
        held = anywhere(self._reader, ident)
        if held is None:
            return []
        left = self._left(held, fate)
        if not left:  # the last one went meanwhile
            return [delete(held, erased=True)]
        said = compose([self._source(one, fate, (ident,)) for one in left], self._limits)
        content = said.content.encode()[: self._limits.content_bytes_max].decode(errors="ignore")
        said = replace(said, content=content)
        values = held.view.values
        metadata = values.get("metadata") or {}
        metadata = metadata if isinstance(metadata, Mapping) else {}
        marked = mark(left, said.digest, self._below(left, fate))
        if values.get(CONSOLIDATION) == marked and metadata.get(AUTHORS) == said.authors:
            return []
        written: dict[str, Value] = {
            "title": said.title,
            "content": said.content,
            "priority": said.priority,
            "metadata": {**metadata, AUTHORS: said.authors},
            CONSOLIDATION: marked,
        }
        written |= {element_field("tags", tag): place for place, tag in enumerate(said.tags)}
        old = {element_field("tags", tag) for tag in values.get("tags", ())}
        return [
            Draft(
                kind=Kind.EDIT,
                collection=COLLECTION,
                id=held.id,
                namespace=held.view.namespace,
                owner=held.view.owner,
                set=written,
                removed=frozenset(old - written.keys()),
                private=held.private,
            )
        ]

    def _source(self, ident: str, fate: Fate, above: tuple[str, ...]) -> Source:
        """What a memory gives to a consolidation: composed anew where it is so itself."""
        held = anywhere(self._reader, ident)
        if held is None:
            return Source(title="", content="", tags=(), priority=1, authors=())
        own = source_of(held)
        if ident not in fate.recomposed or ident in above:
            return own
        left = self._left(held, fate)
        if not left:
            return own
        said = compose([self._source(one, fate, (*above, ident)) for one in left], self._limits)
        return Source(
            title=said.title,
            content=said.content,
            tags=said.tags,
            priority=said.priority,
            authors=sorted({held.view.owner, *said.authors}),
        )
