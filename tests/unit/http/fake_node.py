"""A node in memory behind the contracts of `node.contracts`: a fake, not a mock.

Law: records change through the real core (`mint`, `apply`, `view`); only durability, peers
and the clock are make-believe, and each of them is set by the test in plain fields.
"""

import asyncio
import base64
import hashlib
import json
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crdt.dot import DATA, PRIVATE, Actor, Dot, actor_text, new_actor
from crdt.hlc import HybridClock
from crdt.mint import Author, operation
from crdt.op import Draft, Op, record_key
from crdt.record import Record, apply
from crdt.view import NothingPending, shown, view
from node.contracts import (
    Applied,
    Caller,
    ConcurrentValue,
    FeedEntry,
    Held,
    Operations,
    Place,
    Receipt,
    RetryKey,
)
from node.documents.seam import held_of
from node.documents.shelf import Shelf
from node.errors import NodeError, QuorumNotMet, RetryKeyReused
from node.mesh_view import Clocks, MemberStatus, MeshStatus, Removal
from node.replication.conflicting import beside_text, concurrent
from node.replication.rivals import beside, classes

NODE_ID = bytes(range(32))
_NOTHING = NothingPending()
SHOWN, ENDED, ARCHIVED = "shown", "ended", "archived"


class Clock:
    """Wall time that only the test moves."""

    def __init__(self, ms: int = 1_770_000_000_000) -> None:
        self.ms = ms

    def now_ms(self) -> int:
        return self.ms


