"""What a session has seen, as a token."""

from hypothesis import given
from hypothesis import strategies as st

from crdt.dot import DATA, PRIVATE, actor_text, new_actor
from node.client.causal import TOKEN_CHARS_MAX, Seen, covers, read_token
from node.replication.tokens import encode_token


def actor(number: int, lane: bytes = DATA) -> bytes:
    return new_actor(lane, number, number.to_bytes(8, "big"), b"n" * 32)


CLOCKS = st.dictionaries(st.integers(1, 6).map(actor), st.integers(1, 50), max_size=6)


@given(st.lists(CLOCKS, max_size=6))
def test_a_token_covers_everything_that_was_written(clocks: list[dict[bytes, int]]) -> None:
    seen = Seen(1)
    for clock in clocks:
        seen.wrote(0, encode_token(clock))
    held = read_token(seen.token())
    assert all(covers(held, clock) for clock in clocks)


@given(CLOCKS, CLOCKS, CLOCKS)
def test_a_read_forgets_only_what_it_had_sent(
    before: dict[bytes, int], meanwhile: dict[bytes, int], shown: dict[bytes, int]
) -> None:
    seen = Seen(1)
    seen.wrote(0, encode_token(before))
    sent = seen.token()
    seen.wrote(0, encode_token(meanwhile))
    seen.read(0, sent, encode_token(shown))
    held = read_token(seen.token())
    assert covers(held, shown)
    newer = {a: n for a, n in meanwhile.items() if n > before.get(a, 0)}
    assert covers(held, newer), "what was written during the read is still asked for"


def test_a_node_is_behind_until_it_has_shown_it() -> None:
    seen = Seen(2)
    assert not seen.behind(1)
    seen.wrote(0, encode_token({actor(1): 5}))
    assert seen.behind(1)
    assert not seen.behind(0)
    seen.read(1, seen.token(), encode_token({actor(2): 1}))
    assert not seen.behind(1)
    assert seen.behind(0)


def test_what_never_leaves_a_node_is_not_asked_of_others() -> None:
    seen = Seen(2)
    seen.wrote(0, encode_token({actor(1, PRIVATE): 3}))
    assert seen.token() == "-"


def test_what_is_too_long_for_a_header_goes_in_several_and_nothing_is_lost() -> None:
    seen = Seen(1)
    wanted = {actor(number): number for number in range(1, 900)}
    for each, seq in wanted.items():
        seen.wrote(0, f"{actor_text(each)}.{seq}")
    parts = seen.tokens()
    assert 1 < len(parts) < 5
    assert all(len(part) <= TOKEN_CHARS_MAX for part in parts)
    asked = {mark: seq for part in parts for mark, seq in read_token(part).items()}
    assert covers(asked, wanted)
    for part in parts:
        seen.read(0, part, encode_token({actor(1): 1}))
    assert read_token(seen.token()) == {actor(1): 1}, "what was reached is forgotten"


def test_a_token_of_another_version_is_left_alone() -> None:
    seen = Seen(1)
    seen.wrote(0, "v9:something else")
    assert seen.token() == "-"


def test_a_session_can_go_on_from_another() -> None:
    one, other = Seen(1), Seen(1)
    one.wrote(0, encode_token({actor(1): 5}))
    other.adopt(one.token())
    assert read_token(other.token()) == {actor(1): 5}
    assert other.behind(0)
