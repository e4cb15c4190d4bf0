"""Heads, countersignatures, and what shows when a chain is less than it was."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from crdt.dot import PRIVATE
from node.audit.books import HEADS, WITNESSES, read_heads, read_witnesses
from node.audit.chain import Link, Owner
from node.audit.countersign import ASK_TOPIC, HEAD_TOPIC, WITNESS_TOPIC, Countersigning
from node.audit.heads import (
    ACTORS_MAX,
    ASIDE_BYTES_MAX,
    ActorHead,
    HeadError,
    contradiction,
    read_head,
    read_witness,
    write_head,
    write_witness,
)
from node.audit.keeper import Keeper
from node.audit.report import claims_of
from node.audit.segments import segments, verify_folder
from tests.unit.audit.audit_rig import (
    KEY,
    OWNER,
    T0_MS,
    FakeRoom,
    Wire,
    actor_head,
    actor_of,
    chain_of,
    keep,
    key_of,
    owner_of,
)
from transport.identity import NodeKey, verify

_, LINKS = chain_of(4)
ACTORS = (actor_head(seq=7), actor_head(seq=3, birth=2))
HEAD = write_head(LINKS[2], ACTORS, key=KEY.public, at=T0_MS, sign=KEY.sign)
PEER = key_of(2)
WITNESS = write_witness(HEAD, key=PEER.public, at=T0_MS + 1, sign=PEER.sign)


def test_a_head_and_its_countersignature_read_back() -> None:
    assert read_head(HEAD.data, verify) == HEAD
    witness = read_witness(WITNESS, verify)
    assert (witness.by, witness.head, witness.at) == (PEER.node_id, HEAD, T0_MS + 1)
    assert witness.head.link == LINKS[2]


@pytest.mark.parametrize(
    ("data", "read"), [(HEAD.data, read_head), (WITNESS, read_witness)], ids=["head", "witness"]
)
def test_any_changed_byte_is_refused(data: bytes, read: Callable[..., Any]) -> None:
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 0x01
        with pytest.raises(HeadError):
            read(bytes(changed), verify)
        with pytest.raises(HeadError):
            read(data[:place], verify)


def test_a_head_speaks_only_of_its_own_lines_and_never_of_the_private_lane() -> None:
    for actor in (actor_of(PEER), actor_of(KEY, lane=PRIVATE)):
        bad = write_head(
            LINKS[0], (ActorHead(actor, 1, bytes(32)),), key=KEY.public, at=1, sign=KEY.sign
        )
        with pytest.raises(HeadError):
            read_head(bad.data, verify)


def test_the_longest_answer_fits_into_an_aside() -> None:
    actors = tuple(actor_head(seq=2**53 - 1, birth=n) for n in range(ACTORS_MAX))
    head = write_head(
        Link(2**53 - 1, LINKS[0].hash), actors, key=KEY.public, at=2**52, sign=KEY.sign
    )
    data = write_witness(head, key=PEER.public, at=2**52, sign=PEER.sign)
    assert len(data) <= ASIDE_BYTES_MAX
    assert read_witness(data, verify).head == head


@pytest.mark.parametrize(
    ("link", "actors", "said"),
    [
        (LINKS[3], ACTORS, ""),
        (LINKS[2], ACTORS, ""),
        (LINKS[1], ACTORS, "lower"),
        (Link(3, LINKS[0].hash), ACTORS, "other_entry"),
        (LINKS[3], (actor_head(seq=6), ACTORS[1]), "fewer_operations"),
        (LINKS[3], (actor_head(seq=7, mark=b"b"), ACTORS[1]), "other_operations"),
        (LINKS[3], (actor_head(seq=9, mark=b"b"),), ""),
    ],
)
def test_a_later_head_may_only_go_on(link: Link, actors: tuple[ActorHead, ...], said: str) -> None:
    later = write_head(link, actors, key=KEY.public, at=T0_MS, sign=KEY.sign)
    assert contradiction(HEAD, later) == said


# --- two sides ------------------------------------------------------------------------


@dataclass
class Side:
    """One node's audit side, without the rest of the node."""

    folder: Path
    key: NodeKey
    wire: Wire
    alarms: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    keeper: Keeper = field(init=False)
    signing: Countersigning = field(init=False)
    room: FakeRoom = field(init=False)

    def __post_init__(self) -> None:
        self.room = FakeRoom(self.key.node_id, self.wire)
        self.wire.rooms[self.key.node_id] = self.room
        self.keeper = keep(self.folder, key=self.key).keeper
        self.open()

    def open(self) -> None:
        loop = asyncio.get_running_loop()
        self.signing = Countersigning(
            self.folder,
            keeper=self.keeper,
            owner=self.owner,
            sign=self.key.sign,
            room=self.room,
            post=loop.call_soon_threadsafe,
            now_ms=lambda: T0_MS,
            alarm=lambda event, **facts: self.alarms.append((event, facts)),
        )
        self.room.hear = {
            HEAD_TOPIC: self.signing.on_head,
            WITNESS_TOPIC: self.signing.on_witness,
            ASK_TOPIC: self.signing.on_ask,
        }

    @property
    def owner(self) -> Owner:
        return owner_of(self.key)

    def restart(self) -> None:
        self.keeper.close()
        self.keeper = keep(self.folder, key=self.key).keeper
        self.alarms.clear()
        self.open()

    def names(self) -> list[str]:
        return [event for event, _ in self.alarms]

    async def record(self, count: int = 1, namespace: str = "team") -> None:
        wanted = self.keeper.head.seq + count
        for _ in range(count):
            self.keeper.record("policy_set", namespace=namespace)
        await eventually(lambda: self.keeper.head.seq >= wanted)