class FakeReader:
    """Reads the newest state of a `FakeNode`."""

    def __init__(self, node: "FakeNode") -> None:
        self._node = node

    def get(self, collection: str, record_id: str) -> Held | None:
        for lane in (DATA, PRIVATE):
            held = self._held(lane, collection, record_id)
            if held is not None:
                return held
        return None

    def own(self, collection: str, record_id: str) -> Held | None:
        return self._held(PRIVATE, collection, record_id)

    def knows(self, collection: str, record_id: str) -> bool:
        return any((op.collection, op.id) == (collection, record_id) for op in self._node.log)

    def archived(self, collection: str, record_id: str, *, own: bool = False) -> Held | None:
        for lane in (PRIVATE,) if own else (DATA, PRIVATE):
            held = self._held(lane, collection, record_id, ARCHIVED)
            if held is not None:
                return held
        return None

    def rivals(self, collection: str, record_id: str, *, whole: bool = False) -> list[Held]:
        if whole:
            keys = [record_key(lane, collection, record_id) for lane in (DATA, PRIVATE)]
            both = [
                classes(key, self._node.records.get(key), _NOTHING, self._node.shelf)
                for key in keys
            ]
            return [held for found in both for held in found]
        record = self._node.records.get(record_key(DATA, collection, record_id))
        found = [] if record is None else [view(one, _NOTHING) for one in beside(record, _NOTHING)]
        return [
            Held(collection=collection, id=record_id, private=False, view=one)
            for one in found
            if one is not None
        ]

    def whole(self, collection: str, record_id: str, *, private: bool) -> Held | None:
        lane = PRIVATE if private else DATA
        found = (self._held(lane, collection, record_id, s) for s in (SHOWN, ARCHIVED, ENDED))
        return next((held for held in found if held is not None), None)

    def every(self, collection: str) -> Iterator[Held]:
        return (held for held in self._all() if held.collection == collection)

    def ended(self) -> Iterator[Held]:
        return iter(sorted(self._all(ENDED), key=lambda held: held.view.values["expires_at"]))

    def archive(self, before_ms: int | None = None) -> Iterator[Held]:
        found = [held for held in self._all(ARCHIVED) if held.collection == "memory"]
        found.sort(key=lambda held: held.view.values["archived_at"], reverse=True)
        most = before_ms or sys.maxsize
        return (held for held in found if held.view.values["archived_at"] < most)

    def archive_counts(self) -> Mapping[str, int]:
        return Counter(held.view.namespace for held in self.archive())

    def written(self, dots: Sequence[Dot]) -> list[Op]:
        found = {op.dot: op for op in self._node.log}
        return [found[dot] for dot in dots if dot in found]

    def _held(
        self, lane: bytes, collection: str, record_id: str, state: str = SHOWN
    ) -> Held | None:
        record = self._node.records.get(record_key(lane, collection, record_id))
        found = view(record, _NOTHING)
        if found is None:
            return None
        expires = found.values.get("expires_at")
        ended = expires is not None and expires <= self._node.clock.ms
        archived = found.values.get("archived_at") is not None
        if (ARCHIVED if archived else ENDED if ended else SHOWN) != state:
            return None
        key = record_key(lane, collection, record_id)
        return held_of(key, found, self._node.shelf)

    def _all(self, state: str = SHOWN) -> Iterator[Held]:
        for key in list(self._node.records):
            collection, _, record_id = key[1:].decode().partition("/")
            held = self._held(key[:1], collection, record_id, state)
            if held is not None:
                yield held

    def _memories(self) -> Iterator[Held]:
        return (held for held in self._all() if held.collection == "memory")

    def with_prefix(
        self, collection: str, prefix: str, limit: int, *, archived: bool = False
    ) -> list[str]:
        every = self._all(ARCHIVED if archived else SHOWN)
        ids = {h.id for h in every if h.collection == collection and h.id.startswith(prefix)}
        return sorted(ids)[:limit]

    def named(self, collection: str, prefix: str, limit: int) -> list[str]:
        return self.with_prefix(collection, prefix, limit)

    def fresh(self, collection: str) -> bool:
        """Nobody tells indexes of what arrives here."""
        del collection
        return True

    def recent(self, namespace: str | None = None) -> Iterator[Held]:
        found = [h for h in self._memories() if namespace in (None, h.view.namespace)]
        return iter(sorted(found, key=lambda held: held.view.created, reverse=True))

    def conflicts(self, collection: str, record_id: str) -> dict[str, list[ConcurrentValue]]:
        part = shown(self._node.records.get(record_key(DATA, collection, record_id)), _NOTHING)
        if part is None:
            return {}
        held = self.whole(collection, record_id, private=False)
        return concurrent(part, _NOTHING, beside_text(held, self._node.shelf))

    def text_after(self, op: Op) -> Callable[[], str]:
        return lambda: str(op.set.get("content", ""))

    def history(self, collection: str, record_id: str, limit: int) -> list[Op]:
        found = [o for o in self._node.log if (o.collection, o.id) == (collection, record_id)]
        return found[::-1][:limit]

    def counts(self) -> Mapping[tuple[str, str], int]:
        return Counter((h.view.namespace, h.view.values["tier"]) for h in self._memories())

    def expiring_before(self, ms: int) -> int:
        return sum(1 for h in self._memories() if (h.view.values.get("expires_at") or ms) < ms)

    def size_bytes(self) -> int:
        return 4096

    def feed(self, after: int, limit: int, *, own: bool = False) -> Sequence[FeedEntry]:
        latest: dict[tuple[str, str], int] = {}
        for arrival, op in enumerate(self._node.log, start=1):
            if own or op.dot.actor != self._node.actors[True]:
                latest[op.collection, op.id] = arrival
        rows = sorted((n, c, i) for (c, i), n in latest.items() if n > after)
        return [
            FeedEntry(arrival=n, collection=c, id=i, held=self._held(DATA, c, i))
            for n, c, i in rows[:limit]
        ]

    def arrival_at(self, ms: int) -> int:
        older = sum(1 for at in self._node.arrived_ms if at < ms)
        return older + 1

    def operations(self, after: Place, limit: int) -> Operations:
        """The operations of one write have arrived together."""
        places, log = self._node.places, self._node.log
        kept = [n for n, place in enumerate(places) if place.arrival > self._node.truncated]
        at = [n for n in kept if places[n] > after][:limit]
        rows = [Applied(place=places[n], op=log[n], effect="applied") for n in at]

        def near(one: int, other: int) -> Op | None:
            same = 0 <= other < len(log) and places[one].arrival == places[other].arrival
            return log[other] if same else None

        return Operations(
            rows=rows,
            missing=after.arrival < self._node.truncated,
            before=near(at[0], at[0] - 1) if at else None,
            behind=near(at[-1], at[-1] + 1) if at else None,
        )

    def latest_place(self) -> Place:
        return Place(self._node.places[-1].arrival if self._node.places else 0, 2**31)

    def place_of(self, dot: Dot) -> Place | None:
        places = zip(self._node.log, self._node.places, strict=True)
        found = [place for op, place in places if op.dot == dot]
        return found[0] if found and found[0].arrival > self._node.truncated else None

    def place_since(self, ms: int) -> Place:
        older = sum(1 for at in self._node.arrived_ms if at < ms)
        return Place(self._node.places[older - 1].arrival if older else 0, 2**31)

    @property
    def store_id(self) -> str:
        return self._node.store_id

    def token(self) -> str:
        return self._node.token_of(self._node.seqs)


