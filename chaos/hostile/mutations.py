"""Messages and bundles that are none: every kind, bent in every way, from a seed.

Law: a stream of variants that the same seed gives again. What is bent is recorded in its name. A
variant of a bundle is always signed by its author, so that only its shape stands against it; none
of them is one that a node may apply.
"""

import random
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgpack

from chaos.hostile import wire
from chaos.hostile.minting import Line, Op, OpKind
from chaos.hostile.wire import Kind

__all__ = ["Variant", "bundle_variants", "message_variants", "samples", "variants"]

_DEEP: Final = 5_000
_SEQ_MAX: Final = 2**53 - 1
_STAMP_MAX: Final = 2**64 - 1


class Variant(NamedTuple):
    """One thing to send, in a frame of its own."""

    name: str
    data: bytes


def samples(actor: bytes, marker: str) -> dict[Kind, list[Any]]:
    """Well-formed fields of every kind of message, with content where content may stand."""
    text = marker.encode()
    clock = {actor: 1}
    return {
        Kind.HELLO: [clock, {1: bytes(16)}, True, wire.now_ms()],
        Kind.ASK: [[1, 2]],
        Kind.FULL: [[1], clock],
        Kind.ACK: [{}, bytes(16)],
        Kind.WANT: [1, clock],
        Kind.PAGE: [1, [text], True],
        Kind.OFFER: [1, text],
        Kind.FETCH: [1, text, text],
        Kind.CHUNK: [1, text, text, text],
        Kind.LEVEL: [clock],
        Kind.BEHIND: [],
        Kind.GAP: [],
        Kind.PUSH: [text],
        Kind.SKEWED: [actor, 1],
        Kind.BEAT: [1, wire.now_ms(), True, bytes(16), bytes(16)],
        Kind.ECHO: [1],
        Kind.ASIDE: ["topic", text],
        Kind.SPREAD: [text, bytes(32)],
    }


def _odd_values(rng: random.Random, marker: str) -> list[Any]:
    deep: Any = marker
    for _ in range(100):
        deep = [deep]
    return [
        None,
        True,
        -1,
        _SEQ_MAX + 1,
        2**64 - 1,
        -(2**63),
        float("nan"),
        float("inf"),
        1.5,
        "",
        marker,
        b"",
        marker.encode(),
        bytes(44),
        rng.randbytes(45),
        [],
        {},
        [None],
        {marker: marker},
        {b"x" * 45: 1},
        {1: {2: {3: marker}}},
        [[]] * 50,
        deep,
        msgpack.ExtType(5, marker.encode()),
        msgpack.Timestamp(1),
    ]


# Headers that promise what is not there: arrays, maps, texts and bytes of 4 GiB.
_PROMISES: Final = tuple(
    struct.pack(">BI", first, 0xFFFFFFFF) for first in (0xDD, 0xDF, 0xDB, 0xC6)
)


def message_variants(
    rng: random.Random, kind: Kind, fields: Sequence[Any], marker: str
) -> Iterator[Variant]:
    """Bend one message, for ever."""
    whole = wire.message(kind, *fields)
    ways: list[Callable[[], bytes]] = [
        lambda: whole[: rng.randrange(len(whole))],
        lambda: whole + rng.randbytes(rng.randrange(1, 9)),
        lambda: _flipped(rng, whole),
        lambda: _with_odd_field(rng, kind, fields, marker),
        lambda: wire.message(kind, *fields, rng.choice(_odd_values(rng, marker))),
        lambda: wire.message(kind, *fields[:-1]) if fields else b"\x90",
        lambda: bytes([0x91 + len(fields), kind]) + rng.choice(_PROMISES),
        lambda: bytes([0x91 + len(fields), kind]) + b"\x91" * _DEEP,
        lambda: bytes([0x91 + len(fields), kind]) + b"\x81\xa1k" * _DEEP,
        lambda: bytes([0x91 + len(fields), kind]) + b"\xa3\xff\xfe\xfd" * max(len(fields), 1),
        lambda: bytes([0x91 + len(fields), kind]) + _twice(rng) * max(len(fields), 1),
        lambda: wire.message(rng.choice([18, 99, 255, 2**40, -1]), *fields),
        lambda: msgpack.packb([rng.choice([None, "0", 1.0, True, b"\x00"]), *fields]),
        lambda: msgpack.packb(rng.choice([kind, None, marker, {int(kind): fields}])),
        lambda: b"",
    ]
    names = (
        "cut",
        "longer",
        "flipped",
        "odd field",
        "field too many",
        "field too few",
        "huge length",
        "deep lists",
        "deep maps",
        "bad text",
        "key twice",
        "unknown kind",
        "kind of another type",
        "no list",
        "empty",
    )
    while True:
        for name, way in zip(names, ways, strict=True):
            yield Variant(f"{kind.name} {name}", way())


