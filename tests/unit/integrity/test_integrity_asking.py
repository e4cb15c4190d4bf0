"""What members may ask each other about damaged rows, and what it costs who is asked."""

import asyncio
import random
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import msgpack
import pytest

from crdt.dot import NodeId
from node.integrity import asking
from node.integrity.asking import (
    BUNDLE,
    PENDING,
    PIECE_BYTES,
    RECORD,
    REQUEST,
    TOPIC,
    Asking,
    Vouching,
)
from node.replication.engine import Engine
from node.store import Store
from node.store.proving import Given, Needs
from node.store.rows import decode_idempotency
from tests.unit.crdt.rig import Node
from tests.unit.integrity.rig import fill, kept, rows, stop

MEMBER, STRANGER = b"m" * 32, b"s" * 32
ASK, NONE = 0, -1


class End:
    """What the asked side uses of an engine."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.asides: dict[str, Callable[[NodeId, int, bytes], None]] = {}
        self.said: list[list[Any]] = []
        members = SimpleNamespace(members={MEMBER})
        self.replica = SimpleNamespace(governance=SimpleNamespace(now=members))
        self.exchange = SimpleNamespace(peers={1: None, 2: None})
        self.ms = 1_770_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def send_aside(self, topic: str, data: bytes, link: int | None = None) -> None:
        assert (topic, link) == (TOPIC, 1)
        assert len(data) <= 64 * 1024
        self.said.append(msgpack.unpackb(data)[1:])

    def soon(self) -> None:
        """What is said is on its way."""

    def ask(self, kind: bytes, key: bytes, offset: int = 0, node: NodeId = MEMBER) -> list[Any]:
        """The answer of one piece; none when it is not answered."""
        self.said.clear()
        self.asides[TOPIC](node, 1, msgpack.packb([ASK, 7, kind, key, offset]))
        return self.said[0][1:] if self.said else []


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("asked")
    made = kept("a", folder, ("a",))
    fill(made, random.Random(5))
    yield made
    stop(made)


@pytest.fixture
def end(node: Node) -> End:
    return End(cast("Store", node.disk))


def listen(end: End) -> Asking:
    return Asking(cast("Engine", end))


@pytest.mark.parametrize("kind", [RECORD, REQUEST, BUNDLE, PENDING, b"?", b""])
async def test_any_key_is_answered_or_not_and_raises_nothing(end: End, kind: bytes) -> None:
    listen(end)
    for key in (b"", b"d", b"k" * 511, b"k" * 512, b"d" * 60_000, bytes(range(256))):
        for offset in (-1, 0, 2**62 - 1, 2**62):
            end.ask(kind, key, offset)
    for data in (b"", b"\xc1", msgpack.packb([ASK]), msgpack.packb([1, 7, -2, b""]), b"\x90"):
        end.asides[TOPIC](MEMBER, 1, data)


async def test_who_is_no_member_is_told_nothing(end: End) -> None:
    listen(end)
    key = next(key for key, _ in rows(end.store, "records") if key[:1] == b"d")
    assert end.ask(RECORD, key, node=STRANGER) == []
    assert end.ask(RECORD, key)[0] > 0


async def test_nothing_of_the_private_lane_is_told(end: End) -> None:
    listen(end)
    for table in ("records", "log_index"):
        for key, _ in list(rows(end.store, table)):
            if key[:1] == b"p":
                assert end.ask(RECORD, key)[0] == NONE
                assert end.ask(BUNDLE, key)[0] == NONE
    told = 0
    for scope, _ in list(rows(end.store, "idempotency")):
        total, data = end.ask(REQUEST, scope)
        dots = decode_idempotency(data)[0].dots if total != NONE else ()
        assert all(dot.actor[:1] != b"p" for dot in dots)
        told += bool(dots)
    assert told > 3  # and what is shared is told, whatever letter its name begins with


async def test_an_answer_is_read_once_however_many_pieces_it_has(
    end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[bytes] = []
    whole = random.Random(1).randbytes(5 * PIECE_BYTES + 3)

    def found(_store: Store, _kind: bytes, key: bytes) -> bytes:
        reads.append(key)
        return whole

    monkeypatch.setattr(asking, "_answer", found)
    listen(end)
    got = b""
    while len(got) < len(whole):
        total, piece = end.ask(PENDING, b"", len(got))
        assert total == len(whole)
        got += piece
    assert got == whole
    assert len(reads) == 1
    end.ask(PENDING, b"", 0)
    assert len(reads) == 2  # who begins again sees what there is now


async def test_questions_without_end_take_a_bounded_part_of_a_second(
    end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, spent = asyncio.get_running_loop(), 0.0
    monkeypatch.setattr(loop, "time", lambda: spent, raising=False)
    reads = 0

    def dear(_store: Store, _kind: bytes, _key: bytes) -> bytes:
        nonlocal spent, reads
        spent += 0.03
        reads += 1
        return b"x"

    monkeypatch.setattr(asking, "_answer", dear)
    monkeypatch.setattr(loop, "call_later", lambda *_later: None, raising=False)
    listen(end)
    for _ in range(2000):
        end.ask(PENDING, b"")
    assert reads == 4
    end.ms += 1000
    end.ask(PENDING, b"")
    assert reads == 5


async def test_what_is_too_much_for_this_second_is_answered_in_the_next(
    end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    later: list[tuple[Callable[..., None], Any]] = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(asking, "_PIECES_PER_SECOND", 2)
    monkeypatch.setattr(loop, "call_later", lambda _s, *rest: later.append(rest), raising=False)
    listen(end)
    answered = [bool(end.ask(PENDING, b"")) for _ in range(50)]
    assert answered == [True, True] + [False] * 48
    assert len(later) == 1  # one question of a link waits, not all of them
    end.ms += 1000
    later[0][0](*later[0][1:])
    assert len(end.said) == 1


def test_two_members_who_say_the_same_vouch_for_it_and_one_who_says_it_twice_does_not() -> None:
    given = Given(records={b"r": b"x", b"s": None}, pending={b"p": b"y"})
    others = [
        Given(records={b"r": b"x"}, pending={b"p": b"y"}),
        Given(records={b"r": b"x", b"s": b""}, pending={b"p": b"y"}),
        Given(records={b"r": b"x", b"s": None, b"p": b"y"}),
        Given(records={b"r": b"", b"s": None, b"x": None}, pending={b"p": b"y"}),
    ]
    said = Vouching(2)
    assert not said.heard(MEMBER, given).vouched
    assert not said.heard(MEMBER, given).vouched
    assert not any(said.heard(STRANGER, other).vouched for other in others)
    assert said.heard(STRANGER, given).vouched
    assert Vouching(1).heard(MEMBER, given).vouched  # nobody else could say it


class Asked:
    """What the asking side uses of an engine, with a peer that answers as told."""

    def __init__(self, answer: Callable[[int], list[Any]]) -> None:
        self.asides: dict[str, Callable[[NodeId, int, bytes], None]] = {}
        self.questions = 0
        self._answer = answer

    def send_aside(self, topic: str, data: bytes, link: int | None = None) -> None:
        _, number, _, _, offset = msgpack.unpackb(data)
        self.questions += 1
        said = msgpack.packb([1, number, *self._answer(offset)])
        asyncio.get_running_loop().call_soon(self.asides[topic], MEMBER, link, said)

    def soon(self) -> None:
        """What is said is on its way."""


async def test_an_answer_in_pieces_is_put_together() -> None:
    whole = random.Random(2).randbytes(3 * PIECE_BYTES + 7)
    peer = Asked(lambda offset: [len(whole), whole[offset : offset + PIECE_BYTES]])
    given = await Asking(cast("Engine", peer)).ask(1, MEMBER, Needs(records={b"dr": bytes(16)}))
    assert given is not None
    assert (given.records, peer.questions) == ({b"dr": whole}, 4)


@pytest.mark.parametrize("piece", [b"", b"x", bytes(PIECE_BYTES - 1), bytes(PIECE_BYTES + 1)])
async def test_who_answers_little_by_little_is_not_waited_for(piece: bytes) -> None:
    peer = Asked(lambda _offset: [64 * 1024 * 1024, piece])
    asked = Asking(cast("Engine", peer)).ask(1, MEMBER, Needs(records={b"dr": bytes(16)}))
    assert await asked is None
    assert peer.questions == 1


async def test_who_takes_its_time_for_each_piece_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking, "_ALL_SECONDS", 0.05)
    peer = Asked(lambda _offset: [1, b"x"])
    needs = Needs(records={b"d%d" % n: bytes(16) for n in range(10**5)})
    assert await Asking(cast("Engine", peer)).ask(1, MEMBER, needs) is None
    assert peer.questions < 10**5
