"""Short causal tokens: what they ask for, and who may say that it has reached it."""

import base64
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.clock import Clock, ahead, merge
from crdt.dot import DATA, GOVERNANCE, SEQ_MAX, Actor, new_actor
from node.client.causal import Seen, covers, read_token
from node.replication import ancestry
from node.replication.ancestry import Ancestry
from node.replication.tokens import decode_marks, encode_marks, encode_token, split_marks

HEADER_CHARS_MAX = 8_190


def actor(node: int, birth: int, lane: bytes = DATA) -> Actor:
    drawn = random.Random(f"{node}/{birth}").randbytes(8)
    return new_actor(lane, 1_700_000_000 + birth, drawn, bytes([node]) * 32)


def mesh(nodes: int, restarts: int, seq: int = 3) -> Clock:
    return {actor(node, birth): seq for node in range(nodes) for birth in range(restarts)}


def token_of(clock: Clock) -> str:
    return encode_marks(Ancestry(clock).shorten(clock))


@pytest.mark.parametrize(
    ("nodes", "restarts", "chars"),
    [(3, 10, 2_500), (3, 300, 4_010), (3, 5_000, 4_010), (100, 60, 6_400)],
)
def test_a_token_stays_small_however_often_nodes_were_started(
    nodes: int, restarts: int, chars: int
) -> None:
    clock = mesh(nodes, restarts, seq=SEQ_MAX >> 30)
    token = token_of(clock)
    assert len(token) <= chars < HEADER_CHARS_MAX
    if restarts > 100:
        assert len(encode_token(clock)) > HEADER_CHARS_MAX, "what it would be in full"
    assert Ancestry(dict(clock)).covers(decode_marks(token))


def test_few_actors_are_named_so_that_every_version_can_read_it() -> None:
    clock = mesh(3, 5)
    assert token_of(clock) == encode_token(clock)
    assert decode_marks(token_of(clock)) == clock


# Small enough that hashes are needed for a few actors.
_NODES, _RESTARTS = 3, 6


@st.composite
def clocks(draw: st.DrawFn) -> Clock:
    whole = {actor(n, b): draw(st.integers(0, 3)) for n in range(_NODES) for b in range(_RESTARTS)}
    return {a: seq for a, seq in whole.items() if seq}


def squeezed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ancestry, "fits_plain", lambda _count: False)
    monkeypatch.setattr(ancestry, "SHORT_BYTES_MAX", 200)


@given(mine=clocks(), theirs=clocks(), data=st.data())
def test_who_says_yes_has_it_all(mine: Clock, theirs: Clock, data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        squeezed(monkeypatch)
        keys = sorted(mine)
        wanted = {
            a: mine[a]
            for a in data.draw(st.sets(st.sampled_from(keys)) if keys else st.just(set()))
        }
        marks = decode_marks(encode_marks(Ancestry(mine).shorten(wanted)))
        if Ancestry(theirs).covers(marks):
            assert not ahead(wanted, theirs)
        assert Ancestry(mine).covers(marks)


@given(mine=clocks(), later=clocks())
def test_who_had_it_once_has_it_for_ever(mine: Clock, later: Clock) -> None:
    """Although the hash of older actors is another one by now."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        squeezed(monkeypatch)
        issuer, other = Ancestry(dict(mine)), Ancestry(dict(mine))
        marks = issuer.shorten(mine)
        assert other.covers(marks)
        for each in (issuer, other):
            each.clock.update(merge(mine, later))  # type: ignore[attr-defined]  # a dict, here
            assert each.covers(marks)


@given(mine=clocks(), more=st.integers(1, 5))
def test_new_processes_and_new_operations_of_the_newest_leave_tokens_good(
    mine: Clock, more: int
) -> None:
    """What happens every day does not make a hash unknown to a node that never issued it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        squeezed(monkeypatch)
        marks = Ancestry(mine).shorten(mine)
        later = dict(mine)
        for node in range(_NODES):
            last = max((a for a in mine if a[13:] == bytes([node]) * 32), default=None)
            if last is not None:
                later[last] += more
            later[actor(node, _RESTARTS + more)] = more
        assert Ancestry(later).covers(marks)


def test_an_older_hash_that_is_not_ones_own_is_not_reached() -> None:
    clock = mesh(3, 300)
    marks = decode_marks(token_of(clock))
    first = actor(0, 0)
    for other in ({**clock, first: 2}, {a: n for a, n in clock.items() if a != first}):
        assert not Ancestry(other).covers(marks)
    # More than asked for, but it cannot tell: it says no.
    assert not Ancestry({**clock, first: 4}).covers(marks)


def test_a_node_that_catches_up_reaches_it() -> None:
    clock = mesh(2, 200)
    marks = decode_marks(token_of(clock))
    catching = Ancestry({})
    for each, seq in clock.items():
        assert not catching.covers(marks)
        catching.clock[each] = seq  # type: ignore[index]  # a dict, here
    assert catching.covers(marks)


def test_a_session_of_short_tokens_covers_all_it_saw_and_does_not_grow() -> None:
    clock, seen = mesh(3, 300), Seen(3)
    lengths = []
    for turn in range(60):
        node = turn % 3
        own = actor(node, 400)
        clock[own] = clock.get(own, 0) + 1
        seen.wrote(node, encode_token({own: clock[own]}))
        sent = seen.token()
        assert covers(read_token(sent), {own: clock[own]})
        assert Ancestry(clock).covers(decode_marks(sent))
        seen.read(turn % 2, sent, token_of(clock))
        lengths.append(len(seen.token()))
    assert max(lengths) < 4_200
    assert len(seen.tokens()) == 1


@given(
    st.dictionaries(
        st.builds(actor, st.integers(0, 3), st.integers(0, 9), st.sampled_from([DATA, GOVERNANCE])),
        st.integers(1, SEQ_MAX),
        max_size=60,
    ),
    st.integers(60, 400),
)
def test_marks_read_back_and_can_be_split(clock: Clock, chars: int) -> None:
    marks = decode_marks(encode_marks(clock))
    assert covers(marks, clock)
    assert encode_marks(marks) == encode_marks(clock)
    parts = split_marks(clock, chars)
    assert covers({m: n for part in parts for m, n in decode_marks(part).items()}, clock)


GOOD = token_of(mesh(3, 40))


@pytest.mark.parametrize(
    "text",
    [
        "2.",
        "2.A",
        "2.=",
        GOOD[:-1],
        GOOD[:-9],
        GOOD + "A",
        GOOD + "=",
        GOOD.replace("2.", "3."),
        "2." + GOOD,
        "2.\u00e9",
        "2.eA",
        "2.ZAAAAAAAAAABAAAAAAAAAAAAAAA",
    ],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        decode_marks(text)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_token_or_refused(data: bytes) -> None:

    text = "2." + base64.urlsafe_b64encode(data).decode().rstrip("=")
    try:
        marks = decode_marks(text)
    except ValueError:
        return
    assert encode_marks(marks) == text


def test_the_short_form_stays_as_it_is() -> None:
    """Sessions carry tokens across upgrades."""
    marks = {b"d" + b"n" * 8 + b"e" * 8: 300, b"d" + b"n" * 8 + b"e" * 8 + b"h" * 16: 1}
    text = "2.ZG5ubm5ubm5uAQFlZWVlZWVlZawCZWVlZWVlZWVoaGhoaGhoaGhoaGhoaGho"
    assert encode_marks(marks) == text
    assert decode_marks(text) == marks
