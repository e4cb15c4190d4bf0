"""What contradicts what, as far as can be told without a language model.

Law: nothing is written. Three things are told: links that say so; pairs of memories about one
topic whose contents differ, which are candidates and are marked so; and fields on which a
merge found concurrent values. Of each only what the caller may see, at both ends. No request
walks a large store: what is about a topic comes from the index of recall and from the newest
memories, and what was not looked at is told as `truncated`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final

from node.contracts import Caller, Held
from node.lifecycle.duplicates import Candidates
from node.links.link import Link
from node.links.links import Links
from node.memory.drafts import COLLECTION
from node.memory.memories import Memories
from node.memory.record import concurrent_of, created_ms, visible_to
from node.memory.times import format_ms

RELATION: Final = "contradicts"
MEMORIES_MAX: Final = 200
PAIRS_MAX: Final = 1000
SCANNED_MAX: Final = 5000
CANDIDATES_MAX: Final = 500
_STRIDE: Final = 64


@dataclass(slots=True, kw_only=True)
class Found:
    """What contradicts what.

    Attributes:
        memories: those it is about, newest first.
        links: as the API shows links; those nobody stated have `candidate`.
        contradictions: one entry each: a link, a pair, or a merge conflict.
        truncated: whether there was more.
    """

    memories: list[Held] = field(default_factory=list)
    links: list[dict[str, Any]] = field(default_factory=list)
    contradictions: list[dict[str, Any]] = field(default_factory=list)
    truncated: bool = False


async def contradictions(
    memories: Memories,
    links: Links,
    viewer: Caller,
    *,
    topic: str | None,
    namespace: str | None,
    candidates: Candidates | None = None,
) -> Found:
    """What contradicts what about a topic, or at all.

    Args:
        memories: where.
        links: what was stated.
        viewer: who asks.
        topic: text in `metadata.topic` or in the title, in any case of letters.
        namespace: only within.
        candidates: finds what has words of the topic; None looks at the newest alone.
    """
    found = Found()
    await _look(found, memories, viewer, topic, namespace)
    if topic is not None and candidates is not None:
        await _look_up(found, memories, viewer, topic, namespace, candidates)
    stated = await _stated(links, viewer, found.memories, everywhere=topic is None)
    told = {held.id for held in found.memories}
    for link in stated:
        ends = [memories.seen(one, viewer) for one in (link.source, link.target)]
        both = [end for end in ends if end is not None]
        if len(both) < len(ends) or not _within(both, namespace):
            continue
        _tell(found, link.shown(), "link")
        found.memories += [end for end in both if end.id not in told]
        told |= {end.id for end in both}
    if topic is not None:
        _pairs(found, {frozenset((link.source, link.target)) for link in stated})
    for held in found.memories:
        _conflicts(found, memories, held)
    return found


async def _look(
    found: Found, memories: Memories, viewer: Caller, topic: str | None, namespace: str | None
) -> None:
    """Take what it is about from the newest memories."""
    wanted = None if topic is None else topic.casefold()
    for step, held in enumerate(memories.funnel.reader().recent(namespace), start=1):
        if step > SCANNED_MAX:
            found.truncated = True
            return
        about = held.view.conflicts > 0 if wanted is None else _is_about(held, wanted)
        if about and visible_to(held, viewer) and not _took(found, held):
            return
        if step % _STRIDE == 0:
            await asyncio.sleep(0)


async def _look_up(
    found: Found,
    memories: Memories,
    viewer: Caller,
    topic: str,
    namespace: str | None,
    candidates: Candidates,
) -> None:
    """Take what it is about from an index, however old it is, newest first in the end."""
    there, wanted = {held.id for held in found.memories}, topic.casefold()
    names = await candidates(topic, namespace, viewer, CANDIDATES_MAX)
    for step, name in enumerate(names, start=1):
        held = None if name in there else memories.seen(name, viewer)
        fits = held is not None and namespace in (None, held.view.namespace)
        if held is not None and fits and _is_about(held, wanted) and not _took(found, held):
            break
        if step % _STRIDE == 0:
            await asyncio.sleep(0)
    found.memories.sort(key=lambda held: (held.view.created, held.id), reverse=True)


def _took(found: Found, held: Held) -> bool:
    """Take a memory, if there is room."""
    if len(found.memories) >= MEMORIES_MAX:
        found.truncated = True
        return False
    found.memories.append(held)
    return True


def _within(ends: Sequence[Held], namespace: str | None) -> bool:
    return namespace is None or any(end.view.namespace == namespace for end in ends)


def _is_about(held: Held, topic: str) -> bool:
    metadata = held.view.values.get("metadata")
    declared = metadata.get("topic") if isinstance(metadata, dict) else None
    if isinstance(declared, str) and declared.casefold() == topic:
        return True
    return topic in str(held.view.values.get("title", "")).casefold()


async def _stated(
    links: Links, viewer: Caller, about: Sequence[Held], *, everywhere: bool
) -> list[Link]:
    if everywhere:
        found = [
            link
            async for link in links.all_for(viewer, administrator=False)
            if link.relation == RELATION
        ]
    else:
        found = [
            link
            for held in about
            for link in await links.of(held.id, viewer)
            if link.relation == RELATION
        ]
    once = {link.id: link for link in found}
    return sorted(once.values(), key=lambda link: (link.made, link.id))[:PAIRS_MAX]


def _tell(found: Found, link: dict[str, Any], kind: str) -> None:
    found.links.append(link)
    found.contradictions.append(
        {"kind": kind, "source_id": link["source_id"], "target_id": link["target_id"]}
    )


def _pairs(found: Found, stated: set[frozenset[str]]) -> None:
    """Memories about the topic that say different things; the newer one is the source."""
    for newer, older in combinations(found.memories, 2):
        if frozenset((newer.id, older.id)) in stated:
            continue
        if newer.view.values.get("content") == older.view.values.get("content"):
            continue
        if len(found.links) >= PAIRS_MAX:
            found.truncated = True
            return
        made = format_ms(created_ms(newer))
        link = {
            "source_id": newer.id,
            "target_id": older.id,
            "relation": RELATION,
            "created_at": made,
            "valid_from": made,
            "candidate": True,
        }
        _tell(found, link, "topic")


def _conflicts(found: Found, memories: Memories, held: Held) -> None:
    if not held.view.conflicts:
        return
    values = memories.funnel.reader().conflicts(COLLECTION, held.id)
    for name, held_values in values.items():
        shown = [concurrent_of(name, one) for one in held_values]
        found.contradictions.append(
            {"kind": "merge", "id": held.id, "field": name, "values": shown}
        )
