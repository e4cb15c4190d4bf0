"""Held actions: what is shown of them, who decides, and what it comes to."""

from typing import Any

import pytest

from crdt.dot import parse_dot
from node.contracts import RetryKey
from node.errors import Denied, NodeError
from node.governing.pending import Filters
from node.governing.problems import AlreadyDecided, PayloadMismatch, SeveralActions
from node.memory.memories import Ask
from node.memory.problems import Ambiguous, InvalidField, NotFound, Shortfall
from tests.unit.governing.rig import Governed, asked, at_home, level, mesh


async def peopled(node: Governed, **rules: Any) -> Governed:
    """Some agents, and a namespace `team` in which writes are held."""
    for human in ("hana", "hugo"):
        await node.register(human)
    for machine in ("ai:one", "ai:two", "ai:three", "bob"):
        await node.register(machine, "ai:model")
    await node.policy("team", agent="ann", **({"write": "approve"} | rules))
    return node


@pytest.fixture
async def node() -> Governed:
    return await peopled(Governed())


def page(node: Governed, agent: str = "hana", **filters: Any) -> list[dict[str, Any]]:
    return node.actions.page(Filters(**filters), at_home(agent))


def one(node: Governed, ident: str, agent: str = "hana") -> dict[str, Any]:
    return next(row for row in page(node, agent) if row["id"] == ident)


async def test_a_held_action_says_all_that_a_decision_needs(node: Governed) -> None:
    ident = await node.held(id="m-1", title="T", tags=["b", "a"])
    row = one(node, ident)
    assert row["action_type"] == "store"
    assert row["memory_id"] == "m-1"
    assert row["namespace"] == "team"
    assert (row["payload"]["title"], row["payload"]["tags"]) == ("T", ["b", "a"])
    assert "rev" not in row["payload"]
    assert (row["requested_by"], row["status"]) == ("bob", "pending")
    assert (row["decided_by"], row["decided_at"], row["approvals"]) == (None, None, [])
    assert row["approver"] == "human"
    assert (row["collected"], row["needed"]) == (0, 1)
    assert bytes.fromhex(row["hash"]) == node.pendings()[parse_dot(ident)].hash
    assert row["expires_at"] > row["requested_at"]
    assert row["sealed"] is False
    assert node.get("memory", "m-1") is None


async def test_a_human_approves_and_it_shows(node: Governed) -> None:
    ident = await node.held(id="m-1")
    done = await node.actions.decide(ident, asked("hana"), yes=True)
    assert done.status == "approved"
    assert node.get("memory", "m-1") is not None
    row = one(node, ident)
    assert (row["status"], row["decided_by"]) == ("approved", "hana")
    assert [(v["agent_id"], v["decision"]) for v in row["approvals"]] == [("hana", "approve")]
    assert row["decided_at"] == row["approvals"][0]["at"]


async def test_a_human_rejects_and_it_never_shows(node: Governed) -> None:
    ident = await node.held(id="m-1")
    done = await node.actions.decide(ident, asked("hugo"), yes=False)
    assert done.status == "rejected"
    assert node.get("memory", "m-1") is None
    assert (one(node, ident)["status"], one(node, ident)["decided_by"]) == ("rejected", "hugo")


async def test_a_named_agent_alone_decides() -> None:
    node = await peopled(Governed())
    await node.policy("team", write="approve", approver={"agent": "ai:one"})
    ident = await node.held()
    for other in ("hana", "ai:two"):
        with pytest.raises(NodeError) as caught:
            await node.actions.decide(ident, asked(other), yes=True)
        assert caught.value.code == "not_an_approver"
    assert (await node.actions.decide(ident, asked("ai:one"), yes=True)).status == "approved"


async def test_a_consensus_collects_distinct_registered_agents(node: Governed) -> None:
    await node.policy("team", write="approve", approver={"consensus": 3})
    ident = await node.held(id="m-1")
    for number, agent in enumerate(("ai:one", "ai:two"), start=1):
        done = await node.actions.decide(ident, asked(agent), yes=True)
        assert (done.status, done.action.progress()) == ("pending", (number, 3))
        with pytest.raises(NodeError) as caught:
            await node.actions.decide(ident, asked(agent), yes=True)
        assert caught.value.code == "already_voted"
    assert node.get("memory", "m-1") is None
    done = await node.actions.decide(ident, asked("hana"), yes=True)
    assert done.status == "approved"
    assert one(node, ident)["decided_by"] == "hana"


