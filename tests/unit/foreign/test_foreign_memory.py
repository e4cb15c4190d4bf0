"""The memory of exchanges: what is kept, through restarts and damage, and what tokens say."""

from pathlib import Path

import pytest

from crdt.dot import DATA, Dot, new_actor
from node.foreign.content import content_of, whole_of
from node.foreign.entries import (
    GIVEN,
    PAST_MAX,
    PUSHED,
    Ancestor,
    Entry,
    Offer,
    decode_entry,
    encode_entry,
)
from node.foreign.memory import Asked, BriefMemory, Cursor, ForeignMemory, Memory
from node.foreign.places import start_of, token
from node.memory.problems import InvalidField
from tests.unit.http.fake_node import FakeNode

ACTOR = new_actor(DATA, 1, bytes(8), bytes(32))
HASHES = content_of({"title": "t", "content": "c", "tags": ["x"]}, "global").hashes


def dots(*seqs: int) -> frozenset[Dot]:
    return frozenset(Dot(ACTOR, seq) for seq in seqs)


def offer(place: int, after: int = 0, **fields: object) -> Offer:
    return Offer(hashes=HASHES, dots=dots(place), place=place, after=after, **fields)  # type: ignore[arg-type]  # keywords of a test


FULL = Entry(
    base=Ancestor(theirs=HASHES, ours={}, dots=dots(1, 2), settled=b"s", received=True, made=7),
    stamp=5,
    given=6,
    past=(GIVEN + bytes(16),),
    count=3,
    store="s1",
    offers=(offer(4, 3), offer(PUSHED, 3, gone=True, updated=9, made=8)),
)


@pytest.fixture(params=["disk", "brief"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> Memory:
    return ForeignMemory(tmp_path / "foreign") if request.param == "disk" else BriefMemory()


def test_an_entry_comes_back_as_it_was() -> None:
    assert decode_entry(encode_entry(FULL)) == FULL
    assert decode_entry(encode_entry(Entry())) == Entry()
    whole = encode_entry(FULL)
    for cut in range(len(whole)):
        with pytest.raises(ValueError, match="no entry"):
            decode_entry(whole[:cut])


async def test_each_peer_kind_and_id_has_its_own(memory: Memory) -> None:
    await memory.remember("p", {("memory", "x"): FULL})
    assert memory.entry("p", "memory", "x").base == FULL.base
    for other in (("q", "memory", "x"), ("p", "link", "x"), ("p", "memory", "y")):
        assert memory.entry(*other) == Entry()
    cursor = Cursor(peer="p", token="t", store="s", place=9)  # noqa: S106 - no secret
    await memory.remember("p", {}, at=("https://p:1", cursor), asked=Asked(store="s", place=3))
    assert memory.cursor("https://p:1") == cursor
    assert memory.cursor("https://p:2") == Cursor()
    assert memory.asked("p") == Asked(store="s", place=3)


async def test_it_survives_a_restart_and_a_damaged_value_is_as_good_as_absent(
    tmp_path: Path,
) -> None:
    first = ForeignMemory(tmp_path / "foreign")
    await first.remember("p", {("memory", "x"): FULL, ("memory", "y"): FULL})
    first.close()
    again = ForeignMemory(tmp_path / "foreign")
    assert again.entry("p", "memory", "x").base == FULL.base
    with again._env.begin(write=True) as txn:
        key, value = next(iter(txn.cursor()))
        txn.put(key, bytes(value)[:-1] + b"\x00")
    found = [again.entry("p", "memory", name) for name in ("x", "y")]
    assert sorted(one == Entry() for one in found) == [False, True]
    again.close()


def test_what_was_shown_counts_once_the_peer_asks_for_what_comes_after() -> None:
    entry = Entry().offered(offer(4), "s1")
    assert entry.confirmed(3, "s1").base is None
    taken = entry.confirmed(4, "s1")
    assert taken.base is not None
    assert (taken.base.theirs, taken.base.dots, taken.offers) == (HASHES, dots(4), ())
    assert entry.confirmed(9, "another store").base is None


def test_of_many_offers_the_first_and_the_latest_are_kept() -> None:
    entry = Entry()
    for place in (4, 5, 6):
        entry = entry.offered(offer(place), "s1")
    assert [one.place for one in entry.offers] == [4, 6]
    assumed = entry.assumed()
    assert assumed is not None
    assert assumed.dots == dots(4)
    taken = entry.confirmed(5, "s1")
    assert taken.base is not None
    assert (taken.base.dots, [one.place for one in taken.offers]) == (dots(4), [6])


def test_an_offer_older_than_the_last_exchange_only_adds_what_was_seen() -> None:
    base = Ancestor(theirs={"title": b"12345678"}, ours={}, dots=dots(1))
    entry = Entry(store="s1", offers=(offer(4),)).exchanged(base)
    taken = entry.confirmed(4, "s1")
    assert taken.base is not None
    assert (taken.base.theirs, taken.base.dots) == (base.theirs, dots(1, 4))


def test_what_was_exchanged_before_is_bounded() -> None:
    entry = Entry()
    for number in range(PAST_MAX + 5):
        entry = entry.exchanged(Ancestor(theirs={"title": bytes([number]) * 8}, ours={}))
    assert len(entry.past) == PAST_MAX
    assert entry.past[0] == GIVEN + whole_of({"title": bytes([PAST_MAX + 3]) * 8})


def test_a_cursor_belongs_to_one_peer_and_one_store() -> None:
    cursor = Cursor(peer="p", token="t", store="s", place=9)  # noqa: S106 - no secret
    assert cursor.of("p") == cursor
    assert cursor.of("q") == Cursor(peer="q")
    assert cursor.in_store("s") == cursor
    assert cursor.in_store("z") == Cursor(peer="p", token="t", store="z")  # noqa: S106 - no secret


def test_tokens_name_a_place_in_one_store() -> None:
    reader = FakeNode().reader()
    marks = "0123456789abcdef01234567"
    start = start_of(reader, token(reader.store_id, 42, marks))
    assert (start.place, start.marks) == (42, marks)
    assert start_of(reader, token(reader.store_id, 7)).place == 7
    assert start_of(reader, token("another", 42, marks)).place == 0
    for bad in ("x", token(reader.store_id, 1) + "=", token(reader.store_id, 1, "zz"), "42"):
        with pytest.raises(InvalidField):
            start_of(reader, bad)


def test_contents_are_compared_by_what_people_wrote() -> None:
    plain = content_of({"title": "t", "content": "c"}, "global")
    same = {"title": "t", "content": "c", "priority": 5, "metadata": {}, "created_at": 3}
    assert content_of({**same, "updated_at": 9, "tier": "mid"}, "global") == plain
    for change in (
        {"title": "T"},
        {"tags": ["x"]},
        {"priority": 6},
        {"expires_at": 5},
        {"metadata": {"k": 1}},
    ):
        assert content_of({**same, **change}, "global").whole != plain.whole
    assert content_of(same, "other").whole != plain.whole
    tags = [content_of({"tags": order}, "g").whole for order in (["a", "b"], ["b", "a"])]
    assert tags[0] == tags[1]
