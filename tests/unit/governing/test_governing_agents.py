"""Registrations, bound keys and roles."""

import base64

import pytest

from node.contracts import Caller, RetryKey
from node.errors import Denied
from node.governing.activity import LastSeen
from node.governing.problems import KeyBoundElsewhere, MalformedKey
from node.memory.memories import Ask
from node.memory.problems import InvalidField, Shortfall
from tests.unit.governing.rig import ADMIN, Governed, asked, at_home, level, mesh
from transport.identity import NodeKey

KEY = NodeKey(bytes(range(32))).public
OTHER = NodeKey(bytes(range(1, 33))).public
SMALL_ORDER = bytes(32)


@pytest.fixture
def node() -> Governed:
    return Governed()


def text(key: bytes) -> str:
    return base64.b64encode(key).decode()


async def test_a_registered_agent_is_shown_without_nulls(node: Governed) -> None:
    await node.register("ai:bob", "ai:claude", capabilities=["search", "search", "write"])
    found = node.agents.page()
    assert len(found) == 1
    assert found[0]["agent_id"] == "ai:bob"
    assert found[0]["agent_type"] == "ai:claude"
    assert found[0]["capabilities"] == ["search", "write"]
    assert found[0]["registered_at"] == found[0]["last_seen_at"]
    assert None not in found[0].values()


async def test_registering_again_keeps_the_first_moment_and_what_is_left_out(
    node: Governed,
) -> None:
    await node.register("bob", "human", capabilities=["x"], public_key=text(KEY))
    first = node.agents.one("bob")
    node.pass_ms(60_000)
    signed = Ask(caller=at_home("bob", attested=True), body={})
    await node.agents.register(signed, {"agent_id": "bob", "agent_type": "system"})
    again = node.agents.one("bob")
    assert again["registered_at"] == first["registered_at"]
    assert again["agent_type"] == "system"
    assert (again["capabilities"], again["public_key"]) == (["x"], text(KEY))
    await node.agents.register(signed, {"agent_id": "bob", "capabilities": []})
    assert node.agents.one("bob")["agent_type"] == "system"
    assert node.agents.one("bob")["capabilities"] == []


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"agent_type": "human"}, "agent_id", "invalid_field"),
        ({"agent_id": "a b", "agent_type": "human"}, "agent_id", "invalid_field"),
        ({"agent_id": "../x", "agent_type": "human"}, "agent_id", "invalid_field"),
        ({"agent_id": "anonymous:x", "agent_type": "human"}, "agent_id", "invalid_field"),
        ({"agent_id": "bob"}, "agent_type", "invalid_field"),
        ({"agent_id": "bob", "agent_type": "robot"}, "agent_type", "invalid_field"),
        ({"agent_id": "bob", "agent_type": "ai:"}, "agent_type", "invalid_field"),
        ({"agent_id": "bob", "agent_type": 3}, "agent_type", "invalid_field"),
        (
            {"agent_id": "bob", "agent_type": "human", "capabilities": "x"},
            "capabilities",
            "invalid_field",
        ),
        (
            {"agent_id": "bob", "agent_type": "human", "capabilities": [""]},
            "capabilities",
            "invalid_field",
        ),
        (
            {"agent_id": "bob", "agent_type": "human", "capabilities": ["x"] * 65},
            "capabilities",
            "invalid_field",
        ),
        (
            {"agent_id": "bob", "agent_type": "human", "public_key": "AAAA"},
            "public_key",
            "malformed_key",
        ),
        (
            {"agent_id": "bob", "agent_type": "human", "public_key": 7},
            "public_key",
            "malformed_key",
        ),
        (
            {"agent_id": "bob", "agent_type": "human", "public_key": SMALL_ORDER.hex()},
            "public_key",
            "malformed_key",
        ),
    ],
)
async def test_bad_input_names_its_field_and_changes_nothing(
    node: Governed, body: dict, field: str, code: str
) -> None:
    before = len(node.node.replica.governance)
    with pytest.raises(InvalidField) as caught:
        await node.agents.register(asked("ann"), body)
    assert (caught.value.field, caught.value.code) == (field, code)
    assert len(node.node.replica.governance) == before


async def test_a_key_is_taken_in_base64_and_in_hex(node: Governed) -> None:
    await node.register("bob", public_key=text(KEY))
    await node.register("eve", public_key=OTHER.hex())
    assert node.agents.one("bob")["public_key"] == text(KEY)
    assert node.agents.one("eve")["public_key"] == text(OTHER)


async def test_one_key_stands_for_one_agent(node: Governed) -> None:
    await node.register("bob", public_key=text(KEY))
    with pytest.raises(KeyBoundElsewhere) as caught:
        await node.register("eve", public_key=KEY.hex())
    assert (caught.value.code, caught.value.http_status) == ("key_bound_elsewhere", 409)
    assert "eve" not in node.state().agents


@pytest.mark.parametrize("change", [{"public_key": text(OTHER)}, {"public_key": None}, {}])
@pytest.mark.parametrize("caller", ["bob", "eve", "anonymous:req-00000001"])
async def test_a_bound_key_is_changed_only_by_its_holder(
    node: Governed, caller: str, change: dict
) -> None:
    await node.register("bob", public_key=text(KEY))
    body = {"agent_id": "bob", "agent_type": "system", **change}
    with pytest.raises(Denied) as caught:
        await node.agents.register(asked(caller), body)
    assert caught.value.http_status == 403
    assert node.agents.one("bob")["public_key"] == text(KEY)
    assert node.agents.one("bob")["agent_type"] == "human"


