"""Hostile bytes against the core's decoders: a value or the typed error, nothing else, at once."""

import os
import random
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.admission import Fit
from crdt.bundle import BundleError, cluster_hash, read_bundle
from crdt.dot import parse_actor, parse_dot
from crdt.messages import MessageError
from crdt.messages import decode as decode_message
from crdt.pending import decode_pending
from crdt.record_codec import RecordError
from crdt.record_codec import decode as decode_record
from node.peers.greeting import GreetingRefused, read_greeting
from node.replication.tokens import decode_token
from tests.property import hostile
from tests.property.hostile import CERTIFICATES, SigningNode, mutated, signed_line

AUTHOR, GOVERNANCE, DATA = signed_line()
CLUSTER = cluster_hash("test")
SECONDS_MAX = 2.0
DETAIL_MAX = 2_000


def _text(decoder: Callable[[str], Any]) -> Callable[[bytes], Any]:
    return lambda data: decoder(data.decode("utf-8", "replace"))


def _greeting(data: bytes) -> Any:
    own, other = CERTIFICATES
    return read_greeting(data, own_certificate=own, peer_certificate=other)


TOKENS = [text.encode() for text in hostile.good_tokens()]
DECODERS: dict[str, tuple[Callable[[bytes], Any], type[Exception], list[bytes]]] = {
    "bundle": (
        lambda data: read_bundle(data, cluster=CLUSTER, ops_max=100),
        BundleError,
        [*GOVERNANCE, *DATA],
    ),
    "message": (decode_message, MessageError, hostile.good_messages()),
    "record": (
        lambda data: decode_record(b"dmemory/r", data),
        RecordError,
        hostile.good_records(),
    ),
    "pending": (decode_pending, ValueError, hostile.good_pending()),
    "greeting": (_greeting, GreetingRefused, [hostile.greeting()]),
    "token": (_text(decode_token), ValueError, TOKENS),
    "dot": (_text(parse_dot), ValueError, [TOKENS[1].replace(b".", b":")]),
    "actor": (_text(parse_actor), ValueError, [TOKENS[1][:60]]),
}
REASONS = {
    "bundle": {"malformed", "unknown_format", "too_many_ops", "malformed_op", "wrong_lane"},
    "message": {"malformed", "unknown_kind"},
    "greeting": {"malformed", "protocol", "signature", "key"},
}


def attempt(name: str, data: bytes) -> str:
    """Decode once; what came of it. Any other exception, or a long wait, fails the test."""
    decoder, refused, _ = DECODERS[name]
    began = time.process_time()
    try:
        decoder(data)
        outcome = "value"
    except refused as error:
        outcome = getattr(error, "reason", "refused")
    assert outcome in {"value"} | REASONS.get(name, {"refused"})
    assert time.process_time() - began < SECONDS_MAX
    return outcome


def barrage(name: str, count: int) -> Counter[str]:
    """Noise and mutated good bytes from a seed that is printed; replay with FUZZ_SEED."""
    seed = int(os.environ.get("FUZZ_SEED") or random.SystemRandom().getrandbits(32))
    print(f"replay: FUZZ_SEED={seed} ({name}, {count} inputs)")
    r = random.Random(seed)
    good = DECODERS[name][2]
    outcomes: Counter[str] = Counter()
    for n in range(count):
        data = r.choice(hostile.NOISE)(r) if n % 3 == 0 else mutated(r, r.choice(good))
        try:
            outcomes[attempt(name, data)] += 1
        except BaseException:
            print(f"input {n}: {data.hex()}")
            raise
    return outcomes


@pytest.mark.parametrize("name", DECODERS)
def test_what_is_good_is_taken(name: str) -> None:
    assert {attempt(name, data) for data in DECODERS[name][2]} == {"value"}


@pytest.mark.parametrize("name", DECODERS)
def test_hostile_bytes_give_a_value_or_the_typed_error(name: str) -> None:
    outcomes = barrage(name, 600)
    assert outcomes.total() == 600
    assert set(outcomes) - {"value"}, "nothing was refused: the barrage is blunt"


@pytest.mark.slow
@pytest.mark.parametrize("name", DECODERS)
def test_fuzz_core_thoroughly(name: str) -> None:
    assert barrage(name, 10_000).total() == 10_000


