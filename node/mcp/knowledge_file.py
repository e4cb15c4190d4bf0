"""The file in which the reference knowledge graph server keeps its graph, and taking it in.

Law: what can be read is taken, each line that cannot is named with its number and the reason;
nothing is guessed. Taking the same file in twice changes nothing the second time.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from node.mcp.knowledge import Graph
from node.mcp.knowledge_rows import Entity, Relation

_CHUNK: Final = 100


@dataclass(slots=True)
class GraphFile:
    """What a file holds.

    Attributes:
        entities: by name; one that comes twice has the observations of both.
        relations: each once.
        skipped: (number of the line from 1, why) of what was not taken.
    """

    entities: dict[str, Entity] = field(default_factory=dict)
    relations: dict[Relation, int] = field(default_factory=dict)
    skipped: list[tuple[int, str]] = field(default_factory=list)


@dataclass(slots=True)
class Taken:
    """What became of a file; counts of what is new.

    Attributes:
        skipped: (number of the line from 1, why).
    """

    entities: int = 0
    observations: int = 0
    relations: int = 0
    skipped: list[tuple[int, str]] = field(default_factory=list)


def read_graph_file(lines: Iterable[str]) -> GraphFile:
    """Read the lines of a file."""
    held = GraphFile()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            _take(held, number, json.loads(line))
        except ValueError as error:
            held.skipped.append((number, str(error)))
    for relation, number in list(held.relations.items()):
        missing = [name for name in (relation.source, relation.target) if name not in held.entities]
        if missing:
            del held.relations[relation]
            held.skipped.append((number, f"the file has no entity {missing[0]!r}"))
    return held


def _take(held: GraphFile, number: int, item: Any) -> None:
    if not isinstance(item, dict):
        raise ValueError("is no JSON object")  # noqa: TRY004 - a fault of the file
    if item.get("type") == "entity":
        name, kind = _text(item, "name"), _text(item, "entityType")
        entity = held.entities.setdefault(name, Entity(name, kind))
        for text in _texts(item, "observations"):
            if text not in entity.observations:
                entity.observations.append(text)
    elif item.get("type") == "relation":
        relation = Relation(_text(item, "from"), _text(item, "to"), _text(item, "relationType"))
        held.relations.setdefault(relation, number)
    else:
        raise ValueError("is neither an entity nor a relation")


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is missing or no text")  # noqa: TRY004 - a fault of the file
    return value


def _texts(item: Mapping[str, Any], name: str) -> list[str]:
    value = item.get(name)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"{name} is missing or no list of texts")
    return value


async def take_in(graph: Graph, held: GraphFile, done: Callable[[int], None]) -> Taken:
    """Put what a file holds into a graph.

    Args:
        graph: where to.
        held: the file.
        done: told how many entities and relations were dealt with.

    Raises:
        ClientError: the node said no; what came before stays.
    """
    taken = Taken(skipped=list(held.skipped))
    for entities in _chunks(list(held.entities.values())):
        fresh = {entity.name for entity in await graph.create_entities(entities)}
        rest = [(e.name, e.observations) for e in entities if e.name not in fresh]
        added = await graph.add_observations(rest) if rest else []
        taken.entities += len(fresh)
        taken.observations += sum(len(e.observations) for e in entities if e.name in fresh)
        taken.observations += sum(map(len, added))
        done(len(entities))
    for relations in _chunks(list(held.relations)):
        taken.relations += len(await graph.create_relations(relations))
        done(len(relations))
    return taken


def _chunks(items: Sequence[Any]) -> Iterable[Any]:
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))
