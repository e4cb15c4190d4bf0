from crdt import messages as m
from tests.unit.crdt.test_exchange import alarms, heard, level_pair, tell


def test_unequal_digests_at_equal_clocks_stop_the_pair() -> None:
    a, b = level_pair()
    b.exchange.durable_digest ^= 1
    b.exchange.heartbeat.beat()
    for message in heard(b):
        tell(a, message)
    assert "digest_mismatch" in alarms(a)
    assert a.exchange.peers[1].stopped
    a.node.create()
    a.commit()
    assert not [x for x in heard(a) if isinstance(x, m.Push)]


def test_unequal_clocks_say_nothing_about_digests() -> None:
    a, b = level_pair()
    a.node.create()
    a.exchange.minted(a.node.close())
    a.boxes[1].take(10**6)
    for batch in a.node.batches:
        a.exchange.committed(batch)
    b.exchange.heartbeat.beat()
    for message in heard(b):
        tell(a, message)
    assert alarms(a) == []


def test_a_beat_is_answered_and_timed() -> None:
    a, b = level_pair()
    b.node.now_ms += 700
    b.exchange.advance(b.node.now_ms)
    b.exchange.heartbeat.beat()
    for message in heard(b):
        tell(a, message)
    assert a.exchange.peers[1].skew_ms == 700
    b.pass_time(30)
    for message in heard(a):
        tell(b, message)
    assert b.exchange.peers[1].round_trip_ms == 30


def test_a_late_echo_says_nothing() -> None:
    a, b = level_pair()
    b.exchange.heartbeat.beat()
    b.pass_time(30)
    tell(b, m.Echo(99))
    assert b.exchange.peers[1].round_trip_ms == 0
    b.exchange.link_down(1)
    b.exchange.heartbeat.beat()
    assert len(heard(b)) == 1
    del a


def test_nobody_is_told_before_its_hello() -> None:
    a, _ = level_pair()
    a.exchange.peers[1].row = None
    a.exchange.heartbeat.beat()
    assert heard(a) == []


def test_peers_say_whether_a_jump_of_the_clock_leads_nearer_to_the_truth() -> None:
    a, _ = level_pair()
    heartbeat = a.exchange.heartbeat
    a.exchange.peers[1].skew_ms = 10
    assert not heartbeat.agrees(3_600_000)
    assert not heartbeat.agrees(-3_600_000)
    a.exchange.peers[1].skew_ms = 60_000  # the others are a minute ahead of us
    assert heartbeat.agrees(60_000)
    assert not heartbeat.agrees(-60_000)
    heartbeat.jumped(60_000)
    assert a.exchange.peers[1].skew_ms == 0


def test_with_nobody_in_sight_no_jump_is_agreed_with_unless_there_is_nobody_at_all() -> None:
    a, _ = level_pair()
    a.exchange.link_down(1)
    assert not a.exchange.heartbeat.agrees(3_600_000)
    assert not a.exchange.heartbeat.agrees(-3_600_000)
