"""A governed node in memory: the real core, the real gate, and plain numbers for durability.

Law: it implements `Funnel`, `Governing` and as much of `Reader` as governance asks for, over
a replica of `tests.unit.crdt.rig`; several of them level by pulling from each other.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from crdt.dot import DATA, PRIVATE, Dot, dot_text
from crdt.governance_state import GovernanceState
from crdt.op import Draft, Kind, Op, record_key
from crdt.pending import Pending
from crdt.policy import Answer
from crdt.request import DeniedError
from crdt.view import view
from node import errors
from node.contracts import Caller, GovernanceDraft, Held, Receipt, RetryKey
from node.gate import Decision, Gate, Govern, Unlimited, Write
from node.governing.activity import LastSeen
from node.governing.agents import Agents
from node.governing.feed import PendingFeed
from node.governing.pending import PendingActions
from node.governing.standards import Standards
from node.limits import Limits
from node.memory.drafts import DraftRules
from node.memory.memories import Ask, Memories
from node.replication.governing import StoreGoverning
from node.settings.sections import GovernanceRules
from tests.unit.crdt.rig import Node, spread

ADMIN = "ops"
_serial = itertools.count(1)


def at_home(agent: str, **more: Any) -> Caller:
    return Caller(agent=agent, local=True, **more)


def asked(agent: str, body: Mapping[str, Any] | None = None, **more: Any) -> Ask:
    return Ask(caller=at_home(agent, **more), body=body or {})


class Governed:
    """Funnel, governance and reads of one node.

    Attributes:
        refused: (code, agent) of everything the gate turned away.
        acks: how many members confirm each write; 2 are needed.
    """

    def __init__(self, name: str = "a", founders: Sequence[str] = ("a",)) -> None:
        self.node = Node(name, founders).found()
        self.refused: list[tuple[str, str]] = []
        self.acks = 2
        self.times = GovernanceRules()
        self.known_retries: dict[tuple[str, str], tuple[Dot, ...]] = {}
        self.gate = Gate(
            state=self.state,
            quotas=Unlimited(),
            fail_open=lambda: False,
            refused=lambda code, caller, _what: self.refused.append((code, caller.agent)),
        )
        self.feed = PendingFeed(self.pendings, lambda: self.node.now_ms, f"life{name}")
        rules = DraftRules(limits=Limits(), default_namespace="global", share_private=True)
        self.memories = Memories(
            funnel=self,  # type: ignore[arg-type]  # as much of a reader as governance asks for
            rules=rules,
            now_ms=lambda: self.node.now_ms,
            entropy=lambda size: next(_serial).to_bytes(size, "big"),
        )
        self.standards = Standards(governing=self, memories=self.memories, times=lambda: self.times)
        self.seen = LastSeen()
        self.agents = Agents(
            governing=self, memories=self.memories, seen=self.seen,
            now_ms=lambda: self.node.now_ms,
        )  # fmt: skip
        self.actions = PendingActions(
            governing=self, memories=self.memories, now_ms=lambda: self.node.now_ms
        )

    # --- Governing ---------------------------------------------------------------

    def state(self) -> GovernanceState:
        return self.node.replica.governance.now

    def pendings(self) -> Mapping[Dot, Pending]:
        return self.node.replica.pending

    def together(self, pending: Dot) -> Sequence[Dot]:
        return self.node.replica.held.group(pending)

    def shown(self, pending: Dot) -> bool:
        return self.node.replica.shown(pending)

    def payload(self, pending: Dot) -> dict[str, Any]:
        return StoreGoverning(self.node).payload(pending)  # type: ignore[arg-type]  # reads `.replica` alone

    # --- Reader ------------------------------------------------------------------

    def reader(self) -> "Governed":
        return self

    def get(self, collection: str, record_id: str) -> Held | None:
        shared = self._held(DATA, collection, record_id)
        return shared if shared is not None else self.own(collection, record_id)

    def own(self, collection: str, record_id: str) -> Held | None:
        return self._held(PRIVATE, collection, record_id)

    def knows(self, collection: str, record_id: str) -> bool:
        keys = (record_key(lane, collection, record_id) for lane in (DATA, PRIVATE))
        return any(key in self.node.disk.records for key in keys)

    def archived(self, collection: str, record_id: str, *, own: bool = False) -> Held | None:
        lanes = (PRIVATE,) if own else (DATA, PRIVATE)
        found = (self._held(lane, collection, record_id, archived=True) for lane in lanes)
        return next((held for held in found if held is not None), None)

    def _held(
        self, lane: bytes, collection: str, record_id: str, *, archived: bool = False
    ) -> Held | None:
        replica = self.node.replica
        seen = view(replica.read(record_key(lane, collection, record_id)), replica)
        if seen is None or (seen.values.get("archived_at") is not None) is not archived:
            return None
        return Held(collection=collection, id=record_id, private=lane == PRIVATE, view=seen)

    def with_prefix(
        self, collection: str, prefix: str, limit: int, *, archived: bool = False
    ) -> list[str]:
        del archived
        start = record_key(DATA, collection, prefix)
        held = {
            key.decode().partition("/")[2]
            for key in self.node.disk.records
            if key[: len(start)] == start
        }
        return sorted(held)[:limit]

    def named(self, collection: str, prefix: str, limit: int) -> list[str]:
        return self.with_prefix(collection, prefix, limit)

    def fresh(self, collection: str) -> bool:
        del collection
        return True

    def counts(self) -> Mapping[tuple[str, str], int]:
        found: Counter[tuple[str, str]] = Counter()
        for key in self.node.disk.records:
            seen = view(self.node.replica.read(key), self.node.replica)
            if seen is not None:
                found[seen.namespace, str(seen.values.get("tier", ""))] += 1
        return found

    def recent(self, namespace: str | None = None) -> Any:
        del namespace
        return iter(())

    def token(self) -> str:
        return "token"

    # --- Funnel ------------------------------------------------------------------

    def known(self, retry: RetryKey) -> tuple[Dot, ...] | None:
        return self.known_retries.get((retry.agent, retry.key))

    def draw_id(self, retry: RetryKey | None, index: int) -> str:
        return f"memory-{next(_serial)}" if retry is None else f"memory-{retry.key}-{index}"

    async def write(
        self, drafts: Sequence[Draft], *, caller: Caller, action: str, retry: RetryKey | None = None
    ) -> Receipt:
        del action
        if retry is not None and self.known(retry) is not None:
            return await self._told([], retry)
        self.gate.check(caller, Write(drafts=drafts))
        self.node.now_ms += 1
        try:
            ops, verdicts = self.node.replica.mint(
                drafts, agent=caller.agent, now_ms=self.node.now_ms, check=self.gate.of_key(caller)
            )
        except DeniedError as error:
            raise errors.Denied(str(error)) from error
        held: dict[str, str] = {}
        for op, verdict in zip(ops, verdicts, strict=True):
            if verdict.answer is Answer.PENDING:
                held.setdefault(op.id, dot_text(op.dot))
        return await self._told(ops, retry, held)

    async def decide(
        self,
        pending: Dot,
        *,
        yes: bool,
        reason: str = "",
        caller: Caller,
        retry: RetryKey | None = None,
    ) -> Receipt:
        if retry is not None and self.known(retry) is not None:
            return await self._told([], retry)
        held = self.node.replica.pending.get(pending)
        if held is None:
            raise LookupError(dot_text(pending))
        self.gate.check(caller, Decision(pending=held))
        group = self.node.replica.held.group(pending)
        return await self._told(
            [self.node.vote(one, caller.agent, yes=yes, reason=reason) for one in group], retry
        )

    async def govern(
        self, drafts: Sequence[GovernanceDraft], *, caller: Caller, retry: RetryKey | None = None
    ) -> Receipt:
        if retry is not None and self.known(retry) is not None:
            return await self._told([], retry)
        self.gate.check(caller, Govern(drafts=drafts))
        ops = []
        for draft in drafts:
            seen = self.node.replica.governance.live(
                draft.kind, namespace=draft.namespace, subject=draft.id
            )
            ops.append(
                self.node.govern(
                    draft.kind, namespace=draft.namespace, id=draft.id, agent=caller.agent,
                    supersedes=seen, set=draft.set,
                )
            )  # fmt: skip
        return await self._told(ops, retry)

    async def _told(
        self, ops: list[Op], retry: RetryKey | None, held: Mapping[str, str] | None = None
    ) -> Receipt:
        self.settle()
        await asyncio.sleep(0)
        dots = tuple(op.dot for op in ops)
        if retry is not None:
            dots = self.known_retries.setdefault((retry.agent, retry.key), dots)
        receipt = Receipt(
            dots=dots, local=True, acks=self.acks, needed=2, peers=("node-b",) * (self.acks - 1),
            token=self.token(), held=held or {}, pending_id=next(iter((held or {}).values()), None),
        )  # fmt: skip
        if self.acks < receipt.needed:
            raise errors.QuorumNotMet(receipt, reason="timeout", got=self.acks, needed=2)
        return receipt

    def settle(self) -> None:
        """Put everything on the disk, and tell who follows what is held."""
        if self.node.replica.dirty:
            self.node.close()
            batches = list(self.node.batches)
            self.node.land()
            for batch in batches:
                self.feed.committed(batch)

    # --- for tests ---------------------------------------------------------------

    def pass_ms(self, ms: int) -> None:
        self.node.now_ms += ms

    async def register(self, agent: str, kind: str = "human", **more: Any) -> None:
        body = {"agent_id": agent, "agent_type": kind, **more}
        await self.agents.register(asked(agent), body)

    async def policy(self, space: str = "team", agent: str = "ann", **rules: Any) -> None:
        await self.standards.set(space, asked(agent), {"governance": rules})

    async def store(self, agent: str = "bob", space: str = "team", **fields: Any) -> str:
        """Make a memory; its id."""
        body = {"title": "t", "content": "c", "namespace": space, **fields}
        return (await self.memories.create(asked(agent, body))).id

    async def held(self, agent: str = "bob", space: str = "team", **fields: Any) -> str:
        """Make a memory that has to wait; the id of the action."""
        body = {"title": "t", "content": "c", "namespace": space, **fields}
        made = await self.memories.create(asked(agent, body))
        assert made.receipt.pending_id, "nothing holds it"
        return made.receipt.pending_id


def mesh(*names: str) -> list[Governed]:
    """Founded nodes that know each other."""
    nodes = [Governed(name, names) for name in names]
    level(nodes)
    return nodes


def level(nodes: Sequence[Governed]) -> None:
    """Everybody pulls from everybody."""
    spread([one.node for one in nodes])


__all__ = ["ADMIN", "Governed", "Kind", "asked", "at_home", "level", "mesh"]
