"""No late and no concurrent edit makes a verdict laxer than one of its sides had it."""

from typing import Any

from crdt.dot import DATA, GOVERNANCE, Dot
from crdt.governance_state import GovernanceState
from crdt.op import Kind, Op
from crdt.policy import Answer, Policy, Question, Verdict, judge
from tests.unit.crdt.rig import Node, actor, key_of, mesh, spread

WRITE = Question(action="write", agent="eve", owner="eve", creates=True)


def versions(**levels: Any) -> dict[str, list[Policy]]:
    """Policies by namespace; a rule `parent` stands for the field."""
    return {
        name: [
            Policy(
                namespace=name,
                rules={k: v for k, v in rules.items() if k != "parent"},
                author="ann",
                parent=rules.get("parent", ""),
            )
            for rules in held
        ]
        for name, held in levels.items()
    }


def write(policies: dict[str, list[Policy]], namespace: str = "x") -> Verdict:
    return judge(policies, {}, namespace, WRITE)


# --- the chain -------------------------------------------------------------------


def test_a_long_chain_beside_it_hides_no_stricter_version() -> None:
    """The levels that one version asks are no part of what another may ask."""
    long = {f"c{n}": [{"inherit": True, "parent": f"c{n + 1}", "write": "any"}] for n in range(200)}
    strict = {"inherit": True, "parent": "strict"}
    lone = versions(x=[strict], strict=[{"write": "deny"}], **long)
    both = versions(
        x=[{"inherit": True, "parent": "c0", "write": "any"}, strict],
        strict=[{"write": "deny"}],
        **long,
    )
    assert write(lone).answer is Answer.DENY
    assert write(both).answer is Answer.DENY


def test_a_loop_beside_it_hides_no_stricter_version() -> None:
    loop = {
        "a": [{"inherit": True, "parent": "b"}, {"write": "deny"}],
        "b": [{"inherit": True, "parent": "a"}],
    }
    by_b = {"inherit": True, "parent": "b"}
    assert write(versions(x=[by_b], **loop)).answer is Answer.DENY
    by_a = {"inherit": True, "parent": "a", "write": "any"}
    assert write(versions(x=[by_a, by_b], **loop)).answer is Answer.DENY


def test_no_namespace_lies_too_deep_for_the_rules_above_it() -> None:
    rules = versions(a=[{"write": "deny"}])
    for depth in (1, 63, 64, 65, 700):
        assert write(rules, "/".join(["a", *["b"] * depth])).answer is Answer.DENY


# --- late operations -------------------------------------------------------------


def late(node: Node, heads: tuple[Dot, ...], kind: Kind, **parts: Any) -> Op:
    """An operation that names older heads than its node has, as after a cut (or a lie)."""
    node.now_ms += 1
    return node.replica.mint_governance(
        lambda dot, _, hlc: Op(dot=dot, kind=kind, heads=heads, hlc=hlc, **parts), node.now_ms
    )


def asked(node: Node, namespace: str = "x", agent: str = "eve") -> Answer:
    heads = node.replica.governance.heads
    place = Dot(actor(node.name, DATA, 99), 1)
    op = Op(dot=place, kind=Kind.CREATE, namespace=namespace, agent=agent, owner=agent, heads=heads)
    return node.replica.verdict(op).answer


def level(nodes: list[Node]) -> GovernanceState:
    for node in nodes:
        node.commit()
    spread(nodes)
    first, *rest = (node.replica.governance.now for node in nodes)
    assert all(state == first for state in rest)
    return first


def test_what_it_has_not_seen_no_operation_takes_the_place_of() -> None:
    """A rule tightened meanwhile is known to the liar, and not below the heads it names."""
    a, b = mesh("a", "b")
    old = a.policy("x", "ann", write="any")
    level([a, b])
    before = b.replica.governance.heads
    a.policy("x", "ann", write="deny")
    level([a, b])
    newer = b.replica.governance.live(Kind.POLICY, namespace="x")
    lax = {"governance": {"write": "any"}}
    late(b, before, Kind.POLICY, namespace="x", agent="ann", supersedes=newer | {old.dot}, set=lax)
    level([a, b])
    assert [asked(node) for node in (a, b)] == [Answer.DENY, Answer.DENY]


