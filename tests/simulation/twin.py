"""The dumb twin: every operation ever minted, and the state computed from them alone.

It shares no rule with the core: no clocks, no joins, no overlay, no incremental anything. It
takes the set of operations that a clock covers and computes, by definition, what must show.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from crdt.bundle import Bundle
from crdt.dot import DATA, GOVERNANCE, Dot
from crdt.op import Kind, Op
from tests.simulation.broken import need

RECORDS = {Kind.CREATE, Kind.EDIT, Kind.DELETE}
STRICTNESS = {"allow": 0, "pending": 1, "deny": 2}
Visible = dict[str, dict[str, dict[Dot, Any]]]


class Twin:
    """Knows all bundles; computes the state at a clock from scratch."""

    def __init__(self, founders: Mapping[str, bytes]) -> None:
        self.founders = founders
        self.lines: dict[bytes, list[Bundle]] = {}
        self.ops: dict[Dot, Op] = {}
        self.hashes: dict[tuple[bytes, int], bytes] = {}
        self._histories: dict[tuple[Dot, ...], frozenset[Dot]] = {}
        self._members: dict[frozenset[Dot], dict[Dot, bytes]] = {}
        self._states: dict[frozenset[Any], tuple[Visible, set[Dot]]] = {}

    def record(self, bundle: Bundle) -> None:
        """Note a bundle as it leaves its author."""
        place = (bundle.actor, bundle.first)
        need(place not in self.hashes, "I2 a dot names two operations", place)
        line = self.lines.setdefault(bundle.actor, [])
        last = line[-1].last if line else 0
        need(bundle.first == last + 1, "I3 minted out of line", place, last)
        self.hashes[place] = bundle.hash
        line.append(bundle)
        self.ops.update((op.dot, op) for op in bundle.ops)

    # --- governance --------------------------------------------------------------

    def history(self, heads: tuple[Dot, ...]) -> frozenset[Dot]:
        if heads not in self._histories:
            seen: set[Dot] = set()
            todo = list(heads)
            while todo:
                dot = todo.pop()
                if dot not in seen:
                    seen.add(dot)
                    todo += self.ops[dot].heads
            self._histories[heads] = frozenset(seen)
        return self._histories[heads]

    def counts(self, op: Op) -> bool:
        author = op.dot.actor[13:]
        if op.kind is Kind.FOUND:
            return op.set["claim"] in self.founders
        members = self.members(self.history(op.heads))
        if author not in members.values():
            return False
        if op.kind is Kind.READY:
            return all(members.get(dot) == author for dot in op.births)
        return True

    def members(self, dots: frozenset[Dot]) -> dict[Dot, bytes]:
        """{the dot that added it: node id} below some governance operations."""
        if dots not in self._members:
            ops = [self.ops[dot] for dot in dots]
            gone: set[Dot] = set()
            for op in ops:
                if op.kind is Kind.REMOVE and self.counts(op):
                    gone |= op.supersedes
            self._members[dots] = {
                op.dot: op.set["node"]
                for op in ops
                if op.kind in {Kind.FOUND, Kind.ADD} and op.dot not in gone and self.counts(op)
            }
        return self._members[dots]

    def judge(self, op: Op) -> tuple[str, Any]:
        """(allow, pending or deny; who approves) by the policies below the op's heads."""
        below = self.history(op.heads)
        if op.dot.actor[13:] not in self.members(below).values():
            return "deny", None
        rules = [self.ops[d] for d in below if self.ops[d].kind is Kind.POLICY]
        rules = [rule for rule in rules if self.counts(rule)]
        hidden = {dot for rule in rules for dot in rule.supersedes}
        live = [rule for rule in rules if rule.dot not in hidden]
        action = {Kind.DELETE: "delete"}.get(op.kind, "write")
        wanted = {action}
        if op.kind is Kind.EDIT and "tier" in op.set:
            wanted = {"promote"} | (
                {"write"} - ({"write"} if set(op.set) <= {"tier", "rev", "expires_at"} else set())
            )
        agents = {self.ops[d].id for d in below if self.ops[d].kind is Kind.AGENT}
        answers = [self._ask(live, agents, op, each) for each in wanted]
        return max(answers, key=lambda a: (STRICTNESS[a[0]], repr(a[1])))

    def _ask(
        self, live: list[Op], agents: set[str], op: Op, action: str, *, root: bool = False
    ) -> tuple[str, Any]:
        for level in ("*",) if root else (op.namespace, "*"):
            versions = [rule for rule in live if rule.namespace == level]
            answers = []
            for rule in versions:
                inherits = rule.set["governance"].get("inherit")
                if action not in rule.set["governance"] and inherits:
                    top = level == "*"
                    nothing: tuple[str, Any] = ("allow", None)
                    answers.append(
                        nothing if top else self._ask(live, agents, op, action, root=True)
                    )
                else:
                    answers.append(self._one(rule, agents, op, action))
            if versions:
                return max(answers, key=lambda a: (STRICTNESS[a[0]], repr(a[1])))
        return "allow", None

    def _one(self, rule: Op, agents: set[str], op: Op, action: str) -> tuple[str, Any]:
        rules = rule.set["governance"]
        level = rules.get(action, "owner" if action == "delete" else "any")
        owner = rule.agent if op.kind is Kind.CREATE else op.owner
        if level == "approve":
            return "pending", rules.get("approver", "human")
        good = {
            "any": True,
            "registered": op.agent in agents,
            "owner": op.agent == owner,
            "deny": False,
        }[level]
        return ("allow" if good else "deny"), None

    # --- the state at a clock ----------------------------------------------------

    def covered(self, clock: Mapping[bytes, int]) -> list[Op]:
        out: list[Op] = []
        for actor, seq in clock.items():
            held = [b for b in self.lines.get(actor, ()) if b.last <= seq]
            need(bool(held) and held[-1].last == seq, "I3 not the end of a bundle", actor, seq)
            out += [op for bundle in held for op in bundle.ops]
        return out

    def state(self, clock: Mapping[bytes, int]) -> tuple[Visible, set[Dot]]:
        """Visible {record: {field: {dot: value}}} and the governance dots at a clock."""
        key = frozenset(clock.items())
        if key not in self._states:
            ops = self.covered(clock)
            self._closed(ops)
            self._states[key] = (
                self._visible(ops),
                {op.dot for op in ops if op.dot.actor[:1] == GOVERNANCE},
            )
        return self._states[key]

    def _closed(self, ops: list[Op]) -> None:
        have = {op.dot for op in ops}
        for op in ops:
            named = {*op.births, *op.supersedes, *op.heads} | ({op.target} if op.target else set())
            need(named <= have, "I4 an operation refers to what is not there", op)

    def _visible(self, ops: list[Op]) -> Visible:
        approved = self._approved(ops)
        effective = []
        for op in ops:
            if op.kind in RECORDS:
                private = op.dot.actor[:1] != DATA
                answer = "allow" if private else self.judge(op)[0]
                if answer == "allow" or (answer == "pending" and op.dot in approved):
                    effective.append(op)
        return _show(effective)

    def _approved(self, ops: list[Op]) -> set[Dot]:
        out = set()
        for op in ops:
            if op.kind not in RECORDS or op.dot.actor[:1] != DATA:
                continue
            answer, approver = self.judge(op)
            if answer == "pending":
                votes = [v for v in ops if v.target == op.dot and self._may_vote(v)]
                if self._sealed(op, votes, approver) or self._full(op, votes, approver):
                    out.add(op.dot)
        return out

    def _may_vote(self, vote: Op) -> bool:
        return vote.dot.actor[13:] in self.members(self.history(vote.heads)).values()

    def _sealed(self, op: Op, votes: list[Op], approver: Any) -> bool:
        for seal in votes:
            if seal.kind is Kind.SEAL and seal.dot.actor[13:] == op.dot.actor[13:]:
                seen = [v for v in votes if v.dot in seal.supersedes]
                if self._full(op, seen, approver):
                    return True
        return False

    def _full(self, op: Op, votes: Iterable[Op], approver: Any) -> bool:
        """Enough yes, and no no that had not already seen enough yes."""
        valid = [v for v in votes if v.kind is Kind.VOTE and v.agent != op.agent]
        yes = [v for v in valid if v.set["yes"]]
        if not self._enough(yes, approver):
            return False
        return all(
            self._enough([v for v in yes if v.dot in no.supersedes], approver)
            for no in valid
            if not no.set["yes"]
        )

    def _enough(self, yes: list[Op], approver: Any) -> bool:
        if approver == "human":
            return any(self._type(v) == "human" for v in yes)
        if "agent" in approver:
            return any(v.agent == approver["agent"] for v in yes)
        return len({v.agent for v in yes if self._type(v)}) >= approver["consensus"]

    def _type(self, vote: Op) -> str | None:
        """What the voter is registered as: human only if no live registration denies it."""
        below = [self.ops[dot] for dot in self.history(vote.heads)]
        known = [o for o in below if o.kind is Kind.AGENT and o.id == vote.agent and self.counts(o)]
        hidden = {dot for op in known for dot in op.supersedes}
        kinds = {op.set["agent_type"] for op in known if op.dot not in hidden}
        if not kinds:
            return None
        return "human" if kinds == {"human"} else "system"


