"""One story in which every tool of the full profile is used on a real node."""

from typing import Any

import pytest
from mcp import Client

from node.mcp.profiles import tools_of
from tests.integration.rig import RealNode
from tests.integration.test_mcp_clients import over_http

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

RULES = {"write": "approve", "promote": "any", "delete": "any", "approver": {"agent": "ai:b"}}


@pytest.fixture
def node(keyed: RealNode) -> RealNode:
    return keyed


class Teller:
    """Calls tools and remembers which."""

    def __init__(self, client: Client, used: set[str]) -> None:
        self._client = client
        self.used = used

    async def __call__(self, name: str, **arguments: Any) -> Any:
        self.used.add(name)
        result = await self._client.call_tool(name, arguments)
        assert not result.is_error, (name, result.content)
        return result.structured_content

    async def refused(self, name: str, **arguments: Any) -> Any:
        self.used.add(name)
        result = await self._client.call_tool(name, arguments)
        assert result.is_error, (name, result.content)
        return result.structured_content


async def memories(ask: Teller) -> tuple[str, str]:
    """Store, find, read and change; gives the ids of two memories."""
    first = (
        await ask(
            "memory_store",
            title="Harbour",
            content="The ferry leaves at nine.",
            namespace="town",
            tags=["ferry"],
            metadata={"family": "core", "topic": "ferry"},
        )
    )["id"]
    second = (
        await ask(
            "memory_store",
            title="Harbour, new",
            content="The ferry leaves at ten.",
            namespace="town",
            metadata={"topic": "ferry"},
            memory_kind="claim",
        )
    )["id"]
    recalled = await ask(
        "memory_recall", context="When does the ferry leave?", namespace="town", tags=["ferry"]
    )
    assert [one["id"] for one in recalled["memories"]] == [first]
    found = await ask("memory_search", query="ferry leaves", namespace="town", limit=5)
    assert {one["id"] for one in found["results"]} == {first, second}
    assert (await ask("memory_list", namespace="town"))["count"] == 2
    assert (await ask("memory_get", id=first))["memory"]["title"] == "Harbour"
    assert (await ask("memory_load_family", family="core"))["count"] == 1
    assert (await ask("memory_smart_load", intent="ferry", k=2))["count"] == 2
    assert (await ask("memory_capabilities"))["features"]["mcp"] is True
    await ask("memory_update", id=first, priority=8)
    assert (await ask("memory_history", id=first))["count"] >= 2
    assert (await ask("memory_conflicts", id=first))["fields"] == {}
    await ask("memory_promote", id=first)
    return first, second


async def links(ask: Teller, first: str, second: str) -> None:
    key = {"source_id": second, "target_id": first, "relation": "supersedes"}
    await ask("memory_link", **key)
    assert len((await ask("memory_get_links", id=first))["links"]) == 1
    walked = await ask("memory_kg_query", source_id=second, max_depth=2)
    assert [one["target_id"] for one in walked["edges"]] == [first]
    assert (await ask("memory_kg_timeline", source_id=second))["count"] == 1
    assert (await ask("memory_kg_invalidate", **key))["found"] is True
    await ask("memory_unlink", **key)
    said = await ask("memory_detect_contradiction", id_a=first, id_b=second)
    assert (said["contradicts"], said["basis"]) == (True, "topic")
    told = await ask(
        "memory_entity_register", canonical_name="Ada", namespace="town", aliases=["A"]
    )
    by_alias = await ask("memory_entity_get_by_alias", alias="A", namespace="town")
    assert by_alias["entity_id"] == told["entity_id"]
    tree = await ask("memory_get_taxonomy", namespace_prefix="town", depth=1)
    assert tree["namespace"] == "town"
    assert (await ask("memory_lineage", id=first))["count"] == 0


async def comparing(ask: Teller, first: str, second: str) -> None:
    near = await ask(
        "memory_check_duplicate", content="The ferry leaves at nine.", namespace="town"
    )
    assert near["matches"][0]["id"] == first
    made = await ask(
        "memory_consolidate",
        ids=[first, second],
        title="Ferry",
        summary="It left at nine and leaves at ten.",
        namespace="town",
    )
    assert made["consolidated"] == 2
    for name, given in (
        ("memory_auto_tag", {"id": made["id"]}),
        ("memory_expand_query", {"query": "ferry"}),
    ):
        assert (await ask.refused(name, **given))["error"] == "llm_not_configured"
    assert (await ask("memory_archive_list"))["count"] == 2
    assert (await ask("memory_archive_stats"))["total"] == 2
    await ask("memory_archive_restore", id=first)
    await ask("memory_archive", ids=[first], reason="again")
    purge = await ask.refused("memory_archive_purge", namespace="town")
    assert purge["argument"] == "namespace"


