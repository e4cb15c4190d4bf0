from types import SimpleNamespace
from typing import Any

import pytest

from crdt import messages as m
from crdt.bundle import seal_bundle
from crdt.dot import DATA, PRIVATE
from crdt.effects import Alarm, Close
from crdt.messages import decode, encode
from crdt.op import Kind
from tests.unit.crdt.rig import (
    Node,
    Side,
    draft,
    linked,
    mesh,
    node_of,
    shared_state,
    signed,
    talk,
)


def level_pair(**limits: int) -> tuple[Side, Side]:
    a, b = (Side(node, **limits) for node in mesh("a", "b"))
    linked(a, b)
    talk(a, b)
    return a, b


def heard(side: Side, link: int = 1) -> list[m.Message]:
    """What waits to be sent, decoded."""
    return [decode(data) for data in side.boxes[link].take(2**30)]


def alarms(side: Side) -> list[str]:
    return [e.name for e in side.exchange.effects if isinstance(e, Alarm)]


def tell(side: Side, message: m.Message, link: int = 1) -> None:
    side.exchange.receive(link, encode(message))


def test_a_link_begins_with_where_the_disk_stands() -> None:
    (a, b) = (Side(node) for node in mesh("a", "b"))
    a.node.create()
    linked(a, b)
    (hello,) = heard(a)
    assert isinstance(hello, m.Hello)
    assert hello.newest == a.node.disk.clock()
    assert hello.joined


def test_old_groups_travel_as_hashes_and_in_full_when_unequal() -> None:
    a, b = (Side(node) for node in mesh("a", "b"))
    old = b"d" + bytes(12) + node_of("a")
    a.exchange.durable[old] = 5
    linked(a, b)
    (hello,) = heard(a)
    assert isinstance(hello, m.Hello)
    assert old not in hello.newest
    assert list(hello.groups) == [0]
    heard(b)
    tell(b, hello)
    assert heard(b) == [m.Ask([0])]
    tell(a, m.Hello({}, {}, joined=True, now_ms=0))
    tell(a, m.Ask([0]))
    assert m.Full([0], {old: 5}) in heard(a)
    tell(b, m.Full([0], {old: 5}))
    peer = b.exchange.peers[1]
    assert peer.known
    assert peer.row is not None
    assert peer.row[old] == 5


def test_nothing_counts_before_the_hello() -> None:
    a, b = (Side(node) for node in mesh("a", "b"))
    linked(a, b)
    heard(a)
    tell(a, m.Level({}))
    tell(a, m.Ack({b"d" * 45: 1}, bytes(16)))
    assert a.exchange.peers[1].row is None
    assert not a.exchange.peers[1].pushing
    a.exchange.receive(99, b"no such link")


def test_level_peers_push_at_once_and_acknowledge_what_is_on_disk() -> None:
    a, b = level_pair()
    a.node.create(title="x")
    sealed = a.node.close()
    a.exchange.minted(sealed)
    assert heard(a) == [m.Push(sealed[0].data)]
    tell(b, m.Push(sealed[0].data))
    assert b.node.values() == {"title": "x"}
    assert heard(b) == []
    b.commit()
    (ack,) = heard(b)
    assert isinstance(ack, m.Ack)
    assert ack.clock == {sealed[0].actor: 1}


def test_others_bundles_and_private_ones_are_never_pushed() -> None:
    a, b, c = (Side(node) for node in mesh("a", "b", "c"))
    for link, (left, right) in enumerate([(a, b), (b, c)], start=1):
        linked(left, right, link)
        talk(left, right, link)
    a.node.create()
    a.node.write(draft(Kind.CREATE, "s", private=True))
    a.commit()
    pushes = [x for x in heard(a) if isinstance(x, m.Push)]
    assert len(pushes) == 1
    tell(b, pushes[0])
    b.commit()
    assert not [x for x in heard(b, 2) if isinstance(x, m.Push)]


def test_a_push_that_does_not_fit_starts_one_catch_up() -> None:
    a, b = level_pair()
    a.node.create("r1")
    a.commit()
    heard(a)
    a.node.create("r2")
    a.commit()
    (push,) = [x for x in heard(a) if isinstance(x, m.Push)]
    tell(b, push)
    assert b.exchange.catchup.running
    tell(b, push)
    assert [type(x) for x in heard(b)] == [m.Want]
    b.exchange.catchup.session = None
    b.exchange.behind(1, b.exchange.peers[1])
    talk(b, a)
    assert shared_state(a.node.disk) == shared_state(b.node.disk)


def test_a_full_queue_drops_pushes_and_says_so() -> None:
    a, b = level_pair(peer_queue_bytes_max=1500)
    for n in range(9):
        a.node.create(f"r{n}", title="x" * 300)
        a.commit()
    assert not a.exchange.peers[1].pushing
    said = heard(a)
    assert m.Gap() in said
    assert not [x for x in said if isinstance(x, m.Push)]
    a.boxes[1].put(encode(m.Gap()))
    talk(a, b)
    assert shared_state(a.node.disk) == shared_state(b.node.disk)


