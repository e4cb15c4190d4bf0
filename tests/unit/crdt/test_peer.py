import pytest

from crdt.dot import SEQ_MAX
from crdt.messages import MessageError
from crdt.peer import ROW_ENTRIES_MAX, Outbox, Peer
from tests.unit.crdt.rig import actor, node_of

A, B = actor("a"), actor("b")


def test_an_outbox_knows_its_size_and_keeps_its_order() -> None:
    woken: list[int] = []
    box = Outbox(lambda: woken.append(1))
    for message in (b"one", b"three", b"four"):
        box.put(message)
    assert (len(box), box.size_bytes, len(woken)) == (3, 12, 3)
    assert box.take(8) == [b"one", b"three"]
    assert (len(box), box.size_bytes) == (1, 4)
    assert box.take(0) == [b"four"]
    assert (box.take(9), box.size_bytes) == ([], 0)


def test_a_take_is_bounded_in_number_too() -> None:
    box = Outbox()
    for _ in range(5):
        box.put(b"x")
    assert len(box.take(99, messages_max=2)) == 2


def test_only_pushes_can_be_dropped() -> None:
    box = Outbox()
    box.put(b"ack")
    box.put(b"bundle", push=True)
    box.put(b"beat")
    box.drop_pushes()
    assert (box.take(99), box.size_bytes) == ([b"ack", b"beat"], 0)


def fresh() -> Peer:
    return Peer(node_of("b"), Outbox())


def test_a_peer_is_known_once_its_whole_clock_is() -> None:
    peer = fresh()
    assert not peer.known
    peer.row = {A: 1}
    assert peer.known
    peer.lacks = frozenset({3})
    assert not peer.known


def test_ahead_counts_only_what_would_be_taken() -> None:
    peer = fresh()
    assert not peer.is_ahead({})
    peer.row = {A: 2}
    assert peer.is_ahead({A: 1})
    assert not peer.is_ahead({A: 2})
    peer.shunned[A] = 50
    assert not peer.is_ahead({A: 1})
    assert peer.without_shunned({A: 1, B: 1}, [B]) == {A: SEQ_MAX, B: SEQ_MAX}


def test_a_shunned_actor_is_taken_again_when_its_time_is_over() -> None:
    peer = fresh()
    peer.shunned = {A: 50, B: 60}
    peer.forgive(50)
    assert peer.shunned == {B: 60}


def test_who_is_forgiven_is_asked_to_push_again() -> None:
    peer = Peer(node_of("b"), Outbox(), pulling=True, shunned={actor("b"): 10, actor("c"): 20})
    assert not peer.forgive(9)
    assert peer.pulling
    assert peer.forgive(10)
    assert not peer.pulling, "a Level has to say so"
    assert peer.shunned == {actor("c"): 20}


def test_a_row_has_a_bound_whatever_a_peer_claims() -> None:
    peer = fresh()
    size = ROW_ENTRIES_MAX // 2
    claims = [
        {b"d" + (turn * size + n).to_bytes(44, "big"): 1 for n in range(size)} for turn in range(3)
    ]
    peer.learn(claims[0], {})
    peer.learn(claims[1], {})
    peer.learn(claims[1], {})
    with pytest.raises(MessageError, match="row_too_large"):
        peer.learn(claims[2], {})
    assert peer.row is not None
    assert len(peer.row) <= ROW_ENTRIES_MAX
