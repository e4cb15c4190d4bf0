"""Several memories become one, and go into the archive.

Law: one write: the new memory, a link `derived_from` to each source, and the sources in the
archive. The new one is as private as the most private of them, its tier is the highest of
theirs or higher, and it keeps who wrote them. Words that no caller gave are composed from the
sources, so that they can be composed anew when one of these is erased.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from crdt.dot import DATA, PRIVATE
from crdt.fields import TIERS, tier_rank
from crdt.op import Draft, Value
from node.contracts import Held, Receipt
from node.lifecycle.archive import ids_of
from node.lifecycle.composing import (
    AUTHORS,
    CONSOLIDATION,
    Composed,
    authors_of,
    below_of,
    compose,
    mark,
    source_of,
)
from node.links.index import LinkIndex
from node.links.link import link_draft
from node.memory.drafts import archive
from node.memory.memories import Ask, Memories
from node.memory.problems import InvalidField, Shortfall
from node.memory.record import PRIVATE_SCOPE, TIER_DEFAULT, check_author
from node.memory.rules import one_of

SOURCES_MIN: Final = 2
SOURCES_MAX: Final = 200
RELATION: Final = "derived_from"
REASON: Final = "consolidated"
_OPS_PER_SOURCE: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Consolidated:
    """The memory that several became."""

    id: str
    count: int
    receipt: Receipt


class Consolidation:
    """Makes one memory of several.

    Args:
        memories: the memories.
        index: which links end where.
    """

    def __init__(self, memories: Memories, index: LinkIndex) -> None:
        self._memories = memories
        self._index = index

    async def make(self, ask: Ask) -> Consolidated:
        """Consolidate the memories that a request names.

        Raises:
            InvalidField, TooManyItems: a field cannot be taken.
            NotFound, Ambiguous: one of the memories is not there for the caller.
            NotOwner: one of them is private to somebody else.
            Shortfall: stored here, not on W members; tells the id.
            node.errors.WriteError: nothing was minted.
        """
        memories, body = self._memories, ask.body
        wanted = _sources(body)
        known = memories.known(ask.retry)
        if known is not None:
            ident = memories.funnel.draw_id(ask.retry, 0)
            count = (len(known) - 1) // _OPS_PER_SOURCE
            receipt = await memories.commit((), ask, "store", id=ident, consolidated=count)
            return Consolidated(id=ident, count=count, receipt=receipt)
        found = {held.id: held for held in (memories.find(one, ask.caller) for one in wanted)}
        sources = list(found.values())
        if len(sources) < SOURCES_MIN:
            raise InvalidField("ids", f"expected at least {SOURCES_MIN} different memories")
        for held in sources:
            check_author(held, ask.agent)
        made = self._made(ask, sources)
        links = [_link(made, held) for held in sources]
        now = memories.now_ms()
        drafts = [made, *links, *(archive(held, REASON, now) for held in sources)]
        facts = {"id": made.id, "consolidated": len(sources)}
        try:
            receipt = await memories.commit(drafts, ask, "store", **facts)
        except Shortfall:
            self._note(links)
            raise
        self._note(links)
        return Consolidated(id=made.id, count=len(sources), receipt=receipt)

    def _note(self, links: Sequence[Draft]) -> None:
        for link in links:
            self._index.made(PRIVATE if link.private else DATA, link.id)

    def _made(self, ask: Ask, sources: Sequence[Held]) -> Draft:
        body, limits = ask.body, self._memories.rules.limits
        summary = body.get("summary", body.get("content"))
        said = compose([source_of(held) for held in sources], limits)
        if summary is None and len(said.content.encode()) > limits.content_bytes_max:
            raise InvalidField(
                "summary", "is required: the sources together are larger than one content"
            )
        composed = summary is None and body.get("title") is None
        fields = {
            "title": said.title if body.get("title") is None else body["title"],
            "content": said.content if summary is None else summary,
            "tier": _tier(body, sources),
            "namespace": _namespace(body, sources),
            "source": "consolidation",
            "priority": said.priority,
            **_scope(sources),
            **_tags(said, composed=summary is None),
            "metadata": {AUTHORS: _authors(sources)},
        }
        draft = self._memories.draft(_without_nulls(fields), ask.agent, ask)
        digest = said.digest if composed else _partly(draft, said, summary)
        below = [one for held in sources for one in below_of(held)]
        value = mark([held.id for held in sources], digest, below)
        return replace(draft, set={**draft.set, CONSOLIDATION: value})


def _partly(draft: Draft, said: Composed, summary: Any) -> str:
    """The digest of composed words under a given title; empty when the words were given too."""
    return "" if summary is not None else replace(said, title=draft.set["title"]).digest


def _sources(body: Mapping[str, Any]) -> list[str]:
    found = ids_of(body.get("ids"), SOURCES_MAX)
    if len(found) < SOURCES_MIN:
        raise InvalidField("ids", f"expected at least {SOURCES_MIN} different memories")
    return found


def _tier(body: Mapping[str, Any], sources: Sequence[Held]) -> str:
    tiers = [str(held.view.values.get("tier", TIER_DEFAULT)) for held in sources]
    given = body.get("tier")
    if given is not None:
        tiers.append(one_of("tier", given, TIERS))
    return max(tiers, key=tier_rank)


def _namespace(body: Mapping[str, Any], sources: Sequence[Held]) -> Any:
    if body.get("namespace") is not None:
        return body["namespace"]
    spaces = {held.view.namespace for held in sources}
    return spaces.pop() if len(spaces) == 1 else None


def _scope(sources: Sequence[Held]) -> dict[str, Value]:
    scopes = {held.view.values.get("scope") for held in sources}
    if PRIVATE_SCOPE in scopes:
        return {"scope": PRIVATE_SCOPE}
    return {"scope": scopes.pop()} if len(scopes) == 1 else {}


def _tags(said: Composed, *, composed: bool) -> dict[str, Value]:
    """Tags are words of the sources: beside a given summary there are none."""
    return {"tags": list(said.tags)} if composed else {}


def _authors(sources: Sequence[Held]) -> list[str]:
    return sorted({one for held in sources for one in authors_of(held)})


def _without_nulls(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _link(made: Draft, source: Held) -> Draft:
    return link_draft(
        source=made.id,
        relation=RELATION,
        target=source.id,
        namespace=made.namespace,
        owner=made.owner,
        private=made.private or source.private,
    )
