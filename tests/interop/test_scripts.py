"""Random authors: the official library, the package of PyPI and the reference agree.

Each seed is one script (`tests.interop.playing`): one to three authors, a dozen steps, about half
of the changes written by the library and half by the reference's editing and encoder.
"""

import base64
import random
import zlib

import pytest

from crdt.document.change import encode_change, read_change
from crdt.document.chunk import open_chunk, split_chunks
from crdt.document.leb import uleb
from crdt.document.model import Change
from crdt.document.opened import Document
from crdt.document.second_opinion import PackageError, PackageMissingError, alike, package_value
from tests.interop.comparing import conflicts_of, json_of, tree_of
from tests.interop.playing import LIMITS, Game, Played
from tests.interop.rig import Oracle
from tests.interop.writing import document_of, written


def check_bytes(change: Change) -> None:
    """What was read, written anew: the same bytes, and so the same hash."""
    anew = encode_change(
        actor=change.actor,
        seq=change.seq,
        start_op=change.start_op,
        time=change.time,
        message=change.message,
        deps=change.deps,
        ops=change.ops,
        extra=change.extra,
    )
    assert anew.data == change.data
    assert anew.hash == change.hash


def check_package(document: Document, *, rich: bool) -> bool:
    """Whether the package was asked; it must agree then."""
    try:
        theirs = package_value(document.data(), LIMITS)
    except PackageMissingError:
        return False
    except PackageError:
        # It knows no marks; whatever else it is not asked about is a fault.
        if not rich:
            raise
        return False
    assert alike(theirs, document.package_shape())
    return True


def check(played: Played, dice: random.Random) -> Document:
    """Everything that must hold of a script; returns the document that it ended with."""
    changes = [read_change(chunk, LIMITS) for chunk in played.chunks]
    for change in changes:
        check_bytes(change)
    document = document_of(changes, dice)
    assert not document.aside
    assert [head.hex() for head in document.heads] == sorted(played.heads)
    assert tree_of(document._opset) == played.shown
    assert document.value() == json_of(played.shown)
    assert document.conflicts() == conflicts_of(played.shown)
    assert {one.change.data for one in document.history()} == set(played.chunks)
    for heads, shown in played.views:
        seen = document.at(map(bytes.fromhex, heads))
        assert tree_of(seen._opset) == shown
        assert len(document.since(seen.heads)) + seen.changes == document.changes
    assert tree_of(document._opset) == played.shown
    return document


def run(oracle: Oracle, seeds: range) -> None:
    asked = ours = theirs = broken = 0
    for seed in seeds:
        print(f"seed {seed}")
        played = Game(oracle, seed, written).play()
        document = check(played, random.Random(seed))
        assert oracle.load("served", document.data()) == played.heads
        assert oracle.ask("value", doc="served")["value"] == played.shown
        asked += check_package(document, rich=played.rich)
        ours += played.written
        theirs += len(played.raw)
        broken += played.broken
    print(f"{ours} changes of ours, {theirs} of theirs, the package asked {asked} times")
    assert broken <= 2 + len(seeds) // 50
    assert min(ours, theirs) > len(seeds) // 2


def test_a_dozen_scripts(oracle: Oracle) -> None:
    start = random.randrange(2**32)
    run(oracle, range(start, start + 12))


@pytest.mark.thorough
def test_a_thousand_scripts(oracle: Oracle) -> None:
    run(oracle, range(1_000))


def test_the_library_reads_a_change_that_was_deflated(oracle: Oracle) -> None:
    """As earlier versions of it write what is longer than 256 bytes; the hash stays."""
    oracle.ask("make", doc="long", actor="aa", **{"from": {"text": "words " * 200}})
    (chunk,) = oracle.changes("long")
    assert oracle.load("deflated", deflated(chunk)) == [read_change(chunk, LIMITS).hash.hex()]
    assert split_chunks(deflated(chunk), LIMITS) == [chunk]
    assert oracle.text("deflated") == "words " * 200


def test_what_the_library_keeps_of_an_author_stays(oracle: Oracle) -> None:
    """It stands in bytes that the format leaves to later versions."""
    oracle.ask("make", doc="signed", author="cafe", **{"from": {"text": "words"}})
    oracle.edit("signed", [{"op": "splice", "path": ["text"], "insert": " and more"}])
    changes = [read_change(chunk, LIMITS) for chunk in oracle.changes("signed")]
    for change in changes:
        check_bytes(change)
    document = document_of(changes, random.Random(3))
    oracle.load("signed again", document.data())
    first = base64.b64encode(oracle.changes("signed again")[0]).decode()
    assert oracle.ask("decode", change=first)["change"]["author"] == "cafe"


def deflated(chunk: bytes) -> bytes:
    """The same change, as a chunk of type 2."""
    _, begin = open_chunk(chunk, LIMITS)
    squeezer = zlib.compressobj(wbits=-15)
    packed = squeezer.compress(chunk[begin:]) + squeezer.flush()
    return chunk[:8] + b"\x02" + uleb(len(packed)) + packed
