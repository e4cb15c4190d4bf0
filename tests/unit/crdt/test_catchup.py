from crdt import messages as m
from crdt.dot import DATA
from crdt.effects import Alarm, BuildJoin, Examine, Freeze, Serve, Stage
from crdt.memory_state import MemoryState
from crdt.messages import decode, encode
from tests.unit.crdt.rig import Side, cut_log, linked, mesh, node_of, shared_state, talk


def behind(count: int = 6, **limits: int) -> tuple[Side, Side]:
    """A source with a log, and a founder of the same mesh that lacks it."""
    a, b = mesh("a", "b")
    for n in range(count):
        a.create(f"r{n}", title="x" * 40)
        a.commit()
    return Side(a, **limits), Side(b, **limits)


def said(side: Side, link: int = 1) -> list[m.Message]:
    return [decode(data) for data in side.boxes[link].take(2**30)]


def deliver(sender: Side, receiver: Side, link: int = 1) -> list[m.Message]:
    messages = said(sender, link)
    for message in messages:
        receiver.exchange.receive(link, encode(message))
    return messages


def test_one_session_takes_each_missing_bundle_once() -> None:
    source, late = behind(page_bytes_max=300)
    linked(source, late)
    talk(source, late)
    catchup = late.exchange.catchup
    assert (catchup.sessions, catchup.bundles_taken, catchup.running) == (1, 6, False)
    assert shared_state(source.node.disk) == shared_state(late.node.disk)
    assert late.exchange.peers[1].pulling
    assert source.exchange.peers[1].pushing


def test_any_prefix_of_pages_is_a_valid_state() -> None:
    source, late = behind(page_bytes_max=1)
    linked(source, late)
    deliver(source, late)
    for taken in range(1, 7):
        deliver(late, source)
        deliver(source, late)
        assert late.exchange.catchup.bundles_taken == taken
        assert len([n for n in range(6) if late.node.record(f"r{n}")]) == taken


def test_a_page_is_taken_slice_by_slice_and_asked_on_after_the_last() -> None:
    source, late = behind(page_slice_bytes_max=1)
    linked(source, late)
    deliver(source, late)
    deliver(late, source)
    deliver(source, late)
    catchup = late.exchange.catchup
    for taken in range(1, 7):
        assert catchup.bundles_taken == taken
        assert len([n for n in range(6) if late.node.record(f"r{n}")]) == taken
        assert catchup.at_hand(1) == (taken < 6)
        assert not [one for one in said(late) if isinstance(one, m.Want | m.Level)] or taken == 6
        catchup.go_on(1)
    assert (catchup.bundles_taken, catchup.running) == (6, False)


def test_a_page_that_comes_before_the_last_was_taken_is_passed_over() -> None:
    source, late = behind(page_slice_bytes_max=1)
    linked(source, late)
    deliver(source, late)
    deliver(late, source)
    pages = said(source)
    for message in pages * 2:
        late.exchange.receive(1, encode(message))
    assert late.exchange.catchup.bundles_taken == 1


def test_what_is_left_of_a_page_goes_with_its_source() -> None:
    source, late = behind(page_slice_bytes_max=1)
    linked(source, late)
    deliver(source, late)
    deliver(late, source)
    deliver(source, late)
    late.exchange.link_down(1)
    late.exchange.catchup.go_on(1)
    assert late.exchange.catchup.bundles_taken == 1
    assert not late.exchange.catchup.at_hand(1)


def test_an_answer_to_an_older_want_is_passed_over() -> None:
    source, late = behind()
    linked(source, late)
    deliver(source, late)
    page = m.Page(99, [b.data for b in source.node.sealed], last=True)
    late.exchange.receive(1, encode(page))
    assert late.exchange.catchup.bundles_taken == 0
    assert late.exchange.catchup.running


def test_a_lost_source_is_replaced_by_another_that_is_ahead() -> None:
    a, b, c = mesh("a", "b", "c")
    a.create()
    a.commit()
    c.pull(a)
    first, late, second = Side(a), Side(b), Side(c)
    linked(first, late, 1)
    linked(second, late, 2)
    deliver(first, late, 1)
    deliver(second, late, 2)
    session = late.exchange.catchup.session
    assert session is not None
    assert session.link == 1
    late.exchange.link_down(1)
    session = late.exchange.catchup.session
    assert session is not None
    assert session.link == 2
    talk(second, late, 2)
    assert shared_state(late.node.disk) == shared_state(c.disk)


