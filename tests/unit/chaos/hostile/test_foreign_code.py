"""Bytes of the hostile peer, read by the node's own code: two writers of one document agree."""

import os
import random
import struct

import msgpack
import pytest
from nacl.signing import SigningKey

from chaos.hostile import mutations, websocket, wire
from chaos.hostile.minting import Line, Op, OpKind, governance_of, read_bundle
from chaos.hostile.wire import Greeting, Kind
from crdt import clock, messages
from crdt.bundle import BundleError, cluster_hash
from crdt.bundle import read_bundle as read_by_node
from crdt.dot import Dot
from crdt.messages import MessageError
from crdt.op import Kind as NodeKind
from node.peers.greeting import GreetingRefused
from node.peers.greeting import read_greeting as greeting_by_node
from transport import frames

SIGNING = SigningKey(bytes(range(32)))
NODE = os.urandom(32)
OWN, PEER = "ab" * 32, "cd" * 32


def line(lane: str = "d") -> Line:
    return Line.fresh("mesh", SIGNING, NODE, lane)


def greeting() -> Greeting:
    return Greeting(
        cluster="mesh",
        founders=("https://a:1", "https://b:1"),
        key=bytes(SIGNING.verify_key),
        name="hostile",
        url="https://c:1",
        claim="",
        process=bytes(8),
    )


def test_kinds_have_the_numbers_of_the_node() -> None:
    assert [kind.name for kind in OpKind] == [kind.name for kind in NodeKind]
    assert [int(kind) for kind in OpKind] == [int(kind) for kind in NodeKind]


@pytest.mark.parametrize("kind", list(Kind))
def test_every_message_is_one_to_the_node(kind: Kind) -> None:
    fields = mutations.samples(wire.actor_of("d", NODE), "marker")[kind]
    read = messages.decode(wire.message(kind, *fields))
    assert type(read).__name__.upper() == kind.name
    assert list(wire.said(messages.encode(read)))[1:] == fields


def test_frames_are_the_nodes() -> None:
    sent = [b"one", b"", b"three"]
    limits = {"frame_bytes_max": 99, "message_bytes_max": 99, "messages_max": 9}
    assert frames.decode(wire.frame(sent), **limits) == sent
    assert wire.messages_of(frames.encode(sent)) == sent


def test_a_greeting_proves_itself_for_one_pair_of_certificates() -> None:
    said = greeting().signed(SIGNING, OWN, PEER)
    read = greeting_by_node(said, own_certificate=PEER, peer_certificate=OWN)
    assert (read.name, read.key) == ("hostile", bytes(SIGNING.verify_key))
    assert wire.read_greeting(said, PEER, OWN).founders == ("https://a:1", "https://b:1")
    with pytest.raises(GreetingRefused, match="not of this key"):
        greeting_by_node(said, own_certificate=OWN, peer_certificate=PEER)
    with pytest.raises(ValueError, match="not proven"):
        wire.read_greeting(said, OWN, PEER)


def test_a_bundle_is_one_to_the_node_and_chains() -> None:
    mine, rules = line(), line("g")
    heads = [(rules.actor, 3)]
    first = mine.seal(mine.create("a", heads), mine.create("b", heads))
    second = mine.seal(
        Op(kind=OpKind.EDIT, id="a", births=[(mine.actor, 1)], heads=heads, fields={"title": "t"})
    )
    one = read_by_node(first.data, cluster=cluster_hash("mesh"), ops_max=9)
    two = read_by_node(second.data, cluster=cluster_hash("mesh"), ops_max=9)
    SIGNING.verify_key.verify(two.signed, two.signature)
    assert (one.hash, one.last, two.first) == (two.prev, 2, 3)
    assert two.ops[0].births == {Dot(mine.actor, 1)}
    assert two.ops[0].heads == (Dot(rules.actor, 3),)
    assert read_bundle(second.data, "mesh").hash == two.hash
    assert [row[2] for _, row in governance_of(first)] == ["a", "b"]


def test_hashes_of_clocks_are_the_nodes() -> None:
    entries = {wire.actor_of("d", NODE): number for number in range(1, 9)}
    assert wire.clock_hash(entries) == clock.group_hash(entries)
    assert {wire.group_of(actor) for actor in entries} == set(clock.grouped(entries))


def drawn(seed: int, count: int) -> list[mutations.Variant]:
    actor = b"d" + bytes(44)
    return list(mutations.variants(random.Random(seed), actor, line, "marker", count))


def test_a_seed_gives_its_variants_again() -> None:
    first, again = ([v.name for v in drawn(5, 600)] for _ in range(2))
    assert first == again
    assert len(first) >= 500
    assert {name.split()[0] for name in first} >= {kind.name for kind in Kind}


def test_no_bent_bundle_is_one_to_the_node() -> None:
    for variant in mutations.bundle_variants(line, "marker"):
        if variant.name.endswith("signature of zeros"):
            continue  # it has the right shape; only the key of its author is against it
        (data,) = wire.said(variant.data)[1:]
        with pytest.raises(BundleError):
            read_by_node(data, cluster=cluster_hash("mesh"), ops_max=1024)


def test_any_variant_is_a_message_or_a_typed_error() -> None:
    told: list[str] = []
    for variant in drawn(6, 3_000):
        try:
            messages.decode(variant.data)
        except MessageError as error:
            told.append(str(error))
    assert len(told) > 1_000
    assert not [words for words in told if "marker" in words]


def test_a_masked_frame_is_unmasked_to_what_was_sent() -> None:
    for size in (0, 1, 125, 126, 70_000):
        payload = os.urandom(size)
        data = websocket.frame_bytes(payload)
        header = 2 if size <= 125 else 4 if size < 1 << 16 else 10
        mask, body = data[header : header + 4], data[header + 4 :]
        assert bytes(b ^ mask[n % 4] for n, b in enumerate(body)) == payload
    assert websocket.frame_bytes(b"", declared=2**40)[2:10] == struct.pack(">Q", 2**40)
    assert msgpack.unpackb(wire.message(Kind.GAP)) == [11]
