"""The tools through the SDK's own client: answers, failures, and what is said about each tool."""

from typing import Any

import pytest
from mcp import Client

from node.mcp.callers import agent_of
from node.mcp.families import family_of
from tests.unit.mcp.conftest import Served


async def call(client: Client, name: str, **arguments: Any) -> Any:
    return await client.call_tool(name, arguments)


async def ask(client: Client, name: str, **arguments: Any) -> Any:
    result = await call(client, name, **arguments)
    assert not result.is_error, result.content
    return result.structured_content


async def refused(client: Client, name: str, **arguments: Any) -> Any:
    result = await call(client, name, **arguments)
    assert result.is_error
    assert result.structured_content["fix"] in result.content[0].text
    return result.structured_content


async def test_a_memory_is_stored_read_changed_listed_and_deleted(serve: Served) -> None:
    made = await serve()
    async with made.near() as client:
        stored = await ask(client, "memory_store", title="A", content="words", tags="x,y")
        assert stored["durability"]["local"] is True
        got = await ask(client, "memory_get", id=stored["id"][:8])
        assert got.keys() == {"memory", "links"}
        assert got["memory"]["tags"] == ["x", "y"]
        assert got["memory"]["metadata"]["agent_id"] == "ai:alice"
        await ask(client, "memory_update", id=stored["id"], content="others", priority="9")
        listed = await ask(client, "memory_list", tags=["x"], min_priority=9)
        assert [one["content"] for one in listed["memories"]] == ["others"]
        assert (await ask(client, "memory_delete", id=stored["id"]))["deleted"] is True
        assert (await ask(client, "memory_list"))["count"] == 0


async def test_the_text_of_an_answer_is_its_json(serve: Served) -> None:
    made = await serve()
    async with made.near() as client:
        result = await call(client, "memory_stats")
        assert '"total": 0' in result.content[0].text
        assert result.structured_content["total"] == 0


async def test_a_missing_memory_is_told_with_a_way_on(serve: Served) -> None:
    made = await serve()
    async with made.near() as client:
        told = await refused(client, "memory_get", id="no-such-id")
        assert (told["error"], told["status"], told["retryable"]) == ("not_found", 404, False)
        assert "memory_recall" in told["fix"]


async def test_a_field_that_the_node_refuses_is_named(serve: Served) -> None:
    made = await serve()
    async with made.near() as client:
        told = await refused(client, "memory_store", title="t", content="c", namespace="a//b")
        assert (told["error"], told["argument"]) == ("invalid_field", "namespace")


async def test_a_wrong_argument_is_named_before_anything_is_sent(serve: Served) -> None:
    made = await serve()
    async with made.near() as client:
        told = await refused(client, "memory_store", title="t", content="c", priority=11)
        assert (told["error"], told["argument"]) == ("invalid_arguments", "priority")
        assert (await ask(client, "memory_list"))["count"] == 0


async def test_an_unknown_tool_is_told_with_the_nearest_one(serve: Served) -> None:
    made = await serve()
    async with made.near("core") as client:
        assert "memory_store" in (await refused(client, "memory_stor"))["fix"]
        assert "profile" in (await refused(client, "memory_update"))["fix"]


async def test_a_shortfall_says_that_the_memory_is_kept(serve: Served) -> None:
    made = await serve()
    made.world.node.acks = 1
    async with made.near() as client:
        told = await refused(client, "memory_store", title="t", content="c")
        assert told["error"] == "quorum_not_met"
        assert told["retryable"] is False
        assert told["id"]
        assert "Do not store it again" in told["fix"]


async def test_every_tool_says_what_it_does_to_the_memory(serve: Served) -> None:
    made = await serve()
    async with made.near() as client:
        shown = {tool.name: tool for tool in (await client.list_tools()).tools}
    notes = {name: tool.annotations for name, tool in shown.items()}
    assert all(note is not None for note in notes.values())
    reads = {name for name, note in notes.items() if note and note.read_only_hint}
    destroys = {name for name, note in notes.items() if note and note.destructive_hint}
    assert {"memory_get", "memory_list", "memory_recall", "memory_capabilities"} <= reads
    assert {"memory_delete", "memory_forget", "memory_update", "memory_archive_purge"} <= destroys
    assert not reads & destroys
    assert not {"memory_store", "memory_link", "memory_promote"} & destroys
    assert shown["memory_store"].input_schema["required"] == ["title", "content"]
    opens = {name for name, note in notes.items() if note and note.open_world_hint}
    assert opens == {"memory_subscribe"}


async def test_the_families_tell_which_further_tools_there_are(serve: Served) -> None:
    made = await serve()
    async with made.near("core") as client:
        told = await ask(client, "memory_capabilities")
        assert told["schema_version"] == "2"
        assert "memory_kg_query" in told["profiles"]["full"]
        graph = await ask(client, "memory_capabilities", family="graph", include_schema=True)
        named = {tool["name"]: tool["inputSchema"] for tool in graph["tools"]}
        assert named["memory_link"]["required"] == ["source_id", "target_id"]


async def test_a_family_is_loaded_most_important_first(serve: Served) -> None:
    made = await serve()
    for title, priority, family in (("a", 2, "graph"), ("b", 9, "graph"), ("c", 10, "core")):
        await made.world.store(title, priority=priority, metadata={"family": family})
    async with made.near("core") as client:
        told = await ask(client, "memory_load_family", family="graph", k=5)
        assert [one["title"] for one in told["memories"]] == ["b", "a"]
        assert told["looked_at"] == 3
        told = await ask(client, "memory_smart_load", intent="follow the links of an entity", k=2)
        assert told["chosen_family"] == "graph"
        assert [one["title"] for one in told["memories"]] == ["b", "a"]


@pytest.mark.parametrize(
    ("intent", "family"),
    [
        ("approve a pending request", "governance"),
        ("restore what was archived", "archive"),
        ("merge duplicates into a summary", "power"),
        ("xyzzy", None),
    ],
)
def test_an_intent_chooses_the_family_whose_words_it_shares(
    intent: str, family: str | None
) -> None:
    assert family_of(intent) == family


@pytest.mark.parametrize(
    ("program", "agent"),
    [
        ("claude-code", "ai:claude-code"),
        ("Some Client 2.0", "ai:some-client-2.0"),
        ("../../etc", "ai:etc"),
        ("\u202e", "ai:mcp"),
        ("", "ai:mcp"),
        ("x" * 500, "ai:" + "x" * 64),
    ],
)
def test_a_program_that_names_nobody_keeps_one_name(program: str, agent: str) -> None:
    assert agent_of(program) == agent


def test_a_program_that_shall_have_no_name_has_none() -> None:
    assert agent_of("Claude Code", anonymous=True) == ""