async def test_a_single_no_ends_a_consensus(node: Governed) -> None:
    await node.policy("team", write="approve", approver={"consensus": 2})
    ident = await node.held()
    await node.actions.decide(ident, asked("ai:one"), yes=True)
    assert (await node.actions.decide(ident, asked("ai:two"), yes=False)).status == "rejected"
    with pytest.raises(AlreadyDecided):
        await node.actions.decide(ident, asked("ai:three"), yes=True)


@pytest.mark.parametrize(
    ("agent", "code"),
    [
        ("bob", "self_approval"),
        ("nobody", "agent_not_registered"),
        ("anonymous:req-00000000", "agent_not_registered"),
        ("ai:one", "not_an_approver"),
    ],
)
@pytest.mark.parametrize("yes", [True, False])
async def test_who_has_no_vote_gets_a_403(
    node: Governed, agent: str, code: str, *, yes: bool
) -> None:
    ident = await node.held()
    with pytest.raises(NodeError) as caught:
        await node.actions.decide(ident, asked(agent), yes=yes)
    assert (caught.value.code, caught.value.http_status) == (code, 403)
    assert one(node, ident)["approvals"] == []


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
async def test_a_second_decision_is_409(node: Governed, *, first: bool, second: bool) -> None:
    ident = await node.held()
    await node.actions.decide(ident, asked("hana"), yes=first)
    for again in ("hana", "hugo"):
        with pytest.raises(AlreadyDecided) as caught:
            await node.actions.decide(ident, asked(again), yes=second)
        assert caught.value.http_status == 409
        assert caught.value.extra() == {
            "status": "approved" if first else "rejected",
            "decided_by": "hana",
        }


async def test_a_decision_about_another_payload_is_409(node: Governed) -> None:
    ident = await node.held()
    right = one(node, ident)["hash"]
    with pytest.raises(PayloadMismatch) as caught:
        await node.actions.decide(ident, asked("hana", {"hash": "00" * 32}), yes=True)
    assert (caught.value.code, caught.value.extra()) == ("payload_mismatch", {"hash": right})
    with pytest.raises(InvalidField):
        await node.actions.decide(ident, asked("hana", {"hash": 7}), yes=True)
    assert one(node, ident)["approvals"] == []
    done = await node.actions.decide(ident, asked("hana", {"hash": right.upper()}), yes=True)
    assert done.status == "approved"


async def test_after_its_time_an_action_is_expired_for_good(node: Governed) -> None:
    await node.policy("team", write="approve", approval_timeout_secs=1)
    ident = await node.held()
    node.pass_ms(999)
    assert one(node, ident)["status"] == "pending"
    node.pass_ms(10)
    assert one(node, ident)["status"] == "expired"
    for yes in (True, False):
        with pytest.raises(NodeError) as caught:
            await node.actions.decide(ident, asked("hana"), yes=yes)
        assert (caught.value.code, caught.value.http_status) == ("expired", 409)


async def test_what_was_approved_in_time_does_not_expire(node: Governed) -> None:
    await node.policy("team", write="approve", approval_timeout_secs=1)
    ident = await node.held()
    await node.actions.decide(ident, asked("hana"), yes=True)
    node.pass_ms(5_000)
    assert one(node, ident)["status"] == "approved"


async def test_a_vote_whose_stamp_is_late_is_told_so(node: Governed) -> None:
    await node.policy("team", write="approve", approval_timeout_secs=1)
    ident = await node.held()
    ahead = node.node.now_ms + 3_000
    node.node.replica.hlc.observe(ahead << 16, node.node.now_ms)  # a peer's clock runs ahead
    with pytest.raises(NodeError) as caught:
        await node.actions.decide(ident, asked("hana"), yes=True)
    assert caught.value.code == "expired"


async def test_a_retried_decision_gets_its_answer_again(node: Governed) -> None:
    ident = await node.held()
    retry = RetryKey(agent="hana", key="k", body=bytes(32))
    ask = Ask(caller=at_home("hana"), body={}, retry=retry)
    first = await node.actions.decide(ident, ask, yes=True)
    again = await node.actions.decide(ident, ask, yes=True)
    assert (first.status, again.status) == ("approved", "approved")
    assert len(one(node, ident)["approvals"]) == 1


