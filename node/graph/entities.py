"""Entities: what a name and its aliases stand for.

Law: an entity is a memory of kind `entity`; namespace and canonical name make its id, so
registering it twice is registering it once, on all nodes. Its aliases are a set in which
adding wins. Two agents that register one name on two sides of a cut make two births of one
id: both stay, and their aliases are told united. Nobody is told of an alias that only an
entity has which is not his to see.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from crdt.fields import element_field
from crdt.op import Draft, Kind, Value
from node.contracts import Caller, Held, Receipt
from node.graph.names import EntityIndex, entity_id
from node.limits import Limits
from node.memory.drafts import COLLECTION
from node.memory.memories import Ask, Memories
from node.memory.problems import AlreadyThere, InvalidField, Shortfall
from node.memory.record import ALIASES, ATTEST_LEVEL, UPDATED_AT, check_author, visible_to
from node.memory.rules import ALIASES_MAX, CHECKS, namespace

KIND: Final = "entity"
NAMESAKES_MAX: Final = 1000
"""Most entities of one name that are looked at."""

OTHERS_MAX: Final = 100
"""Most of them that are told beside the first."""

_HISTORY_MAX: Final = 1000
_STRIDE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One entity as a caller sees it.

    Attributes:
        id: of its memory.
        name: the canonical one.
        namespace: where it lies.
        aliases: all of them, in the order in which they were given.
        created: hybrid stamp of its oldest birth.
    """

    id: str
    name: str
    namespace: str
    aliases: tuple[str, ...]
    created: int

    def shown(self) -> dict[str, Any]:
        """The entity of the API."""
        return {
            "entity_id": self.id,
            "canonical_name": self.name,
            "namespace": self.namespace,
            "aliases": list(self.aliases),
        }

    def is_called(self, name: str) -> bool:
        """Whether it has that name; the one that its id was drawn from stays its own."""
        if name == self.name or name in self.aliases:
            return True
        return self.id == entity_id(self.namespace, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """The outcome of registering an entity; no receipt when nothing had to be written."""

    entity: Entity
    created: bool
    receipt: Receipt | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What a registration asks for."""

    id: str
    name: str
    namespace: str
    aliases: tuple[str, ...]
    metadata: Mapping[str, Value]


class Entities:
    """What can be done with entities.

    Args:
        memories: where they are kept.
        index: which of them answer to a name.
    """

    def __init__(self, memories: Memories, index: EntityIndex) -> None:
        self._memories = memories
        self._index = index

    # Reading.

    async def by_alias(
        self, alias: str, space: str | None, viewer: Caller
    ) -> tuple[Entity | None, list[str]]:
        """The entity that a name stands for, and the ids of others that have it too.

        A canonical name goes before an alias, then the older entity before the newer; so all
        nodes that hold the same say the same.
        """
        names = (await self._index.named(alias))[:NAMESAKES_MAX]
        if space is not None:
            names.append(entity_id(space, alias))
        found: list[Entity] = []
        for step, ident in enumerate(dict.fromkeys(names), start=1):
            one = self.read(ident, viewer)
            if one is not None and one.is_called(alias) and space in (None, one.namespace):
                found.append(one)
            if step % _STRIDE == 0:
                await asyncio.sleep(0)
        found.sort(key=lambda one: (one.name != alias, one.created, one.id))
        return (found[0] if found else None), [one.id for one in found[1 : OTHERS_MAX + 1]]

    def read(self, ident: str, viewer: Caller) -> Entity | None:
        """The entity with an id, as far as a caller may see it; None when it is none."""
        reader = self._memories.funnel.reader()
        held = reader.get(COLLECTION, ident)
        if held is None:
            return None
        births = [held, *(reader.rivals(COLLECTION, ident) if held.view.rivals else ())]
        seen = [one for one in births if is_entity(one) and visible_to(one, viewer)]
        return united(seen)

    # Writing.

    async def register(self, ask: Ask) -> Registered:
        """Make an entity, or give the one of that name further aliases.

        Raises:
            InvalidField: a field cannot be taken.
            AlreadyThere: its id belongs to another memory, or it lies in the archive.
            node.memory.problems.NotOwner: it is private to another agent.
            node.memory.problems.Shortfall: stored here, not on W members.
            node.errors.WriteError: nothing was minted.
        """
        wish = self._wish(ask.body)
        if self._memories.known(ask.retry) is not None:
            receipt = await self._memories.commit((), ask, "store", **_facts(wish))
            return self._registered(wish, ask, receipt, created=self._made(wish, receipt))
        held = self._there(wish, ask)
        draft = self._draft(wish, ask) if held is None else self._edit(held, wish, ask)
        if draft is None:
            return self._registered(wish, ask, None, created=False)
        names = (wish.name, *wish.aliases)
        try:
            receipt = await self._memories.commit([draft], ask, "store", **_facts(wish))
        except Shortfall:
            self._index.made(wish.id, names)
            raise
        self._index.made(wish.id, names)
        return self._registered(wish, ask, receipt, created=held is None)

    def _wish(self, body: Mapping[str, Any]) -> _Wish:
        rules = self._memories.rules
        name = body.get("canonical_name")
        if name is None:
            raise InvalidField("canonical_name", "is required: what the entity is called")
        name = CHECKS["title"]("canonical_name", name, rules.limits)
        space = rules.namespace_of(body) or rules.default_namespace
        metadata = body.get("metadata")
        if metadata is not None:
            metadata = CHECKS["metadata"]("metadata", metadata, rules.limits)
        return _Wish(
            id=entity_id(space, name),
            name=name,
            namespace=space,
            aliases=tuple(one for one in aliases_of(body, rules.limits) if one != name),
            metadata=metadata or {},
        )

    def _there(self, wish: _Wish, ask: Ask) -> Held | None:
        """The record of the entity, when there is one."""
        reader = self._memories.funnel.reader()
        held = reader.get(COLLECTION, wish.id)
        if held is None or held.private:
            put_away = reader.archived(COLLECTION, wish.id)
            if put_away is not None and not put_away.private:
                raise AlreadyThere("the entity lies in the archive; restore it", wish.id)
            return None
        same = is_entity(held) and held.view.namespace == wish.namespace
        if not same or not visible_to(held, ask.caller):
            raise AlreadyThere("the id of the entity belongs to another memory", wish.id)
        return held

    def _draft(self, wish: _Wish, ask: Ask) -> Draft:
        """The draft of a new entity."""
        body = {
            "title": wish.name,
            "content": wish.name,
            "namespace": wish.namespace,
            "memory_kind": KIND,
            "tier": "long",
            "tags": [KIND],
            **({"metadata": wish.metadata} if wish.metadata else {}),
        }
        draft = self._memories.rules.create(
            body,
            record_id=wish.id,
            owner=ask.agent,
            now_ms=self._memories.now_ms(),
            attested=ask.attests(ask.agent),
        )
        return replace(draft, set={**draft.set, **_elements(wish.aliases, 0)})

    def _edit(self, held: Held, wish: _Wish, ask: Ask) -> Draft | None:
        """The draft that gives an entity what it lacks; None when it lacks nothing."""
        whole = self.read(wish.id, ask.caller)
        known = whole.aliases if whole is not None else ()
        missing = [one for one in wish.aliases if one not in known]
        if missing and len(known) + len(missing) > ALIASES_MAX:
            raise InvalidField(ALIASES, f"an entity has at most {ALIASES_MAX}")
        written: dict[str, Value] = _elements(missing, len(known))
        current = held.view.values.get("metadata") or {}
        merged = {**current, **wish.metadata}
        if merged != current:
            limits = self._memories.rules.limits
            written["metadata"] = CHECKS["metadata"]("metadata", merged, limits)
        if not written:
            return None
        check_author(held, ask.agent)
        over = {UPDATED_AT} if ask.attests(held.view.owner) else {UPDATED_AT, ATTEST_LEVEL}
        return Draft(
            kind=Kind.EDIT,
            collection=COLLECTION,
            id=wish.id,
            set=written,
            removed=frozenset(over & held.view.values.keys()),
        )

    def _made(self, wish: _Wish, receipt: Receipt) -> bool:
        """Whether the first request of a retry made the entity."""
        history = self._memories.funnel.reader().history(COLLECTION, wish.id, _HISTORY_MAX)
        return any(op.kind is Kind.CREATE and op.dot in receipt.dots for op in history)

    def _registered(
        self, wish: _Wish, ask: Ask, receipt: Receipt | None, *, created: bool
    ) -> Registered:
        entity = self.read(wish.id, ask.caller)
        if entity is None:  # it waits for approval, or has ended since
            entity = Entity(
                id=wish.id,
                name=wish.name,
                namespace=wish.namespace,
                aliases=wish.aliases,
                created=0,
            )
        return Registered(entity=entity, created=created, receipt=receipt)


def is_entity(held: Held) -> bool:
    """Whether a memory is an entity."""
    return held.view.values.get("memory_kind") == KIND


def united(births: list[Held]) -> Entity | None:
    """The births of one entity as one, in the namespace of the oldest; None when there is none."""
    if not births:
        return None
    eldest = births[0].view
    together = [one.view for one in births if one.view.namespace == eldest.namespace]
    aliases = dict.fromkeys(name for view in together for name in view.values.get(ALIASES, ()))
    return Entity(
        id=births[0].id,
        name=str(eldest.values.get("title", "")),
        namespace=eldest.namespace,
        aliases=tuple(aliases),
        created=eldest.created,
    )


def aliases_of(body: Mapping[str, Any], limits: Limits) -> list[str]:
    """The aliases that a registration gives.

    Raises:
        InvalidField: they are no list of texts, one is too long, or they are too many.
    """
    given = body.get(ALIASES)
    if given is None:
        return []
    if isinstance(given, list) and len(given) > limits.tags_max:
        raise InvalidField(ALIASES, f"has {len(given)}, at most {limits.tags_max} at a time")
    aliases: list[str] = CHECKS[ALIASES](ALIASES, given, limits)
    return aliases


def alias_asked(query: Mapping[str, str], limits: Limits) -> tuple[str, str | None]:
    """The alias and the namespace that a look-up is about.

    Raises:
        InvalidField: no alias is named, or the namespace is none.
    """
    alias, space = query.get("alias", ""), query.get("namespace")
    if not alias:
        raise InvalidField("alias", "is required: a name of the entity")
    return alias, namespace("namespace", space, limits) if space else None


def _elements(aliases: Iterable[str], first: int) -> dict[str, Value]:
    return {element_field(ALIASES, one): place for place, one in enumerate(aliases, start=first)}


def _facts(wish: _Wish) -> dict[str, str]:
    return {"id": wish.id, "entity_id": wish.id}
