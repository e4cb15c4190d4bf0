"""The header of the standard, and the bytes that peers exchange."""

import random

import pytest

from crdt.dot import DATA, GOVERNANCE, new_actor
from node.telemetry.crossing import ENTRIES_MAX, Crossed, decode, encode
from node.telemetry.traceparent import TraceParent, read, unpacked

NODE = bytes(range(32))
ACTOR = new_actor(DATA, 1_700_000_000, bytes(8), NODE)
PLACE = TraceParent(trace_id=1, span_id=2, sampled=True)


def test_what_is_written_is_read() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(200):
        place = TraceParent(
            trace_id=rng.randrange(1, 2**128),
            span_id=rng.randrange(1, 2**64),
            sampled=rng.random() < 0.5,
        )
        assert read(place.text()) == place
        assert unpacked(place.packed()) == place


@pytest.mark.parametrize(
    ("text", "sampled"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", False),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03", True),
        ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later", True),
    ],
)
def test_examples_of_the_standard(text: str, sampled: bool) -> None:  # noqa: FBT001 - an example
    found = read(text)
    assert found is not None
    assert (found.trace_id, found.sampled) == (0x4BF92F3577B34DA6A3CE929D0E0E4736, sampled)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n",
    ],
)
def test_what_is_not_of_the_standard_names_no_trace(text: str | None) -> None:
    assert read(text) is None


def test_a_peer_is_told_of_places_in_traces() -> None:
    told = [Crossed(ACTOR, 5, PLACE), Crossed(ACTOR, 6, PLACE)]
    assert decode(encode(told), NODE) == told


def test_of_too_many_the_first_are_told() -> None:
    many = [Crossed(ACTOR, number, PLACE) for number in range(1, ENTRIES_MAX + 50)]
    data = encode(many)
    assert decode(data, NODE) == many[:ENTRIES_MAX]
    assert len(data) < 64 * 1024


def test_a_peer_speaks_of_its_own_actors_alone() -> None:
    other = new_actor(GOVERNANCE, 1, bytes(8), bytes(32))
    assert decode(encode([Crossed(other, 1, PLACE), Crossed(ACTOR, 1, PLACE)]), NODE) == [
        Crossed(ACTOR, 1, PLACE)
    ]


def test_any_bytes_of_a_peer_are_a_list() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    good = encode([Crossed(ACTOR, 1, PLACE)] * 3)
    for _ in range(500):
        junk = bytearray(good if rng.random() < 0.7 else rng.randbytes(rng.randrange(100)))
        for _ in range(rng.randrange(4)):
            if junk:
                junk[rng.randrange(len(junk))] = rng.randrange(256)
        for entry in decode(bytes(junk), NODE):
            assert entry.seq > 0
            assert entry.parent.sampled