async def test_a_shortfall_names_the_action(node: Governed) -> None:
    ident = await node.held(id="m-1")
    node.acks = 1
    with pytest.raises(Shortfall) as caught:
        await node.actions.decide(ident, asked("hana"), yes=True)
    assert caught.value.facts == {"id": ident, "memory_id": "m-1"}


# --- finding and listing ------------------------------------------------------------------


async def test_an_action_is_found_by_its_memory_and_by_a_beginning(node: Governed) -> None:
    ident = await node.held(id="memory-1")
    assert node.actions.find("memory-1", at_home("hana")).id == ident
    assert node.actions.find(ident[:-1], at_home("hana")).id == ident
    other = await node.held(id="memory-2")
    assert other != ident
    with pytest.raises(Ambiguous) as caught:
        node.actions.find(ident[:40], at_home("hana"))
    assert set(caught.value.candidates) == {ident, other}


async def test_an_exact_id_of_a_memory_is_found_however_short_it_is(node: Governed) -> None:
    ident = await node.held(id="m-1")
    await node.held(id="m-12")
    assert node.actions.find("m-1", at_home("hana")).id == ident
    for beginning in ("m-", ident[:5]):
        with pytest.raises(NotFound):
            node.actions.find(beginning, at_home("hana"))


async def test_several_actions_about_one_memory_are_told_as_that(node: Governed) -> None:
    await node.policy("team", write="any", delete="approve", promote="approve")
    made = await node.store(id="m-1", tier="short")
    gone = (await node.memories.delete(made, asked("bob"), None)).receipt.pending_id
    up = (await node.memories.promote(made, asked("bob"))).receipt.pending_id
    assert gone
    assert up
    with pytest.raises(SeveralActions) as caught:
        await node.actions.decide("m-1", asked("hana"), yes=True)
    words = str(caught.value)
    assert "2 actions about 'm-1' wait" in words
    assert gone in words
    assert up in words
    assert "beginning" not in words
    assert caught.value.extra() == {"candidates": [up, gone]}
    assert (caught.value.code, caught.value.http_status) == ("ambiguous_id", 409)
    await node.actions.decide(up, asked("hana"), yes=False)
    assert node.actions.find("m-1", at_home("hana")).id == gone, "only one waits now"
    await node.actions.decide(gone, asked("hana"), yes=False)
    with pytest.raises(SeveralActions, match="none waits any more"):
        node.actions.find("m-1", at_home("hana"))


async def test_a_reason_is_shown_with_the_vote_on_every_node() -> None:
    a, b = mesh("a", "b")
    await peopled(a)
    ident = await a.held(id="m-1")
    level([a, b])
    await b.actions.decide(ident, asked("hana", {"reason": "no room"}), yes=False)
    level([a, b])
    for each in (a, b):
        (vote,) = one(each, ident)["approvals"]
        assert (vote["agent_id"], vote["decision"], vote["reason"]) == ("hana", "reject", "no room")
    other = await a.held(id="m-2")
    await a.actions.decide(other, asked("hana", {"reason": None}), yes=True)
    assert "reason" not in one(a, other)["approvals"][0]


@pytest.mark.parametrize("given", ["x" * 513, 7, ["no"], False])
async def test_a_reason_that_cannot_be_kept_is_refused_and_nothing_is_decided(
    node: Governed, given: object
) -> None:
    ident = await node.held(id="m-1")
    with pytest.raises(InvalidField) as caught:
        await node.actions.decide(ident, asked("hana", {"reason": given}), yes=False)
    assert caught.value.field == "reason"
    assert one(node, ident)["approvals"] == []
    await node.actions.decide(ident, asked("hana", {"reason": "ö" * 512}), yes=False)


@pytest.mark.parametrize("wanted", ["", "x", "nothing-like-it", "AAAA:1", "a:b:c", "\x00"])
async def test_an_unknown_id_is_404(node: Governed, wanted: str) -> None:
    await node.held(id="memory-1")
    with pytest.raises(NotFound):
        await node.actions.decide(wanted, asked("hana"), yes=True)


async def test_a_list_is_filtered_and_shows_the_latest_first(node: Governed) -> None:
    await node.policy("other", write="approve")
    first = await node.held()
    second = await node.held(space="other")
    third = await node.held()
    await node.actions.decide(first, asked("hana"), yes=True)
    assert [row["id"] for row in page(node)] == [third, second, first]
    assert [row["id"] for row in page(node, statuses=frozenset({"pending"}))] == [third, second]
    assert [row["id"] for row in page(node, namespace="team")] == [third, first]
    assert [row["id"] for row in page(node, limit=1)] == [third]
    both = node.actions.filters({"status": "approved,rejected", "limit": "5000"})
    assert [row["id"] for row in node.actions.page(both, at_home("hana"))] == [first]
    assert both.limit == 1000