@dataclass
class FakeNode:
    """Funnel and state.

    Attributes:
        acks: how many members confirm each write.
        needed: W.
        refuse: raised by every write, before anything is minted.
    """

    clock: Clock = field(default_factory=Clock)
    acks: int = 2
    needed: int = 2
    peers: tuple[str, ...] = ("node-b",)
    refuse: NodeError | None = None
    pending_id: str | None = None
    refused: dict[str, str] = field(default_factory=dict)
    store_id: str = "5702e1d0"
    truncated: int = 0
    places: list[Place] = field(default_factory=list)
    records: dict[bytes, Record] = field(default_factory=dict)
    log: list[Op] = field(default_factory=list)
    arrived_ms: list[int] = field(default_factory=list)
    seqs: dict[Actor, int] = field(default_factory=dict)
    retries: dict[tuple[str, str], tuple[bytes, tuple[Dot, ...]]] = field(default_factory=dict)
    shelf: Shelf = field(default_factory=Shelf)
    actions: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._drawn = 0
        self._changed = asyncio.Event()
        self._hlc = HybridClock(skew_max_ms=5000)
        self.actors = {
            private: new_actor(PRIVATE if private else DATA, 1_770_000_000, bytes(8), NODE_ID)
            for private in (False, True)
        }

    def reader(self) -> FakeReader:
        return FakeReader(self)

    async def write(
        self, drafts: Sequence[Draft], *, caller: Caller, action: str, retry: RetryKey | None = None
    ) -> Receipt:
        known = None if retry is None else self.known(retry)
        if known is None:
            if self.refuse is not None:
                raise self.refuse
            self.actions.append((action, caller.agent))
            arrival = self.places[-1].arrival + 1 if self.places else 1
            known = tuple(self._mint(draft, caller.agent) for draft in drafts)
            for index in range(len(drafts)):
                self.places[index - len(drafts)] = Place(arrival, index)
            if retry is not None:
                self.retries[retry.agent, retry.key] = (retry.body, known)
            replayed = False
        else:
            replayed = True
        await asyncio.sleep(0)
        receipt = Receipt(
            dots=known,
            local=True,
            acks=self.acks,
            needed=self.needed,
            peers=self.peers if self.acks > 1 else (),
            token=self.token_of({dot.actor: dot.seq for dot in known}),
            replayed=replayed,
            pending_id=self.pending_id,
            held={draft.id: self.pending_id for draft in drafts} if self.pending_id else {},
        )
        if self.acks < self.needed:
            raise QuorumNotMet(receipt, reason="timeout", got=self.acks, needed=self.needed)
        return receipt

    def refusal(self, draft: Draft, *, caller: Caller) -> str | None:
        del caller
        return self.refused.get(draft.namespace)

    def _mint(self, draft: Draft, agent: str) -> Dot:
        actor = self.actors[draft.private]
        dot = Dot(actor, self.seqs.get(actor, 0) + 1)
        key = record_key(actor[:1], draft.collection, draft.id)
        stamp = self._hlc.tick(self.clock.ms)
        author = Author(agent=agent, heads=())
        self.arrive(operation(draft, self.records.get(key), _NOTHING, dot, stamp, author))
        return dot

    def arrive(self, op: Op) -> None:
        """Apply an operation, own or foreign."""
        key = record_key(op.dot.actor[:1], op.collection, op.id)
        after = apply(self.records.get(key), op)
        if after is None:
            self.records.pop(key, None)
        else:
            self.records[key] = after
        self.log.append(op)
        self.places.append(Place(self.places[-1].arrival + 1 if self.places else 1, 0))
        self.arrived_ms.append(self.clock.ms)
        self.seqs[op.dot.actor] = op.dot.seq
        self._changed.set()

    def known(self, retry: RetryKey) -> tuple[Dot, ...] | None:
        row = self.retries.get((retry.agent, retry.key))
        if row is None:
            return None
        if row[0] != retry.body:
            raise RetryKeyReused("the key came with another request before")
        return row[1]

    def draw_id(self, retry: RetryKey | None, index: int) -> str:
        if retry is None:
            self._drawn += 1
            seed = f"random {self._drawn}"
        else:
            seed = f"{retry.agent} {retry.key} {index}"
        return str(uuid.UUID(bytes=hashlib.sha256(seed.encode()).digest()[:16], version=4))

    def token_of(self, clock: Mapping[Actor, int]) -> str:
        shared = {actor_text(a): n for a, n in clock.items() if a[:1] != PRIVATE}
        return base64.urlsafe_b64encode(json.dumps(shared).encode()).decode()

    async def reached(self, token: str, wait_ms: int) -> bool:
        try:
            wanted: dict[str, int] = json.loads(base64.urlsafe_b64decode(token))
        except ValueError as error:
            raise ValueError("no token of this mesh") from error
        loop = asyncio.get_running_loop()
        ends = loop.time() + wait_ms / 1000
        while not self._covers(wanted):
            if loop.time() >= ends:
                return False
            self._changed.clear()
            timer = loop.call_at(ends, self._changed.set)
            await self._changed.wait()
            timer.cancel()
        return True

    def _covers(self, wanted: Mapping[str, int]) -> bool:
        own = {actor_text(a): n for a, n in self.seqs.items()}
        return all(own.get(actor, 0) >= seq for actor, seq in wanted.items())