async def test_the_holder_and_an_administrator_change_a_bound_key(node: Governed) -> None:
    await node.register("bob", public_key=text(KEY))
    signed = Ask(caller=at_home("bob", attested=True), body={})
    await node.agents.register(signed, {"agent_id": "bob", "public_key": text(OTHER)})
    assert node.agents.one("bob")["public_key"] == text(OTHER)
    await node.agents.give_role(ADMIN, asked("ann"), {"role": "system-admin"})
    await node.agents.register(asked(ADMIN), {"agent_id": "bob", "public_key": None})
    assert "public_key" not in node.agents.one("bob")
    await node.register("eve", public_key=text(OTHER))


async def test_a_retry_registers_once(node: Governed) -> None:
    retry = RetryKey(agent="ann", key="k", body=bytes(32))
    ask = Ask(caller=at_home("ann"), body={}, retry=retry)
    body = {"agent_id": "bob", "agent_type": "human"}
    assert await node.agents.register(ask, body) == await node.agents.register(ask, body)


async def test_a_shortfall_names_the_agent(node: Governed) -> None:
    node.acks = 1
    with pytest.raises(Shortfall) as caught:
        await node.register("bob")
    assert caught.value.facts == {"agent_id": "bob"}


async def test_an_agent_is_known_on_every_node() -> None:
    a, b = mesh("a", "b")
    await a.register("bob", capabilities=["x"])
    level([a, b])
    assert b.agents.page() == a.agents.page()


# --- activity -------------------------------------------------------------------------------


async def test_an_agent_was_last_seen_when_it_was_active_here(node: Governed) -> None:
    await node.register("bob")
    later = node.node.now_ms + 5_000
    node.seen.touch("bob", later)
    assert node.agents.one("bob")["last_seen_at"] > node.agents.one("bob")["registered_at"]


def test_the_agent_that_was_silent_longest_is_forgotten_first() -> None:
    seen = LastSeen(entries_max=2)
    for at, agent in enumerate(["a", "b", "a", "c"], start=1):
        seen.touch(agent, at)
    assert [seen.of(agent) for agent in "abc"] == [3, 0, 4]


# --- roles ----------------------------------------------------------------------------------


async def test_a_role_is_given_shown_and_taken_away(node: Governed) -> None:
    await node.register("bob")
    role = {"role": "team-admin", "namespaces": ["team", "team"]}
    given = await node.agents.give_role("bob", asked("ann"), role)
    assert given.agent["role"] == "team-admin"
    assert given.agent["namespaces"] == ["team"]
    assert node.agents.roles() == [
        {"agent_id": "bob", "role": "team-admin", "namespaces": ["team"]}
    ]
    for nothing in (None, ""):
        await node.agents.give_role("bob", asked("ann"), {"role": nothing})
        assert "role" not in node.agents.one("bob")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "role"),
        ({"role": "king"}, "role"),
        ({"role": 3}, "role"),
        ({"role": "team-admin"}, "namespaces"),
        ({"role": "team-admin", "namespaces": "team"}, "namespaces"),
        ({"role": "team-admin", "namespaces": ["a//b"]}, "namespaces[0]"),
        ({"role": "team-admin", "namespaces": ["n"] * 65}, "namespaces"),
    ],
)
async def test_a_bad_role_names_its_field(node: Governed, body: dict, field: str) -> None:
    with pytest.raises(InvalidField) as caught:
        await node.agents.give_role("bob", asked("ann"), body)
    assert caught.value.field == field
    assert node.state().roles == {}


async def test_from_the_first_administrator_on_only_administrators_give_roles(
    node: Governed,
) -> None:
    afar = Ask(caller=Caller(agent="ann", local=False), body={})
    with pytest.raises(Denied):
        await node.agents.give_role("ann", afar, {"role": "system-admin"})
    await node.agents.give_role(ADMIN, asked("ann"), {"role": "system-admin"})
    with pytest.raises(Denied) as caught:
        await node.agents.give_role("ann", asked("ann"), {"role": "system-admin"})
    assert caught.value.code == "governance_denied"
    far_admin = Ask(caller=Caller(agent=ADMIN, local=False), body={})
    await node.agents.give_role("ann", far_admin, {"role": "agent-writer"})


async def test_the_last_administrator_stays(node: Governed) -> None:
    await node.agents.give_role(ADMIN, asked("ann"), {"role": "system-admin"})
    with pytest.raises(Denied) as caught:
        await node.agents.give_role(ADMIN, asked(ADMIN), {"role": ""})
    assert caught.value.code == "last_administrator"
    await node.agents.give_role("two", asked(ADMIN), {"role": "system-admin"})
    await node.agents.give_role(ADMIN, asked(ADMIN), {"role": ""})
    assert node.state().admins == {"two"}


async def test_malformed_keys_are_told_apart_from_bad_fields(node: Governed) -> None:
    with pytest.raises(MalformedKey, match="prime-order"):
        await node.register("bob", public_key=SMALL_ORDER.hex())
