from crdt import messages as m
from crdt.effects import Alarm, BuildJoin, Confirm, Discard, Examine
from crdt.messages import decode, encode
from crdt.weighing import Word
from tests.unit.crdt.rig import Side, linked, mesh, node_of


def offered(*others: str, **limits: int) -> tuple[Side, dict[str, Side]]:
    """A node `m` behind `s` and the others, all of which have the same; it asked `s` first."""
    nodes = {node.name: node for node in mesh("m", "s", *others)}
    nodes["m"].create("mine")
    nodes["m"].commit()
    nodes["s"].create("new")
    nodes["s"].commit()
    for name in others:
        nodes[name].pull(nodes["s"])
    me = Side(nodes["m"], **limits)
    sides = {name: Side(nodes[name]) for name in ("s", *others)}
    for link, side in enumerate(sides.values(), 1):
        linked(me, side, link)
        for data in side.boxes[link].take(2**30):
            me.exchange.receive(link, data)
    me.exchange.effects.clear()
    return me, sides


def said(side: Side, link: int, kind: type[m.Message]) -> list[m.Message]:
    return [one for one in map(decode, side.boxes[link].take(2**30)) if isinstance(one, kind)]


def offer(side: Side, link: int) -> None:
    session = side.exchange.catchup.session
    assert session is not None
    assert session.link == link
    side.exchange.receive(link, encode(m.Offer(session.number, b"snap")))


def whole(side: Side, link: int) -> None:
    """The whole snapshot came in one chunk, and is on the disk."""
    session = side.exchange.catchup.session
    assert session is not None
    side.exchange.receive(link, encode(m.Chunk(session.number, b"snap", b"", b"")))
    side.exchange.catchup.staged(link, session.number, b"snap", b"")


def examined(side: Side, link: int) -> None:
    session, peer = side.exchange.catchup.session, side.exchange.peers[link]
    assert session is not None
    assert peer.row is not None
    state = side.node.replica.governance.now
    side.exchange.catchup.trial.examined(link, session.number, dict(peer.row), state)


def effects(side: Side, *kinds: type) -> list[str]:
    return [type(one).__name__ for one in side.exchange.effects if isinstance(one, kinds)]


def test_a_log_is_sought_before_a_snapshot_is_taken() -> None:
    me, _ = offered("w", "x")
    said(me, 2, m.Want)
    offer(me, 1)
    assert not said(me, 1, m.Fetch)
    assert len(said(me, 2, m.Want)) == 1
    # It has none either: nobody else is asked any more.
    offer(me, 2)
    assert len(said(me, 2, m.Fetch)) == 1
    assert not said(me, 3, m.Want)


def test_whose_log_does_not_fit_is_not_asked_for_it_again_and_again() -> None:
    me, _ = offered("w")
    offer(me, 1)
    session = me.exchange.catchup.session
    assert session is not None
    me.exchange.receive(2, encode(m.Page(session.number, [], last=True)))
    me.exchange.catchup.start(1)
    offer(me, 1)
    assert len(said(me, 1, m.Fetch)) == 1


def test_a_snapshot_becomes_no_store_before_it_was_examined_and_confirmed() -> None:
    me, _ = offered("w")
    offer(me, 1)
    offer(me, 2)
    whole(me, 2)
    assert effects(me, Examine, Confirm, BuildJoin) == ["Examine"]
    examined(me, 2)
    assert effects(me, Examine, Confirm, BuildJoin) == ["Examine", "Confirm"]
    me.exchange.catchup.trial.confirmed(b"another", node_of("s"), Word.SAME)
    assert not me.exchange.catchup.joining
    me.exchange.catchup.trial.confirmed(b"snap", node_of("s"), Word.SAME)
    assert effects(me, BuildJoin) == ["BuildJoin"]
    assert me.exchange.catchup.joining


def test_a_source_that_was_refused_is_passed_over_and_its_log_is_not() -> None:
    me, _ = offered()
    offer(me, 1)
    whole(me, 1)
    session = me.exchange.catchup.session
    assert session is not None
    me.exchange.catchup.trial.unproven(1, session.number, "bad: a bundle")
    assert effects(me, Alarm, Discard) == ["Alarm", "Discard"]
    assert me.exchange.catchup.trial.passed_over == {node_of("s")}
    assert not me.exchange.catchup.running
    # What it claimed is asked for no more for a while; then its log, and no other snapshot.
    me.exchange.tick()
    assert not me.exchange.catchup.running
    me.pass_time(31_000)
    for _ in range(2):
        me.exchange.tick()
        me.pass_time(1_100)
        peer = me.exchange.peers[1]
        assert peer.row is not None
        me.exchange.learn(1, peer, dict(peer.row))
    me.exchange.tick()
    said(me, 1, m.Fetch)
    offer(me, 1)
    assert not said(me, 1, m.Fetch)
    names = [one.name for one in me.exchange.effects if isinstance(one, Alarm)]
    assert names == ["snapshot_refused", "snapshot_passed_over"]


def test_a_source_that_goes_away_while_it_is_weighed_takes_its_snapshot_with_it() -> None:
    me, _ = offered("w", session_deadline_ms=1_000)
    offer(me, 1)
    offer(me, 2)
    whole(me, 2)
    examined(me, 2)
    me.exchange.link_down(2)
    assert effects(me, Discard) == ["Discard"]
    session = me.exchange.catchup.session
    assert session is not None
    assert session.link == 1


def test_no_deadline_of_a_silent_source_runs_while_its_snapshot_is_weighed() -> None:
    me, _ = offered("w", session_deadline_ms=1_000)
    offer(me, 1)
    offer(me, 2)
    whole(me, 2)
    me.pass_time(1_500)
    me.exchange.tick()
    assert me.exchange.catchup.running
    assert not effects(me, Alarm)
