"""Random histories of a few real replicas, drawn by hypothesis and shrunk as lists of steps.

A step is a tuple of small numbers, so a failing history reads like a script. Everything goes
through the shipped replica: drafts are minted, bundles sealed, pages read, votes cast.
"""

from collections.abc import Sequence
from contextlib import suppress

from hypothesis import strategies as st

from crdt.admission import Fit
from crdt.bundle import Bundle
from crdt.dot import DATA, GOVERNANCE
from crdt.mint import MissingRecordError
from crdt.op import Kind
from crdt.request import DeniedError
from tests.simulation.twin import Twin
from tests.unit.crdt.rig import Node, draft, node_of

NAMES = ("a", "b", "c")
IDS = ("i", "j")
AGENTS = ("ann", "bob", "cat")
LEVELS = ("any", "approve", "owner", "registered", "deny")
APPROVERS = ("human", {"agent": "bob"}, {"consensus": 2})
TIERS = ("short", "mid", "long")
ROLES = ("", "agent-writer", "team-admin", "agent-reader", "system-admin")

Step = tuple[str, int, int, int, int]
KINDS = (
    *("create", "edit", "edit", "edit", "delete", "again", "commit", "pull", "pull", "pull"),
    *("policy", "agent", "role", "mode", "vote", "vote", "seal", "private", "restart"),
)
NOT_PLAIN = {"policy", "agent", "role", "mode", "vote", "seal", "private"}
PLAIN = tuple(k for k in KINDS if k not in NOT_PLAIN)

small = st.integers(0, 7)


GOVERNED = (
    *("create", "edit", "edit", "delete", "again", "commit", "pull", "pull"),
    *("vote", "vote", "clash", "clash", "seal", "seal", "seal", "restart"),
)
# Two people are registered, two records exist, and from then on everything needs approval.
PRELUDE: list[Step] = [
    *[("create", 0, n, n, n) for n in (0, 1)],
    *[("agent", n, n, 0, 0) for n in (1, 2)],
    ("level", 0, 0, 0, 0),
]
APPROVALS: list[list[Step]] = [
    [*PRELUDE, ("policy", 0, 1, approver, 1), ("level", 0, 0, 0, 0)] for approver in (0, 1, 2, 3)
]


