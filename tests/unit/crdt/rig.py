"""Real replicas over real states kept in memory; only the signature is a plain hash."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from crdt.bundle import Bundle
from crdt.clock import Clock
from crdt.dot import DATA, PRIVATE, Actor, Dot, new_actor
from crdt.exchange import Exchange, ExchangeLimits
from crdt.governance import Genesis
from crdt.log_rule import LogRule
from crdt.memory_state import MemoryState
from crdt.op import Draft, Kind, Op
from crdt.peer import Outbox
from crdt.record import Record
from crdt.record_codec import decode
from crdt.replica import Fit, Replica, Self
from crdt.standing import found
from crdt.state import Batch
from crdt.view import View, view

T0_MS = 1_750_000_000_000
T0_S = T0_MS // 1000


def key_of(name: str) -> bytes:
    return hashlib.sha256(b"key" + name.encode()).digest()


def node_of(name: str) -> bytes:
    return hashlib.sha256(key_of(name)).digest()


def actor(name: str = "a", lane: bytes = DATA, birth: int = 1) -> Actor:
    return new_actor(lane, T0_S, birth.to_bytes(8, "big"), node_of(name))


def dot(name: str = "a", seq: int = 1, lane: bytes = DATA, birth: int = 1) -> Dot:
    return Dot(actor(name, lane, birth), seq)


def signed(name: str, message: bytes) -> bytes:
    return hashlib.sha512(key_of(name) + message).digest()


def genuine(key: bytes, message: bytes, signature: bytes) -> bool:
    return hashlib.sha512(key + message).digest() == signature


class Node:
    """One replica with its disk, driven by hand."""

    def __init__(
        self, name: str, founders: Sequence[str] = ("a",), disk: MemoryState | None = None
    ) -> None:
        self.name = name
        self.founders = tuple(sorted(founders))
        self.disk = disk or MemoryState()
        self.now_ms = T0_MS
        self.births = 0
        self.batches: list[Batch] = []
        self.sealed: list[Bundle] = []
        self.replica = self.started()

    def started(self, **changes: Any) -> Replica:
        """A new process over the disk as it is."""
        known: dict[str, Any] = {
            "node_id": node_of(self.name),
            "key": key_of(self.name),
            "claim": self.name if self.name in self.founders else "",
            "name": self.name,
            "url": f"https://{self.name}.example:9077",
            "draw_actor": self._draw,
            "sign": lambda message: signed(self.name, message),
            "verify": genuine,
        }
        self.replica = Replica(
            me=Self(**{**known, **changes}),
            genesis=Genesis(cluster="test", founders=self.founders),
            state=self.disk,
            loaded=self.disk.load(),
            skew_max_ms=5_000,
        )
        return self.replica

    def _draw(self, lane: bytes) -> Actor:
        self.births += 1
        return actor(self.name, lane, self.births)

    # --- writing -----------------------------------------------------------------

    def found(self) -> "Node":
        found(self.replica, self.now_ms)
        self.commit()
        return self

    def write(self, *drafts: Draft, agent: str = "ann", **more: Any) -> list[Op]:
        self.now_ms += 1
        return self.replica.mint(drafts, agent=agent, now_ms=self.now_ms, **more)[0]

    def create(self, name: str = "r", agent: str = "ann", **fields: Any) -> Dot:
        return self.write(draft(Kind.CREATE, name, **fields), agent=agent)[0].dot

    def edit(self, name: str = "r", agent: str = "ann", **fields: Any) -> Dot:
        return self.write(draft(Kind.EDIT, name, **fields), agent=agent)[0].dot

    def delete(self, name: str = "r", agent: str = "ann") -> Dot:
        return self.write(draft(Kind.DELETE, name), agent=agent)[0].dot

    def policy(self, namespace: str = "*", agent: str = "ann", **rules: Any) -> Op:
        seen = self.replica.governance.live(Kind.POLICY, namespace=namespace)
        return self.govern(
            Kind.POLICY,
            namespace=namespace,
            agent=agent,
            supersedes=seen,
            set={"governance": rules},
        )

    def agent(self, name: str, kind: str = "human") -> Op:
        seen = self.replica.governance.live(Kind.AGENT, subject=name)
        return self.govern(
            Kind.AGENT, id=name, agent=name, supersedes=seen, set={"agent_type": kind}
        )

    def govern(self, kind: Kind, **parts: Any) -> Op:
        self.now_ms += 1
        return self.replica.mint_governance(
            lambda dot, heads, hlc: Op(dot=dot, kind=kind, heads=heads, hlc=hlc, **parts),
            self.now_ms,
        )

    def add(self, name: str) -> Op:
        fields = {"node": node_of(name), "key": key_of(name), "name": name, "url": name}
        return self.govern(Kind.ADD, id=name, set=fields)

    def vote(self, target: Dot, agent: str, *, yes: bool = True, reason: str = "") -> Op:
        self.now_ms += 1
        return self.replica.mint_decision(
            Kind.VOTE, target, agent=agent, now_ms=self.now_ms, yes=yes, reason=reason
        )

    def seal(self, target: Dot) -> Op:
        return self.replica.mint_decision(Kind.SEAL, target, agent="", now_ms=self.now_ms)

    # --- the disk ----------------------------------------------------------------

    def close(self) -> list[Bundle]:
        """Seal what is open; it is on its way to the disk."""
        if not self.replica.dirty:
            return []
        batch, sealed = self.replica.take_batch(self.now_ms)
        self.batches.append(batch)
        self.sealed += sealed
        return sealed

    def land(self) -> None:
        """The disk finishes everything on its way."""
        for batch in self.batches:
            self.disk.commit(batch)
            self.replica.committed(batch)
        self.batches = []

    def commit(self) -> list[Bundle]:
        sealed = self.close()
        self.land()
        return sealed

    # --- hearing -----------------------------------------------------------------

    def hear(self, data: bytes) -> Fit:
        bundle = self.replica.read_bundle(data)
        fit = self.replica.fit(bundle)
        if fit is Fit.NEXT:
            self.replica.take(bundle, self.now_ms)
        return fit

    def pull(self, source: "Node", limit_bytes: int = 10**9) -> list[Fit]:
        """Everything the source has on disk and this one lacks, by pages."""
        fits: list[Fit] = []
        self.now_ms = max(self.now_ms, source.now_ms)
        complete = False
        while not complete:
            page = source.disk.page(self.replica.clock, limit_bytes)
            fits += [self.hear(data) for data in page.bundles]
            complete = page.complete or not page.bundles
        self.commit()
        return fits

    # --- reading -----------------------------------------------------------------

    def record(self, name: str = "r", lane: bytes = DATA) -> Record | None:
        return self.replica.read(b"%bmemory/%b" % (lane, name.encode()))

    def view(self, name: str = "r", lane: bytes = DATA) -> View | None:
        return view(self.record(name, lane), self.replica)

    def values(self, name: str = "r") -> dict[str, Any] | None:
        seen = self.view(name)
        return None if seen is None else seen.values


def draft(kind: Kind, name: str = "r", **fields: Any) -> Draft:
    """A draft; `namespace`, `owner`, `removed` and `private` are taken out of the fields."""
    parts = {k: fields.pop(k) for k in ("namespace", "owner", "private") if k in fields}
    removed = frozenset(fields.pop("removed", ()))
    if kind is Kind.CREATE:
        parts.setdefault("namespace", "n")
    return Draft(kind=kind, collection="memory", id=name, set=fields, removed=removed, **parts)


def mesh(*names: str) -> list[Node]:
    """Founded nodes that know each other."""
    nodes = [Node(name, names).found() for name in names]
    spread(nodes)
    return nodes


def spread(nodes: Iterable[Node]) -> None:
    """Everybody pulls from everybody until all are level."""
    held = list(nodes)
    for _ in range(2):
        for left in held:
            for right in held:
                if left is not right:
                    left.pull(right)


def cut_log(disk: MemoryState, rows: Sequence[Clock] = (), most: int = 10**9) -> dict[Actor, int]:
    """Take from the log what all `rows` cover, all without any; returns the floors."""
    return disk.truncate(LogRule(rows=rows, log_bytes_max=most, log_bytes_min=0, log_ms_max=10**9))


def snapshot(source: MemoryState, rows_max: int = 3) -> MemoryState:
    """A complete copy that went through the bytes of a snapshot."""
    out, after = MemoryState(), b""
    while True:
        rows, after = source.chunk(after, rows_max)
        out.stage(rows)
        if not after:
            return out


def shared_state(disk: MemoryState) -> dict[str, Any]:
    """All that two level states must agree on."""
    return {
        "records": {k: decode(k, v) for k, v in disk.records.items() if k[:1] != PRIVATE},
        "bytes": {k: v for k, v in disk.records.items() if k[:1] != PRIVATE},
        "pending": dict(disk.pending),
        "clock": {a: n for a, n in disk.clock().items() if a[:1] != PRIVATE},
        "hashes": {a: r.hash for a, r in disk.actors.items() if a[:1] != PRIVATE},
        "governance": set(disk.load().governance),
        "digest": disk.digest,
    }


class Side:
    """An exchange over a node, with its outboxes by link."""

    def __init__(self, node: Node, **limits: int) -> None:
        self.node = node
        self.boxes: dict[int, Outbox] = {}
        self.exchange = Exchange(
            node.replica,
            durable=Clock(node.disk.clock()),
            limits=ExchangeLimits(**limits),
            now_ms=node.now_ms,
        )

    def open(self, link: int, other: "Side") -> None:
        box = self.boxes[link] = Outbox()
        self.exchange.link_up(link, other.node.replica.me.node_id, other.node.name, box)

    def commit(self) -> None:
        """Close, push, then let the disk finish and claim it."""
        sealed = self.node.close()
        self.exchange.minted(sealed)
        batches, self.node.batches = self.node.batches, []
        for batch in batches:
            self.node.disk.commit(batch)
            self.exchange.committed(batch)

    def pass_time(self, ms: int) -> None:
        self.node.now_ms += ms
        self.exchange.advance(self.node.now_ms)


def linked(left: Side, right: Side, link: int = 1) -> None:
    left.open(link, right)
    right.open(link, left)


def talk(left: Side, right: Side, link: int = 1, rounds: int = 20) -> int:
    """Carry messages both ways, committing as they come, until nobody says more."""
    carried = 0
    for _ in range(rounds):
        moved = 0
        for sender, receiver in ((left, right), (right, left)):
            for data in sender.boxes[link].take(2**30):
                receiver.exchange.advance(receiver.node.now_ms)
                receiver.exchange.receive(link, data)
                moved += 1
            receiver.commit()
        carried += moved
        if not moved:
            break
    return carried
