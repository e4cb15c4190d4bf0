"""What the pieces of recall hand to each other.

Law: an engine knows documents, filters and hits; it never sees a request, a store or a view.
A key names a record of this node: one letter for its lane (`d` shared, `p` private), then its
id; the same id may lie in both lanes. Every engine is derived from the store and may be thrown
away: what it answers is always looked up again before it is shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

PUBLIC: Final = "*"
"""The reader that stands for everybody; no agent can carry this name."""

KEYWORD: Final = "keyword"
HYBRID: Final = "hybrid"
"""The two modes of recall: words alone, or words and another engine, fused."""


class Hit(NamedTuple):
    """One candidate of one engine.

    Attributes:
        key: lane letter and id.
        id: the memory's id.
        score: higher is better; only comparable within one engine and one question.
        engine: its name.
    """

    key: str
    id: str
    score: float
    engine: str


class Document(NamedTuple):
    """What engines index of one memory.

    Attributes:
        key: lane letter and id.
        id: the memory's id.
        namespace: full path.
        owner: the agent that wrote it.
        title, content: as stored.
        tags: sorted.
        speaker: `metadata.speaker` where it is a text, else empty.
        session: `metadata.session_id` where it is a text, else empty.
        metadata: as stored; for what an engine wants to know beyond the fields above.
        tier: short, mid or long.
        priority: 1 to 10.
        created_ms, updated_ms: milliseconds since the epoch.
        order: the full stamp of its birth; tells apart what was made in one millisecond.
        expires_ms: the same, or None when it has no end.
        readers: agents that may know of it; `PUBLIC` alone when everybody may.
    """

    key: str
    id: str
    namespace: str
    owner: str
    title: str
    content: str
    tags: tuple[str, ...] = ()
    speaker: str = ""
    session: str = ""
    metadata: Mapping[str, object] = MappingProxyType({})
    tier: str = "mid"
    priority: int = 5
    created_ms: int = 0
    updated_ms: int = 0
    order: int = 0
    expires_ms: int | None = None
    readers: tuple[str, ...] = (PUBLIC,)


class Change(NamedTuple):
    """A record that changed: what it is now, or None when nothing of it shows any more."""

    key: str
    document: Document | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a hit must satisfy; None and empty mean any, except for `reader` and `now_ms`.

    Attributes:
        reader: the agent that asks; empty for nobody, who sees what is public.
        now_ms: what ended at or before this moment does not show.
        over_too: an engine may give what has ended since it was last told to drop that; whoever
            asks so looks at each hit.
        as_agent: another agent that must be able to know of it too; None for no other.
        within: subtrees of namespaces that the caller is limited to; None for no limit.
        namespace: exactly this one.
        tags: all of them.
        since_ms, until_ms: created in this span, both ends included.
        agent: the author.
        session: what `metadata.session_id` says.
    """

    reader: str
    now_ms: int
    as_agent: str | None = None
    over_too: bool = False
    within: tuple[str, ...] | None = None
    namespace: str | None = None
    tier: str | None = None
    tags: frozenset[str] = frozenset()
    since_ms: int | None = None
    until_ms: int | None = None
    agent: str | None = None
    session: str | None = None
    min_priority: int = 0


class Engine(Protocol):
    """One way to find documents by a text. `find` may be called from any thread."""

    @property
    def name(self) -> str:
        """What explanations call it: `lexical`, `fuzzy`, `vector`."""
        ...

    def find(self, text: str, filters: Filters, limit: int) -> Sequence[Hit]:
        """The best documents that pass all filters, best first, at most `limit`."""
        ...

    def take(self, changes: Iterable[Change]) -> None:
        """Learn of changes; they show at the latest after the next `flush`."""
        ...

    def flush(self) -> None:
        """Put what was taken where it shows, and on the disk where the engine keeps one."""
        ...

    def clear(self) -> None:
        """Forget everything: the store is another one, or a rebuild begins."""
        ...
