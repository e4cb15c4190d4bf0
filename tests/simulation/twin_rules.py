"""The dumb twin's governance: who may, by definition, below some heads.

Shares no rule with the core: no tallies, no remembered states, no chain of levels asked once.
Whatever is asked is computed from the operations below the heads, each time.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from crdt.dot import Dot
from crdt.op import Kind, Op

STRICTNESS = {"allow": 0, "pending": 1, "deny": 2}
Answer = tuple[str, tuple[Any, ...], int]
"""(allow, pending or deny; every approver that must agree; seconds they have, 0 for ever)."""
ALLOW: Answer = ("allow", (), 0)
DENY: Answer = ("deny", (), 0)


def _subject(op: Op) -> Any:
    what = {Kind.POLICY: op.namespace, Kind.MODE: op.dot.actor[13:]}
    return op.kind, what.get(op.kind, op.id)


def _flat(approvers: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(v for _, v in sorted({repr(a): a for a in approvers}.items()))


def strictest(answers: list[Answer]) -> Answer:
    kind = max((a[0] for a in answers), key=lambda word: STRICTNESS[word])
    if kind != "pending":
        return (kind, (), 0)
    held = [a for a in answers if a[0] == kind]
    return kind, _flat(p for a in held for p in a[1]), min((a[2] for a in held if a[2]), default=0)


class TwinRules:
    """What governance says below a set of operations."""

    def __init__(
        self,
        ops: Mapping[Dot, Op],
        history: Callable[[tuple[Dot, ...]], frozenset[Dot]],
        founders: Mapping[str, bytes],
    ) -> None:
        self.ops, self.history, self.founders = ops, history, founders
        self._counted: dict[Dot, bool] = {}
        self._members: dict[frozenset[Dot], dict[Dot, bytes]] = {}
        self._lives: dict[tuple[frozenset[Dot], Kind], list[Op]] = {}

    # --- what counts -------------------------------------------------------------

    def counts(self, op: Op) -> bool:
        if op.dot not in self._counted:
            self._counted[op.dot] = self._counts(op)
        return self._counted[op.dot]

    def _counts(self, op: Op) -> bool:
        author = op.dot.actor[13:]
        if op.kind is Kind.FOUND:
            return op.set["claim"] in self.founders
        below = self.history(op.heads)
        members = self.members(below)
        if author not in members.values():
            return False
        if op.kind is Kind.READY:
            return all(members.get(dot) == author for dot in op.births)
        if op.kind is Kind.POLICY:
            return self.may_govern(op.agent, op.namespace, below)
        if op.kind is Kind.ROLE or (op.kind is Kind.MODE and op.set["mode"] != "enforce"):
            return op.agent in self.admins(below) or not self.was_named(below)
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

    def live(self, kind: Kind, below: frozenset[Dot]) -> list[Op]:
        """What no later operation about the same subject took the place of."""
        key = (below, kind)
        if key not in self._lives:
            found = [self.ops[d] for d in below if self.ops[d].kind is kind]
            found = [op for op in found if self.counts(op)]
            gone = {(_subject(op), dot) for op in found for dot in op.supersedes}
            self._lives[key] = [op for op in found if (_subject(op), op.dot) not in gone]
        return self._lives[key]

    # --- who may -----------------------------------------------------------------

    def grants(self, agent: str, below: frozenset[Dot]) -> list[tuple[str, tuple[str, ...]]]:
        """Every concurrent (role, namespaces) of an agent; an empty role is none."""
        roles = [op for op in self.live(Kind.ROLE, below) if op.id == agent]
        given = [(op.set["role"], tuple(op.set.get("namespaces", ()))) for op in roles]
        seen = {
            dot
            for d in below
            if (op := self.ops[d]).kind is Kind.ROLE and op.id == agent and self.counts(op)
            for dot in op.supersedes
        }
        for dot in below:
            op = self.ops[dot]
            first = op.kind is Kind.FOUND and agent in op.set.get("admins", ())
            if first and dot not in seen and self.counts(op):
                given.append(("system-admin", ()))
        return given

    def admins(self, below: frozenset[Dot]) -> set[str]:
        named = {op.id for op in self.live(Kind.ROLE, below)}
        for dot in below:
            if self.ops[dot].kind is Kind.FOUND:
                named |= set(self.ops[dot].set.get("admins", ()))
        return {
            agent
            for agent in named
            if (held := self.grants(agent, below))
            and all(role == "system-admin" for role, _ in held)
        }

    def was_named(self, below: frozenset[Dot]) -> bool:
        """Whether anybody ever was an administrator; then the first days are over for good."""
        ops = [self.ops[dot] for dot in below if self.counts(self.ops[dot])]
        return any(op.set.get("admins") or op.set.get("role") == "system-admin" for op in ops)

    def may_govern(self, agent: str, namespace: str, below: frozenset[Dot]) -> bool:
        held = self.grants(agent, below)
        if any(role in {"agent-reader", "agent-writer"} for role, _ in held):
            return False
        if held and all(_governs(grant, namespace) for grant in held):
            return True
        policies = [op for op in self.live(Kind.POLICY, below) if op.set["governance"]]
        above = {namespace, "*"} | set(_parents(namespace))
        if any(agent == p.agent for p in policies if p.namespace in above):
            return True
        if self.was_named(below):
            return False
        return not any(p.namespace == namespace for p in policies)

    # --- verdicts ----------------------------------------------------------------

    def judge(self, op: Op) -> Answer:
        below = self.history(op.heads)
        author = op.dot.actor[13:]
        if author not in self.members(below).values():
            return DENY
        words = {m.set["mode"] for m in self.live(Kind.MODE, below) if m.dot.actor[13:] == author}
        if words and "enforce" not in words:
            return ALLOW
        if not all(_allows(grant, op) for grant in self.grants(op.agent, below)):
            return DENY
        wanted = {{Kind.DELETE: "delete"}.get(op.kind, "write")}
        if op.kind is Kind.EDIT and "tier" in op.set:
            gone = op.removed - {"expires_at", "updated_at", "attest_level"}
            plain = set(op.set) <= {"tier", "rev"} and not gone
            wanted = {"promote"} if plain else {"promote", "write"}
        return strictest([self._at(op.namespace, below, op, each)[0] for each in sorted(wanted)])

    def _at(
        self, level: str, below: frozenset[Dot], op: Op, action: str
    ) -> tuple[Answer, tuple[Any, ...], int]:
        """(answer, approvers and seconds that a level below may take over)."""
        versions = [p for p in self.live(Kind.POLICY, below) if p.namespace == level]
        nothing: tuple[Answer, tuple[Any, ...], int] = (ALLOW, ("human",), 0)
        above = nothing if level == "*" else self._at(_parents(level)[0], below, op, action)
        if not versions:
            return above
        found = [self._version(p, above, below, op, action) for p in versions]
        return (
            strictest([f[0] for f in found]),
            _flat(a for f in found for a in f[1]),
            min((f[2] for f in found if f[2]), default=0),
        )

    def _version(
        self,
        policy: Op,
        above: tuple[Answer, tuple[Any, ...], int],
        below: frozenset[Dot],
        op: Op,
        action: str,
    ) -> tuple[Answer, tuple[Any, ...], int]:
        rules = policy.set["governance"]
        inherits = rules.get("inherit") is True or not rules
        upper = above if inherits else (ALLOW, ("human",), 0)
        approvers = (rules["approver"],) if "approver" in rules else upper[1]
        seconds = rules.get("approval_timeout_secs", upper[2])
        if action not in rules and inherits:
            answer = upper[0]
            if answer[0] == "pending":
                who = (rules["approver"],) if "approver" in rules else answer[1]
                answer = ("pending", who, rules.get("approval_timeout_secs", answer[2]))
            return answer, approvers, seconds
        level = rules.get(action, "owner" if action == "delete" else "any")
        if level == "approve":
            return ("pending", approvers, seconds), approvers, seconds
        agents = {a.id for a in self.live(Kind.AGENT, below)}
        good = {
            "any": True,
            "registered": op.agent in agents,
            "owner": op.agent == (policy.agent if op.kind is Kind.CREATE else op.owner),
            "deny": False,
        }[level]
        return (ALLOW if good else DENY), approvers, seconds

    def kind_of(self, vote: Op) -> str | None:
        """What a voter is registered as: human only if no live registration denies it."""
        below = self.history(vote.heads)
        kinds = {a.set["agent_type"] for a in self.live(Kind.AGENT, below) if a.id == vote.agent}
        if not kinds:
            return None
        return "human" if kinds == {"human"} else "system"


def _parents(namespace: str) -> list[str]:
    parts = namespace.split("/")
    return ["/".join(parts[:n]) for n in range(len(parts) - 1, 0, -1)] + ["*"]


def _inside(namespace: str, trees: Iterable[str]) -> bool:
    return bool({"*", namespace, *_parents(namespace)} & set(trees))


def _governs(grant: tuple[str, tuple[str, ...]], namespace: str) -> bool:
    role, trees = grant
    return role == "system-admin" or (role == "team-admin" and _inside(namespace, trees))


def _allows(grant: tuple[str, tuple[str, ...]], op: Op) -> bool:
    role, trees = grant
    if role in {"", "system-admin"}:
        return True
    if role == "agent-reader":
        return False
    own = op.kind is Kind.CREATE or op.owner == op.agent
    return own or (role == "team-admin" and _inside(op.namespace, trees))
