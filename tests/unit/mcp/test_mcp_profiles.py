"""Which tools there are, and that each is a request the node serves."""

import re
from typing import Any

import pytest

from node.http.routes import Router
from node.http.table import TABLE
from node.mcp.api import PREFIX
from node.mcp.profiles import FAMILIES, PROFILES, tools_of
from node.mcp.tool import Route, Tool

# What clients of the published server call, with the arguments that must be there.
PUBLISHED = {
    "memory_store": {"title", "content"},
    "memory_recall": {"context"},
    "memory_search": {"query"},
    "memory_list": set(),
    "memory_load_family": {"family"},
    "memory_smart_load": {"intent"},
    "memory_get_taxonomy": set(),
    "memory_entity_register": {"canonical_name", "namespace"},
    "memory_entity_get_by_alias": {"alias"},
    "memory_kg_timeline": {"source_id"},
    "memory_kg_invalidate": {"source_id", "target_id", "relation"},
    "memory_kg_query": {"source_id"},
    "memory_delete": {"id"},
    "memory_promote": {"id"},
    "memory_forget": set(),
    "memory_stats": set(),
    "memory_update": {"id"},
    "memory_get": {"id"},
    "memory_link": {"source_id", "target_id"},
    "memory_get_links": {"id"},
    "memory_consolidate": {"ids", "title"},
    "memory_capabilities": set(),
    "memory_expand_query": {"query"},
    "memory_auto_tag": {"id"},
    "memory_archive_list": set(),
    "memory_archive_restore": {"id"},
    "memory_archive_purge": set(),
    "memory_archive_stats": set(),
    "memory_gc": set(),
    "memory_session_start": set(),
    "memory_namespace_set_standard": {"namespace", "id"},
    "memory_namespace_get_standard": {"namespace"},
    "memory_namespace_clear_standard": {"namespace"},
    "memory_pending_list": set(),
    "memory_pending_approve": {"id"},
    "memory_pending_reject": {"id"},
    "memory_agent_register": {"agent_id", "agent_type"},
    "memory_agent_list": set(),
    "memory_notify": {"target_agent_id", "title", "payload"},
    "memory_inbox": set(),
    "memory_subscribe": {"url"},
    "memory_unsubscribe": {"id"},
    "memory_list_subscriptions": set(),
    "memory_quota_status": set(),
}
REFERENCE = {
    "create_entities": {"entities"},
    "create_relations": {"relations"},
    "add_observations": {"observations"},
    "delete_entities": {"entityNames"},
    "delete_observations": {"deletions"},
    "delete_relations": {"relations"},
    "read_graph": set(),
    "search_nodes": {"query"},
    "open_nodes": {"names"},
}
ROUTER = Router(TABLE)


def every_tool() -> list[Tool]:
    return [tool for profile in PROFILES for tool in tools_of(profile).values()]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_full_profile_has_the_published_tools(name: str) -> None:
    tool = tools_of("full")[name]
    assert set(tool.needs) == PUBLISHED[name]


def test_a_contradiction_is_asked_for_with_two_ids() -> None:
    assert {"id_a", "id_b"} <= set(tools_of("full")["memory_detect_contradiction"].takes)


def test_the_core_profile_is_small_and_complete() -> None:
    assert set(tools_of("core")) == {
        "memory_store",
        "memory_recall",
        "memory_search",
        "memory_list",
        "memory_get",
        "memory_load_family",
        "memory_smart_load",
        "memory_capabilities",
    }


def test_the_graph_profile_is_that_of_the_reference_server() -> None:
    assert {name: set(tool.needs) for name, tool in tools_of("knowledge-graph").items()} == (
        REFERENCE
    )


def test_each_tool_is_in_one_family_and_says_what_it_takes() -> None:
    names = [tool.name for tools in FAMILIES.values() for tool in tools]
    assert len(names) == len(set(names))
    for family, tools in FAMILIES.items():
        assert {tool.family for tool in tools} == {family}
    for tool in every_tool():
        assert set(tool.needs) <= set(tool.takes), tool.name
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", tool.name)
        assert len(tool.says) > 15
        for name, piece in tool.takes.items():
            assert "type" in piece, (tool.name, name)


def test_what_only_reads_takes_nothing_away() -> None:
    for tool in every_tool():
        assert not (tool.reads and tool.destroys), tool.name
        if isinstance(tool.run, Route) and tool.run.method in ("PUT", "DELETE"):
            assert not tool.reads, tool.name
        if isinstance(tool.run, Route) and tool.run.method == "GET":
            assert tool.reads, tool.name


@pytest.mark.parametrize(
    "tool", [tool for tool in every_tool() if isinstance(tool.run, Route)], ids=lambda t: t.name
)
def test_each_tool_is_a_route_of_the_node(tool: Tool) -> None:
    assert isinstance(tool.run, Route)
    path = PREFIX + re.sub(r"\{[a-z_]+\}", "some-id", tool.run.path)
    route, _, allowed = ROUTER.find(tool.run.method, path)
    assert route is not None, f"{tool.run.method} {path}: {allowed or 'no such address'}"


class Heard:
    """An `Api` that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any, Any]] = []

    async def request(
        self, method: str, path: str, *, params: Any = None, body: Any = None, **_more: Any
    ) -> dict[str, Any]:
        self.asked.append((method, path, params, body))
        return {"results": [], "memories": [], "count": 0}


async def test_arguments_go_where_the_api_has_them() -> None:
    heard, full = Heard(), tools_of("full")
    await full["memory_search"].run(heard, {"query": "a b", "tags": ["x", "y"], "tier": None})
    await full["memory_get_links"].run(heard, {"id": "a/b c"})
    await full["memory_update"].run(heard, {"id": "m", "expires_at": None})
    await full["memory_unlink"].run(heard, {"source_id": "a", "target_id": "b", "relation": "r"})
    await full["memory_namespace_get_standard"].run(heard, {"namespace": "n", "inherit": True})
    await full["memory_notify"].run(
        heard, {"target_agent_id": "b", "title": "t", "payload": "words"}
    )
    assert heard.asked == [
        ("GET", "/api/v1/search", {"q": "a b", "tags": "x,y"}, None),
        ("GET", "/api/v1/links/a%2Fb%20c", {}, None),
        ("PUT", "/api/v1/memories/m", None, {"expires_at": None}),
        ("DELETE", "/api/v1/links", None, {"source_id": "a", "target_id": "b", "relation": "r"}),
        ("GET", "/api/v1/namespaces", {"namespace": "n", "inherit": "true"}, None),
        (
            "POST",
            "/api/v1/notify",
            None,
            {"target_agent_id": "b", "title": "t", "content": "words"},
        ),
    ]


def test_a_field_of_the_api_is_told_under_the_name_of_its_argument() -> None:
    assert tools_of("full")["memory_search"].arguments_of == {"q": "query"}