def _flipped(rng: random.Random, whole: bytes) -> bytes:
    bent = bytearray(whole)
    for _ in range(rng.randrange(1, 4)):
        bent[rng.randrange(len(bent))] ^= 1 << rng.randrange(8)
    return bytes(bent)


def _with_odd_field(rng: random.Random, kind: Kind, fields: Sequence[Any], marker: str) -> bytes:
    bent = list(fields) or [None]
    bent[rng.randrange(len(bent))] = rng.choice(_odd_values(rng, marker))
    return wire.message(kind, *bent)


def _twice(rng: random.Random) -> bytes:
    """A clock that says two things of one actor."""
    actor = b"d" + rng.randbytes(44)
    entry = b"\xc4\x2d" + actor
    return b"\x82" + entry + b"\x01" + entry + b"\x02"


# --- bundles --------------------------------------------------------------------------------


def _ops_bent(base: list[Any], marker: str) -> Iterator[tuple[str, Any]]:
    """Operations as rows; none of them has the shape of one."""

    def at(place: int, value: Any) -> list[Any]:
        return [*base[:place], value, *base[place + 1 :]]

    deep: Any = marker
    for _ in range(60):
        deep = {"a": deep}
    yield "operation too short", base[:-1]
    yield "operation too long", [*base, marker]
    yield "operation no list", {"0": marker}
    for kind in (0, 6, 15, 25, -1, 2**63, marker, None, 1.0, True):
        yield f"operation kind {type(kind).__name__}", at(0, kind)
    for kind in (OpKind.FOUND, OpKind.ADD, OpKind.POLICY, OpKind.ROLE):
        yield f"{kind.name} in the data lane", at(0, int(kind))
    for kind in (OpKind.VOTE, OpKind.SEAL):
        yield f"{kind.name} about nothing", at(0, int(kind))
    yield "collection with a slash", at(1, f"a/{marker}"[:20])
    yield "collection too long", at(1, "c" * 33)
    yield "id too long", at(2, marker + "x" * 255)
    yield "id no text", at(2, marker.encode())
    yield "owner too long", at(3, marker + "x" * 512)
    yield "namespace too long", at(4, marker + "x" * 2048)
    yield "agent no text", at(5, [marker])
    for stamp in (-1, 2**80 >> 17, marker, None, 1.5):
        yield "stamp no number of 64 bits", at(6, stamp if stamp != 2**63 else -(2**63))
    yield "dots odd", at(7, [0])
    yield "dots out of the table", at(7, [9999, 1])
    yield "dots of number nought", at(7, [0, 0])
    yield "dots too large", at(7, [0, _SEQ_MAX + 1])
    yield "dots too many", at(7, [0, 1] * 5000)
    yield "value not finite", at(8, {"title": float("nan"), "content": marker})
    yield "value infinite", at(8, {"title": float("-inf")})
    yield "value too deep", at(8, {"metadata": deep})
    yield "value of another type", at(8, {"title": msgpack.ExtType(3, marker.encode())})
    yield "fields no map", at(8, [marker])
    yield "field name no text", at(8, {1: marker})
    yield "field name too long", at(8, {marker + "x" * 640: 1})
    yield "fields too many", at(8, {f"f{n}": n for n in range(600)})
    yield "inner key no text", at(8, {"metadata": {1: marker}})
    yield "removed no texts", at(9, [1])
    yield "removed too many", at(9, ["x"] * 600)
    yield "hidden odd", at(10, [0])
    yield "heads out of the list", at(11, 7)
    yield "heads negative", at(11, -1)
    yield "target of two", at(12, [0, 1, 0, 2])
    yield "retry no pair", at(13, [marker.encode()])
    yield "retry too short", at(13, [b"x", b"y"])


