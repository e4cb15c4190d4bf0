from crdt import messages as m
from crdt.clock import group_hash, grouped, shared
from crdt.messages import decode
from tests.unit.crdt.rig import Side, linked, mesh, talk
from tests.unit.crdt.test_exchange import heard, level_pair
from tests.unit.crdt.test_relay import Whole


def test_a_claim_names_every_change_since_the_last_one() -> None:
    a, b = level_pair()
    b.exchange.link_down(1)
    for n in range(3):
        a.node.create(f"r{n}")
        a.commit()
    a.node.agent("bob")
    a.commit()
    heard(a)
    a.exchange.tick()
    (ack,) = heard(a)
    assert isinstance(ack, m.Ack)
    own = a.node.replica.own
    assert ack.clock == {own[b"d"]: 3, own[b"g"]: 2}
    a.exchange.tick()
    assert heard(a) == []


def test_peers_that_know_as_much_get_the_same_bytes() -> None:
    a, b, c = (Side(node) for node in mesh("a", "b", "c"))
    for link, (left, right) in enumerate([(a, b), (a, c), (b, c)], start=1):
        linked(left, right, link)
        talk(left, right, link)
    a.node.create()
    a.commit()
    a.boxes[1].take(2**30)
    a.boxes[2].take(2**30)
    a.exchange.tick()
    (one,), (two,) = a.boxes[1].take(2**30), a.boxes[2].take(2**30)
    assert one is two


def test_what_a_commit_keeps_to_itself_is_no_claim() -> None:
    a, _ = level_pair()
    version = a.exchange.claims.version
    a.exchange.claims.moved({b"p" * 45: 7})
    assert a.exchange.claims.version == version


def test_the_hash_for_beats_is_that_of_the_clock() -> None:
    a, _ = level_pair()
    claims = a.exchange.claims
    for _ in range(2):
        assert claims.clock_hash() == group_hash(shared(a.exchange.durable))
        assert claims.groups() == grouped(shared(a.exchange.durable))
        a.node.create()
        a.commit()


def test_in_a_large_mesh_claims_take_turns() -> None:
    whole = Whole(claims_per_s_max=10)
    a = whole.sides["a"]
    whole.write("a")
    for box in a.boxes.values():
        box.take(2**30)
    told = []
    for _ in range(7):
        a.pass_time(100)
        a.exchange.tick()
        told += [n for n, box in a.boxes.items() for d in box.take(2**30) if _is_ack(d)]
    assert len(told) == 7, "ten a second"
    assert sorted(told) == sorted(a.boxes), "each once"


def test_what_changed_governance_waits_for_no_turn() -> None:
    whole = Whole(claims_per_s_max=1)
    a = whole.sides["a"]
    a.node.agent("bob")
    a.commit()
    for box in a.boxes.values():
        box.take(2**30)
    a.exchange.tick()
    for box in a.boxes.values():
        assert [type(decode(d)) for d in box.take(2**30)] == [m.Ack]


def test_in_a_large_mesh_beats_go_round() -> None:
    whole = Whole(full_fanout_max=3)
    a = whole.sides["a"]
    seen: list[int] = []
    for _ in range(7):
        a.exchange.heartbeat.beat()
        asked = [n for n, box in a.boxes.items() if any(map(_is_beat, box.take(2**30)))]
        assert len(asked) == 3
        seen += asked
    assert sorted(seen) == sorted([*a.boxes] * 3)


def _is_ack(data: bytes) -> bool:
    return isinstance(decode(data), m.Ack)


def _is_beat(data: bytes) -> bool:
    return isinstance(decode(data), m.Beat)


def test_one_peer_can_be_asked_for_a_sign_of_life() -> None:
    whole = Whole()
    a = whole.sides["a"]
    a.exchange.heartbeat.probe(whole.link("c"))
    a.exchange.heartbeat.probe(999)
    asked = {n for n, box in a.boxes.items() if len(box)}
    assert asked == {whole.link("c")}
