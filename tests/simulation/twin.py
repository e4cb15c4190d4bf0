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
from tests.simulation.twin_rules import Answer, TwinRules

RECORDS = {Kind.CREATE, Kind.EDIT, Kind.DELETE}
Visible = dict[str, dict[str, dict[Dot, Any]]]


class Twin:
    """Knows all bundles; computes the state at a clock from scratch."""

    def __init__(self, founders: Mapping[str, bytes]) -> None:
        self.founders = founders
        self.lines: dict[bytes, list[Bundle]] = {}
        self.ops: dict[Dot, Op] = {}
        self.hashes: dict[tuple[bytes, int], bytes] = {}
        self._histories: dict[tuple[Dot, ...], frozenset[Dot]] = {}
        self.rules = TwinRules(self.ops, self.history, founders)
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

    def judge(self, op: Op) -> Answer:
        """The verdict; what belongs to a held operation of its request is held with it."""
        answer = self.rules.judge(op)
        leader = self._leader(op)
        if leader is not None and answer[0] == "allow":
            return "pending", self.judge(leader)[1], 0
        return answer

    def _leader(self, op: Op) -> Op | None:
        leader = self.ops.get(op.target) if op.target else None
        if leader is None or self.judge(leader)[0] != "pending":
            return None
        same = (leader.dot.actor, leader.id, leader.agent) == (op.dot.actor, op.id, op.agent)
        return leader if same else None

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
        return _show(self._effective(ops))

    def effective(self, clock: Mapping[bytes, int]) -> list[Op]:
        """The operations on records that have their effect at a clock."""
        return self._effective(self.covered(clock))

    def _effective(self, ops: list[Op]) -> list[Op]:
        approved = self._approved(ops)
        effective = []
        for op in ops:
            if op.kind in RECORDS:
                answer = self.judge(op)[0]
                if answer == "pending" and op.dot.actor[:1] != DATA:
                    answer = "allow"  # nobody else could vote about it
                if answer == "allow" or (answer == "pending" and op.dot in approved):
                    effective.append(op)
        return effective

    def _approved(self, ops: list[Op]) -> set[Dot]:
        """What shows of the held: approved, with all the others of its request."""
        alone: dict[Dot, bool] = {}
        for op in ops:
            if op.kind not in RECORDS or op.dot.actor[:1] != DATA:
                continue
            answer = self.judge(op)
            if answer[0] == "pending":
                votes = [v for v in ops if v.target == op.dot and self._may_vote(v)]
                alone[op.dot] = self._sealed(op, votes, answer) or self._full(op, votes, answer)
        groups: dict[Dot, list[Dot]] = {}
        for dot in alone:
            leader = self._leader(self.ops[dot])
            groups.setdefault(leader.dot if leader else dot, []).append(dot)
        return {dot for group in groups.values() if all(alone[d] for d in group) for dot in group}

    def overruled(self, clock: Mapping[bytes, int]) -> list[Dot]:
        """Sealed operations that a valid no stands against: its caster had seen no approval."""
        ops = self.covered(clock)
        out = []
        for op in ops:
            if op.kind in RECORDS and op.dot.actor[:1] == DATA:
                answer = self.judge(op)
                votes = [v for v in ops if v.target == op.dot and self._may_vote(v)]
                if answer[0] == "pending" and self._sealed(op, votes, answer):
                    out += [] if self._full(op, votes, answer) else [op.dot]
        return out

    def _may_vote(self, vote: Op) -> bool:
        decides = vote.kind in {Kind.VOTE, Kind.SEAL}
        below = self.history(vote.heads)
        return decides and vote.dot.actor[13:] in self.rules.members(below).values()

    def _sealed(self, op: Op, votes: list[Op], answer: Answer) -> bool:
        for seal in votes:
            if seal.kind is Kind.SEAL and seal.dot.actor[13:] == op.dot.actor[13:]:
                seen = [v for v in votes if v.dot in seal.supersedes]
                if self._full(op, seen, answer):
                    return True
        return False

    def _full(self, op: Op, votes: Iterable[Op], answer: Answer) -> bool:
        """Enough yes, and no no that had not already seen enough yes."""
        _, approvers, seconds = answer
        until = ((op.hlc >> 16) + 1000 * seconds) << 16
        valid = [v for v in votes if v.kind is Kind.VOTE and v.agent != op.agent]
        valid = [v for v in valid if any(self._entitled(v, rule) for rule in approvers)]
        yes = [v for v in valid if v.set["yes"] and not (seconds and v.hlc > until)]
        if not self._enough(yes, approvers):
            return False
        return all(
            self._enough([v for v in yes if v.dot in no.supersedes], approvers)
            for no in valid
            if not no.set["yes"]
        )

    def _enough(self, yes: list[Op], approvers: tuple[Any, ...]) -> bool:
        return all(
            len({v.agent for v in yes if self._entitled(v, rule)})
            >= (rule.get("consensus", 1) if isinstance(rule, dict) else 1)
            for rule in approvers
        )

    def _entitled(self, vote: Op, rule: Any) -> bool:
        if rule == "human":
            return self.rules.kind_of(vote) == "human"
        if "agent" in rule:
            return bool(vote.agent == rule["agent"])
        return self.rules.kind_of(vote) is not None


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