def test_a_late_clearing_clears_nothing_newer() -> None:
    a, b = mesh("a", "b")
    a.policy("x", "ann", write="any")
    level([a, b])
    a.policy("x", "ann", write="deny")
    b.policy("x", "ann")
    level([a, b])
    assert [asked(node) for node in (a, b)] == [Answer.DENY, Answer.DENY]


def test_a_registration_that_names_no_key_unbinds_none() -> None:
    for said in ({}, {"public_key": None}):
        a, b = mesh("a", "b")
        key = bytes(range(32))
        a.govern(Kind.AGENT, id="bob", agent="bob", set={"agent_type": "human", "public_key": key})
        b.now_ms += 50
        b.govern(Kind.AGENT, id="bob", agent="eve", set={"agent_type": "system", **said})
        assert level([a, b]).bound_keys == {key: "bob"}


def test_another_key_bound_behind_a_cut_replaces_none() -> None:
    a, b = mesh("a", "b")
    keys = [bytes([n]) * 32 for n in (1, 2)]
    for node, agent, key in zip((a, b), ("bob", "eve"), keys, strict=True):
        node.now_ms += 50
        b.now_ms = max(b.now_ms, a.now_ms)
        node.govern(
            Kind.AGENT, id="bob", agent=agent, set={"agent_type": "human", "public_key": key}
        )
    state = level([a, b])
    assert state.bound_keys == {keys[0]: "bob"}
    assert state.agents["bob"]["agent_type"] == "human"


def test_a_key_bound_twice_behind_a_cut_stays_with_both() -> None:
    """Neither holder is locked out of registering again with the key that it holds."""
    a, b = mesh("a", "b")
    key = bytes([7]) * 32
    for node, agent in ((a, "bob"), (b, "eve")):
        body = {"agent_type": "human", "public_key": key}
        node.govern(Kind.AGENT, id=agent, agent=agent, set=body)
    level([a, b])
    before = a.replica.refused
    for agent in ("bob", "eve"):
        seen = a.replica.governance.live(Kind.AGENT, subject=agent)
        body = {"agent_type": "human", "public_key": key}
        a.govern(Kind.AGENT, id=agent, agent=agent, supersedes=seen, set=body)
    assert a.replica.refused == before
    a.govern(Kind.AGENT, id="dan", agent="dan", set={"agent_type": "human", "public_key": key})
    assert a.replica.refused == before + 1


def test_a_founding_place_that_is_a_node_is_taken_by_that_node_alone() -> None:
    """Else any member names administrators, by a founding that claims to have seen nothing."""
    lone = f"node:{Node('a').replica.me.node_id.hex()}"
    a = Node("a", (lone,))
    a.started(claim=lone, admins=("root",))
    a.found()
    fake = Op(
        dot=Dot(actor("z", GOVERNANCE), 1),
        kind=Kind.FOUND,
        set={
            "genesis": a.replica.genesis.id,
            "node": actor("z")[13:],
            "key": key_of("z"),
            "claim": lone,
            "admins": ["eve"],
        },
    )
    assert not a.replica.governance.apply(fake)
    assert a.replica.governance.now.admins == {"root"}


def test_the_first_days_are_over_for_good() -> None:
    """Who withdraws the last administrator behind a cut opens governance to nobody."""
    a, b = mesh("a", "b")
    for node, role in ((a, "system-admin"), (b, "agent-reader")):
        node.govern(Kind.ROLE, id="root", agent="ann", set={"role": role})
    assert a.replica.governance.now.admins == {"root"}
    state = level([a, b])
    assert state.admins == frozenset()
    for agent in ("ann", "eve", "root", "", "anonymous:1"):
        assert not state.may_administer(agent)
        assert not state.may_govern(agent, "x")