def test_what_was_last_said_counts() -> None:
    a, _ = level_pair()
    peer = a.exchange.peers[1]
    tell(a, m.Behind())
    assert not peer.pushing
    tell(a, m.Level(a.node.replica.clock))
    assert peer.pushing
    tell(a, m.Skewed(b"d" * 45, 5))
    assert peer.muted
    tell(a, m.Level(a.node.replica.clock))
    assert not peer.muted


def test_a_stamp_too_far_ahead_is_refused_at_its_authors_link_alone() -> None:
    a, b, c = (Side(node) for node in mesh("a", "b", "c"))
    for link, (left, right) in enumerate([(a, b), (a, c), (b, c)], start=1):
        linked(left, right, link)
        talk(left, right, link)
    a.node.now_ms += 60_000
    a.node.create(title="x")
    a.commit()
    (push,) = [x for x in heard(a, 1) if isinstance(x, m.Push)]
    tell(b, push)
    assert "future_stamp" in alarms(b)
    assert b.node.record() is None
    skewed = [x for x in heard(b, 1) if isinstance(x, m.Skewed)]
    assert skewed == [m.Skewed(a.node.replica.own[DATA], a.node.now_ms - 5_000)]
    bundle = b.node.replica.read_bundle(push.bundle)
    relayed = b.exchange.try_take(3, b.exchange.peers[3], bundle)
    assert relayed.value == "next"


def test_a_push_for_another_and_a_private_line_shun_that_actor() -> None:
    a, b, c = (Side(node) for node in mesh("a", "b", "c"))
    linked(a, b)
    talk(a, b)
    c.node.create()
    (theirs,) = c.node.commit()
    tell(a, m.Push(theirs.data))
    assert alarms(a) == ["pushed_for_another"]
    b.node.write(draft(Kind.CREATE, "s", private=True))
    (secret,) = b.node.commit()
    assert secret.actor[:1] == PRIVATE
    tell(a, m.Push(secret.data))
    assert alarms(a)[1:] == ["private_lane"]
    assert set(a.exchange.peers[1].shunned) == {theirs.actor, secret.actor}
    a.pass_time(60_000)
    a.exchange.tick()
    assert not a.exchange.peers[1].shunned


def test_a_bad_bundle_is_counted_and_stops_its_actor_not_the_link() -> None:
    a, b = level_pair()
    tell(a, m.Push(b"\xc1"))
    assert alarms(a) == ["bundle_malformed"]
    b.node.create(title="x")
    (good,) = b.node.close()
    forged = seal_bundle(
        cluster=a.node.replica.cluster,
        actor=good.actor,
        first=1,
        prev=good.prev,
        ops=[good.ops[0]._replace(id="forged")],
        sign=lambda message: signed("mallory", message),
    )
    tell(a, m.Push(forged.data))
    assert alarms(a)[1:] == ["bad"]
    assert a.node.record("forged") is None
    assert 1 in a.exchange.peers


def test_links_are_refused_to_itself_and_to_strangers() -> None:
    a, _ = level_pair()
    exchange = a.exchange
    assert exchange.refuses(node_of("a"), "", settled=False) == "self"
    assert exchange.refuses(node_of("z"), "", settled=False) == "not_a_member"
    assert exchange.refuses(node_of("b"), "", settled=False) is None
    a.node.add("z")
    a.node.commit()
    assert exchange.refuses(node_of("z"), "", settled=False) == "membership_not_durable"
    newcomer = Side(Node("y", ("a",)))
    assert newcomer.exchange.refuses(node_of("q"), "", settled=False) is None


def test_a_removed_members_link_is_closed() -> None:
    a, b, c = (Side(node) for node in mesh("a", "b", "c"))
    linked(a, b, 1)
    linked(a, c, 2)
    talk(a, b, 1)
    talk(a, c, 2)
    adds = a.node.replica.governance.now.members[node_of("c")].adds
    a.node.govern(Kind.REMOVE, id="c", supersedes=adds)
    a.commit()
    a.exchange.tick()
    assert not [e for e in a.exchange.effects if isinstance(e, Close)], "it could not learn why"
    a.exchange.advance(a.exchange.now_ms + a.exchange.limits.leaving_ms + 1)
    a.exchange.tick()
    assert [e for e in a.exchange.effects if isinstance(e, Close)] == [Close(2, "not_a_member")]


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x91\x63"])
def test_bytes_that_are_no_message_are_the_callers_to_count(data: Any) -> None:
    a, _ = level_pair()
    with pytest.raises(m.MessageError):
        a.exchange.receive(1, data)


def test_a_side_waits_for_a_tick_while_somebody_is_to_be_told() -> None:
    a, _ = level_pair()
    waits = []
    a.exchange.tick()
    waits.append(a.exchange.waits)
    a.node.create()
    a.commit()
    waits.append(a.exchange.waits)
    a.exchange.tick()
    waits.append(a.exchange.waits)

    assert waits == [False, True, False]


def test_a_side_that_does_not_serve_yet_waits_for_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    a, _ = level_pair()
    a.exchange.tick()
    stranger = SimpleNamespace(node_id=node_of("stranger"))
    monkeypatch.setattr(a.exchange.replica, "me", stranger)

    assert a.exchange.waits
