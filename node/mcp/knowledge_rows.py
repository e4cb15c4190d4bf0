"""What stands in the memories of a knowledge graph.

Law: each entity, observation and relation is a memory of its own, whose id follows from what
it says. So the same thing said on two nodes at once is one record, additions of several agents
never overwrite each other, and a repetition changes nothing. Names are compared exactly; what
was written is given back unchanged, in the order in which it was written.
"""

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

GRAPH: Final = "graph"
_TITLE_CHARS_MAX: Final = 512

Row = dict[str, Any]


@dataclass(slots=True)
class Entity:
    """One entity, with what is known about it."""

    name: str
    kind: str
    observations: list[str] = field(default_factory=list)

    def shown(self) -> Row:
        """As clients know it."""
        return {"name": self.name, "entityType": self.kind, "observations": self.observations}


@dataclass(frozen=True, slots=True)
class Relation:
    """How one entity stands to another."""

    source: str
    target: str
    kind: str

    def shown(self) -> Row:
        """As clients know it."""
        return {"from": self.source, "to": self.target, "relationType": self.kind}


@dataclass(frozen=True, slots=True)
class Found:
    """A graph, or a part of one."""

    entities: list[Entity]
    relations: list[Relation]

    def shown(self) -> Row:
        """As clients know it."""
        return {
            "entities": [entity.shown() for entity in self.entities],
            "relations": [relation.shown() for relation in self.relations],
        }


def _ident(namespace: str, *parts: str) -> str:
    """The id of what is said, shaped as a version 4 UUID (RFC 9562)."""
    state = hashlib.sha256(b"knowledge-graph")
    for part in (namespace, *parts):
        raw = part.encode()
        state.update(len(raw).to_bytes(8, "big") + raw)
    return str(uuid.UUID(bytes=state.digest()[:16], version=4))


def tag_of(name: str) -> str:
    """Marks everything that belongs to an entity; a name itself may be too long for a tag."""
    return f"entity:{hashlib.sha256(name.encode()).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True)
class Rows:
    """Makes the memories of a graph.

    Attributes:
        namespace: where they are.
    """

    namespace: str

    def id_of_entity(self, name: str) -> str:
        """The id of the memory of an entity."""
        return _ident(self.namespace, "entity", name)

    def id_of_observation(self, name: str, text: str) -> str:
        """The id of the memory of what is known about an entity."""
        return _ident(self.namespace, "observation", name, text)

    def id_of_relation(self, relation: Relation) -> str:
        """The id of the memory of a relation."""
        parts = (relation.source, relation.target, relation.kind)
        return _ident(self.namespace, "relation", *parts)

    def entity(self, entity: Entity) -> Row:
        """The memory of an entity, without what is known about it."""
        words = f"{entity.name} ({entity.kind})"
        made = self._row("entity", words, words, (entity.name,))
        facts = {"part": "entity", "name": entity.name, "type": entity.kind}
        return made | {"id": self.id_of_entity(entity.name), "metadata": {GRAPH: facts}}

    def observation(self, name: str, text: str) -> Row:
        """The memory of what is known about an entity."""
        made = self._row("observation", name, text or "-", (name,))
        facts: Row = {"part": "observation", "name": name}
        if not text:
            facts["empty"] = True  # a memory has content, an observation may have none
        return made | {"id": self.id_of_observation(name, text), "metadata": {GRAPH: facts}}

    def relation(self, relation: Relation) -> Row:
        """The memory of a relation."""
        words = f"{relation.source} {relation.kind} {relation.target}"
        made = self._row("relation", words, words, (relation.source, relation.target))
        facts = {
            "part": "relation",
            "from": relation.source,
            "to": relation.target,
            "type": relation.kind,
        }
        return made | {"id": self.id_of_relation(relation), "metadata": {GRAPH: facts}}

    def _row(self, kind: str, title: str, content: str, ends: tuple[str, ...]) -> Row:
        return {
            "namespace": self.namespace,
            "tier": "long",
            "memory_kind": kind,
            "title": title[:_TITLE_CHARS_MAX] or "-",
            "content": content,
            "source": "mcp",
            "tags": list(dict.fromkeys([GRAPH, *map(tag_of, ends)])),
        }


def facts_of(row: Row) -> Row:
    """What a memory says about the graph; empty when it is no part of one."""
    facts = (row.get("metadata") or {}).get(GRAPH)
    return facts if isinstance(facts, dict) else {}


def assembled(rows: list[Row]) -> Found:
    """The graph that rows make; what is said about an entity that is not there is left out.

    Args:
        rows: newest first, as a list shows them: it tells apart what one millisecond holds.
    """
    oldest_first = list(reversed(rows))
    oldest_first.sort(key=lambda row: str(row["created_at"]))
    entities: dict[str, Entity] = {}
    for row in oldest_first:
        facts = facts_of(row)
        if facts.get("part") == "entity":
            entities.setdefault(facts["name"], Entity(facts["name"], facts["type"]))
    relations: dict[Relation, None] = {}
    for row in oldest_first:
        facts = facts_of(row)
        if facts.get("part") == "observation" and facts["name"] in entities:
            entities[facts["name"]].observations.append("" if "empty" in facts else row["content"])
        elif facts.get("part") == "relation":
            relations.setdefault(Relation(facts["from"], facts["to"], facts["type"]))
    return Found(list(entities.values()), list(relations))


def part(found: Found, wanted: Callable[[Entity], bool]) -> Found:
    """Entities that fit, and every relation that has one of them at an end."""
    entities = [entity for entity in found.entities if wanted(entity)]
    names = {entity.name for entity in entities}
    relations = [r for r in found.relations if r.source in names or r.target in names]
    return Found(entities, relations)
