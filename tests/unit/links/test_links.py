import pytest

from crdt.dot import DATA, PRIVATE
from crdt.op import record_key
from node.links.index import LinkIndex, link_id
from node.links.link import link_draft, link_of
from tests.unit.http.fake_node import FakeNode


def key(ident: str, lane: bytes = DATA) -> bytes:
    return record_key(lane, "link", ident)


def test_an_id_fits_and_says_which_link_it_is() -> None:
    longest = "x" * 128
    ident = link_id(longest, "r" * 64, longest[:-1] + "y")
    assert len(ident.encode()) <= 255
    assert len({link_id(a, r, b) for a in "pq" for r in "rs" for b in "tu"}) == 8
    assert link_id("a", "r", "b") == link_id("a", "r", "b")


def test_a_link_is_found_from_its_end_until_it_is_gone() -> None:
    index = LinkIndex()
    assert index.shared() == 0
    one, two = link_id("a", "r", "z"), link_id("b", "r", "z")
    index.note(key(one), there=True)
    index.note(key(one), there=True)
    index.note(key(two, PRIVATE), there=True)
    assert sorted(index.ending_at("z")) == sorted([one, two])
    assert index.ending_at("a") == []
    assert index.shared() == 1
    assert sorted(index.every()) == sorted([one, two])
    index.note(key(one), there=False)
    index.note(key(one), there=False)
    assert index.ending_at("z") == [two]
    assert index.shared() == 0


def test_another_store_is_read_anew() -> None:
    stores = {"first": [key(link_id("a", "r", "z"))], "second": [key(link_id("b", "r", "z"))]}
    current = ["first"]
    index = LinkIndex(lambda: stores[current[0]], lambda: current[0])
    assert index.ending_at("z") == [link_id("a", "r", "z")]
    current[0] = "second"
    assert index.ending_at("z") == [link_id("b", "r", "z")]
    assert index.shared() == 1


@pytest.mark.parametrize(
    "wrong",
    [{"target_id": "c"}, {"relation": None}, {"source_id": 7}, {"source_id": b"a"}],
)
def test_a_record_whose_fields_are_not_those_of_its_id_states_nothing(
    wrong: dict[str, object],
) -> None:
    node = FakeNode()
    draft = link_draft(source="a", relation="r", target="b", namespace="global", owner="ai:x")
    node._mint(draft, "ai:x")
    held = node.reader().get("link", draft.id)
    assert held is not None
    assert link_of(held) is not None
    held.view.values.update(wrong)
    assert link_of(held) is None


def test_a_link_that_goes_from_one_lane_into_the_other_stays_known() -> None:
    index = LinkIndex()
    assert not index.touches("here")
    name = link_id("here", "supports", "there")
    shared, own = key(name), key(name, PRIVATE)
    index.note(own, there=True)
    assert (index.shared(), index.ending_at("there")) == (0, [name])
    index.note(shared, there=True)
    index.note(own, there=False)
    assert (index.shared(), index.ending_at("there")) == (1, [name])
    assert index.touches("here")
    assert index.touches("there")
    index.note(shared, there=False)
    index.note(shared, there=False)
    assert (index.shared(), index.ending_at("there")) == (0, [])
    assert not index.touches("here")
    assert not index.touches("there")
