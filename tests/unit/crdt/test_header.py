import msgpack
import pytest

from crdt.dot import SEQ_MAX
from crdt.header import Header, peek
from tests.unit.crdt.rig import Node, actor


def test_it_reads_what_the_bundle_says_of_itself() -> None:
    node = Node("a").found()
    node.create("r1")
    node.create("r2")
    (bundle,) = node.commit()
    assert peek(bundle.data) == Header(bundle.actor, bundle.first, bundle.last)
    assert peek(bundle.data).last - bundle.first == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("first", [1, 127, 128, 255, 256, 65_535, 65_536, 2**32, SEQ_MAX])
def test_numbers_of_every_width(first: int) -> None:
    data = msgpack.packb([1, actor(), first, 300, b"", b"", b""])
    assert peek(data) == Header(actor(), first, first + 299)


def test_what_does_not_begin_like_a_bundle_has_no_header() -> None:
    whole = msgpack.packb([1, actor(), 70_000, 300, b"", b"", b""])
    for data in (b"", b"\xc1", whole[1:], whole[:50], whole[:52], b"\x97\x02" + whole[2:]):
        assert peek(data) is None
    assert peek(msgpack.packb([1, actor(), -5, 1, b"", b"", b""])) is None
    assert peek(msgpack.packb([1, actor()[:-1], 5, 1, b"", b"", b""])) is None
