"""What a member that has gone bad mints against governance: refused by all, and told by none.

Law: the rogue holds real keys of a member and signs well; only what governance says of an
operation stands against it. That it could lie about the names of agents is another matter,
and said in the threat model.
"""

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from crdt import messages as m
from crdt.dot import GOVERNANCE, Dot, dot_text, new_actor, parse_dot
from crdt.hlc import stamp_of
from crdt.op import Kind, Op
from tests.integration.rig import RealNode, cleaned_up, until_level
from tests.integration.rig_governance import decide, held, set_policy, until_status, write
from tests.integration.rig_mesh import founded, start_all
from tests.integration.rig_rogue import Rogue
from transport.identity import NodeKey

pytestmark = [pytest.mark.thorough, pytest.mark.integration, pytest.mark.slow]
ROOT = {"X_Agent_Id": "root"}
KEY = NodeKey.generate(os.urandom).public.hex()


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RealNode]]:
    """Three nodes with an administrator; the keys of the third are the rogue's."""
    config = {"admin": {"agent_ids": ["root"]}}
    nodes = founded(tmp_path_factory.mktemp("forged"), 3, config=config)
    one = nodes[0]
    with cleaned_up(nodes):
        start_all(nodes)
        for agent, kind in (("hana", "human"), ("ai:one", "ai:model"), ("bob", "human")):
            one.tell("POST", "/agents", {"agent_id": agent, "agent_type": kind}, **ROOT)
        set_policy(one, "closed", "root", write="deny")
        set_policy(one, "asks", "root", write="approve", delete="approve")
        body = {"governance": {"write": "any"}, "owner": "ann"}
        one.tell("POST", "/namespaces/ann/standard", body, **ROOT)
        until_level(nodes)
        nodes[2].kill()
        yield nodes


