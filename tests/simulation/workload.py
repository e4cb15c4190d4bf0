"""What agents and operators do in the simulated world."""

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crdt.applying import key_of
from crdt.mint import MissingRecordError
from crdt.op import Draft, Kind, Op
from crdt.pending import Pending, Vote
from crdt.request import DeniedError
from crdt.sealing import seal_approved
from crdt.view import shown
from tests.simulation.broken import need

if TYPE_CHECKING:
    from tests.simulation.documents import Documents
    from tests.simulation.process import Process

AGENTS = ("ann", "bob", "cat")
IDS = ("i", "j", "k")
LEVELS = ("any", "any", "registered", "owner", "deny")
FIELDS = ("title", "body")


class Workload:
    """Draws operations from a seed."""

    def __init__(
        self,
        r: random.Random,
        *,
        private: bool = False,
        pending: bool = True,
        roles: bool = False,
        council: bool = False,
    ) -> None:
        self.random, self.private, self.pending, self.roles = r, private, pending, roles
        self.council = council  # nearly everything is held, and people decide
        self.documents: Documents | None = None
        """Who edits documents in place of everything else that agents write."""

    def draft(self, process: "Process", value: int) -> tuple[list[Draft], str]:
        r = self.random
        agent, ident = r.choice(AGENTS), r.choice(IDS)
        private = self.private and r.random() < 0.15
        lane = b"p" if private else b"d"
        there = process.replica.read(b"%bmemory/%b" % (lane, ident.encode()))
        namespace = r.choice(["x", "x", "x", "x/z", "y"])
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
        if chance < 0.45 and (part := shown(there, process.replica)) is not None:
            moved = replace(create, namespace="y" if part.namespace == "x" else "x")
            return [replace(moved, owner=part.owner), Draft(kind=Kind.DELETE, **rest)], agent
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
        if self.documents is not None:
            return self.documents.write(process)
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
        """A policy, an agent, a role, or a word about the own mode."""
        chance = self.random.random()
        if self.roles and chance < 0.2:
            self._role(process)
        elif self.roles and chance < 0.23:
            mode = self.random.choice(["enforce", "enforce", "advisory", "off"])
            self._mint(process, Kind.MODE, self._anybody(), set={"mode": mode})
        elif chance < 0.5:
            kinds = ["human"] if self.council else ["human", "human", "system"]
            agent, kind = self.random.choice(AGENTS), self.random.choice(kinds)
            self._mint(process, Kind.AGENT, agent, subject=agent, set={"agent_type": kind})
        else:
            self._policy(process)

    def _anybody(self) -> str:
        return self.random.choice(AGENTS)

    def _policy(self, process: "Process") -> None:
        r = self.random
        namespace = r.choice(["*", "x", "y", "x/z"])
        levels = ("any", "approve", "approve", "owner") if self.pending else LEVELS
        levels = ("approve",) if self.council else levels
        rules: dict[str, object] = {
            action: r.choice(levels)
            for action in ("write", "promote", "delete")
            if r.random() < 0.6
        }
        if r.random() < 0.3:
            rules["inherit"] = True
        if r.random() < 0.8:
            rules["approver"] = r.choice(["human", {"agent": "bob"}, {"consensus": 2}])
        if r.random() < (0.7 if self.council else 0.15):
            rules["approval_timeout_secs"] = r.choice([1, 1, 2])
        if r.random() < 0.1:
            rules = {}
        self._mint(
            process, Kind.POLICY, self._anybody(), namespace=namespace, set={"governance": rules}
        )

    def _role(self, process: "Process") -> None:
        r = self.random
        role = r.choice(["", "", "agent-reader", "agent-writer", "team-admin", "system-admin"])
        spaces = r.sample(["x", "x/z", "y"], r.randint(0, 2))
        self._mint(
            process,
            Kind.ROLE,
            self._anybody(),
            subject=r.choice(AGENTS[:2]),
            set={"role": role, "namespaces": spaces},
        )

    def _mint(
        self,
        process: "Process",
        kind: Kind,
        agent: str,
        *,
        set: dict[str, Any],  # noqa: A002 - the field's name
        namespace: str = "",
        subject: str = "",
    ) -> None:
        """Mint whatever may count or not: a peer that skips its own gate does as much."""
        replica = process.replica
        subject = replica.me.node_id.hex() if kind is Kind.MODE else subject
        seen = replica.governance.live(kind, namespace=namespace, subject=subject)
        if self.random.random() < 0.3:  # names what it has no business to take the place of
            seen |= replica.governance.live(Kind.POLICY, namespace=self.random.choice(["*", "x"]))
        replica.mint_governance(
            lambda dot, heads, hlc: Op(
                dot=dot,
                kind=kind,
                id=subject,
                namespace=namespace,
                agent=agent,
                hlc=hlc,
                heads=heads,
                supersedes=seen,
                set=set,
            ),
            process.now_ms,
        )

    def decide(self, process: "Process") -> bool:
        """A vote on something pending; a council mostly speaks of the newest, all alike."""
        r = self.random
        rows = process.replica.pending
        held = sorted(rows)
        if not held:
            return False
        target, agents, chance = r.choice(held), [r.choice(AGENTS)], 0.65
        together = self.council and r.random() < 0.6
        if together:
            fresh = sorted((rows[dot].asked, dot) for dot in held if not rows[dot].sealed)
            target = fresh[-1][1] if fresh else target
            agents, chance = self._council(process, rows[target]) or agents, 0.5
        yes = r.random() < chance
        for agent in agents:
            process.replica.mint_decision(
                Kind.VOTE, target, agent=agent, now_ms=process.now_ms, yes=yes
            )
        if together:
            self.seal(process)  # a node looks for what is due whenever something was decided
        return True

    def _council(self, process: "Process", row: Pending) -> list[str]:
        """Who decides, as the process knows the agents."""
        known = process.replica.governance.now.agents
        return [
            agent
            for agent in AGENTS
            if row.entitles(
                Vote(
                    agent=agent,
                    hlc=0,
                    yes=True,
                    human=known.get(agent, {}).get("agent_type") == "human",
                    registered=agent in known,
                    seen=frozenset(),
                )
            )
        ]

    def seal(self, process: "Process") -> int:
        """Seal what is due."""
        process.exchange.advance(process.now_ms)
        return seal_approved(process.exchange)
