"""What members ask and answer aside: what is said comes back, and nothing else is believed."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.doctor.asking import Asking
from node.doctor.telling import TOPIC, Sight, Told, answer, question, read
from node.replication.engine import Engine
from tests.unit.doctor.healthy import A, B, C, told

_WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=64)
_SIGHTS = st.builds(
    Sight,
    state=_WORDS,
    allowed=st.booleans(),
    lag_ops=st.integers(0, 2**40),
    skew_ms=st.integers(-(2**40), 2**40),
    dial=_WORDS,
)
_NODES = st.binary(min_size=32, max_size=32).map(bytes.hex)
_TOLD = st.builds(
    Told,
    version=_WORDS,
    now_ms=st.integers(0, 2**50),
    settings=st.dictionaries(_WORDS, _WORDS, max_size=8),
    sees=st.dictionaries(_NODES, _SIGHTS, max_size=8),
)


@given(number=st.integers(0, 2**32), said=_TOLD)
@settings(max_examples=25, deadline=None)
def test_what_is_said_is_what_is_heard(number: int, said: Told) -> None:
    assert read(question(number)) == (number, None)
    assert read(answer(number, said)) == (number, said)


@given(data=st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_bytes_of_anybody_are_read_or_are_nothing(data: bytes) -> None:
    message = read(data)
    assert message is None or message[1] is None or isinstance(message[1], Told)


_LEAF = st.one_of(st.integers(-(2**63), 2**63), st.booleans(), st.text(max_size=8), st.none())
_SHAPE = _LEAF | st.lists(_LEAF, max_size=6) | st.lists(st.lists(_LEAF, max_size=7), max_size=2)


@given(parts=st.lists(_SHAPE, max_size=6), kind=st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_shapes_of_anybody_are_read_or_are_nothing(parts: list[Any], kind: int) -> None:
    read(msgpack.packb([kind, 1, *parts]))


@pytest.mark.parametrize(
    "spoilt",
    [
        ["x" * 65, 1, {}, []],
        ["v\n", 1, {}, []],
        ["v", -1, {}, []],
        ["v", True, {}, []],
        ["v", 1, {"a": 1}, []],
        ["v", 1, {str(n): "" for n in range(33)}, []],
        ["v", 1, {}, [[A.hex(), "ready", True, 0, 0, ""]] * 101],
        ["v", 1, {}, [["short", "ready", True, 0, 0, ""]]],
        ["v", 1, {}, [[A.hex(), "ready", 1, 0, 0, ""]]],
        ["v", 1, {}, [[A.hex(), "ready", True, -1, 0, ""]]],
        ["v", 1, {}, [[A.hex(), "ready", True, 0, 2**63, ""]]],
    ],
)
def test_what_is_out_of_bounds_says_nothing(spoilt: list[Any]) -> None:
    assert read(msgpack.packb([1, 7, *spoilt])) is None


def test_a_newer_member_may_say_more() -> None:
    row = msgpack.unpackb(answer(7, told()))
    row[5] = [[*sight, "more"] for sight in row[5]]
    assert read(msgpack.packb([*row, "even more"])) == (7, told())


class Links:
    """As much of an engine as asking needs; what is sent aside goes to whoever listens."""

    def __init__(self, *nodes: bytes) -> None:
        self.asides: dict[str, Any] = {}
        self.sent: list[tuple[bytes, int | None]] = []
        peers = {number: SimpleNamespace(node_id=n, row={}) for number, n in enumerate(nodes)}
        self.exchange = SimpleNamespace(peers=peers)
        self.answers: dict[int, bytes] = {}

    def send_aside(self, topic: str, data: bytes, link: int | None = None) -> None:
        assert topic == TOPIC
        self.sent.append((data, link))
        message = read(data)
        assert message is not None
        if message[1] is not None:
            return
        loop = asyncio.get_running_loop()
        for number, reply in self.answers.items():
            row = msgpack.unpackb(reply)
            row[1] = message[0] if row[1] == 0 else row[1]
            node = self.exchange.peers[number].node_id
            loop.call_soon(self.asides[TOPIC], node, number, msgpack.packb(row))

    def soon(self) -> None: ...


async def test_members_are_asked_and_who_is_silent_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("node.doctor.asking._ANSWER_SECONDS", 0.05)
    links = Links(B, C)
    asking = Asking(cast("Engine", links), told)
    links.answers = {0: answer(0, told(version="9"))}
    heard = await asking.ask()
    assert heard == {B: told(version="9")}
    # All answer: nobody waits. An answer to another question, or from a stranger, is none.
    links.answers = {0: answer(0, told()), 1: answer(0, told())}
    assert await asking.ask() == {B: told(), C: told()}
    links.answers = {0: answer(4711, told()), 1: answer(0, told())}
    assert await asking.ask() == {C: told()}
    links.asides[TOPIC](A, 5, answer(1, told()))
    assert asking._waiting == {}


async def test_a_member_that_asks_again_and_again_is_answered_from_what_is_known() -> None:
    links, made = Links(B), []

    def own() -> Told:
        made.append(1)
        return told()

    Asking(cast("Engine", links), own)
    for number in range(100):
        links.asides[TOPIC](B, 0, question(number))
    assert len(links.sent) == 100
    assert len(made) == 1
    assert {link for _, link in links.sent} == {0}
    links.asides[TOPIC](B, 0, b"\xc1")
    assert len(links.sent) == 100


async def test_nobody_is_linked_and_nobody_is_asked() -> None:
    links = Links()
    assert await Asking(cast("Engine", links), told).ask() == {}
    assert not links.sent