async def documents(ask: Teller) -> None:
    made = await ask("memory_store", title="d", content="One and two.", memory_kind="document")
    read = await ask("memory_document_get", id=made["id"])
    assert read["value"] == {"text": "One and two."}
    told = await ask(
        "memory_document_edit",
        id=made["id"],
        replace=[{"old": "two", "new": "three"}],
        append=" Done.",
        ops=[{"op": "put", "path": ["steps"], "value": []}],
        message="counted again",
    )
    refused = await ask.refused(
        "memory_document_edit", id=made["id"], ops=[{"op": "increment", "path": ["steps"]}]
    )
    assert (refused["error"], refused["index"]) == ("bad_edit", 0)
    now = await ask("memory_document_get", id=made["id"])
    assert now["value"] == {"steps": [], "text": "One and three. Done."}
    past = await ask("memory_document_get", id=made["id"], heads=read["heads"])
    assert past["value"] == read["value"]
    (last,) = (await ask("memory_document_history", id=made["id"], limit=1))["history"]
    assert (last["hash"], last["message"]) == (told["change"], "counted again")


async def others(ask: Teller) -> None:
    hidden = (await ask("memory_store", title="s", content="c", scope="private"))["id"]
    await ask("memory_grant", id=hidden, agent_id="ai:b")
    await ask("memory_revoke", id=hidden, agent_id="ai:b")
    assert (await ask("memory_session_start", namespace="town"))["session_id"]
    assert (await ask("memory_stats"))["total"] >= 1
    assert (await ask("memory_quota_status"))["agent_id"] == "ai:a"
    await ask("memory_agent_register", agent_id="ai:a", agent_type="ai:tester")
    assert (await ask("memory_agent_list"))["count"] >= 1
    sent = {"target_agent_id": "ai:a", "title": "t", "payload": "p", "priority": 7}
    await ask("memory_notify", **sent)
    inbox = await ask("memory_inbox", unread_only=True)
    assert [one["body"] for one in inbox["messages"]] == ["p"]
    await ask("memory_inbox_read", ids=[inbox["messages"][0]["id"]])
    assert (await ask("memory_inbox", unread_only=True))["count"] == 0
    made = await ask(
        "memory_subscribe", url="https://hooks.example/x", events="memory_store", secret="s" * 20
    )
    listed = await ask("memory_list_subscriptions")
    assert [one["id"] for one in listed["subscriptions"]] == [made["id"]]
    await ask("memory_unsubscribe", id=made["id"])
    counted = await ask("memory_forget", pattern="c", namespace="global", dry_run=True)
    assert (await ask("memory_forget", pattern="c", namespace="global"))["deleted"] == (
        counted["deleted"]
    )
    assert (await ask("memory_gc", dry_run=True))["expired_deleted"] == 0


async def governing(ask: Teller, other: Teller) -> None:
    rule = (await ask("memory_store", title="Rule", content="Ask first.", namespace="law"))["id"]
    await other("memory_agent_register", agent_id="ai:b", agent_type="ai:tester")
    await ask("memory_namespace_set_standard", namespace="law", id=rule, governance=RULES)
    shown = await ask("memory_namespace_get_standard", namespace="law", inherit=True)
    assert shown["standards"][0]["id"] == rule
    await ask("memory_namespace_list")
    for decide in ("memory_pending_approve", "memory_pending_reject"):
        held = await ask("memory_store", title=decide, content="c", namespace="law")
        assert held["status"] == "pending"
        assert (await other("memory_pending_list"))["count"] == 1
        await other(decide, id=held["pending_id"])
    await ask("memory_namespace_clear_standard", namespace="law")
    await ask("memory_delete", id=rule)


async def test_every_tool_does_what_it_says(node: RealNode) -> None:
    used: set[str] = set()
    full = "?profile=full"
    async with (
        over_http(node, full, x_agent_id="ai:a") as mine,
        over_http(node, full, x_agent_id="ai:b") as theirs,
    ):
        ask, other = Teller(mine, used), Teller(theirs, used)
        first, second = await memories(ask)
        await links(ask, first, second)
        await comparing(ask, first, second)
        await documents(ask)
        await others(ask)
        await governing(ask, other)
    assert used == set(tools_of("full"))
