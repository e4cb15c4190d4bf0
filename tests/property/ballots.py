"""Random decisions about one held request, on three replicas with cuts, crashes and replays.

The oracle knows the set of votes alone: no order, no node, no state.
"""

import hashlib
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from hypothesis import strategies as st

from crdt.admission import Fit
from crdt.bundle import Bundle
from crdt.dot import Dot
from crdt.op import Idempotency, Kind, Op
from crdt.state import BelowFloorError
from node.store import Store
from tests.unit.crdt.rig import Node, draft, snapshot, spread

NAMES = ("a", "b", "c")
VOTERS = ("bob", "cat", "dan", "eve", "ann")
"""Two people, a registered machine, somebody unknown, and the requester."""
HUMANS, REGISTERED = {"bob", "cat"}, {"bob", "cat", "dan"}
APPROVERS: tuple[Any, ...] = ("human", {"agent": "bob"}, {"consensus": 2}, {"consensus": 3})
REQUESTS = ("create", "edit", "delete", "again")
KINDS = (
    *("vote", "vote", "vote", "both", "both", "retry", "lost", "clash"),
    *("pull", "pull", "pull", "seal", "seal", "replay", "snapshot", "restart"),
)
Step = tuple[str, int, int, int, int]
Drawn = tuple[int, int, int, Sequence[Step]]
small = st.integers(0, 9)


