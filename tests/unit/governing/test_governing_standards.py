"""Standards of namespaces: who may set them, what they show, and how they end."""

import pytest

from node.contracts import Caller, RetryKey
from node.errors import Denied
from node.memory.memories import Ask
from node.memory.problems import InvalidField, NotFound, Shortfall
from tests.unit.governing.rig import ADMIN, Governed, asked, at_home, level, mesh

APPROVE = {"write": "approve"}


@pytest.fixture
def node() -> Governed:
    return Governed()


def shown(node: Governed, space: str, *, inherit: bool = False, agent: str = "ann") -> list[dict]:
    return node.standards.of(space, at_home(agent), inherit=inherit).standards


async def named_admin(node: Governed) -> None:
    await node.agents.give_role(ADMIN, asked("ann"), {"role": "system-admin"})


async def test_a_standard_is_shown_as_it_was_set(node: Governed) -> None:
    memory = await node.store(agent="ann", title="House rules", content="Be brief")
    changed = await node.standards.set(
        "team/x", asked("ann"), {"governance": {"write": "deny"}, "id": memory, "owner": "bob"}
    )
    assert changed.receipt is not None
    found = shown(node, "team/x")
    assert found == [changed.standard]
    assert found[0]["governance"]["write"] == "deny"
    assert found[0]["governance"]["delete"] == "owner"
    assert (found[0]["id"], found[0]["title"]) == (memory, "House rules")
    assert (found[0]["content"], found[0]["owner"]) == ("Be brief", "bob")
    assert (found[0]["author"], found[0]["parent"]) == ("ann", "team")


async def test_the_chain_runs_from_the_root_down(node: Governed) -> None:
    for space in ("*", "team", "team/x"):
        await node.standards.set(space, asked("ann"), {"governance": {"write": "any"}})
    of = node.standards.of("team/x/deep", at_home("ann"), inherit=True)
    assert of.chain == ["*", "team", "team/x", "team/x/deep"]
    assert [one["namespace"] for one in of.standards] == ["*", "team", "team/x"]
    assert shown(node, "team/x/deep") == []


async def test_what_a_request_leaves_out_stays(node: Governed) -> None:
    memory = await node.store(agent="ann")
    await node.standards.set(
        "team", asked("ann"), {"governance": {"write": "deny"}, "parent": "other", "owner": "bob"}
    )
    await node.standards.set("team", asked("ann"), {"id": memory})
    found = shown(node, "team")[0]
    assert found["governance"]["write"] == "deny"
    assert (found["parent"], found["owner"], found["id"]) == ("other", "bob", memory)
    await node.standards.set("team", asked("ann"), {"owner": None, "parent": "", "id": None})
    found = shown(node, "team")[0]
    assert "owner" not in found
    assert (found["parent"], found["id"]) == ("*", "")


async def test_a_value_may_stand_inside_a_standard(node: Governed) -> None:
    await node.standards.set("team", asked("ann"), {"standard": {"governance": {"write": "deny"}}})
    assert shown(node, "team")[0]["governance"]["write"] == "deny"


async def test_a_standard_may_be_a_memory_alone_and_then_asks_above(node: Governed) -> None:
    memory = await node.store(agent="ann")
    await node.policy("*", write="deny")
    await node.standards.set("team", asked("ann"), {"id": memory})
    assert shown(node, "team")[0]["governance"] == {"inherit": True}
    with pytest.raises(Denied):
        await node.store(space="team")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "governance"),
        ({"governance": 3}, "governance"),
        ({"standard": 3}, "standard"),
        ({"governance": APPROVE, "parent": 3}, "parent"),
        ({"governance": APPROVE, "parent": "a//b"}, "parent"),
        ({"governance": APPROVE, "parent": "team"}, "parent"),
        ({"governance": APPROVE, "owner": "a b"}, "owner"),
        ({"governance": APPROVE, "id": 3}, "id"),
        ({"governance": {"write": "perhaps"}}, "governance.write"),
    ],
)
async def test_bad_input_names_its_field_and_changes_nothing(
    node: Governed, body: dict, field: str
) -> None:
    before = len(node.node.replica.governance)
    with pytest.raises(InvalidField) as caught:
        await node.standards.set("team", asked("ann"), body)
    assert caught.value.field == field
    assert len(node.node.replica.governance) == before


async def test_a_memory_that_cannot_be_seen_explains_nothing(node: Governed) -> None:
    secret = await node.store(agent="bob", scope="private")
    with pytest.raises(NotFound):
        await node.standards.set("team", asked("ann"), {"id": secret})
    await node.standards.set("team", asked("bob"), {"id": secret})
    assert shown(node, "team", agent="ann")[0]["title"] == ""
    assert shown(node, "team", agent="bob")[0]["title"] == "t"


async def test_clearing_asks_above_and_is_told_when_there_is_nothing(node: Governed) -> None:
    nothing = await node.standards.clear("team", asked("ann"))
    assert nothing.receipt is None
    await node.policy("team", write="deny")
    cleared = await node.standards.clear("team", asked("ann"))
    assert cleared.receipt is not None
    assert shown(node, "team") == []
    await node.store(space="team")
    again = await node.standards.clear("team", asked("ann"))
    assert again.receipt is None


