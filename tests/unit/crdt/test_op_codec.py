from typing import Any

import msgpack
import pytest

from crdt import op_codec as c
from crdt.hlc import STAMP_MAX
from crdt.op import Idempotency, Kind, Op
from tests.unit.crdt.rig import actor, dot

FULL = Op(
    dot=dot("a", 4),
    kind=Kind.EDIT,
    collection="memory",
    id="r-1",
    owner="ann",
    namespace="n/m",
    agent="bob",
    hlc=STAMP_MAX,
    births=frozenset([dot("b"), dot("a")]),
    set={"title": "é", "meta": {"x": [1, 2.5, None, True, b"raw"]}, "n": -(2**63)},
    removed=frozenset(["y", "x"]),
    supersedes=frozenset([dot("b", 2)]),
    heads=(dot("a", lane=b"g"), dot("b", lane=b"g")),
    idempotency=Idempotency(scope=b"s" * 16, body=b"b" * 16),
)
VOTE = Op(dot=dot("a", 5), kind=Kind.VOTE, target=dot("a", 4), heads=FULL.heads)


def test_operations_read_back() -> None:
    ops = (FULL, VOTE)
    assert c.decode_ops(c.encode_ops(ops), actor(), 4) == ops


def test_actors_and_heads_are_written_once_a_bundle() -> None:
    many = [FULL._replace(dot=dot("a", n)) for n in range(1, 30)]
    data = c.encode_ops(many)
    assert data.count(actor("b")) == 1
    assert data.count(actor("b", b"g")) == 1


@pytest.mark.parametrize(
    "op",
    [
        FULL,
        VOTE,
        FULL._replace(set={"content": "\N{SNOWMAN}" * 100_000}),
        FULL._replace(set={"metadata": {str(n): n for n in range(2_000)}}),
        FULL._replace(set={f"tags/{'t' * 100}{n}": True for n in range(50)}),
        FULL._replace(id="é" * 100, namespace="\N{SNOWMAN}" * 600, agent="é" * 200),
        FULL._replace(supersedes=frozenset(dot(f"s{n}", 2**40) for n in range(300))),
        FULL._replace(removed=frozenset("x" * n for n in range(1, 300))),
    ],
)
def test_an_operation_takes_no_more_than_its_weight(op: Op) -> None:
    for count in (1, 7):
        ops = [op._replace(dot=dot("a", 4 + n)) for n in range(count)]
        heads = c.weight_of_heads(op.heads)
        assert len(c.encode_ops(ops)) <= sum(map(c.weight, ops)) + heads


def spoiled(place: int, value: Any) -> bytes:
    actors, heads, rows = msgpack.unpackb(c.encode_ops([FULL]))
    rows[0][place] = value
    return bytes(msgpack.packb([actors, heads, rows]))


DEEP: Any = []
for _ in range(c.DEPTH_MAX + 2):
    DEEP = [DEEP]

BAD = [
    (0, 99, "unknown operation kind"),
    (0, True, "unknown operation kind"),
    (0, "1", "unknown operation kind"),
    (1, "a/b", "no slash"),
    (1, "x" * 33, "longer than 32"),
    (2, "x" * 256, "longer than 255"),
    (2, "é" * 128, "longer than 255"),
    (3, 5, "not text"),
    (4, b"n", "not text"),
    (5, ["x"], "not text"),
    (6, -1, "out of range"),
    (6, STAMP_MAX + 1, "out of range"),
    (6, 1.0, "out of range"),
    (7, [0], "pairs"),
    (7, [9, 1], "no actor"),
    (7, [-1, 1], "no actor"),
    (7, [0, 0], "out of range"),
    (7, [0, True], "out of range"),
    (7, [0, 1] * 5000, "pairs"),
    (8, [1], "not a map"),
    (8, {f"f{n}": n for n in range(c.FIELDS_MAX + 1)}, "not a map"),
    (8, {"x" * (c.FIELD_BYTES_MAX + 1): 1}, "longer than"),
    (8, {b"x": 1}, "not text"),
    (8, {"x": float("nan")}, "not finite"),
    (8, {"x": [float("inf")]}, "not finite"),
    (8, {"x": DEEP}, "deeper"),
    (8, {"x": {b"y": 1}}, "key that is not text"),
    (8, {"x": msgpack.ExtType(5, b"")}, "unknown type"),
    (8, {"x": msgpack.Timestamp(1)}, "unknown type"),
    (9, "abc", "not a list"),
    (9, [5], "not text"),
    (10, "abc", "pairs"),
    (11, 1, "heads are not in"),
    (11, -1, "heads are not in"),
    (12, [0, 1, 0, 2], "one dot"),
    (12, [], "one dot"),
    (13, [b"s" * 16], "pair"),
    (13, [b"s" * 16, b"short"], "16 bytes"),
]


@pytest.mark.parametrize(("place", "value", "words"), BAD)
def test_what_breaks_the_format_or_a_limit_is_refused(place: int, value: Any, words: str) -> None:
    with pytest.raises(c.OpError, match=words):
        c.decode_ops(spoiled(place, value), actor(), 4)


def test_a_refusal_repeats_nothing_of_what_was_sent() -> None:
    with pytest.raises(c.OpError) as caught:
        c.decode_ops(spoiled(0, "a word of content"), actor(), 4)
    assert "content" not in str(caught.value)


def test_a_bundle_names_actors_only() -> None:
    actors, heads, rows = msgpack.unpackb(c.encode_ops([FULL]))
    with pytest.raises(c.OpError, match="wrong shape"):
        c.decode_ops(msgpack.packb([[*actors, b"x" * 45], heads, rows]), actor(), 4)
    with pytest.raises(c.OpError, match="more head sets"):
        c.decode_ops(msgpack.packb([actors, [*heads, *heads], rows]), actor(), 4)
    with pytest.raises(c.OpError, match="list of 14"):
        c.decode_ops(msgpack.packb([actors, heads, [rows[0][:-1]]]), actor(), 4)