def ballots(most: int = 25) -> st.SearchStrategy[Drawn]:
    """(approver, seconds it may take or 0, what is asked for, what happens)."""
    step = st.tuples(st.sampled_from(KINDS), st.integers(0, 2), small, small, small)
    steps = st.lists(step, max_size=6) | st.lists(step, min_size=most // 2, max_size=most)
    return st.tuples(st.integers(0, 3), st.sampled_from([0, 0, 1]), st.integers(0, 3), steps)


class Ballot:
    """One request of ann, held; three nodes decide."""

    def __init__(self, drawn: Drawn, store: Store | None = None) -> None:
        approver, self.seconds, request, steps = drawn
        self.approver, self.request = APPROVERS[approver], REQUESTS[request]
        self.store = store
        disk: Any = store
        self.nodes = [Node(n, NAMES, disk=disk if n == "a" else None).found() for n in NAMES]
        self.votes: dict[Dot, Op] = {}
        self.sealed: set[tuple[str, Dot]] = set()
        self.bundles: list[Bundle] = []
        first = self.nodes[0]
        spread(self.nodes)
        self._ground(first)
        self.held = self._ask(first)
        self.asked = first.replica.pending[self.held[0]].asked >> 16
        self.level()
        for step in steps:
            self.take(step)

    def _ground(self, node: Node) -> None:
        for name in ("bob", "cat"):
            node.agent(name)
        node.agent("dan", "system")
        node.create("r", "ann", title="old", body="old")
        rules: dict[str, Any] = {"write": "approve", "delete": "approve", "approver": self.approver}
        if self.seconds:
            rules["approval_timeout_secs"] = self.seconds
        node.policy("n", "root", **rules)
        node.commit()

    def _ask(self, node: Node) -> list[Dot]:
        fields = {"title": "new", "body": "new"}
        wanted = {
            "create": [draft(Kind.CREATE, "s", **fields)],
            "edit": [draft(Kind.EDIT, "r", **fields)],
            "delete": [draft(Kind.DELETE, "r")],
            "again": [draft(Kind.DELETE, "r"), draft(Kind.CREATE, "r", **fields)],
        }
        return [op.dot for op in node.write(*wanted[self.request])]

    # --- steps ---------------------------------------------------------------------

    def take(self, step: Step) -> None:
        what, who, *knobs = step
        getattr(self, f"_{what}")(self.nodes[who], *knobs)
        for node in self.nodes:
            self.bundles += node.commit()
        self.check()

    def _cast(self, node: Node, target: Dot, agent: str, *, yes: bool, key: int = 0) -> Op | None:
        """As a node does: a retry of the same request is answered, not minted again."""
        scope = hashlib.sha256(repr((agent, target, key)).encode()).digest()[:16]
        mark = Idempotency(scope=scope, body=bytes([yes]) * 16) if key else None
        if mark is not None and node.replica.overlay.remembered(scope) is not None:
            return None
        node.now_ms += 1
        vote = node.replica.mint_decision(
            Kind.VOTE, target, agent=agent, now_ms=node.now_ms, yes=yes, idempotency=mark
        )
        self.votes[vote.dot] = vote
        return vote

    def _vote(self, node: Node, x: int, y: int, z: int) -> None:
        node.now_ms += (0, 0, 600, 1_100)[z % 4]
        self._cast(node, self.held[y % len(self.held)], VOTERS[x % 5], yes=z < 7)

    def _both(self, node: Node, x: int, y: int, z: int) -> None:
        """About the whole request, as a node decides it; several agents at once."""
        node.now_ms += (0, 0, 0, 0, 600)[z % 5]
        for agent in VOTERS[x % 3 : x % 3 + 1 + y % 3]:
            for target in self.held:
                self._cast(node, target, agent, yes=z < 8)

    def _retry(self, node: Node, x: int, y: int, z: int) -> None:
        for _ in range(2):
            self._cast(node, self.held[0], VOTERS[x % 5], yes=z < 7, key=1 + y % 2)

    def _lost(self, node: Node, x: int, *_: int) -> None:
        """The process dies before its vote is on disk; nobody has heard of it."""
        vote = self._cast(node, self.held[0], VOTERS[x % 5], yes=x < 5)
        assert vote is not None
        del self.votes[vote.dot]
        node.started()

    def _clash(self, node: Node, x: int, y: int, _: int) -> None:
        """Two nodes decide differently, neither having heard of the other's vote."""
        other = self.nodes[(self.nodes.index(node) + 1 + x % 2) % 3]
        for target in self.held:
            for agent in ("bob", "cat", "dan"):
                self._cast(node, target, agent, yes=True)
            self._cast(other, target, VOTERS[y % 5], yes=False)

    def _pull(self, node: Node, x: int, *_: int) -> None:
        self._hear(node, self.nodes[x % 3])

    def _hear(self, node: Node, other: Node) -> None:
        """All that the other has, by operations or, below the floor of its log, by snapshot."""
        if other is not node:
            try:
                node.pull(other)
            except BelowFloorError:
                self._join(node, other)

    def _join(self, node: Node, other: Node) -> None:
        before, mine, theirs = node.replica, node.disk, other.disk
        node.disk = mine.joined_with(snapshot(theirs))
        node.started().adopt(before)

    def _seal(self, *_: Any) -> None:
        """Once every disk has all there is: what shows is final."""
        self.level()
        first = self.nodes[0]
        if all(first.replica.shown(dot) for dot in self.held):
            for dot in self.held:
                if not first.replica.pending[dot].sealed:
                    first.seal(dot)

    def _replay(self, node: Node, *_: int) -> None:
        """Everything once more, as a peer that forgot what it had sent."""
        for bundle in self.bundles:
            known = node.replica.clock.get(bundle.actor, 0) >= bundle.last
            fit = node.hear(bundle.data)
            assert fit is Fit.KNOWN if known else fit in {Fit.NEXT, Fit.BEHIND}

    def _snapshot(self, node: Node, x: int, *_: int) -> None:
        other = self.nodes[x % 3]
        if other is not node and self.store is None:
            self._join(node, other)

    def _restart(self, node: Node, *_: int) -> None:
        node.started()

    def level(self) -> "Ballot":
        for node in self.nodes:
            self.bundles += node.commit()
        for _ in range(2):
            for node in self.nodes:
                for other in self.nodes:
                    self._hear(node, other)
        return self

    # --- what must hold --------------------------------------------------------------

    def check(self) -> None:
        """After every step, on every node."""
        for node in self.nodes:
            replica = node.replica
            known = [v for v in self.votes.values() if covered(replica.clock, v.dot)]
            final = all(replica.pending[dot].sealed for dot in self.held)
            shows = final or all(self.wanted(dot, known) for dot in self.held)
            for dot in self.held:
                assert replica.shown(dot) is shows, "what shows is a function of the votes"
                if replica.pending[dot].sealed:
                    self.sealed.add((node.name, dot))
                elif (node.name, dot) in self.sealed:
                    raise AssertionError("what was decided is pending again")
            self._visible(node, shows=shows)

    def _visible(self, node: Node, *, shows: bool) -> None:
        """The whole of the request, or nothing of it."""
        old, new = {"title": "old", "body": "old"}, {"title": "new", "body": "new"}
        seen = {name: _texts(node, name) for name in ("r", "s")}
        wanted: dict[str, Any] = {"r": old, "s": None}
        if shows:
            ends: dict[str, dict[str, Any]] = {"create": {"s": new}, "delete": {"r": None}}
            wanted |= ends.get(self.request, {"r": new})
        assert seen == wanted
        if self.store is not None and node is self.nodes[0]:
            names = [k.decode().partition("/")[2] for _, k in self.store.lists.recent(None)]
            assert sorted(names) == sorted(name for name, held in wanted.items() if held)
            assert sum(self.store.lists.counts().values()) == len(names)

    def finish(self) -> None:
        """Level: all the same, and the votes alone decide what no seal has ended."""
        self.level().check()
        rows = [{d: n.replica.pending[d] for d in self.held} for n in self.nodes]
        assert rows[0] == rows[1] == rows[2]
        if not self.sealed:
            for dot in self.held:
                alone = rows[0][dot].approved()
                assert alone is self.wanted(dot, self.votes.values())

    # --- the oracle --------------------------------------------------------------------

    def wanted(self, dot: Dot, votes: Iterable[Op]) -> bool:
        about = [v for v in votes if v.target == dot and v.agent in self.entitled()]
        until = self.asked + 1000 * self.seconds
        yes = [v for v in about if v.set["yes"] and (not self.seconds or v.hlc >> 16 < until)]
        yes += [v for v in about if v.set["yes"] and self.seconds and v.hlc == until << 16]
        noes = [v for v in about if not v.set["yes"]]
        return self.enough(yes) and all(
            self.enough([v for v in yes if v.dot in no.supersedes]) for no in noes
        )

    def entitled(self) -> set[str]:
        if self.approver == "human":
            return HUMANS
        return {"bob"} if "agent" in self.approver else REGISTERED

    def enough(self, yes: Iterable[Op]) -> bool:
        several = isinstance(self.approver, dict) and "consensus" in self.approver
        return len({v.agent for v in yes}) >= (self.approver["consensus"] if several else 1)


def covered(clock: Any, dot: Dot) -> bool:
    return bool(clock.get(dot.actor, 0) >= dot.seq)


def _texts(node: Node, name: str) -> dict[str, Any] | None:
    values = node.values(name)
    return None if values is None else {k: values.get(k) for k in ("title", "body")}


def drawn_by(chance: Random, most: int = 12) -> Drawn:
    """A ballot from a seed, the same for ever."""
    steps = [
        (chance.choice(KINDS), chance.randrange(3), *(chance.randrange(10) for _ in range(3)))
        for _ in range(most)
    ]
    seconds = chance.choice([0, 0, 1])
    return chance.randrange(4), seconds, chance.randrange(4), steps  # type: ignore[return-value]  # a star hides the width


def decided(drawn: Drawn, _: Any = None) -> None:
    """A whole ballot, checked at every step and at its end."""
    Ballot(drawn).finish()