class Forger:
    """Mints whatever it is told to, in both lanes of one member."""

    def __init__(self, mesh: list[RealNode]) -> None:
        one, _, three = mesh
        urls = sorted(node.url for node in mesh)
        self.nodes = mesh[:2]
        self.data = Rogue(worn=three, to=one, founders=urls)
        self.rules = Rogue(worn=three, to=one, founders=urls)
        actor = new_actor(b"g", int(time.time()), os.urandom(8), self.rules.key.node_id)
        self.rules.actor = actor

    def op(self, kind: Kind, **fields: Any) -> Op:
        """The next operation of the lane that its kind belongs to."""
        lane = self.rules if kind >= Kind.FOUND else self.data
        lane._seq += 1
        base = Op(
            dot=Dot(lane.actor, lane._seq),
            kind=kind,
            agent="mallory",
            hlc=stamp_of(time.time_ns() // 1_000_000),
            heads=lane.heads,
        )
        return base._replace(**fields)

    def record(self, kind: Kind, ident: str, namespace: str, **fields: Any) -> Op:
        made = {"collection": "memory", "id": ident, "namespace": namespace, "owner": "mallory"}
        values = {"title": "t", "content": "c", "tier": "mid", "rev": 1}
        return self.op(kind, **{**made, "set": values, **fields})

    async def send(self, *bundles: list[Op]) -> None:
        """Give bundles to one node, and wait until both have applied them."""
        async with self.data.linked() as link:
            await self.data.settle(link)
            for ops in bundles:
                lane = self.rules if ops[0].dot.actor[:1] == GOVERNANCE else self.data
                await link.send([m.encode(m.Push(lane.seal(*ops).data))])
                last = ops[-1].dot
                await self.data.until(
                    lambda last=last: any(
                        isinstance(one, m.Ack) and one.clock.get(last.actor, 0) >= last.seq
                        for one in self.data.heard
                    ),
                    "an acknowledgement",
                )
        until_level(self.nodes)


@pytest.fixture
def forger(mesh: list[RealNode]) -> Forger:
    return Forger(mesh)


def policy_dot(node: RealNode, space: str) -> Dot:
    (found,) = node.tell("GET", f"/namespaces/{space}/standard")["standards"]
    return parse_dot(found["dot"])


async def test_who_is_no_administrator_gives_itself_nothing(
    mesh: list[RealNode], forger: Forger
) -> None:
    admin = {"role": "system-admin", "namespaces": []}
    hana = {"agent_type": "ai:model", "capabilities": [], "registered_at": 1}
    await forger.send(
        [forger.op(Kind.ROLE, id="mallory", set=admin)],
        [forger.op(Kind.MODE, set={"mode": "off"})],
        [forger.op(Kind.POLICY, namespace="closed", set={"governance": {"write": "any"}})],
        [
            forger.op(
                Kind.POLICY,
                namespace="*",
                set={"governance": {"write": "any"}},
                supersedes=frozenset({policy_dot(mesh[0], "closed")}),
            )
        ],
        [forger.op(Kind.POLICY, namespace="deep/" * 40 + "x", set={"governance": {}})],
        [forger.op(Kind.ROLE, id="root", set={"role": "agent-reader", "namespaces": []})],
        [forger.op(Kind.AGENT, id="", set=hana)],
        [forger.record(Kind.CREATE, "in-closed", "closed")],
        [forger.record(Kind.CREATE, "as-owner", "closed", owner="root")],
    )
    for node in mesh[:2]:
        assert node.tell("GET", "/agents")["roles"] == [
            {"agent_id": "root", "role": "system-admin", "namespaces": []}
        ]
        assert node.ask("GET", "/memories/in-closed").status == 404
        assert node.ask("GET", "/memories/as-owner").status == 404
        assert write(node, "closed", "mallory").status == 403
        assert node.tell("GET", "/namespaces/%2A/standard")["standards"] == []


async def test_a_keeper_of_one_namespace_supersedes_no_policy_of_another(
    mesh: list[RealNode], forger: Forger
) -> None:
    """The name of the keeper is forged, which cannot be seen; what it keeps is still its limit."""
    closed, own = policy_dot(mesh[0], "closed"), policy_dot(mesh[0], "ann")
    rules = {"governance": {"write": "deny"}}
    seen = frozenset({closed, own})
    await forger.send(
        [forger.op(Kind.POLICY, agent="ann", namespace="ann", set=rules, supersedes=seen)],
        [forger.op(Kind.POLICY, agent="ann", namespace="closed", set={"governance": {}})],
    )
    for node in mesh[:2]:
        assert policy_dot(node, "closed") == closed
        assert write(node, "closed", "mallory").status == 403


async def test_votes_that_do_not_count_decide_nothing(mesh: list[RealNode], forger: Forger) -> None:
    one = mesh[0]
    action, memory = held(one, "asks", "bob")
    until_level(mesh[:2])
    dot = parse_dot(action)
    (row,) = [r for r in one.tell("GET", "/pending")["pending"] if r["id"] == action]
    digest = bytes.fromhex(row["hash"])

    def vote(agent: str, **body: Any) -> Op:
        said = {"hash": digest, "yes": True, **body}
        return forger.op(Kind.VOTE, agent=agent, target=dot, set=said)

    seal = forger.op(Kind.SEAL, agent="", target=dot)
    await forger.send(
        [seal],
        [vote("bob"), vote("mallory"), vote("ai:one"), vote("")],
        [vote("hana", hash=bytes(32)), vote("hana", hash="text")],
        [vote("hana", yes="yes"), vote("hana", yes=1)],
        # Held by another member, so nothing of this one can be decided along with it.
        [forger.record(Kind.CREATE, memory, "asks", agent="bob", owner="bob", target=dot)],
    )
    for node in mesh[:2]:
        assert node.ask("GET", f"/memories/{memory}").status == 404
    # Words that are no yes are a no; what stands is a rejection that the rule allows her.
    until_status(mesh[:2], action, "rejected")


async def test_what_was_approved_is_not_made_to_wait_again(
    mesh: list[RealNode], forger: Forger
) -> None:
    """More cannot be hung on a request that was voted about already."""
    first = forger.record(Kind.CREATE, "slow-1", "asks")
    await forger.send([first])
    assert decide(mesh[1], dot_text(first.dot), "hana").status == 200
    until_level(mesh[:2])
    assert [node.ask("GET", "/memories/slow-1").status for node in mesh[:2]] == [200, 200]
    later = forger.record(
        Kind.EDIT,
        "slow-1",
        "asks",
        target=first.dot,
        births=frozenset({first.dot}),
        set={"title": "hung on", "rev": 2},
    )
    await forger.send([later])
    for node in mesh[:2]:
        assert node.get("slow-1")["title"] == "t"
    # One that follows its leader in the same bundle is decided with it.
    lead = forger.record(Kind.CREATE, "slow-2", "asks")
    follow = forger.record(
        Kind.EDIT,
        "slow-2",
        "asks",
        target=lead.dot,
        births=frozenset({lead.dot}),
        supersedes=frozenset({lead.dot}),
        set={"title": "together", "rev": 2},
    )
    await forger.send([lead, follow])
    assert decide(mesh[0], dot_text(lead.dot), "hana").status == 200
    until_level(mesh[:2])
    for node in mesh[:2]:
        assert node.get("slow-2")["title"] == "together"


async def test_a_bound_key_is_neither_taken_nor_dropped(
    mesh: list[RealNode], forger: Forger
) -> None:
    one = mesh[0]
    body = {"agent_id": "kay", "agent_type": "human", "public_key": KEY}
    one.tell("POST", "/agents", body, x_agent_id="kay")
    until_level(mesh[:2])
    forger = Forger(mesh)  # it has seen the registration
    taken = {"agent_type": "human", "capabilities": [], "registered_at": 1}
    await forger.send(
        [forger.op(Kind.AGENT, id="kay", set=taken)],
        [forger.op(Kind.AGENT, id="kay", set={**taken, "public_key": bytes(32)})],
        [forger.op(Kind.AGENT, id="thief", set={**taken, "public_key": bytes.fromhex(KEY)})],
        [forger.op(Kind.AGENT, id="odd", set={**taken, "public_key": "text"})],
        [forger.op(Kind.AGENT, id="odd", set={**taken, "agent_type": ["human"]})],
    )
    for node in mesh[:2]:
        agents = {a["agent_id"]: a for a in node.tell("GET", "/agents")["agents"]}
        assert agents["kay"]["public_key"]
        assert not agents.keys() & {"thief", "odd"}
        reply = write(node, "global", "kay")
        assert (reply.status, reply.body["error"]) == (401, "agent_signature_missing")


async def test_governance_older_than_it_named_before_is_a_bad_bundle(
    mesh: list[RealNode], forger: Forger
) -> None:
    one = mesh[0]
    heads = forger.data.heads
    now = forger.record(Kind.CREATE, "of-now", "global")
    older = tuple(Dot(dot.actor, max(dot.seq - 1, 1)) for dot in heads)
    back = forger.record(Kind.CREATE, "of-before", "global", heads=older)
    before = one.metric("mnemesh_frames_rejected_total", reason="bad")
    await forger.send([now])
    async with forger.data.linked() as link:
        await forger.data.settle(link)
        await link.send([m.encode(m.Push(forger.data.seal(back).data))])
        await forger.data.until(
            lambda: one.metric("mnemesh_frames_rejected_total", reason="bad") > before, "a refusal"
        )
    assert one.ask("GET", "/memories/of-before").status == 404