@dataclass
class FakeMesh:
    """Two members, as a test wants them to look."""

    state: str | None = None
    reachable: bool = True
    removed: list[tuple[str, bool]] = field(default_factory=list)
    admitted: list[tuple[dict[str, Any], str]] = field(default_factory=list)

    def status(self, clocks: Clocks = Clocks.NONE) -> MeshStatus:
        member = MemberStatus(
            node_id="ab" * 32,
            name="node-b",
            peer_url="https://node-b:9077",
            state="ready",
            clock={"actor": 7} if clocks is Clocks.ALL else None,
            lag_ops=0,
            lag_seconds=0.0,
            digest_agree=True,
            last_success_at=1_770_000_000_123,
        )
        return MeshStatus(
            node_id=NODE_ID.hex(),
            name="node-a",
            cluster="lab",
            clock=None if clocks is Clocks.NONE else {"actor": 7},
            digest="d1" * 16,
            n=2,
            w=2,
            members=[member],
        )

    def ready(self) -> str | None:
        return self.state

    def quorum_in_reach(self) -> bool:
        return self.reachable

    def introduce(self, certificate_pem: str) -> str:
        if "BEGIN CERTIFICATE" not in certificate_pem:
            raise ValueError("not a certificate in PEM")
        return hashlib.sha256(certificate_pem.encode()).hexdigest()

    async def admit(
        self, request: Mapping[str, Any], peer_fingerprint: str, *, caller: Caller
    ) -> dict[str, Any]:
        del caller
        self.admitted.append((dict(request), peer_fingerprint))
        return {"cluster": "lab", "members": []}

    async def remove(
        self, node: str, *, force: bool, caller: Caller, retry: RetryKey | None = None
    ) -> Removal:
        if node != "node-b":
            raise LookupError(node)
        self.removed.append((node, force))
        dot = Dot(b"G" + bytes(44), 3)
        receipt = Receipt(
            dots=(dot,),
            local=True,
            acks=2,
            needed=2,
            peers=("node-c",),
            token=caller.agent,
            replayed=retry is not None,
        )
        return Removal(node_id="ab" * 32, name=node, receipt=receipt)
