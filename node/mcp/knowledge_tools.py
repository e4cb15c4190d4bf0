"""The nine tools of the reference knowledge graph server, over memories.

Law: names, arguments and answers are those of that server, so a client that is configured for
it works unchanged; what it keeps in a file of one machine lies in the mesh here.
"""

import json
from typing import Any, Final

from node.mcp import schema as a
from node.mcp.api import Api
from node.mcp.arguments import BadArguments
from node.mcp.knowledge import Graph, NoSuchEntity
from node.mcp.knowledge_rows import Entity, Found, Relation
from node.mcp.tool import Arguments, Outcome, Tool

_QUERY_CHARS_MAX: Final = 2048


def _object(**properties: a.Piece) -> a.Piece:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: a.Piece, says: str = "") -> a.Piece:
    said: a.Piece = {"type": "array", "items": items}
    return said | {"description": says} if says else said


_ENTITY: Final = _object(
    name=a.text("The name of the entity"),
    entityType=a.text("The type of the entity"),
    observations=a.texts("An array of observation contents associated with the entity"),
)
_RELATION: Final = _object(
    **{
        "from": a.text("The name of the entity where the relation starts"),
        "to": a.text("The name of the entity where the relation ends"),
        "relationType": a.text("The type of the relation"),
    }
)
_GRAPH: Final = _object(entities=_list(_ENTITY), relations=_list(_RELATION))
_DONE: Final = _object(success={"type": "boolean"}, message={"type": "string"})


def _entity(given: dict[str, Any]) -> Entity:
    return Entity(given["name"], given["entityType"], list(given["observations"]))


def _relation(given: dict[str, Any]) -> Relation:
    return Relation(given["from"], given["to"], given["relationType"])


def _missing(error: NoSuchEntity) -> BadArguments:
    fix = "Create it with create_entities first, or look up its exact name with search_nodes."
    return BadArguments("", str(error), code="entity_not_found", fix=fix)


def _listed(name: str, rows: list[dict[str, Any]]) -> Outcome:
    return Outcome(text=json.dumps(rows, indent=2, ensure_ascii=False), facts={name: rows})


def _done(message: str) -> Outcome:
    return Outcome(text=message, facts={"success": True, "message": message})


def _graph(found: Found) -> Outcome:
    facts = found.shown()
    return Outcome(text=json.dumps(facts, indent=2, ensure_ascii=False), facts=facts)


async def _create_entities(api: Api, given: Arguments) -> Outcome:
    added = await Graph(api).create_entities([_entity(one) for one in given["entities"]])
    return _listed("entities", [entity.shown() for entity in added])


async def _create_relations(api: Api, given: Arguments) -> Outcome:
    try:
        added = await Graph(api).create_relations([_relation(one) for one in given["relations"]])
    except NoSuchEntity as error:
        raise _missing(error) from error
    return _listed("relations", [relation.shown() for relation in added])


async def _add_observations(api: Api, given: Arguments) -> Outcome:
    said = [(one["entityName"], list(one["contents"])) for one in given["observations"]]
    try:
        added = await Graph(api).add_observations(said)
    except NoSuchEntity as error:
        raise _missing(error) from error
    rows = [
        {"entityName": name, "addedObservations": texts}
        for (name, _), texts in zip(said, added, strict=True)
    ]
    return _listed("results", rows)


async def _delete_entities(api: Api, given: Arguments) -> Outcome:
    names = given["entityNames"]
    gone, missing = await Graph(api).delete_entities(names)
    if not missing:
        return _done("Entities deleted successfully")
    return _done(f"Deleted {len(gone)} of {len(names)} entities. Not found: {', '.join(missing)}")


async def _delete_observations(api: Api, given: Arguments) -> Outcome:
    said = [(one["entityName"], list(one["observations"])) for one in given["deletions"]]
    gone, missing = await Graph(api).delete_observations(said)
    asked = sum(len(texts) for _, texts in said)
    if gone == asked:
        return _done("Observations deleted successfully")
    words = f" Entities not found: {', '.join(missing)}" if missing else ""
    return _done(f"Deleted {gone} of {asked} observations.{words}")


