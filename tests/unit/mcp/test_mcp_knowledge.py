"""The nine tools of the reference server: what they answer, and what lies behind them."""

import asyncio
from typing import Any

from mcp import Client

from node.mcp.knowledge import Graph
from node.mcp.knowledge_rows import Entity, Relation
from tests.unit.mcp.conftest import Served

ADA = {"name": "Ada", "entityType": "person", "observations": ["wrote notes", "was a countess"]}
ENGINE = {"name": "Engine", "entityType": "machine", "observations": []}
WORKS = {"from": "Ada", "to": "Engine", "relationType": "works on"}


async def ask(client: Client, name: str, **arguments: Any) -> Any:
    result = await client.call_tool(name, arguments)
    assert not result.is_error, result.content
    return result.structured_content


async def refused(client: Client, name: str, **arguments: Any) -> Any:
    result = await client.call_tool(name, arguments)
    assert result.is_error
    return result.structured_content


async def test_what_is_said_is_read_back_in_the_order_in_which_it_was_said(serve: Served) -> None:
    made = await serve()
    async with made.near("knowledge-graph") as client:
        assert await ask(client, "create_entities", entities=[ADA, ENGINE]) == {
            "entities": [ADA, ENGINE]
        }
        assert await ask(client, "create_relations", relations=[WORKS]) == {"relations": [WORKS]}
        said = [{"entityName": "Ada", "contents": ["was a countess", "died young"]}]
        assert await ask(client, "add_observations", observations=said) == {
            "results": [{"entityName": "Ada", "addedObservations": ["died young"]}]
        }
        whole = {**ADA, "observations": [*ADA["observations"], "died young"]}
        assert await ask(client, "read_graph") == {
            "entities": [whole, ENGINE],
            "relations": [WORKS],
        }


async def test_what_is_there_is_not_made_again(serve: Served) -> None:
    made = await serve()
    async with made.near("knowledge-graph") as client:
        await ask(client, "create_entities", entities=[ADA, ENGINE])
        await ask(client, "create_relations", relations=[WORKS])
        other = {**ADA, "observations": ["another"]}
        assert await ask(client, "create_entities", entities=[other, other]) == {"entities": []}
        assert await ask(client, "create_relations", relations=[WORKS, WORKS]) == {"relations": []}
        assert (await ask(client, "read_graph"))["entities"] == [ADA, ENGINE]


async def test_a_relation_needs_both_its_ends(serve: Served) -> None:
    made = await serve()
    async with made.near("knowledge-graph") as client:
        await ask(client, "create_entities", entities=[ADA])
        told = await refused(client, "create_relations", relations=[WORKS])
        assert told["error"] == "entity_not_found"
        assert told["detail"] == "Entity with name Engine not found"
        said = [{"entityName": "Engine", "contents": ["x"]}]
        assert (await refused(client, "add_observations", observations=said))["detail"] == (
            "Entity with name Engine not found"
        )
        assert await ask(client, "read_graph") == {"entities": [ADA], "relations": []}


async def test_nodes_are_found_by_any_text_and_come_with_their_relations(serve: Served) -> None:
    made = await serve()
    async with made.near("knowledge-graph") as client:
        await ask(client, "create_entities", entities=[ADA, ENGINE])
        await ask(client, "create_relations", relations=[WORKS])
        for query in ("WROTE", "ada", "pers"):
            assert await ask(client, "search_nodes", query=query) == {
                "entities": [ADA],
                "relations": [WORKS],
            }
        assert await ask(client, "open_nodes", names=["Engine", "Nobody"]) == {
            "entities": [ENGINE],
            "relations": [WORKS],
        }
        assert await ask(client, "search_nodes", query="nowhere") == {
            "entities": [],
            "relations": [],
        }


async def test_what_is_deleted_takes_what_hangs_on_it_along(serve: Served) -> None:
    made = await serve()
    async with made.near("knowledge-graph") as client:
        await ask(client, "create_entities", entities=[ADA, ENGINE])
        await ask(client, "create_relations", relations=[WORKS])
        told = await ask(client, "delete_entities", entityNames=["Ada", "Nobody"])
        assert told == {
            "success": True,
            "message": "Deleted 1 of 2 entities. Not found: Nobody",
        }
        assert await ask(client, "read_graph") == {"entities": [ENGINE], "relations": []}
        await ask(client, "create_entities", entities=[{**ADA, "observations": ["new"]}])
        graph = await ask(client, "open_nodes", names=["Ada"])
        assert graph == {"entities": [{**ADA, "observations": ["new"]}], "relations": []}


