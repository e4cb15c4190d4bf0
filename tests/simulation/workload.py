"""What agents and operators do in the simulated world."""

import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from crdt.dot import Dot
from crdt.mint import MissingRecordError
from crdt.op import Draft, Kind, Op
from crdt.applying import key_of
from crdt.request import DeniedError
from crdt.view import shown
from tests.simulation.broken import need

if TYPE_CHECKING:
    from tests.simulation.process import Process

RowsCover = Callable[[Iterable[Dot]], bool]

AGENTS = ("ann", "bob", "cat")
IDS = ("i", "j", "k")
LEVELS = ("any", "any", "registered", "owner", "deny")
FIELDS = ("title", "body")


class Workload:
    """Draws operations from a seed."""

    def __init__(self, r: random.Random, *, private: bool, pending: bool) -> None:
        self.random, self.private, self.pending = r, private, pending

    def draft(self, process: "Process", value: int) -> tuple[list[Draft], str]:
        r = self.random
        agent, ident = r.choice(AGENTS), r.choice(IDS)
        private = self.private and r.random() < 0.15
        lane = b"p" if private else b"d"
        there = process.replica.read(b"%bmemory/%b" % (lane, ident.encode()))
        namespace = "x" if r.random() < 0.8 else "y"
        chance = r.random()
        fields = dict.fromkeys(FIELDS, value) | {"tier": r.choice(["short", "mid", "long"])}
        create = Draft(
            kind=Kind.CREATE,
            collection="memory",
            id=ident,
            namespace=namespace,
            set={**fields, f"tags/{r.choice('tuv')}": 0},
            private=private,
        )
        if there is None or chance < 0.2:
            return [create], agent
        rest = {"collection": "memory", "id": ident, "private": private}
        if chance < 0.35:
            return [Draft(kind=Kind.DELETE, **rest)], agent
        if chance < 0.4:
            return [create, Draft(kind=Kind.DELETE, **rest)], agent
        return [Draft(kind=Kind.EDIT, set=self._edit(value), removed=self._unset(), **rest)], agent

    def _edit(self, value: int) -> dict[str, object]:
        r = self.random
        out: dict[str, object] = dict.fromkeys(r.sample(FIELDS, r.randint(0, 2)), value)
        if r.random() < 0.3:
            out["+seen"] = r.randint(1, 5)
        if r.random() < 0.3:
            out[f"tags/{r.choice('tuv')}"] = 0
        if r.random() < 0.15:
            out["tier"] = r.choice(["short", "mid", "long"])
        return out

    def _unset(self) -> frozenset[str]:
        r = self.random
        return frozenset({f"tags/{r.choice('tuv')}"} if r.random() < 0.2 else ())

    def write(self, process: "Process", value: int) -> int:
        """Mint one to three requests; a refusal or a vanished record mints nothing."""
        made = 0
        for _ in range(self.random.randint(1, 3)):
            drafts, agent = self.draft(process, value)
            try:
                ops = process.mint(drafts, agent)
                made += len(ops)
                self.settled(process, ops)
            except (DeniedError, MissingRecordError):
                continue
        return made

    def settled(self, process: "Process", ops: list[Op]) -> None:
        """An edit overwrites all that its author saw: one value of each field it touched."""
        if len(ops) != 1 or ops[0].kind is not Kind.EDIT or ops[0].dot in process.replica.pending:
            return
        part = shown(process.replica.read(key_of(ops[0])), process.replica)
        for name in ops[0].set:
            held = part.fields.get(name, []) if part else []
            single = len(held) == 1 or name.startswith("+")
            need(single, "an edit left behind a value it had seen", name, len(held))

    def govern(self, process: "Process") -> None:
        """A policy or an agent."""
        r = self.random
        if r.random() < 0.5:
            agent, kind = r.choice(AGENTS), r.choice(["human", "human", "system"])
            known = process.replica.governance.live_agents(agent)
            process.replica.mint_governance(
                lambda dot, heads, hlc: Op(
                    dot=dot,
                    kind=Kind.AGENT,
                    id=agent,
                    agent=agent,
                    hlc=hlc,
                    heads=heads,
                    supersedes=known,
                    set={"agent_type": kind},
                ),
                process.now_ms,
            )
            return
        namespace = r.choice(["*", "x", "y"])
        levels = ("any", "approve", "approve", "owner") if self.pending else LEVELS
        rules: dict[str, object] = {
            action: r.choice(levels)
            for action in ("write", "promote", "delete")
            if r.random() < 0.6
        }
        if r.random() < 0.3:
            rules["inherit"] = True
        rules["approver"] = r.choice(["human", {"agent": "bob"}, {"consensus": 2}])
        seen = process.replica.governance.live_policies(namespace)
        process.replica.mint_governance(
            lambda dot, heads, hlc: Op(
                dot=dot,
                kind=Kind.POLICY,
                namespace=namespace,
                agent=r.choice(AGENTS),
                hlc=hlc,
                heads=heads,
                supersedes=seen,
                set={"governance": rules},
            ),
            process.now_ms,
        )

    def decide(self, process: "Process") -> bool:
        """A vote on something pending."""
        r = self.random
        held = sorted(process.replica.pending)
        if not held:
            return False
        process.replica.mint_decision(
            Kind.VOTE,
            r.choice(held),
            agent=r.choice(AGENTS),
            now_ms=process.now_ms,
            yes=r.random() < 0.65,
        )
        return True

    def seal(self, process: "Process", rows_cover: RowsCover) -> bool:
        """Seal what every member's row covers and nothing contradicts."""
        replica = process.replica
        for dot, held in sorted(replica.pending.items()):
            mine = dot.actor[13:] == process.me_id
            if mine and not held.sealed and held.approved() and rows_cover(held.votes):
                replica.mint_decision(Kind.SEAL, dot, agent="", now_ms=process.now_ms)
                return True
        return False