@given(st.sampled_from(sorted(DECODERS)), st.binary(max_size=200))
def test_any_bytes_at_all(name: str, data: bytes) -> None:
    attempt(name, data)


@given(st.text(max_size=80))
def test_any_text_is_a_token_or_refused(text: str) -> None:
    for name in ("token", "dot", "actor"):
        attempt(name, text.encode("utf-8", "replace"))


# --- what is signed stays as it was signed ---------------------------------------


def newcomer() -> SigningNode:
    """A founder's other self: it knows the author's governance and takes its next bundle."""
    node = SigningNode("b", founders=("a",))
    for data in GOVERNANCE:
        assert node.hear(data) is Fit.NEXT
    return node


def fits(node: SigningNode, data: bytes) -> Fit | str:
    try:
        bundle = node.replica.read_bundle(data)
    except BundleError as error:
        return error.reason
    return node.replica.fit(bundle)


def test_every_single_flipped_bit_of_a_signed_bundle_is_refused() -> None:
    node = newcomer()
    good = DATA[0]
    assert fits(node, good) is Fit.NEXT
    outcomes: Counter[Any] = Counter()
    for place in range(len(good) * 8):
        spoiled = bytearray(good)
        spoiled[place // 8] ^= 1 << place % 8
        outcomes[fits(node, bytes(spoiled))] += 1
    assert Fit.NEXT not in outcomes
    assert Fit.KNOWN not in outcomes
    assert outcomes[Fit.BAD] > 1000, "hardly anything came as far as the signature"
    assert fits(node, good) is Fit.NEXT


def accepted(count: int) -> list[str]:
    node, seed = newcomer(), random.SystemRandom().getrandbits(32)
    seed = int(os.environ.get("FUZZ_SEED") or seed)
    print(f"replay: FUZZ_SEED={seed}")
    r = random.Random(seed)
    inputs = (mutated(r, DATA[0]) for _ in range(count))
    return [data.hex() for data in inputs if data != DATA[0] and fits(node, data) is Fit.NEXT]


def test_no_mutated_bundle_is_accepted() -> None:
    assert accepted(1_000) == []


@pytest.mark.slow
def test_fuzz_signed_bundles_thoroughly() -> None:
    assert accepted(20_000) == []


def test_a_governance_bundle_is_signed_too() -> None:
    fresh = SigningNode("b", founders=("a",))
    good = GOVERNANCE[0]
    assert fits(fresh, good) is Fit.NEXT
    for place in range(0, len(good) * 8, 3):
        spoiled = bytearray(good)
        spoiled[place // 8] ^= 1 << place % 8
        assert fits(fresh, bytes(spoiled)) is not Fit.NEXT


def test_a_bundle_has_one_encoding_only() -> None:
    """A relay must not be able to change the bytes of a bundle and keep its hash."""
    node = newcomer()
    version, actor, first, *rest = msgpack.unpackb(DATA[0])
    packed = [msgpack.packb(x) for x in (version, actor)]
    longer = b"\x97" + b"".join(packed) + b"\xcf" + first.to_bytes(8, "big")
    longer += b"".join(msgpack.packb(x) for x in rest)
    assert longer != DATA[0]
    assert fits(node, longer) is not Fit.NEXT


# --- memory ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bundle", "message", "record", "pending", "greeting"])
def test_a_claim_of_length_costs_no_memory(name: str) -> None:
    prefixes = [b"", b"\x92", b"\x97\x01", b"\x92\x09", b"\x93\x01\xc0"]
    inputs = [p + claim + b"\x00" * 64 for p in prefixes for claim in hostile.CLAIMS]
    attempt(name, inputs[0])
    tracemalloc.start()
    try:
        for data in inputs:
            attempt(name, data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_many_small_things_cost_memory_in_proportion() -> None:
    data = msgpack.packb([5, 1, [b""] * 200_000, True])
    tracemalloc.start()
    try:
        attempt("message", data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * len(data)


BIG = "x" * 1_000_000


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("message", [BIG]),
        ("bundle", [BIG, 2, 3, 4, 5, 6, 7]),
        ("greeting", [msgpack.packb([BIG]), b""]),
    ],
)
def test_an_error_does_not_repeat_what_was_sent(name: str, row: Any) -> None:
    decoder, refused, _ = DECODERS[name]
    with pytest.raises(refused) as caught:
        decoder(msgpack.packb(row))
    assert len(str(caught.value)) < DETAIL_MAX
