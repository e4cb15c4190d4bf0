from typing import Any

import msgpack
import pytest

from crdt import messages as m
from crdt.dot import SEQ_MAX
from tests.unit.crdt.rig import actor

CLOCK = {actor("a"): 3, actor("b"): SEQ_MAX}
ONE_OF_EACH: list[m.Message] = [
    m.Hello(CLOCK, {7: b"h" * 16}, joined=True, now_ms=5),
    m.Ask([1, 2]),
    m.Full([1, 2], CLOCK),
    m.Ack(CLOCK, b"d" * 16),
    m.Want(4, CLOCK),
    m.Page(4, [b"one", b"two"], last=False),
    m.Offer(4, b"snap"),
    m.Fetch(4, b"snap", b"after"),
    m.Chunk(4, b"snap", b"rows", b""),
    m.Level({}),
    m.Behind(),
    m.Gap(),
    m.Push(b"bundle"),
    m.Skewed(actor(), 1_750_000_000_000),
    m.Beat(9, 1_750_000_000_000, joined=False, clock_hash=b"c" * 16, digest=b"d" * 16),
    m.Echo(9),
    m.Aside("topic", b"words"),
    m.Spread(b"bundle", bytes(32)),
]


@pytest.mark.parametrize("message", ONE_OF_EACH, ids=lambda one: type(one).__name__)
def test_each_message_reads_back(message: m.Message) -> None:
    assert m.decode(m.encode(message)) == message


def test_the_place_in_the_table_is_the_number_on_the_wire() -> None:
    assert [m.encode(one)[1] for one in ONE_OF_EACH] == list(range(18))


@pytest.mark.parametrize("message", ONE_OF_EACH, ids=lambda one: type(one).__name__)
def test_a_field_too_many_or_too_few_is_malformed(message: m.Message) -> None:
    row = msgpack.unpackb(m.encode(message), strict_map_key=False)
    for spoiled in ([*row, 0], row[:-1] if len(row) > 1 else [*row, 0, 0]):
        with pytest.raises(m.MessageError) as caught:
            m.decode(msgpack.packb(spoiled))
        assert caught.value.reason == "malformed"


BAD: list[tuple[Any, str]] = [
    ({}, "malformed"),
    ([], "malformed"),
    (5, "malformed"),
    ([18], "unknown_kind"),
    ([-1], "unknown_kind"),
    ([True], "unknown_kind"),
    (["Hello"], "unknown_kind"),
    ([9, {b"short": 1}], "malformed"),
    ([9, {actor(): 0}], "malformed"),
    ([9, {actor(): SEQ_MAX + 1}], "malformed"),
    ([9, {actor(): 1.5}], "malformed"),
    ([9, [actor(), 1]], "malformed"),
    ([1, [-1]], "malformed"),
    ([1, list(range(m.GROUPS_MAX + 1))], "malformed"),
    ([5, 1, ["text"], True], "malformed"),
    ([5, 1, [], 1], "malformed"),
    ([15, True], "malformed"),
    ([13, b"x", 1], "malformed"),
    ([16, "", b"x"], "malformed"),
    ([16, "t", b"x" * (m.ASIDE_BYTES_MAX + 1)], "malformed"),
]


@pytest.mark.parametrize(("row", "reason"), BAD)
def test_what_has_the_wrong_shape_is_refused(row: Any, reason: str) -> None:
    with pytest.raises(m.MessageError) as caught:
        m.decode(msgpack.packb(row))
    assert caught.value.reason == reason


def test_what_is_not_msgpack_is_malformed() -> None:
    for data in (b"", b"\xc1", b"\x91", b"\x91\x0a\x00", b"\x91" * 3000):
        with pytest.raises(m.MessageError) as caught:
            m.decode(data)
        assert caught.value.reason == "malformed"
