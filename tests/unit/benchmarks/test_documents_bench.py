"""The document that is opened for a figure is a real one, and the same each time."""

from crdt.document.gathering import gather
from crdt.document.model import DocumentLimits
from crdt.document.opened import Document
from tests.benchmarks.documents import _packed, _singles, _timed, typed


def test_a_typed_document_is_whole_and_the_same_alone_and_packed() -> None:
    kept = typed(40)
    assert [one.change.hash for one in kept] == [one.change.hash for one in typed(40)]
    alone, packed = (
        Document.opened(gather(one(kept), DocumentLimits())) for one in (_singles, _packed)
    )
    assert (alone.changes, alone.aside, packed.aside) == (40, [], [])
    assert alone.heads == packed.heads
    assert alone.value() == packed.value()
    assert len(alone.text()) > 150


def test_what_is_timed_is_told_in_order() -> None:
    line = _timed(5, lambda: None)
    assert 0 <= line["p50_ms"] <= line["p99_ms"] <= line["max_ms"]
