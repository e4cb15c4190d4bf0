"""What a consolidation says when nobody gave it a summary, and how that is known again.

Law: pure. The text is a function of the sources in their order, so it can be written anew
without one of them. What its maker or somebody later wrote by hand is not ours, and is never
taken for ours: the mark holds a hash of everything that was composed.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from crdt.op import Value
from node.contracts import Held
from node.limits import Limits
from node.memory.record import PRIORITY_DEFAULT

CONSOLIDATION: Final = "consolidation"
"""The field that tells that a memory is one; agents can neither write nor see it."""

BELOW_MAX: Final = 1000

AUTHORS: Final = "consolidated_from_agents"
"""Of the metadata: who wrote the sources."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a consolidation takes of one memory."""

    title: str
    content: str
    tags: Sequence[str]
    priority: int
    authors: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """What a consolidation says."""

    title: str
    content: str
    tags: Sequence[str]
    priority: int
    authors: Sequence[str]

    @property
    def digest(self) -> str:
        """Stands for its words."""
        return words_digest(self.title, self.content, self.tags)


def source_of(held: Held) -> Source:
    """What a memory gives to a consolidation of it."""
    get = held.view.values.get
    return Source(
        title=str(get("title", "")),
        content=str(get("content", "")),
        tags=list(get("tags", ())),
        priority=int(get("priority", PRIORITY_DEFAULT)),
        authors=authors_of(held),
    )


def authors_of(held: Held) -> list[str]:
    """Who wrote a memory; of a consolidation, who wrote what it came from, and who made it."""
    metadata = held.view.values.get("metadata")
    told = metadata.get(AUTHORS) if isinstance(metadata, dict) else None
    earlier = [one for one in told if isinstance(one, str)] if isinstance(told, list) else []
    return sorted({held.view.owner, *earlier})


def compose(sources: Sequence[Source], limits: Limits) -> Composed:
    """What a consolidation of these says.

    Args:
        sources: one or more, in their order.
        limits: bounds of fields.
    """
    titles = "; ".join(source.title for source in sources)
    tags = dict.fromkeys(tag for source in sources for tag in source.tags)
    return Composed(
        title=titles[: limits.title_chars_max],
        content="\n\n".join(f"{source.title}\n{source.content}" for source in sources),
        tags=list(tags)[: limits.tags_max],
        priority=max(source.priority for source in sources),
        authors=sorted({one for source in sources for one in source.authors}),
    )


def mark(sources: Sequence[str], digest: str, below: Iterable[str] = ()) -> dict[str, Value]:
    """The value of the field `consolidation`.

    Args:
        sources: ids, in their order.
        digest: of what was composed; empty when the words came from elsewhere.
        below: ids of what the sources themselves came from, as far down as is known.
    """
    deeper = sorted({*below} - {*sources})[:BELOW_MAX]
    return {"sources": list(sources), "digest": digest, **({"below": deeper} if deeper else {})}


def below_of(held: Held) -> list[str]:
    """The ids of everything whose words a memory may have: sources, and sources of those."""
    return ids_in(held.view.values.get(CONSOLIDATION))


def ids_in(value: Value) -> list[str]:
    """All ids that a value of the field `consolidation` names."""
    lists = [value.get(name) for name in ("sources", "below")] if isinstance(value, Mapping) else []
    return [
        one for found in lists if isinstance(found, list) for one in found if isinstance(one, str)
    ]


def sources_of(held: Held) -> list[str]:
    """The ids of what a memory was consolidated from; none when it is no consolidation of ours."""
    value = held.view.values.get(CONSOLIDATION)
    found = value.get("sources") if isinstance(value, Mapping) else None
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def is_consolidation(held: Held) -> bool:
    """Whether a memory says that it came of others; one brought from elsewhere by its metadata."""
    metadata = held.view.values.get("metadata")
    return bool(sources_of(held)) or (isinstance(metadata, dict) and AUTHORS in metadata)


def is_ours(held: Held) -> bool:
    """Whether every word of a consolidation was composed here, and stands as it was."""
    get = held.view.values.get
    value: Any = get(CONSOLIDATION)
    told = value.get("digest") if isinstance(value, Mapping) else ""
    words = words_digest(str(get("title", "")), str(get("content", "")), get("tags", ()))
    return bool(told) and told == words


def words_digest(title: str, content: str, tags: Sequence[str]) -> str:
    """32 lowercase hex characters that stand for what a memory says."""
    said = orjson.dumps([title, content, sorted(tags)])
    return hashlib.sha256(said).hexdigest()[:32]