def histories(kinds: Sequence[str] = KINDS, most: int = 60) -> st.SearchStrategy[list[Step]]:
    """Lists of (what, who, three knobs): short ones to shrink to, long ones to find with.

    Half of them, unless the kinds are given, begin under a policy that holds all for approval.
    """

    def some(drawn: Sequence[str]) -> st.SearchStrategy[list[Step]]:
        step = st.tuples(st.sampled_from(drawn), st.integers(0, 2), small, small, small)
        return st.lists(step, max_size=10) | st.lists(step, min_size=most // 2, max_size=most)

    return some(kinds) | approvals(most) if kinds is KINDS else some(kinds)


def approvals(most: int = 60) -> st.SearchStrategy[list[Step]]:
    """Histories under a policy that holds everything for approval."""
    step = st.tuples(st.sampled_from(GOVERNED), st.integers(0, 2), small, small, small)
    begun = st.tuples(st.sampled_from(APPROVALS), st.lists(step, min_size=8, max_size=most))
    return begun.map(lambda parts: [*parts[0], *parts[1]])


class Play:
    """Three founders, the twin that knows all bundles, and the steps applied to them."""

    def __init__(self, steps: Sequence[Step] = ()) -> None:
        self.nodes = [Node(name, NAMES).found() for name in NAMES]
        self.twin = Twin({name: node_of(name) for name in NAMES})
        self.bundles: list[Bundle] = []
        self.value = 0
        for node in self.nodes:
            self._noted(node.sealed)
        for node in self.nodes:
            for other in self.nodes:
                node.pull(other)
        for step in steps:
            self.take(step)

    def _noted(self, sealed: Sequence[Bundle]) -> None:
        for bundle in sealed:
            self.twin.record(bundle)
            self.bundles.append(bundle)

    def take(self, step: Step) -> None:
        what, who, *knobs = step
        node = self.nodes[who]
        self.value += 1
        with suppress(DeniedError, MissingRecordError):
            getattr(self, f"_{what}")(node, *knobs)

    def _create(self, node: Node, x: int, y: int, z: int) -> None:
        node.create(
            IDS[x % 2],
            AGENTS[y % 3],
            title=self.value,
            tier=TIERS[z % 3],
            namespace="x" if z < 6 else "y",
            **{f"tags/{'tu'[y % 2]}": 0, "+seen": 1},
        )

    def _edit(self, node: Node, x: int, y: int, z: int) -> None:
        fields: dict[str, object] = {}
        if z & 1:
            fields["title"] = self.value
        if z & 2:
            fields["+seen"] = y + 1
        if z & 4:
            fields["body"] = self.value
        if y > 5:
            fields["tier"] = TIERS[z % 3]
        removed = ["tags/t"] if y == 3 else []
        node.edit(IDS[x % 2], AGENTS[y % 3], removed=removed, **fields)

    def _delete(self, node: Node, x: int, y: int, _: int) -> None:
        node.delete(IDS[x % 2], AGENTS[y % 3])

    def _again(self, node: Node, x: int, y: int, _: int) -> None:
        name = IDS[x % 2]
        wanted = [
            draft(Kind.DELETE, name),
            draft(Kind.CREATE, name, title=self.value, namespace="x"),
        ]
        node.write(*wanted, agent=AGENTS[y % 3])

    def _private(self, node: Node, x: int, y: int, _: int) -> None:
        node.write(draft(Kind.CREATE, IDS[x % 2], private=True, title=y), agent=AGENTS[y % 3])

    def _policy(self, node: Node, x: int, y: int, z: int) -> None:
        rules: dict[str, object] = {"write": LEVELS[x % 5], "approver": APPROVERS[y % 3]}
        if z & 1:
            rules["delete"] = LEVELS[x % 5]
        if z & 2:
            rules["inherit"] = True
            del rules["write"]
        if z & 4:
            rules["promote"] = LEVELS[z % 5]
        node.policy("*xy"[z % 3], AGENTS[y % 3], **rules)

    def _agent(self, node: Node, x: int, y: int, _: int) -> None:
        node.agent(AGENTS[x % 3], "human" if y < 6 else "system")

    def _role(self, node: Node, x: int, y: int, z: int) -> None:
        name = AGENTS[x % 3]
        seen = node.replica.governance.live(Kind.ROLE, subject=name)
        body = {"role": ROLES[z % 5], "namespaces": ["x"] if z & 1 else []}
        node.govern(Kind.ROLE, id=name, agent=AGENTS[y % 3], supersedes=seen, set=body)

    def _mode(self, node: Node, x: int, y: int, _: int) -> None:
        own = node_of(node.name).hex()
        seen = node.replica.governance.live(Kind.MODE, subject=own)
        body = {"mode": ("enforce", "enforce", "advisory")[x % 3]}
        node.govern(Kind.MODE, id=own, agent=AGENTS[y % 3], supersedes=seen, set=body)

    def _vote(self, node: Node, x: int, y: int, z: int) -> None:
        held = sorted(node.replica.pending)
        if not held:
            return
        target = held[x % len(held)]
        node.vote(target, AGENTS[y % 3], yes=z < 6)
        if z % 2:
            node.vote(target, AGENTS[(y + 1) % 3], yes=z < 6)

    def _clash(self, node: Node, x: int, y: int, z: int) -> None:
        """Two nodes decide differently before either has heard of the other's vote."""
        other = self.nodes[(self.nodes.index(node) + 1 + x % 2) % 3]
        held = sorted(set(node.replica.pending) & set(other.replica.pending))
        if held:
            target = held[y % len(held)]
            node.vote(target, AGENTS[z % 3], yes=True)
            node.vote(target, AGENTS[(z + 1) % 3], yes=True)
            other.vote(target, AGENTS[(z + y) % 3], yes=False)

    def _seal(self, node: Node, x: int, _: int, __: int) -> None:
        """As a node does: only its own, only when approved and every disk has the votes."""
        self.levelled()
        mine = node_of(node.name)
        held = [
            dot
            for dot, pending in sorted(node.replica.pending.items())
            if dot.actor[13:] == mine and node.replica.shown(dot) and not pending.sealed
        ]
        if held:
            for member in node.replica.held.group(held[x % len(held)]):
                node.seal(member)

    def _commit(self, node: Node, *_: int) -> None:
        self._noted(node.commit())

    def _pull(self, node: Node, x: int, y: int, _: int) -> None:
        other = self.nodes[x % 3]
        if other is not node:
            self._noted(node.commit())
            assert set(node.pull(other, (1, 500, 10**9)[y % 3])) <= {Fit.NEXT}

    def _level(self, *_: object) -> None:
        self.levelled()

    def _restart(self, node: Node, *_: int) -> None:
        if not node.replica.has_open:
            node.started()

    # --- the end -----------------------------------------------------------------

    def settled(self) -> "Play":
        """Everything minted is on its author's disk."""
        for node in self.nodes:
            self._noted(node.commit())
        return self

    def levelled(self) -> "Play":
        """Everything is everywhere."""
        self.settled()
        for _ in range(2):
            for node in self.nodes:
                for other in self.nodes:
                    if other is not node:
                        node.pull(other)
        return self

    def public(self) -> list[Bundle]:
        """All bundles that leave their node, in the order they were sealed."""
        return [b for b in self.bundles if b.actor[:1] in {GOVERNANCE, DATA}]