async def test_single_observations_and_relations_are_taken_back(serve: Served) -> None:
    made = await serve()
    async with made.near("knowledge-graph") as client:
        await ask(client, "create_entities", entities=[ADA, ENGINE])
        await ask(client, "create_relations", relations=[WORKS])
        gone = [{"entityName": "Ada", "observations": ["wrote notes"]}]
        assert (await ask(client, "delete_observations", deletions=gone))["message"] == (
            "Observations deleted successfully"
        )
        more = [*gone, {"entityName": "Nobody", "observations": ["x"]}]
        assert (await ask(client, "delete_observations", deletions=more))["message"] == (
            "Deleted 0 of 2 observations. Entities not found: Nobody"
        )
        assert (await ask(client, "delete_relations", relations=[WORKS]))["message"] == (
            "Relations deleted successfully"
        )
        assert (await ask(client, "delete_relations", relations=[WORKS]))["message"] == (
            "Deleted 0 of 1 relations. The rest matched nothing."
        )
        left = {**ADA, "observations": ["was a countess"]}
        assert await ask(client, "read_graph") == {"entities": [left, ENGINE], "relations": []}


async def test_hostile_and_empty_texts_are_kept_as_they_are(serve: Served) -> None:
    odd = ["", "\u202eright to left", "a\nb", "' OR 1=1 --", "{{7*7}}", "zero\u200bwidth"]
    name = "n" * 700 + ",; \u0130"
    made = await serve()
    async with made.near("knowledge-graph") as client:
        entity = {"name": name, "entityType": "", "observations": odd}
        await ask(client, "create_entities", entities=[entity])
        assert (await ask(client, "open_nodes", names=[name]))["entities"] == [entity]


async def test_the_graph_is_a_resource_too(serve: Served) -> None:
    made = await serve()
    async with made.near("knowledge-graph") as client:
        await ask(client, "create_entities", entities=[ENGINE])
        (listed,) = (await client.list_resources()).resources
        assert str(listed.uri) == "memory://knowledge-graph"
        (read,) = (await client.read_resource(str(listed.uri))).contents
        assert '"Engine"' in read.text  # type: ignore[union-attr]  # a text, as listed


async def test_additions_of_several_agents_at_once_are_all_kept(serve: Served) -> None:
    made = await serve()
    first, second = Graph(made.api("ai:a")), Graph(made.api("ai:b"))
    await first.create_entities([Entity("Ada", "person")])
    await asyncio.gather(
        first.add_observations([("Ada", ["one", "both"])]),
        second.add_observations([("Ada", ["two", "both"])]),
    )
    (entity,) = (await first.read()).entities
    assert sorted(entity.observations) == ["both", "one", "two"]


async def test_more_than_a_page_is_read_whole(serve: Served) -> None:
    made = await serve()
    graph = Graph(made.api())
    names = [f"e{number:04}" for number in range(1100)]
    assert len(await graph.create_entities([Entity(name, "thing") for name in names])) == 1100
    await graph.create_relations([Relation(names[0], name, "knows") for name in names[1:5]])
    found = await graph.read()
    assert [entity.name for entity in found.entities] == names
    assert len(found.relations) == 4


async def test_a_memory_that_is_no_part_of_the_graph_does_not_disturb_it(serve: Served) -> None:
    made = await serve()
    await made.world.store("loose", namespace="knowledge-graph", tags=["graph"])
    assert (await Graph(made.api()).read()).entities == []


async def test_what_the_node_refuses_is_not_said_to_be_done(serve: Served) -> None:
    made = await serve()
    async with made.near("knowledge-graph") as client:
        bad = {"name": "a\0b", "entityType": "t", "observations": []}
        told = await refused(client, "create_entities", entities=[bad])
        assert told["retryable"] is False
        assert (await ask(client, "read_graph"))["entities"] == []
