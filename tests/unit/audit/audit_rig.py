"""Keys, chains and keepers for the tests of the audit chain."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crdt.dot import DATA, Actor, NodeId, new_actor
from node.audit.chain import START, Link, Owner, write_entry
from node.audit.heads import ActorHead
from node.audit.keeper import Keeper, KeeperSettings
from transport.identity import NodeKey, verify

T0_MS = 1_750_000_000_000
DEADLINE_S = 20.0


def key_of(number: int = 1) -> NodeKey:
    return NodeKey(bytes([number]) * 32)


def owner_of(key: NodeKey) -> Owner:
    return Owner(node_id=key.node_id, key=key.public, verify=verify)


KEY = key_of()
OWNER = owner_of(KEY)


def chain_of(count: int, key: NodeKey = KEY, after: Link = START) -> tuple[list[bytes], list[Link]]:
    """Lines with their line breaks, and the place of each."""
    lines, links = [], []
    for number in range(count):
        after, line = write_entry(
            after,
            at=T0_MS + number,
            event="policy_set",
            facts={"namespace": f"team/{number}", "levels": ("write=owner",), "n": number},
            node_id=key.node_id,
            sign=key.sign,
        )
        lines.append(line + b"\n")
        links.append(after)
    return lines, links


def until(state: Callable[[], Any]) -> None:
    """Wait for a state, not for a time."""
    deadline = time.monotonic() + DEADLINE_S
    while not state():
        assert time.monotonic() < deadline, "the state never came"
        threading.Event().wait(0.002)


@dataclass
class Clock:
    now: int = T0_MS

    def __call__(self) -> int:
        return self.now


@dataclass
class Kept:
    """A keeper with what it told."""

    keeper: Keeper
    clock: Clock
    failures: list[BaseException] = field(default_factory=list)
    troubles: list[tuple[str, str]] = field(default_factory=list)


def keep(folder: Path, key: NodeKey = KEY, clock: Clock | None = None, **settings: Any) -> Kept:
    clock = clock or Clock()
    failures: list[BaseException] = []
    troubles: list[tuple[str, str]] = []
    keeper = Keeper(
        KeeperSettings(folder=folder, **settings),
        owner=owner_of(key),
        sign=key.sign,
        now_ms=clock,
        failed=failures.append,
        trouble=lambda event, error: troubles.append((event, error)),
    )
    return Kept(keeper, clock, failures, troubles)


def actor_head(key: NodeKey = KEY, seq: int = 5, birth: int = 1, mark: bytes = b"a") -> ActorHead:
    return ActorHead(actor_of(key, birth), seq, hashlib.sha256(mark).digest())


def actor_of(key: NodeKey = KEY, birth: int = 1, lane: bytes = DATA) -> Actor:
    return new_actor(lane, 1_700_000_000 + birth, bytes(8), key.node_id)


@dataclass
class Wire:
    """Rooms that are linked with each other; what is said arrives when it is delivered."""

    rooms: dict[NodeId, "FakeRoom"] = field(default_factory=dict)

    def deliver(self) -> None:
        """Until nobody has anything more to say."""
        while self._step():
            pass

    def _step(self) -> bool:
        moved = False
        for room in list(self.rooms.values()):
            said, room.said = room.said, []
            for topic, data, link in said:
                for node, number in room.linked.items():
                    if link in {None, number}:
                        other = self.rooms[node]
                        other.hear[topic](room.me, other.linked[room.me], data)
                        moved = True
        return moved


@dataclass
class FakeRoom:
    """What a node's countersigning sees, without a network."""

    me: NodeId
    wire: Wire
    cut_off: set[NodeId] = field(default_factory=set)
    actors: tuple[ActorHead, ...] = ()
    is_settled: bool = True
    said: list[tuple[str, bytes, int | None]] = field(default_factory=list)
    hear: dict[str, Callable[[NodeId, int, bytes], None]] = field(default_factory=dict)

    @property
    def linked(self) -> Mapping[NodeId, int]:
        others = [node for node in self.wire.rooms if node != self.me]
        return {n: i + 1 for i, n in enumerate(sorted(others)) if n not in self.cut_off}

    def own_heads(self) -> tuple[ActorHead, ...]:
        return self.actors

    def settled(self) -> bool:
        return self.is_settled

    def name_of(self, node: NodeId) -> str:
        return node.hex()[:6]

    def send(self, topic: str, data: bytes, link: int | None = None) -> None:
        self.said.append((topic, data, link))


def entries_of(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.glob("0*.jsonl")):
        yield from path.read_bytes().splitlines()