def _show(effective: list[Op]) -> Visible:
    by_dot = {op.dot: op for op in effective}
    alive = _alive(effective)
    killed = _killed(effective, by_dot)
    out: Visible = {}
    for lane, ident in {(dot.actor[:1], by_dot[dot].id) for dot in alive}:
        ops = [op for op in effective if (op.dot.actor[:1], op.id) == (lane, ident)]
        mine = {dot: alive[dot] for dot in alive if by_dot[dot] in ops}
        owner, namespace, _ = min((w[2], d, w) for d, w in mine.items())[2]
        shown = {d for d, w in mine.items() if w[:2] == (owner, namespace)}
        fields: dict[str, dict[Dot, Any]] = {}
        for op in ops:
            same = (op.owner, op.namespace) == (owner, namespace)
            if op.kind is Kind.DELETE or not same or not _carried(op) & shown:
                continue
            for name, value in op.set.items():
                if (name, op.dot) not in killed:
                    fields.setdefault(name, {})[op.dot] = value
        out[f"{lane.decode()}{ident}"] = fields
    return out


def _alive(effective: list[Op]) -> dict[Dot, tuple[str, str, int]]:
    """{birth: owner, namespace, stamp} of all that no delete of the same class names."""
    births = {o.dot: (o.owner, o.namespace, o.hlc) for o in effective if o.kind is Kind.CREATE}
    dead = {
        birth
        for op in effective
        if op.kind is Kind.DELETE
        for birth in op.births
        if births.get(birth, ())[:2] == (op.owner, op.namespace)
    }
    return {dot: what for dot, what in births.items() if dot not in dead}


def _carried(op: Op) -> frozenset[Dot]:
    return frozenset((op.dot,)) if op.kind is Kind.CREATE else op.births


def _killed(effective: list[Op], by_dot: Mapping[Dot, Op]) -> set[tuple[str, Dot]]:
    """The (field, dot) that an edit of the same class supersedes, naming all its births."""
    out = set()
    for op in effective:
        names = (*op.set, *op.removed) if op.kind is Kind.EDIT else ()
        for dot in op.supersedes:
            old = by_dot.get(dot)
            if old is None or (old.owner, old.namespace) != (op.owner, op.namespace):
                continue
            if _carried(old) <= op.births:
                own = dot.actor == op.dot.actor
                out |= {(name, dot) for name in names if own or not name.startswith("+")}
    return out