async def test_a_retry_gets_the_answer_of_the_first(node: Governed) -> None:
    retry = RetryKey(agent="ann", key="k", body=bytes(32))
    ask = Ask(caller=at_home("ann"), body={}, retry=retry)
    first = await node.standards.set("team", ask, {"governance": {"write": "deny"}})
    size = len(node.node.replica.governance)
    again = await node.standards.set("team", ask, {"governance": {"write": "deny"}})
    assert again == first
    assert len(node.node.replica.governance) == size
    clear = Ask(caller=at_home("ann"), body={}, retry=RetryKey(agent="ann", key="c", body=b""))
    assert (await node.standards.clear("team", clear)).receipt is not None
    assert (await node.standards.clear("team", clear)).receipt is not None


async def test_a_shortfall_names_the_namespace(node: Governed) -> None:
    node.acks = 1
    with pytest.raises(Shortfall) as caught:
        await node.policy("team", write="deny")
    assert caught.value.facts == {"namespace": "team"}
    assert shown(node, "team"), "the change stands and spreads"


# --- who may ------------------------------------------------------------------------------


async def test_while_nobody_is_named_only_the_machine_itself_governs(node: Governed) -> None:
    afar = Ask(caller=Caller(agent="ann", local=False), body={})
    with pytest.raises(Denied) as caught:
        await node.standards.set("team", afar, {"governance": APPROVE})
    assert (caught.value.code, caught.value.http_status) == ("governance_denied", 403)
    assert node.refused == [("governance_denied", "ann")]
    await node.policy("team", agent="ann", write="approve")


async def test_only_author_owner_and_administrators_replace_or_clear(node: Governed) -> None:
    await node.standards.set("team", asked("ann"), {"governance": APPROVE, "owner": "olga"})
    with pytest.raises(Denied):
        await node.policy("team", agent="bob", write="any")
    with pytest.raises(Denied):
        await node.standards.clear("team", asked("bob"))
    await node.policy("team", agent="olga", write="deny")
    await named_admin(node)
    with pytest.raises(Denied):
        await node.policy("team", agent="bob", write="any")
    await node.policy("team", agent=ADMIN, write="any")


async def test_a_keeper_governs_below_its_namespace_and_not_beside_it(node: Governed) -> None:
    await node.policy("team", agent="ann", write="any")
    await named_admin(node)
    await node.policy("team/x", agent="ann", write="deny")
    with pytest.raises(Denied):
        await node.policy("other", agent="ann", write="deny")


async def test_a_team_administrator_governs_its_namespaces(node: Governed) -> None:
    await named_admin(node)
    role = {"role": "team-admin", "namespaces": ["team"]}
    await node.agents.give_role("tina", asked(ADMIN), role)
    await node.policy("team/x", agent="tina", write="deny")
    with pytest.raises(Denied):
        await node.policy("other", agent="tina", write="deny")


# --- several nodes --------------------------------------------------------------------------


async def test_concurrent_versions_are_all_shown_until_one_settles_them() -> None:
    a, b = mesh("a", "b")
    await a.policy("team", agent="ann", write="deny")
    await b.policy("team", agent="ann", write="registered")
    level([a, b])
    for node in (a, b):
        found = shown(node, "team")
        assert {one["governance"]["write"] for one in found} == {"deny", "registered"}
        assert {
            one["namespace"]: one["standards"] for one in node.standards.spaces({}, at_home("ann"))
        } == {"team": 2}
        with pytest.raises(InvalidField) as caught:
            await node.standards.set("team", asked("ann"), {"owner": "olga"})
        assert caught.value.field == "governance"
    await b.policy("team", agent="ann", write="any")
    level([a, b])
    assert [one["governance"]["write"] for one in shown(a, "team")] == ["any"]


async def test_namespaces_are_listed_with_and_without_memories(node: Governed) -> None:
    await node.policy("empty", write="deny")
    await node.policy("gone", write="deny")
    await node.standards.clear("gone", asked("ann"))
    assert node.standards.spaces({"global": 3}, at_home("ann", namespaces=("global/x",))) == []
    assert node.standards.spaces({"global": 3}, at_home("ann")) == [
        {"namespace": "empty", "count": 0, "standards": 1, "ruled_by": "empty"},
        {"namespace": "global", "count": 3, "standards": 0, "ruled_by": None},
    ]


async def test_a_list_says_which_level_rules(node: Governed) -> None:
    await node.policy("team", write="deny")
    await node.standards.set("team/x", asked("ann"), {"owner": "olga"})
    await node.standards.set(
        "own", asked("ann"), {"governance": {"inherit": True}, "parent": "team/x"}
    )
    spaces = node.standards.spaces({"team/x/y": 1, "else": 1}, at_home("ann"))
    rulers = {one["namespace"]: one["ruled_by"] for one in spaces}
    assert rulers == {
        "team": "team", "team/x": "team", "team/x/y": "team", "own": "team", "else": None,
    }  # fmt: skip
    await node.policy("*", write="registered")
    spaces = node.standards.spaces({"else": 1}, at_home("ann"))
    assert {one["namespace"]: one["ruled_by"] for one in spaces}["else"] == "*"
