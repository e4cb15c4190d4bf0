"""The formats are what they were; a change here is a change of protocol."""

import json

import pytest

from crdt.bundle import cluster_hash, read_bundle
from crdt.messages import decode as decode_message
from crdt.pending import decode_pending
from crdt.record_codec import decode as decode_record
from crdt.record_codec import encode as encode_record
from node.peers.greeting import read_greeting
from node.replication.comparing import decode_answer, decode_question
from node.replication.manifest import read_manifest
from node.replication.tokens import decode_token
from tests.golden.frozen import BYTES, STORY, frozen, story
from tests.property.hostile import CERTIFICATES
from tests.unit.crdt.test_messages import ONE_OF_EACH
from transport.identity import verify

GOLDEN: dict[str, str] = json.loads(BYTES.read_text(encoding="utf-8"))
READERS = {
    "bundle of": lambda data: read_bundle(data, cluster=cluster_hash("test"), ops_max=9),
    "message": decode_message,
    "pending": decode_pending,
    "record": lambda data: decode_record(b"dmemory/r", data),
    "greeting": lambda data: read_greeting(
        data, own_certificate=CERTIFICATES[0], peer_certificate=CERTIFICATES[1]
    ),
    "token": lambda data: decode_token(data.decode()),
    "aside Manifest": lambda data: read_manifest(data, verify),
    "aside": lambda data: decode_question(data) or decode_answer(data),
}


def test_every_format_is_frozen() -> None:
    assert sorted(frozen()) == sorted(GOLDEN)
    kinds = {f"message {type(message).__name__}" for message in ONE_OF_EACH}
    assert kinds <= set(GOLDEN)


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_this_version_writes_the_same_bytes(name: str) -> None:
    assert frozen()[name] == GOLDEN[name]


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_this_version_reads_the_frozen_bytes(name: str) -> None:
    for start, reader in READERS.items():
        if name.startswith(start):
            assert reader(bytes.fromhex(GOLDEN[name])) is not None
            return
    assert name in {"signed message of a bundle", "standing"}


def test_a_frozen_record_is_written_back_byte_for_byte() -> None:
    data = bytes.fromhex(GOLDEN["record"])
    assert encode_record(decode_record(b"dmemory/r", data)) == data


def test_a_catch_up_goes_as_the_story_tells() -> None:
    assert story() == STORY.read_text(encoding="utf-8")


def test_the_story_has_its_turning_points_in_order() -> None:
    text = STORY.read_text(encoding="utf-8")
    turns = ["Hello", "Want 1", "more to come", "Want 2", "the last", "Bob: Level", "Push", "Ack"]
    place = 0
    for turn in [*turns, "'edited'", "digests are equal."]:
        place = text.find(turn, place)
        assert place >= 0, turn
