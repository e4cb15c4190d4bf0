"""Rows under governance: what a peer may and may not do to a mesh that has rules of its own."""

from typing import Any

import pytest

from crdt.dot import parse_dot
from node.contracts import Caller, Held
from node.foreign.exchange import Foreign
from node.foreign.extras import extras
from node.foreign.here import Here
from node.foreign.memory import BriefMemory
from node.foreign.sight import Sight
from node.foreign.writing import Sender
from node.memory.memories import Ask
from node.metrics import Metrics
from tests.unit.governing.rig import ADMIN, Governed, asked
from tests.unit.http.fake_node import FakeMesh

PEER = Sender(key="ab" * 32, name="peer-x")
ROW = {"id": "m1", "title": "one", "content": "text", "namespace": "held", "tier": "long"}
PENDING = {
    "id": "theirs:1",
    "action_type": "store",
    "memory_id": "m2",
    "namespace": "held",
    "requested_by": "ai:zoe",
    "payload": {"title": "wanted", "content": "text", "tier": "long"},
    "status": "pending",
}


class World:
    """A governed node that a peer pushes to."""

    def __init__(self) -> None:
        self.governed = governed = Governed()
        sight = Sight(governed.node.replica.read, lambda: governed.node.replica)
        self.here = Here(
            memories=governed.memories,
            governing=governed,
            standards=governed.standards,
            pendings=governed.actions,
            sight=sight,
            memory=BriefMemory(),
            bound=lambda agent: agent == "human:bound",
            now_ms=lambda: governed.node.now_ms,
        )
        self.foreign = Foreign(
            here=self.here,
            mesh=FakeMesh(),
            is_own=lambda _fingerprint: False,
            items_max=1000,
            metrics=Metrics(),
        )

    async def rules(self, space: str, **governance: Any) -> None:
        await self.governed.policy(space, ADMIN, **governance)

    async def push(self, **items: Any) -> list[dict[str, Any]]:
        report = await self.foreign.intake.take(PEER, items)
        return [one.shown() for one in report.results]

    def get(self, ident: str) -> Held | None:
        return self.governed.get("memory", ident)

    async def vote(self, ident: str, *, yes: bool) -> None:
        ask = Ask(caller=Caller(agent="human:bob", local=True), body={})
        await self.governed.actions.decide(ident, ask, yes=yes)


@pytest.fixture
async def world() -> World:
    made = World()
    await made.governed.register("human:bob")
    return made


async def test_deny_refuses_rows_and_deletions(world: World) -> None:
    assert (await world.push(memories=[ROW]))[0]["status"] == "applied"
    await world.rules("held", write="deny", delete="deny")
    changed = {**ROW, "title": "two"}
    results = await world.push(memories=[changed, {**ROW, "id": "m9"}], deletions=["m1"])
    assert [one["status"] for one in results] == ["refused"] * 3
    assert "denied" in results[0]["error"]
    held = world.get("m1")
    assert held is not None
    assert held.view.values["title"] == "one"
    report = await world.foreign.intake.take(PEER, {"memories": [changed]}, dry_run=True)
    assert report.results[0].status == "refused"


async def test_a_row_may_wait_for_approval_and_is_a_duplicate_meanwhile(world: World) -> None:
    await world.rules("held", write="approve")
    (result,) = await world.push(memories=[ROW])
    assert result["status"] == "applied"
    assert parse_dot(result["pending_id"])
    assert world.get("m1") is None
    assert [one["status"] for one in await world.push(memories=[ROW])] == ["duplicate"]
    assert len(world.governed.pendings()) == 1
    await world.vote(result["pending_id"], yes=True)
    assert world.get("m1") is not None
    assert [one["status"] for one in await world.push(memories=[ROW])] == ["duplicate"]


