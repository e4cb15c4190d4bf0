"""Many memories in one request: bulk creation and import.

Law: all good items of a request are one write; each bad one is reported with its place and
changes nothing for the others. More items than allowed is a refusal of the whole.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from crdt.dot import Dot
from crdt.op import Draft, Value
from node.contracts import Caller, Receipt
from node.errors import HookRefused, NodeError
from node.memory.memories import Ask, Memories, made_by
from node.memory.problems import (
    AlreadyOver,
    AlreadyThere,
    InvalidField,
    ItemRefused,
    NotInThisName,
    RequestError,
    TooManyItems,
)
from node.memory.record import visible_to
from node.memory.rules import agent_id

IMPORTED_FROM: Final = "imported_from_agent_id"
_STRIDE: Final = 512


@dataclass(slots=True, kw_only=True)
class Batch:
    """What becomes of the items of a request, filled in as they are looked at."""

    drafts: list[Draft] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    skipped: int = 0
    links: int = 0
    skipped_links: int = 0
    seen: set[str] = field(default_factory=set)

    def take(self, index: int, draft: Draft) -> None:
        """Write one good item."""
        self.seen.add(draft.id)
        self.ids.append(draft.id)
        self.places.append(index)
        self.drafts.append(draft)

    def drop(self, refused: Mapping[str, str]) -> None:
        """Leave out what a hook refused, and links of it; each is reported at its place."""
        kept = [
            (ident, place)
            for ident, place in zip(self.ids, self.places, strict=True)
            if ident not in refused
        ]
        self.errors += [
            {"index": place, "error": f"{HookRefused.code}: {refused[ident]}"}
            for ident, place in zip(self.ids, self.places, strict=True)
            if ident in refused
        ]
        self.ids, self.places = [one for one, _ in kept], [place for _, place in kept]
        self.drafts = [one for one in self.drafts if not _rests_on(one, refused)]

    def refuse(self, index: int, error: Exception) -> None:
        """Report one bad item."""
        self.errors.append({"index": index, "error": str(error)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A finished request of many items; no receipt when there was nothing to write."""

    batch: Batch
    receipt: Receipt | None


def items_of(body: Any, name: str, most: int) -> list[Any]:
    """The items of a request: the list itself, or the field of that name.

    Raises:
        InvalidField: there is no list.
        TooManyItems: there are more than allowed.
    """
    items = body.get(name) if isinstance(body, Mapping) else body
    if not isinstance(items, list):
        raise InvalidField(name, f"expected a list of {name}")
    if len(items) > most:
        raise TooManyItems(len(items), most)
    return items


def _nothing(_agent: str) -> None:
    """No objection."""


async def create_many(
    memories: Memories,
    items: Sequence[Any],
    ask: Ask,
    objection: Callable[[str], NodeError | None] = _nothing,
) -> Written:
    """Make many memories in one write.

    Args:
        memories: where.
        items: bodies of creates.
        ask: the caller and the retry; its body is not used.
        objection: why the request may not write in the name of an agent, if it may not.

    Raises:
        Shortfall: stored here, not on W members; tells the ids.
        node.errors.WriteError: nothing was minted.
    """
    known = memories.known(ask.retry)
    titles = await _titles(memories, items, ask.caller)
    batch = Batch()
    for index, item in enumerate(items):
        try:
            owner = author_of(memories, item, ask, objection)
            _take(memories, batch, index, item, ask, owner, titles, known)
        except RequestError as error:
            batch.refuse(index, error)
    return await _write(memories, batch, ask, "store", "created")


def author_of(
    memories: Memories, item: Any, ask: Ask, objection: Callable[[str], NodeError | None]
) -> str:
    """Whose item it is: its sender's, or of another name that its sender may write in.

    Raises:
        InvalidField: it is no object.
        NotInThisName: it names somebody whose signature or key this request lacks.
        InvalidField: the name does not have the shape of one.
    """
    if not isinstance(item, dict):
        raise InvalidField("item", "expected an object")
    owner = memories.caller(item, None)
    if not owner or owner == ask.agent:
        return ask.agent
    refusal = objection(owner)
    if refusal is not None:
        raise NotInThisName(refusal.code, str(refusal))
    if memories.requires_signature(owner):
        raise NotInThisName("agent_signature_missing", f"{owner} signs what it writes itself")
    return owner


def refuse_governed(
    memories: Memories, draft: Draft, ask: Ask, known: Sequence[Dot] | None
) -> None:
    """Hold an item to what governance allows, so that one refused item ends no other.

    Raises:
        ItemRefused: it does not allow this one.
    """
    said = None if known is not None else memories.funnel.refusal(draft, caller=ask.caller)
    if said is not None:
        raise ItemRefused(said)


def _take(  # noqa: PLR0917 - the item, and all that it may meet
    memories: Memories,
    batch: Batch,
    index: int,
    item: Mapping[str, Any],
    ask: Ask,
    owner: str,
    titles: dict[tuple[str, str], str],
    known: Sequence[Dot] | None,
) -> None:
    on_conflict = memories.on_conflict(item)
    draft = memories.draft(item, owner, ask, index)
    if on_conflict is not None and _meets(memories, batch, index, item, draft, ask, titles, known):
        return
    if item.get("id") is not None and _taken(memories, batch, draft, known):
        raise AlreadyThere("the id is taken", draft.id)
    refuse_governed(memories, draft, ask, known)
    batch.take(index, draft)


