"""Random histories of governance on three replicas, and what to ask of them.

A step is a tuple of small numbers, as in `crdt_histories`. Whatever is drawn is minted, also
what does not count: a peer that skips its own gate does as much.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from hypothesis import strategies as st

from crdt.dot import DATA, GOVERNANCE, Dot
from crdt.governance import Genesis, Governance
from crdt.op import NO_DOTS, Kind, Op
from crdt.pending import parts_of
from crdt.policy import Answer, Verdict
from tests.unit.crdt.rig import Node, actor, key_of, node_of, snapshot

NAMES = ("a", "b", "c")
LATER = ("d", "e")
PEOPLE = ("ann", "bob", "cat", "root")
SPACES = ("*", "x", "x/y", "x/y/z", "w")
LEVELS = ("any", "registered", "owner", "approve", "deny")
APPROVERS = ("human", {"agent": "bob"}, {"consensus": 2})
ROLES = ("", "agent-reader", "agent-writer", "team-admin", "system-admin")
MODES = ("enforce", "advisory", "off")

Step = tuple[str, int, int, int, int, int]
KINDS = (
    *("policy", "policy", "policy", "agent", "role", "role", "mode", "add", "remove"),
    *("late", "usurp", "pull", "pull", "snapshot", "restart"),
)
small = st.integers(0, 19)


def governances(most: int = 40) -> st.SearchStrategy[tuple[int, list[Step]]]:
    """(who is named an administrator by the foundings, what happens)."""
    step = st.tuples(st.sampled_from(KINDS), st.integers(0, 2), small, small, small, small)
    steps = st.lists(step, max_size=8) | st.lists(step, min_size=most // 2, max_size=most)
    return st.tuples(st.integers(0, 2), steps)


class Realm:
    """Three founders that govern, each seeing what it has pulled."""

    def __init__(self, drawn: tuple[int, Sequence[Step]]) -> None:
        named, steps = drawn
        self.nodes = [Node(name, NAMES) for name in NAMES]
        for place, node in enumerate(self.nodes):
            node.started(admins=("root",) if place < named else ())
            node.found()
        self.pulled()
        for step in steps:
            self.take(step)

    def take(self, step: Step) -> None:
        what, who, *knobs = step
        node = self.nodes[who]
        with suppress(ValueError):
            getattr(self, f"_{what}")(node, *knobs)
        node.commit()

    def pulled(self) -> "Realm":
        """Everything is everywhere."""
        for _ in range(2):
            for node in self.nodes:
                for other in self.nodes:
                    if other is not node:
                        node.pull(other)
        return self

    # --- steps -------------------------------------------------------------------

    def _policy(self, node: Node, x: int, y: int, z: int, w: int) -> None:
        govern(node, Kind.POLICY, **policy_of(x, y, z, w))

    def _agent(self, node: Node, x: int, y: int, z: int, w: int) -> None:
        govern(node, Kind.AGENT, **agent_of(x, y, z, w))

    def _role(self, node: Node, x: int, y: int, z: int, w: int) -> None:
        spaces = [SPACES[n % 5] for n in (z, w) if n < 15]
        body = {"role": ROLES[x % 5], "namespaces": spaces}
        govern(node, Kind.ROLE, id=PEOPLE[y % 4], agent=PEOPLE[-1 - (z & w) % 4], set=body)

    def _mode(self, node: Node, x: int, y: int, *_: int) -> None:
        govern(node, Kind.MODE, agent=PEOPLE[y % 4], set={"mode": MODES[x % 3]})

    def _add(self, node: Node, x: int, *_: int) -> None:
        node.add((*LATER, *NAMES)[x % 5])

    def _remove(self, node: Node, x: int, *_: int) -> None:
        member = node.replica.governance.now.members.get(node_of((*LATER, *NAMES)[x % 5]))
        if member is not None and x < 9:
            node.govern(Kind.REMOVE, id=member.node_id.hex(), supersedes=member.adds)

    def _late(self, node: Node, x: int, y: int, z: int, w: int) -> None:
        """As after a cut, or as a liar: older heads, and the place of what lies beyond them."""
        ops = list(node.replica.governance.history())
        heads = ops[x % len(ops)].heads or (ops[0].dot,)
        kind, parts = (
            (Kind.POLICY, policy_of(y, z, w, x)) if w % 2 else (Kind.AGENT, agent_of(y, z, w, x))
        )
        govern(node, kind, heads=heads, **parts)

    def _usurp(self, node: Node, x: int, y: int, z: int, w: int) -> None:
        """Names what it has no business to take the place of."""
        kind, parts = (
            (Kind.POLICY, policy_of(y, z, w, x)) if w % 2 else (Kind.AGENT, agent_of(y, z, w, x))
        )
        seen = {op.dot for op in node.replica.governance.history()}
        govern(node, kind, beyond=frozenset(seen), **parts)

    def _pull(self, node: Node, x: int, *_: int) -> None:
        other = self.nodes[x % 3]
        if other is not node:
            node.pull(other)

    def _snapshot(self, node: Node, x: int, *_: int) -> None:
        other = self.nodes[x % 3]
        if other is not node:
            before = node.replica
            node.disk = node.disk.joined_with(snapshot(other.disk))
            node.started().adopt(before)

    def _restart(self, node: Node, *_: int) -> None:
        node.started()

    # --- what there is -----------------------------------------------------------

    def ops(self) -> list[Op]:
        """Every governance operation, in an order that is causal."""
        return list(self.pulled().nodes[0].replica.governance.history())

    def genesis(self) -> Genesis:
        return self.nodes[0].replica.genesis


def govern(
    node: Node,
    kind: Kind,
    *,
    heads: tuple[Dot, ...] = (),
    beyond: frozenset[Dot] = NO_DOTS,
    **parts: Any,
) -> Op:
    """Mint, taking the place of all that is live about the same thing, and of what is beyond."""
    subject = parts.get("id", "") if kind is not Kind.MODE else node_of(node.name).hex()
    namespace = parts.get("namespace", "")
    live = node.replica.governance.live(kind, namespace=namespace, subject=subject)
    node.now_ms += 1
    return node.replica.mint_governance(
        lambda dot, now, hlc: Op(
            dot=dot, kind=kind, heads=heads or now, hlc=hlc, supersedes=live | beyond, **parts
        ),
        node.now_ms,
    )


def policy_of(x: int, y: int, z: int, w: int) -> dict[str, Any]:
    rules: dict[str, Any] = {}
    if z < 16:
        rules = {"write": LEVELS[x % 5], "approver": APPROVERS[y % 3]}
    if z & 1:
        rules["delete"] = LEVELS[y % 5]
    if z & 2:
        rules["inherit"] = True
        rules.pop("write", None)
    if z & 4:
        rules["approval_timeout_secs"] = 1 + w
    if w & 8:
        rules.pop("approver", None)
    body: dict[str, Any] = {"governance": rules}
    namespace = SPACES[w % 5]
    if w > 14 and namespace != "*":
        body["parent"] = SPACES[z % 5]
    if w & 4 and rules:
        body["owner"] = PEOPLE[x % 4]
    return {"namespace": namespace, "agent": PEOPLE[y % 4], "set": body}


def agent_of(x: int, y: int, z: int, w: int) -> dict[str, Any]:
    body: dict[str, Any] = {"agent_type": "human" if z < 12 else "system"}
    if w < 8:
        body["public_key"] = bytes([w % 3]) * 32
    elif w < 12:
        body["public_key"] = None
    who = PEOPLE[x % 4]
    return {"id": who, "agent": who if y < 12 else PEOPLE[y % 4], "set": body}


# --- replaying -------------------------------------------------------------------


def replayed(ops: Sequence[Op], genesis: Genesis, choose: Any) -> Governance:
    """A governance that took the operations in another causal order."""
    out = Governance(genesis)
    ready: list[Op] = []
    left = list(ops)
    while left or ready:
        ready += [op for op in left if _fits(op, out)]
        left = [op for op in left if op not in ready]
        op = ready.pop(choose.randrange(len(ready)))
        out.apply(op)
    return out


def _fits(op: Op, governance: Governance) -> bool:
    """As admission has it: next of its actor, and all it names is known."""
    before = Dot(op.dot.actor, op.dot.seq - 1)
    named = {*op.heads, *op.supersedes, *op.births, *([before] if before.seq else [])}
    return governance.knows(named)


def cuts(ops: Sequence[Op], choose: Any, most: int = 12) -> Iterator[tuple[Dot, ...]]:
    """Heads to ask below: those that were named, single operations, and chance unions."""
    named = {op.heads for op in ops} | {(op.dot,) for op in ops}
    yield from sorted(named)[-most:]
    dots = [op.dot for op in ops]
    for _ in range(most):
        yield tuple(sorted(choose.sample(dots, min(len(dots), 1 + choose.randrange(3)))))


def probes(heads: tuple[Dot, ...]) -> Iterator[Op]:
    """Wishes of all kinds, of members and of others, below some heads."""
    start = Op(dot=Dot(actor("a", DATA, 77), 1), kind=Kind.CREATE, heads=heads)
    for agent in PEOPLE[:3]:
        for namespace in ("x/y/z", "w/deep", "x"):
            made = start._replace(agent=agent, owner=agent, namespace=namespace)
            yield made
            yield made._replace(kind=Kind.DELETE, owner="bob")
            yield made._replace(kind=Kind.EDIT, set={"tier": "long", "rev": 2})
            yield made._replace(dot=Dot(actor("b", DATA, 78), 1))
            yield made._replace(dot=Dot(actor("d", DATA, 79), 1), kind=Kind.EDIT, owner="bob")


# --- comparing -------------------------------------------------------------------


def is_as_strict(one: Verdict, other: Verdict) -> bool:
    """Whether whatever `one` lets through, `other` would have let through too."""
    if one.answer is not other.answer:
        return one.answer > other.answer
    if one.answer is not Answer.PENDING:
        return True
    mine, theirs = (sorted(map(repr, parts_of(v.approver))) for v in (one, other))
    in_time = not other.timeout_seconds or 0 < one.timeout_seconds <= other.timeout_seconds
    return set(theirs) <= set(mine) and in_time


def founding(name: str, genesis: Genesis, *, claim: str = "", admins: Iterable[str] = ()) -> Op:
    """A founding as a node mints it."""
    body: dict[str, Any] = {
        "genesis": genesis.id,
        "node": node_of(name),
        "key": key_of(name),
        "claim": claim or name,
    }
    if admins:
        body["admins"] = list(admins)
    return Op(dot=Dot(actor(name, GOVERNANCE), 1), kind=Kind.FOUND, set=body)