async def eventually(state: Callable[[], Any]) -> None:
    """Wait for a state that other threads bring about."""
    async with asyncio.timeout(20):
        while not state():  # noqa: ASYNC110 - the state belongs to another thread
            await asyncio.sleep(0.002)


async def settle(sides: list[Side], state: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not state():
            for side in sides:
                side.signing.beat()
            sides[0].wire.deliver()
            await asyncio.sleep(0.002)


def trio(folder: Path) -> list[Side]:
    wire = Wire()
    return [Side(folder / str(n), key_of(n + 1), wire) for n in range(3)]


async def test_peers_vouch_for_the_end_of_a_chain(tmp_path: Path) -> None:
    a, b, c = sides = trio(tmp_path)
    await a.record(3)
    await settle(sides, lambda: a.signing.countersigned() == 2)
    assert b.signing.heads.newest[a.key.node_id].link == a.keeper.head
    await a.record()
    assert a.signing.countersigned() == 0, "the end has moved"
    await settle(sides, lambda: a.signing.countersigned() == 2)
    assert not a.alarms + b.alarms + c.alarms
    for side in sides:
        side.keeper.close()
    kept = read_witnesses(a.folder, a.key.node_id, verify)
    assert len(kept.newest) == 2
    assert read_heads(b.folder, verify).newest[a.key.node_id].link == a.keeper.head


async def test_a_head_is_not_told_while_the_node_is_behind(tmp_path: Path) -> None:
    a, b, _ = sides = trio(tmp_path)
    await a.record()
    a.room.is_settled = False
    a.signing.beat()
    a.wire.deliver()
    assert not a.room.said
    assert a.key.node_id not in b.signing.heads.newest
    for side in sides:
        side.keeper.close()


async def test_a_cut_off_end_shows_offline_and_online(tmp_path: Path) -> None:
    a, b, _ = sides = trio(tmp_path)
    await a.record(4)
    await settle(sides, lambda: a.signing.countersigned() == 2)
    a.keeper.close()
    path = segments(a.folder)[0].path
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    claims = claims_of(read_witnesses(a.folder, a.key.node_id, verify))
    assert not verify_folder(a.folder, a.owner, claims=claims.links).holds
    (a.folder / WITNESSES).unlink()  # whoever cut the chain can take this too
    a.restart()
    assert verify_folder(a.folder, a.owner).holds, "the folder alone does not know better"
    await a.record()
    await settle(sides, lambda: "audit_rollback" in a.names() and "audit_rollback" in b.names())
    claims = claims_of(a.signing.witnesses)
    verdict = verify_folder(a.folder, a.owner, claims=claims.links)
    assert verdict.first_bad is not None
    for side in sides:
        side.keeper.close()


async def test_an_end_that_grew_over_a_cut_shows_too(tmp_path: Path) -> None:
    """More new entries than were cut: no number goes back, but one entry is another."""
    a, b, _ = sides = trio(tmp_path)
    await a.record(4)
    await settle(sides, lambda: a.signing.countersigned() == 2)
    a.keeper.close()
    path = segments(a.folder)[0].path
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    (a.folder / WITNESSES).unlink()
    a.restart()
    await a.record(10, "elsewhere")
    await settle(sides, lambda: "audit_rollback" in a.names())
    await eventually(lambda: read_witnesses(a.folder, a.key.node_id, verify).disputed)
    await settle(sides, lambda: b.signing.heads.newest[a.key.node_id].seq >= 12)
    claims = claims_of(a.signing.witnesses)
    verdict = verify_folder(a.folder, a.owner, claims=claims.links)
    assert verdict.first_bad is not None
    assert verdict.first_bad.seq == 4, "the proof outlives newer countersignatures"
    for side in sides:
        side.keeper.close()


async def test_fewer_operations_than_before_are_an_alarm(tmp_path: Path) -> None:
    a, b, _ = sides = trio(tmp_path)
    a.room.actors = (actor_head(a.key, seq=9),)
    await a.record()
    await settle(sides, lambda: a.signing.countersigned() == 2)
    a.room.actors = (actor_head(a.key, seq=4),)
    await settle(sides, lambda: b.alarms)
    event, facts = b.alarms[0]
    assert (event, facts["reason"]) == ("audit_rollback", "fewer_operations")
    assert b.signing.heads.disputed[0].actors[0].seq == 9
    for side in sides:
        side.keeper.close()


async def test_nobody_speaks_for_another_node(tmp_path: Path) -> None:
    a, b, c = sides = trio(tmp_path)
    await a.record()
    head = write_head(a.keeper.head, (), key=a.key.public, at=1, sign=a.key.sign)
    b.signing.on_head(c.key.node_id, 1, head.data)
    assert not b.signing.heads.newest
    a.signing.on_witness(
        b.key.node_id, 1, write_witness(head, key=c.key.public, at=1, sign=c.key.sign)
    )
    assert not a.signing.witnesses.newest
    b.signing.on_head(a.key.node_id, 1, b"\xff" * 100)
    assert b.names() == ["audit_head_refused"] * 2
    for side in sides:
        side.keeper.close()


async def test_asking_all_returns_when_all_answered_or_in_time(tmp_path: Path) -> None:
    a, b, _ = sides = trio(tmp_path)
    await a.record()
    await settle(sides, lambda: a.signing.countersigned() == 2)
    asking = asyncio.create_task(a.signing.ask_all(20.0))
    await asyncio.sleep(0)
    await settle([b], asking.done)
    assert asking.result() == 2
    assert await a.signing.ask_all(0.01) == 0, "nothing was delivered"
    for side in sides:
        side.keeper.close()


def test_a_book_that_was_tampered_with_is_not_believed(tmp_path: Path) -> None:
    text = '{"newest": {"x": "AAAA"}, "disputed": [1, "%%"]}'
    (tmp_path / WITNESSES).write_text(text)
    book = read_witnesses(tmp_path, OWNER.node_id, verify)
    assert (book.newest, book.unread) == ({}, 3)
    (tmp_path / HEADS).write_text("no json")
    assert read_heads(tmp_path, verify).unread == 1