def _meets(  # noqa: PLR0917 - the item, and all that it may meet
    memories: Memories,
    batch: Batch,
    index: int,
    item: Mapping[str, Any],
    draft: Draft,
    ask: Ask,
    titles: dict[tuple[str, str], str],
    known: Sequence[Dot] | None,
) -> bool:
    """Whether an item became an update of the memory that has its title already.

    Raises:
        AlreadyThere: it must not, or an earlier item of the request is in the way.
    """
    place = (draft.namespace, draft.set["title"])
    twin = titles.setdefault(place, draft.id)
    if twin in batch.seen:
        raise AlreadyThere("an earlier item of this request has the title", twin)
    reader = memories.funnel.reader()
    held = memories.seen(twin, ask.caller)
    if held is None:
        return False
    update = item["on_conflict"] == "update"
    own = known is not None and made_by(reader, held.id, known)
    if not update and not own:
        raise AlreadyThere("a memory with this title is in the namespace", held.id)
    if not update:
        return False
    drafts = memories.edited(held, item, ask)
    batch.seen.add(held.id)
    batch.ids.append(held.id)
    batch.places.append(index)
    batch.drafts += drafts
    return True


def _taken(memories: Memories, batch: Batch, draft: Draft, known: Sequence[Dot] | None) -> bool:
    """Whether something else has the id; a retry does not stand in its own way."""
    if draft.id in batch.seen:
        return True
    if not memories.finder.is_taken(draft.id):
        return False
    return known is None or not made_by(memories.funnel.reader(), draft.id, known)


async def _titles(
    memories: Memories, items: Sequence[Any], viewer: Caller
) -> dict[tuple[str, str], str]:
    """(namespace, title) -> id of the newest, for the items that ask about equal titles."""
    wanted = {
        (item.get("namespace") or memories.rules.default_namespace, item.get("title"))
        for item in items
        if isinstance(item, dict)
        and item.get("on_conflict") in ("update", "error")
        and isinstance(item.get("title"), str)
        and isinstance(item.get("namespace"), (str, type(None)))
    }
    found: dict[tuple[str, str], str] = {}
    for space in {space for space, _ in wanted}:
        for step, held in enumerate(memories.funnel.reader().recent(space), start=1):
            key = (space, held.view.values.get("title"))
            if key in wanted and visible_to(held, viewer):
                found.setdefault((space, key[1] or ""), held.id)
            if step % _STRIDE == 0:
                await asyncio.sleep(0)
    return found


async def import_many(
    memories: Memories,
    items: Sequence[Any],
    ask: Ask,
    *,
    trust: bool,
    further: Callable[[Batch], None] | None = None,
) -> Written:
    """Take memories in that were exported elsewhere; ids already held are skipped.

    Args:
        memories: where.
        items: memory records.
        ask: the caller and the retry.
        trust: keep the declared authors instead of stamping the caller.
        further: adds what else belongs to the same write.

    Raises:
        Shortfall: stored here, not on W members.
        node.errors.WriteError: nothing was minted.
    """
    known = memories.known(ask.retry)
    batch = Batch()
    for index, item in enumerate(items):
        try:
            draft = _imported(memories, index, item, ask, trust=trust)
        except RequestError as error:
            batch.refuse(index, error)
            continue
        given = item.get("id") is not None  # a drawn id is nobody else's
        if draft is None or (given and _taken(memories, batch, draft, known)):
            batch.skipped += 1
            continue
        try:
            refuse_governed(memories, draft, ask, known)
        except RequestError as error:
            batch.refuse(index, error)
            continue
        batch.take(index, draft)
    if further is not None:
        further(batch)
    return await _write(memories, batch, ask, "import", "imported", skipped=batch.skipped)


def _imported(memories: Memories, index: int, item: Any, ask: Ask, *, trust: bool) -> Draft | None:
    """The draft of one imported memory; None when its life is over already."""
    if not isinstance(item, dict):
        raise InvalidField("item", "expected an object")
    declared = memories.caller(item, None)
    agent = declared if trust and declared else ask.agent
    try:
        draft = memories.draft(item, agent, ask, index, keep_dates=True)
    except AlreadyOver:
        return None
    if not declared or agent == declared:
        return draft
    metadata: dict[str, Value] = draft.set.get("metadata") or {}
    origin = metadata.get(IMPORTED_FROM, declared)
    marked = {**metadata, IMPORTED_FROM: agent_id(IMPORTED_FROM, origin, memories.rules.limits)}
    return replace(draft, set={**draft.set, "metadata": marked})


async def _write(
    memories: Memories, batch: Batch, ask: Ask, action: str, counted: str, **counts: int
) -> Written:
    """One write of all that is good; what a hook refuses of it is left out, once."""
    try:
        return await _written(memories, batch, ask, action, counted, **counts)
    except HookRefused as refusal:
        if not refusal.items:
            raise
        batch.drop(refusal.items)
    return await _written(memories, batch, ask, action, counted, **counts)


async def _written(
    memories: Memories, batch: Batch, ask: Ask, action: str, counted: str, **counts: int
) -> Written:
    if not batch.drafts:
        return Written(batch=batch, receipt=None)
    counts[counted] = len(batch.ids)
    receipt = await memories.commit(
        batch.drafts, ask, action, ids=batch.ids, errors=batch.errors, **counts
    )
    return Written(batch=batch, receipt=receipt)


def _rests_on(draft: Draft, refused: Mapping[str, str]) -> bool:
    """Whether a draft is one of these, or a link of one."""
    ends = (draft.set.get("source_id"), draft.set.get("target_id"))
    return draft.id in refused or any(end in refused for end in ends if end is not None)