async def test_a_peer_sets_no_rules_unless_this_mesh_lets_it(world: World) -> None:
    meta = {"namespace": "team", "governance": {"write": "deny"}, "standard_id": None}
    (result,) = await world.push(namespace_meta=[meta])
    assert result["status"] == "refused"
    assert "governance_denied" in result["error"]
    assert "team" not in world.governed.state().policies
    await world.governed.agents.give_role("ops", asked(ADMIN), {"role": "system-admin"})
    await world.governed.agents.give_role("peer-x", asked("ops"), {"role": "system-admin"})
    (result,) = await world.push(namespace_meta=[meta])
    assert result["status"] == "applied", result
    assert [one["status"] for one in await world.push(namespace_meta=[meta])] == ["duplicate"]
    # What this mesh has changed since is not written over, and not cleared.
    await world.rules("team", write="owner")
    laxer = {**meta, "governance": {"write": "any"}}
    (result,) = await world.push(namespace_meta=[laxer])
    assert (result["status"], result["error"].partition(":")[0]) == ("refused", "changed_here")
    (result,) = await world.push(namespace_meta_clears=["team"])
    assert result["status"] == "duplicate"
    assert world.governed.state().policies["team"][0].rules["write"] == "owner"


async def test_a_held_action_is_taken_only_where_it_is_held_here_too(world: World) -> None:
    (result,) = await world.push(pendings=[PENDING])
    assert (result["status"], result["error"].partition(":")[0]) == ("refused", "not_held_here")
    assert world.get("m2") is None
    await world.rules("held", write="approve")
    (result,) = await world.push(pendings=[PENDING])
    assert result["status"] == "applied"
    again = await world.push(pendings=[PENDING, {**PENDING, "id": "theirs:2"}])
    assert [one["status"] for one in again] == ["duplicate", "duplicate"]
    assert len(world.governed.pendings()) == 1
    assert extras(world.here, PEER.key)["pendings"] == []
    assert len(extras(world.here, "somebody else")["pendings"]) == 1


async def test_nothing_that_a_peer_brought_is_approved_on_its_word(world: World) -> None:
    await world.rules("held", write="approve")
    await world.push(pendings=[PENDING])
    yes = {"id": "theirs:1", "approved": True, "decider": "human:bob"}
    (result,) = await world.push(pending_decisions=[yes])
    assert (result["status"], result["error"].partition(":")[0]) == ("refused", "self_approval")
    assert world.get("m2") is None
    (result,) = await world.push(pending_decisions=[{**yes, "approved": False}])
    assert result["status"] == "applied"
    (pending,) = world.governed.pendings().values()
    assert pending.rejected()


async def test_a_vote_about_our_own_action_counts_by_our_rules(world: World) -> None:
    await world.rules("held", write="approve")
    body = {"title": "ours", "content": "c", "namespace": "held", "id": "m3"}
    ask = Ask(caller=Caller(agent="ai:alice", local=True), body=body)
    await world.governed.memories.create(ask)
    ((dot, _),) = world.governed.pendings().items()
    ident = extras(world.here, PEER.key)["pendings"][0]["id"]
    assert parse_dot(ident) == dot
    for decider, error in (
        ("human:bound", "agent_signature_missing"),
        ("ai:alice", "self_approval"),
        ("human:nobody", "agent_not_registered"),
    ):
        vote = {"id": ident, "approved": True, "decider": decider}
        (result,) = await world.push(pending_decisions=[vote])
        assert (result["status"], result["error"].partition(":")[0]) == ("refused", error)
    vote = {"id": ident, "approved": True, "decider": "human:bob"}
    assert [one["status"] for one in await world.push(pending_decisions=[vote])] == ["applied"]
    assert [one["status"] for one in await world.push(pending_decisions=[vote])] == ["duplicate"]
    assert world.get("m3") is not None
    unknown = {"id": "nothing:1", "approved": True, "decider": "human:bob"}
    assert [one["status"] for one in await world.push(pending_decisions=[unknown])] == ["invalid"]