def test_a_silent_source_is_given_up() -> None:
    source, late = behind(session_deadline_ms=1_000)
    linked(source, late)
    deliver(source, late)
    assert late.exchange.catchup.running
    late.pass_time(1_001)
    late.exchange.tick()
    assert not late.exchange.catchup.running
    assert [e.name for e in late.exchange.effects if isinstance(e, Alarm)] == ["source_silent"]


def test_what_a_row_shows_for_too_long_is_fetched() -> None:
    source, late = behind(relay_ms=500)
    linked(source, late)
    talk(source, late)
    peer = late.exchange.peers[1]
    assert peer.row is not None
    source.node.create("relayed")
    source.node.commit()
    late.exchange.learn(1, peer, {source.node.replica.own[DATA]: 7})
    late.exchange.tick()
    assert not late.exchange.catchup.running
    late.pass_time(501)
    late.exchange.tick()
    assert late.exchange.catchup.running
    assert late.exchange.catchup.sessions == 2


def test_a_push_during_a_session_is_answered_behind() -> None:
    source, late = behind()
    linked(source, late)
    deliver(source, late)
    said(late)
    late.exchange.peers[1].pulling = True
    late.exchange.receive(1, encode(m.Gap()))
    assert said(late) == [m.Behind()]


def cut(source: Side) -> None:
    floors = cut_log(source.node.disk)
    source.node.replica.truncated(floors)


def carry_out(source: Side, late: Side, staged: MemoryState) -> list[str]:
    """Effects of both sides, done at once; returns their names in order."""
    names = []
    for side in (source, late):
        todo, side.exchange.effects[:] = list(side.exchange.effects), []
        for effect in todo:
            names.append(type(effect).__name__)
            catchup = side.exchange.catchup
            match effect:
                case Freeze(link, number):
                    catchup.frozen(link, number, b"snap")
                case Serve(link, number, snapshot, after):
                    rows, following = side.node.disk.chunk(after, 3)
                    catchup.served(link, number, snapshot, rows, following)
                case Stage(link, number, snapshot, rows, following):
                    staged.stage(rows)
                    catchup.staged(link, number, snapshot, following)
                case Examine(link, number):
                    state = side.node.replica.governance.now
                    catchup.trial.examined(link, number, staged.clock(), state)
                case BuildJoin(link, _):
                    before = side.node.replica
                    side.node.disk = side.node.disk.joined_with(staged)
                    side.node.started().adopt(before)
                    clock = side.node.disk.clock()
                    side.exchange.swapped(side.node.replica, clock, link)
                case _:
                    pass
    return names


def test_below_the_floor_a_snapshot_is_fetched_and_joined() -> None:
    source, late = behind()
    cut(source)
    late.node.create("mine", title="late")
    late.commit()
    linked(source, late)
    names: list[str] = []
    staged = MemoryState()
    for _ in range(20):
        deliver(source, late)
        deliver(late, source)
        names += carry_out(source, late, staged)
        late.commit()
    assert names[0] == "Freeze"
    assert names[-1] == "BuildJoin"
    assert names.count("Serve") == names.count("Stage") > 1
    talk(source, late)
    assert shared_state(source.node.disk) == shared_state(late.node.disk)
    assert source.node.values("mine") == {"title": "late"}
    assert late.exchange.catchup.sessions == 2
    assert late.node.replica.own[DATA][13:] == node_of("b")


def test_while_a_join_is_built_nothing_is_applied() -> None:
    source, late = behind()
    linked(source, late)
    talk(source, late)
    late.exchange.catchup.joining = True
    source.node.create("more")
    source.commit()
    deliver(source, late)
    assert late.node.record("more") is None
    late.exchange.catchup.join_failed(1)
    talk(late, source)
    assert late.node.record("more") is not None


def test_a_page_without_anything_new_ends_the_session() -> None:
    source, late = behind()
    linked(source, late)
    deliver(source, late)
    session = late.exchange.catchup.session
    assert session is not None
    late.exchange.receive(1, encode(m.Page(session.number, [], last=False)))
    assert not late.exchange.catchup.running