async def _delete_relations(api: Api, given: Arguments) -> Outcome:
    relations = [_relation(one) for one in given["relations"]]
    gone = await Graph(api).delete_relations(relations)
    if gone == len(relations):
        return _done("Relations deleted successfully")
    return _done(f"Deleted {gone} of {len(relations)} relations. The rest matched nothing.")


async def _read_graph(api: Api, _given: Arguments) -> Outcome:
    return _graph(await Graph(api).read())


async def _search_nodes(api: Api, given: Arguments) -> Outcome:
    return _graph(await Graph(api).search(given["query"]))


async def _open_nodes(api: Api, given: Arguments) -> Outcome:
    return _graph(await Graph(api).open(given["names"]))


KNOWLEDGE: Final = (
    Tool(
        name="create_entities",
        title="Create Entities",
        family="graph",
        says="Create multiple new entities in the knowledge graph",
        takes={"entities": _list(_ENTITY)},
        needs=("entities",),
        gives=_object(entities=_list(_ENTITY)),
        run=_create_entities,
    ),
    Tool(
        name="create_relations",
        title="Create Relations",
        family="graph",
        says="Create multiple new relations between entities in the knowledge graph. Relations "
        "should be in active voice",
        takes={"relations": _list(_RELATION)},
        needs=("relations",),
        gives=_object(relations=_list(_RELATION)),
        run=_create_relations,
    ),
    Tool(
        name="add_observations",
        title="Add Observations",
        family="graph",
        says="Add new observations to existing entities in the knowledge graph",
        takes={
            "observations": _list(
                _object(
                    entityName=a.text("The name of the entity to add the observations to"),
                    contents=a.texts("An array of observation contents to add"),
                )
            )
        },
        needs=("observations",),
        gives=_object(
            results=_list(
                _object(
                    entityName={"type": "string"},
                    addedObservations={"type": "array", "items": {"type": "string"}},
                )
            )
        ),
        run=_add_observations,
    ),
    Tool(
        name="delete_entities",
        title="Delete Entities",
        family="graph",
        says="Delete multiple entities and their associated relations from the knowledge graph",
        takes={"entityNames": a.texts("An array of entity names to delete")},
        needs=("entityNames",),
        gives=_DONE,
        destroys=True,
        repeats=True,
        run=_delete_entities,
    ),
    Tool(
        name="delete_observations",
        title="Delete Observations",
        family="graph",
        says="Delete specific observations from entities in the knowledge graph",
        takes={
            "deletions": _list(
                _object(
                    entityName=a.text("The name of the entity containing the observations"),
                    observations=a.texts("An array of observations to delete"),
                )
            )
        },
        needs=("deletions",),
        gives=_DONE,
        destroys=True,
        repeats=True,
        run=_delete_observations,
    ),
    Tool(
        name="delete_relations",
        title="Delete Relations",
        family="graph",
        says="Delete multiple relations from the knowledge graph",
        takes={"relations": _list(_RELATION, "An array of relations to delete")},
        needs=("relations",),
        gives=_DONE,
        destroys=True,
        repeats=True,
        run=_delete_relations,
    ),
    Tool(
        name="read_graph",
        title="Read Graph",
        family="graph",
        says="Read the entire knowledge graph",
        gives=_GRAPH,
        reads=True,
        repeats=True,
        run=_read_graph,
    ),
    Tool(
        name="search_nodes",
        title="Search Nodes",
        family="graph",
        says="Search for nodes in the knowledge graph based on a query",
        takes={
            "query": a.text(
                "The search query to match against entity names, types, and observation content",
                maxLength=_QUERY_CHARS_MAX,
            )
        },
        needs=("query",),
        gives=_GRAPH,
        reads=True,
        repeats=True,
        run=_search_nodes,
    ),
    Tool(
        name="open_nodes",
        title="Open Nodes",
        family="graph",
        says="Open specific nodes in the knowledge graph by their names",
        takes={"names": a.texts("An array of entity names to retrieve")},
        needs=("names",),
        gives=_GRAPH,
        reads=True,
        repeats=True,
        run=_open_nodes,
    ),
)
