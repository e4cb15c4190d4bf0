"""A knowledge graph, kept as memories of one namespace.

Law: every change is a request like any other; nothing is kept here. What is there is known by
its id, so nothing is looked for among all memories but what belongs to a whole entity.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from node.client.errors import ApiError, NotFound
from node.mcp.api import PREFIX, Api
from node.mcp.knowledge_rows import (
    GRAPH,
    Entity,
    Found,
    Relation,
    Row,
    Rows,
    assembled,
    facts_of,
    part,
    tag_of,
)
from node.mcp.tool import escaped

NAMESPACE: Final = "knowledge-graph"
_BULK_MAX: Final = 500
_PAGE: Final = 1000
_AT_ONCE: Final = 16
_TAKEN: Final = "the id is taken"


class NoSuchEntity(Exception):  # noqa: N818 - the name says what happened
    """The graph has no entity of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Entity with name {name} not found")


class Graph:
    """The graph in one namespace.

    Args:
        api: the node.
        namespace: where its memories are.
    """

    def __init__(self, api: Api, namespace: str = NAMESPACE) -> None:
        self._api = api
        self._namespace = namespace
        self._rows = Rows(namespace)

    # --- saying -----------------------------------------------------------------------

    async def create_entities(self, entities: Sequence[Entity]) -> list[Entity]:
        """Add entities that are not there yet.

        Returns:
            Those that were added.
        """
        fresh = {entity.name: entity for entity in reversed(entities)}
        ordered = [fresh[name] for name in dict.fromkeys(entity.name for entity in entities)]
        there = await self._present([entity.name for entity in ordered])
        added = [entity for entity in ordered if entity.name not in there]
        rows: list[Row] = []
        for entity in added:
            entity.observations = list(dict.fromkeys(entity.observations))
            rows.append(self._rows.entity(entity))
            rows += [self._rows.observation(entity.name, text) for text in entity.observations]
        await self._store(rows)
        return added

    async def create_relations(self, relations: Sequence[Relation]) -> list[Relation]:
        """Add relations that are not there yet.

        Returns:
            Those that were added.

        Raises:
            NoSuchEntity: an end of one of them is not there; nothing was added.
        """
        ends = list(dict.fromkeys(name for r in relations for name in (r.source, r.target)))
        await self._demand(ends)
        fresh = list(dict.fromkeys(relations))
        rows = [self._rows.relation(relation) for relation in fresh]
        added = await self._store(rows)
        return [relation for place, relation in enumerate(fresh) if place in added]

    async def add_observations(self, said: Sequence[tuple[str, list[str]]]) -> list[list[str]]:
        """Add what is known about entities.

        Args:
            said: name of an entity, and texts.

        Returns:
            For each of them, the texts that were new.

        Raises:
            NoSuchEntity: one is not there; nothing was added.
        """
        await self._demand([name for name, _ in said])
        known: set[tuple[str, str]] = set()
        rows: list[Row] = []
        places: list[tuple[int, str]] = []
        for index, (name, texts) in enumerate(said):
            for text in texts:
                if (name, text) not in known:
                    known.add((name, text))
                    rows.append(self._rows.observation(name, text))
                    places.append((index, text))
        added = await self._store(rows)
        out: list[list[str]] = [[] for _ in said]
        for place, (index, text) in enumerate(places):
            if place in added:
                out[index].append(text)
        return out

    # --- taking back ------------------------------------------------------------------

    async def delete_entities(self, names: Sequence[str]) -> tuple[list[str], list[str]]:
        """Take entities away, with all that is said about them and their relations.

        Returns:
            Names that were there, and those that were not.
        """
        present = await self._present(names)
        for name in dict.fromkeys(names):
            if name in present:
                # The entity goes last: what broke off in between is found again by its name.
                idents = [row["id"] for row in await self._held(tag_of(name))]
                own = self._rows.id_of_entity(name)
                await self._delete([ident for ident in idents if ident != own])
                await self._delete([own])
        return (
            [name for name in names if name in present],
            [name for name in names if name not in present],
        )

    async def delete_observations(
        self, said: Sequence[tuple[str, list[str]]]
    ) -> tuple[int, list[str]]:
        """Take texts about entities away.

        Returns:
            How many were there, and names of entities that are not.
        """
        present = await self._present([name for name, _ in said])
        idents = [
            self._rows.id_of_observation(name, text)
            for name, texts in said
            for text in texts
            if name in present
        ]
        gone = await self._delete(list(dict.fromkeys(idents)))
        return gone, [name for name, _ in said if name not in present]

    async def delete_relations(self, relations: Sequence[Relation]) -> int:
        """Take relations away; says how many were there."""
        return await self._delete([self._rows.id_of_relation(r) for r in dict.fromkeys(relations)])

    # --- reading ----------------------------------------------------------------------

    async def read(self) -> Found:
        """All of it."""
        return assembled(await self._held())

    async def search(self, query: str) -> Found:
        """Entities in whose name, type or observations a text occurs, and their relations."""
        wanted = query.lower()
        return part(
            await self.read(),
            lambda entity: any(
                wanted in text.lower() for text in (entity.name, entity.kind, *entity.observations)
            ),
        )

    async def open(self, names: Iterable[str]) -> Found:
        """Entities of these names, and their relations."""
        rows: dict[str, Row] = {}
        wanted = list(dict.fromkeys(names))
        for name in wanted:
            rows |= {row["id"]: row for row in await self._held(tag_of(name))}
        return part(assembled(list(rows.values())), lambda entity: entity.name in wanted)

    # --- the node ---------------------------------------------------------------------

    async def _store(self, rows: Sequence[Row]) -> set[int]:
        """Store rows; those that are there already are passed over.

        Returns:
            Places of those that were stored.

        Raises:
            ApiError: one of them cannot be stored for another reason.
        """
        stored: set[int] = set()
        for start in range(0, len(rows), _BULK_MAX):
            chunk = list(rows[start : start + _BULK_MAX])
            refused = await self._bulk(chunk)
            stored |= {start + place for place in range(len(chunk)) if place not in refused}
        return stored

    async def _bulk(self, rows: list[Row]) -> set[int]:
        try:
            answer = await self._api.request("POST", f"{PREFIX}/memories/bulk", body=rows)
        except ApiError as error:
            if not error.body.get("errors") or error.indefinite:
                raise
            answer = dict(error.body)
        refused = {item["index"] for item in answer["errors"]}
        for item in answer["errors"]:
            if _TAKEN not in item["error"]:
                raise ApiError(400, "not_stored", item["error"], answer)
        return refused

    async def _present(self, names: Iterable[str]) -> set[str]:
        """Which of these entities are there."""
        wanted = list(dict.fromkeys(names))
        found = await _together(self._holds, [self._rows.id_of_entity(name) for name in wanted])
        return {name for name, there in zip(wanted, found, strict=True) if there}

    async def _demand(self, names: Sequence[str]) -> None:
        present = await self._present(names)
        for name in names:
            if name not in present:
                raise NoSuchEntity(name)

    async def _holds(self, ident: str) -> bool:
        try:
            await self._api.request("GET", f"{PREFIX}/memories/{escaped(ident)}")
        except NotFound:
            return False
        return True

    async def _delete(self, idents: Sequence[str]) -> int:
        return sum(await _together(self._drop, idents))

    async def _drop(self, ident: str) -> bool:
        try:
            await self._api.request("DELETE", f"{PREFIX}/memories/{escaped(ident)}")
        except NotFound:
            return False
        return True

    async def _held(self, tag: str = GRAPH) -> list[Row]:
        """Every memory of the graph that carries a tag."""
        rows: dict[str, Row] = {}
        offset = 0
        while True:
            params = {
                "namespace": self._namespace,
                "tags": tag,
                "limit": _PAGE,
                "offset": offset,
            }
            page = (await self._api.request("GET", f"{PREFIX}/memories", params=params))["memories"]
            # What was added meanwhile moved the pages along, so some rows may come twice.
            rows |= {row["id"]: row for row in page if facts_of(row)}
            if len(page) < _PAGE:
                return list(rows.values())
            offset += len(page)


async def _together(work: Callable[[str], Awaitable[bool]], idents: Sequence[str]) -> list[bool]:
    """Do something for each id, so many at once, and give the results in order.

    Raises:
        ClientError: what the first one that failed raised; the others are ended.
    """
    out = [False] * len(idents)
    left = iter(enumerate(idents))

    async def go_on() -> None:
        for place, ident in left:
            out[place] = await work(ident)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(_AT_ONCE, len(idents))):
                group.create_task(go_on())
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    return out