def bundle_variants(line: Callable[[], Line], marker: str) -> Iterator[Variant]:
    """Every bundle that is bent, once, each in a Push.

    Args:
        line: makes a line of an actor that nobody knows, each time.
        marker: content.
    """

    def pushed(name: str, data: bytes) -> Variant:
        return Variant(f"bundle: {name}", wire.message(Kind.PUSH, data))

    def base(of: Line) -> Op:
        return of.create(f"bent-{marker}", (), content=marker)

    one = line()
    good = base(one)
    row = _row(good)
    for name, bent in _ops_bent(row, marker):
        of = line()
        body = msgpack.packb([[of.actor], [[]], [bent]], use_bin_type=True)
        yield pushed(name, of.seal(body=body, count=1).data)
    for name, lies in _headers_bent(marker):
        of = line()
        yield pushed(name, of.seal(base(of), **lies).data)
    whole = line().seal(good).data
    for cut in range(0, len(whole), max(len(whole) // 40, 1)):
        yield pushed("cut", whole[:cut])
    bodies = {
        "body no list": b"\xc0",
        "body of two lists": b"\x92\x90\x90",
        "body deep": b"\x93" + b"\x91" * _DEEP,
        "body promises": b"\x93" + _PROMISES[0],
        "body with bad text": b"\x93\x90\x90\x91\xa3\xff\xfe\xfd",
        "body with text after it": msgpack.packb([[], [[]], [row]]) + marker.encode(),
        "more heads than operations": msgpack.packb([[], [[], [], []], [row]]),
        "an actor of another length": msgpack.packb([[b"short"], [[]], [row]]),
        "no operation": msgpack.packb([[], [], []]),
    }
    for name, body in bodies.items():
        yield pushed(name, line().seal(body=body, count=1).data)
    yield pushed("encoded otherwise", _wider(whole))


def _row(op: Op) -> list[Any]:
    return [
        int(op.kind),
        op.collection,
        op.id,
        op.owner,
        op.namespace,
        op.agent,
        op.stamp,
        [],
        dict(op.fields),
        [],
        [],
        0,
        None,
        None,
    ]


def _headers_bent(marker: str) -> list[tuple[str, dict[str, Any]]]:
    text = marker.encode()
    return [
        ("another format", {"format": 2}),
        ("format of another type", {"format": marker}),
        ("first nought", {"first": 0}),
        ("count nought", {"count": 0}),
        ("count too large", {"count": 2}),
        ("count over the limit", {"count": 1025}),
        ("actor of another lane", {"actor": b"x" + bytes(44)}),
        ("actor too short", {"actor": text}),
        ("previous hash too short", {"prev": text}),
        ("signature too short", {"signature": text}),
        ("signature of zeros", {"signature": bytes(64)}),
        ("eight fields", {"more": (marker,)}),
    ]


def _wider(whole: bytes) -> bytes:
    """The same list with a longer header than it needs."""
    return b"\xdc\x00" + bytes([whole[0] & 0x0F]) + whole[1:]


def variants(
    rng: random.Random, actor: bytes, line: Callable[[], Line], marker: str, count: int
) -> Iterator[Variant]:
    """So many variants: all kinds of messages in turn, then bundles, as many of each."""
    made = samples(actor, marker)
    streams = [message_variants(rng, kind, fields, marker) for kind, fields in made.items()]
    # Not all kinds are bent the same way at the same time.
    for stream in streams:
        for _ in range(rng.randrange(15)):
            next(stream)
    bundles = list(bundle_variants(line, marker))
    rng.shuffle(bundles)
    share = min(count // 3, len(bundles))
    for number in range(count - share):
        yield next(streams[number % len(streams)])
    yield from bundles[:share]
