"""A manifest is what was signed, to the bit."""

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from node.backup.manifest import BadBackup, Contents, FileFact, Manifest, read_manifest, signed
from transport.identity import NodeKey

KEY = NodeKey(bytes(range(32)))
CONTENTS = Contents(
    schema=2,
    store_id="ab",
    cluster="mesh",
    genesis="cd",
    clock={"a": 3, "b": 4},
    private_operations=1,
    digest="0" * 32,
    records=5,
    rows={"meta": 4},
)
MANIFEST = Manifest(
    id="20260101T000000Z-01234567",
    created_ms=1,
    created_at="2026-01-01T00:00:00Z",
    version="0.1.0",
    node_id=KEY.node_id.hex(),
    name="node-a",
    source="running",
    data_dir="/srv/node",
    contents=CONTENTS,
    files=(FileFact(path="data.mdb", bytes=1, sha256="ef"),),
)


def text(manifest: Manifest = MANIFEST, key: NodeKey = KEY) -> bytes:
    return signed(manifest, key.public, key.sign)


def test_it_is_read_as_it_was_signed() -> None:
    assert read_manifest(text()) == MANIFEST
    assert MANIFEST.contents.operations == 7


def test_not_one_bit_may_be_another() -> None:
    whole, rng = text(), random.Random(7)
    for at in rng.sample(range(len(whole) * 8), 400):
        flipped = bytearray(whole)
        flipped[at // 8] ^= 1 << at % 8
        with pytest.raises(BadBackup):
            read_manifest(bytes(flipped))


def test_another_key_cannot_speak_for_a_node() -> None:
    with pytest.raises(BadBackup, match="does not hold") as told:
        read_manifest(text(key=NodeKey(bytes(32))))
    assert "another node" in told.value.why


@pytest.mark.parametrize("path", ["../data.mdb", "/etc/passwd", "a/../../b", "manifest.json", ""])
def test_no_file_lies_elsewhere(path: str) -> None:
    files = (FileFact(path=path, bytes=1, sha256=""), *MANIFEST.files)
    for listed in (files, files[::-1]):
        with pytest.raises(BadBackup):
            read_manifest(text(replace(MANIFEST, files=listed)))


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.pop("files"),
        lambda body: body.update(files=[]),
        lambda body: body.update(files=[{"path": "data.mdb"}]),
        lambda body: body.update(contents=None),
        lambda body: body.update(format="another"),
        lambda body: body.update(more=1),
        lambda body: body["contents"].pop("clock"),
    ],
)
def test_what_lacks_a_part_is_none(change: Any) -> None:
    body = json.loads(text())["backup"]
    change(body)
    mark = b"mnemesh backup manifest 1\0"
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    whole = {
        "backup": body,
        "public_key": KEY.public.hex(),
        "signature": KEY.sign(mark + canonical).hex(),
    }
    with pytest.raises(BadBackup):
        read_manifest((json.dumps(whole, indent=1, sort_keys=True) + "\n").encode())


@pytest.mark.parametrize(
    "data", [b"", b"null", b"[]", b"{}", b"[" * 100_000, b"\xff", bytes(5 << 20)]
)
def test_what_is_no_manifest_is_told(data: bytes) -> None:
    with pytest.raises(BadBackup):
        read_manifest(data)