@pytest.mark.parametrize("params", [{"status": "open"}, {"limit": "-1"}, {"namespace": "a//b"}])
async def test_a_bad_filter_is_refused(node: Governed, params: dict[str, str]) -> None:
    with pytest.raises(InvalidField) as caught:
        node.actions.filters(params)
    assert caught.value.field == next(iter(params))


async def test_a_move_between_namespaces_is_one_action(node: Governed) -> None:
    made = await node.store(space="free", id="m-1")
    changed = await node.memories.update(made, asked("bob", {"namespace": "team"}), None)
    assert changed.receipt.pending_id
    rows = page(node)
    assert [(r["action_type"], r["memory_id"], r["namespace"]) for r in rows] == [
        ("update", "m-1", "team")
    ]
    assert rows[0]["payload"]["title"] == "t"
    held = node.get("memory", "m-1")
    assert held is not None
    assert held.view.namespace == "free"
    await node.actions.decide(rows[0]["id"], asked("hana"), yes=True)
    held = node.get("memory", "m-1")
    assert held is not None
    assert held.view.namespace == "team"


async def test_deleting_may_be_held_too(node: Governed) -> None:
    await node.policy("team", write="any", delete="approve")
    made = await node.store()
    gone = await node.memories.delete(made, asked("bob"), None)
    assert one(node, gone.receipt.pending_id or "")["action_type"] == "delete"
    assert node.get("memory", made) is not None
    await node.actions.decide(made, asked("hana"), yes=True)
    assert node.get("memory", made) is None


async def test_what_is_about_a_private_memory_is_for_those_who_may_see_it(
    node: Governed,
) -> None:
    ident = await node.held(id="secret-1", scope="private")
    assert page(node, "hana") == []
    assert page(node, "") == []
    assert [row["id"] for row in page(node, "bob")] == [ident]
    for wanted in (ident, "secret-1"):
        with pytest.raises(NotFound):
            await node.actions.decide(wanted, asked("hana"), yes=True)


async def test_a_key_limited_to_a_subtree_sees_only_that(node: Governed) -> None:
    await node.held()
    assert node.actions.page(Filters(), at_home("hana", namespaces=("elsewhere",))) == []
    assert len(node.actions.page(Filters(), at_home("hana", namespaces=("team",)))) == 1


# --- several nodes ------------------------------------------------------------------------


async def test_concurrent_approval_and_rejection_is_a_rejection_everywhere() -> None:
    a, b = nodes = mesh("a", "b")
    await peopled(a)
    level(nodes)
    ident = await a.held(id="m-1")
    level(nodes)
    await a.actions.decide(ident, asked("hana"), yes=True)
    await b.actions.decide(ident, asked("hugo"), yes=False)
    assert a.get("memory", "m-1") is not None
    level(nodes)
    for node in nodes:
        assert node.get("memory", "m-1") is None
        assert one(node, ident)["status"] == "rejected"
        assert one(node, ident)["decided_by"] == "hugo"
    assert one(a, ident) == one(b, ident)


async def test_concurrent_policies_both_have_to_be_met() -> None:
    a, b = nodes = mesh("a", "b")
    await peopled(a)
    level(nodes)
    await a.policy("team", write="approve", approver={"agent": "ai:one"})
    await b.policy("team", write="approve", approver={"consensus": 2})
    level(nodes)
    ident = await a.held()
    row = one(a, ident)
    assert row["needed"] == 3
    assert len(row["approver"]["all"]) == 2
    with pytest.raises(NotFound):  # it has not arrived there yet
        await b.actions.decide(ident, asked("ai:one"), yes=True)
    level(nodes)
    done = await b.actions.decide(ident, asked("ai:one"), yes=True)
    assert done.action.progress() == (2, 3)
    done = await b.actions.decide(ident, asked("ai:two"), yes=True)
    assert done.status == "approved"


async def test_a_refusal_of_the_gate_is_on_record(node: Governed) -> None:
    ident = await node.held()
    with pytest.raises(Denied):
        await node.actions.decide(ident, asked("bob"), yes=True)
    assert node.refused == [("self_approval", "bob")]
