"""What a hostile or broken other side may send: noise, and good bytes with a few changed."""

import random
from collections.abc import Callable
from typing import Any

import msgpack

from crdt.dot import DATA, Actor, new_actor
from crdt.governance import Genesis
from crdt.op import Idempotency, Kind
from crdt.pending import Pending, Vote, encode_pending
from crdt.record_codec import encode
from crdt.replica import Replica
from node.peers.greeting import Greeting, encode_greeting
from node.replication.tokens import encode_token
from tests.unit.crdt.rig import T0_S, Node, dot, draft
from tests.unit.crdt.test_messages import ONE_OF_EACH
from tests.unit.crdt.test_record import BORN, EDIT, GONE, OTHER, after
from transport.identity import NodeKey, verify

CERTIFICATES = ("11" * 32, "22" * 32)


class SigningNode(Node):
    """A node whose bundles carry real Ed25519 signatures."""

    def __init__(self, name: str, **more: Any) -> None:
        self.key = NodeKey.generate(lambda count: name.encode().ljust(count, b"."))
        super().__init__(name, **more)

    def started(self, **changes: Any) -> Replica:
        known = {
            "node_id": self.key.node_id,
            "key": self.key.public,
            "sign": self.key.sign,
            "verify": verify,
        }
        return super().started(**{**known, **changes})

    def _draw(self, lane: bytes) -> Actor:
        self.births += 1
        return new_actor(lane, T0_S, self.births.to_bytes(8, "big"), self.key.node_id)


def signed_line() -> tuple[SigningNode, list[bytes], list[bytes]]:
    """An author, its governance bundles, and its data bundles."""
    author = SigningNode("a").found()
    author.agent("bob")
    author.policy(write="any")
    author.commit()
    mark = Idempotency(scope=b"s" * 16, body=b"b" * 16)
    author.write(draft(Kind.CREATE, "r", title="x", **{"tags/t": 0}), idempotency=mark)
    author.commit()
    author.edit("r", title="é", body={"deep": [1, 2.5, None]})
    author.create("r2", tier="long")
    author.commit()
    author.delete("r2")
    author.commit()
    lanes: dict[bool, list[bytes]] = {True: [], False: []}
    for bundle in author.sealed:
        lanes[bundle.actor[:1] == DATA].append(bundle.data)
    return author, lanes[False], lanes[True]


def greeting(**fields: Any) -> bytes:
    """A greeting, with these fields in place of the usual ones."""
    key = NodeKey.generate(lambda count: b"g" * count)
    own, other = CERTIFICATES
    return encode_greeting(
        Greeting(
            genesis=Genesis(cluster="c", founders=("a", "b")),
            key=key.public,
            name="a",
            url="https://a.example:9077",
            claim="a",
            process=b"p" * 8,
            **fields,
        ),
        key.sign,
        own_certificate=other,
        peer_certificate=own,
    )


def good_records() -> list[bytes]:
    held = [
        after(BORN),
        after(BORN, EDIT, OTHER),
        after(BORN, EDIT, pending={EDIT.dot}),
        after(BORN, GONE, pending={GONE.dot}),
    ]
    return [encode(record) for record in held if record is not None]


def good_pending() -> list[bytes]:
    vote = Vote("bob", 5, yes=True, human=True, registered=True, seen=frozenset([dot("v", 2)]))
    empty = Pending(b"dmemory/r", b"h" * 32, "ann", {"consensus": 2}, expires=9)
    return [encode_pending(empty), encode_pending(empty.with_vote(dot("v"), vote))]


def good_tokens() -> list[str]:
    return ["-", encode_token({dot("a").actor: 3}), encode_token({dot(n).actor: 9 for n in "ab"})]


def good_messages() -> list[bytes]:
    from crdt.messages import encode as encode_message  # noqa: PLC0415 - another `encode`

    return [encode_message(message) for message in ONE_OF_EACH]


# Markers with a length behind them: claims of four thousand million elements, and extensions.
CLAIMS = [
    bytes([marker, *size])
    for marker in (0xC6, 0xC9, 0xDB, 0xDD, 0xDF)
    for size in (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x10\x00\x00")
]
NOISE: list[Callable[[random.Random], bytes]] = [
    lambda r: r.randbytes(r.randint(0, 120)),
    lambda r: bytes(r.choice([0x90, 0x91, 0x92, 0x97, 0x80, 0x81, 0xC0]) for _ in range(40)),
    lambda r: b"\x91" * r.choice([100, 500, 2000]) + b"\xc0",
    lambda r: b"\x81\xa1x" * r.choice([100, 500, 2000]) + b"\xc0",
    lambda r: r.choice(CLAIMS) + r.randbytes(r.randint(0, 40)),
    lambda r: bytes([0x90 | r.randint(0, 15), r.randint(0, 20)]) + r.choice(CLAIMS) + b"\x00" * 9,
    lambda r: bytes(msgpack.packb([_junk(r, 0) for _ in range(r.randint(0, 11))])),
]


def _junk(r: random.Random, depth: int) -> Any:
    plain = [None, True, -1, 2**64 - 1, 1.5, float("nan"), "x", "é" * 9, b"", b"d" * 45, 0]
    kind = r.randint(0, 9)
    if depth < 4 and kind == 0:
        return [_junk(r, depth + 1) for _ in range(r.randint(0, 5))]
    if depth < 4 and kind == 1:
        return {r.choice(["a", b"b", 3]): _junk(r, depth + 1) for _ in range(r.randint(0, 4))}
    if kind == 2:
        return msgpack.ExtType(r.randint(0, 127), b"ext")
    return r.choice(plain)


def mutated(r: random.Random, good: bytes) -> bytes:
    """A few bits flipped, bytes set, cut, doubled or put in."""
    data = bytearray(good)
    for _ in range(r.choice([1, 1, 1, 2, 4])):
        place = r.randrange(len(data) + 1)
        change = r.randint(0, 6)
        if change <= 1 and place < len(data):
            data[place] ^= 1 << r.randint(0, 7)
        elif change == 2 and place < len(data):
            data[place] = r.choice([0, 1, 0x7F, 0x80, 0x90, 0xC0, 0xC4, 0xCC, 0xFF])
        elif change == 3:
            del data[place : place + r.randint(1, 4)]
        elif change == 4:
            data[place:place] = data[place : place + r.randint(1, 9)]
        elif change == 5:
            data[place:place] = r.choice([r.randbytes(r.randint(1, 5)), r.choice(CLAIMS)])
        else:
            del data[place:]
    return bytes(data)
