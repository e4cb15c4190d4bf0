"""Planted bugs of documents that many write: their changes as bytes, packed, gathered, taken in.

Law: as of `tests.planted.bug`; numbers from 49 to 60.
"""

from typing import Final

from tests.planted.bug import Planted
from tests.planted.layers import Watch

DOCUMENTS: Final = (
    Planted(
        name="49-run-of-one-is-a-second-spelling",
        meaning="a change is taken that other programs would write with another hash",
        watch=Watch(
            property=(
                "tests/unit/crdt/document/test_change.py",
                "tests/property/test_document_codec.py",
            )
        ),
    ),
    Planted(
        name="50-fold-forgets-the-order-within-a-millisecond",
        meaning="what is folded comes out with another stamp than it was written with",
        watch=Watch(property=("tests/property/test_document_pack.py",)),
    ),
    Planted(
        name="51-rival-that-is-read-first-stays",
        meaning="which of two changes with one number is kept depends on which came first",
        watch=Watch(property=("tests/property/test_document_gathering.py",)),
    ),
    Planted(
        name="52-growth-puts-what-is-new-at-the-end",
        meaning="a document that grew has its changes in another order than one read anew",
        watch=Watch(property=("tests/property/test_document_gathering.py",)),
    ),
    Planted(
        name="53-siblings-stand-as-they-came",
        meaning="what two authors insert at one place stands in the order in which it arrived",
        watch=Watch(property=("tests/property/test_document_opset.py",)),
    ),
    Planted(
        name="54-deletion-takes-what-it-never-saw",
        meaning="a deletion hides what another author wrote at the same time",
        watch=Watch(property=("tests/property/test_document_opset.py",)),
    ),
    Planted(
        name="55-change-is-judged-by-all-that-is-here",
        meaning="a change may refer to what its author had not seen, if it came before",
        watch=Watch(property=("tests/property/test_document_opset.py",)),
    ),
    Planted(
        name="56-edit-of-the-past-lands-in-the-present",
        meaning="positions of an edit made upon older heads are taken for present ones",
        watch=Watch(property=("tests/property/test_document_opened.py",)),
    ),
    Planted(
        name="57-actor-goes-on-from-what-does-not-show",
        meaning="two changes share an actor and a number when the first one waits for approval",
        watch=Watch(property=("tests/unit/node/documents/test_documents_governed.py",)),
    ),
    Planted(
        name="58-fold-takes-what-may-still-be-rejected",
        meaning="an edit that was rejected after all shows for ever, in a pack of others",
        watch=Watch(property=("tests/unit/node/documents/test_documents_governed.py",)),
    ),
    Planted(
        name="59-piece-of-a-stream-says-that-all-was-sent",
        meaning="who lost a stream of changes in the middle goes on behind what it never got",
        watch=Watch(property=("tests/unit/http/test_http_document_stream.py",)),
    ),
    Planted(
        name="60-words-are-replaced-where-others-have-moved-them",
        meaning="of words that a tool replaces at once, the later ones land beside their places",
        watch=Watch(property=("tests/unit/mcp/test_mcp_documents.py",)),
    ),
    Planted(
        name="68-retry-is-an-edit-of-its-own",
        meaning="an edit that is sent to both sides of a cut, with key and heads, is made twice",
        watch=Watch(property=("tests/unit/node/documents/test_documents_retries.py",)),
    ),
    Planted(
        name="74-half-of-a-document-is-shown",
        meaning="a document in which memory ran out is shown, and edited on, as it was left",
        watch=Watch(property=("tests/unit/node/documents/test_documents_warming.py",)),
    ),
)
