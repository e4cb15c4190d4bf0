"""When a restored node may write: the rule alone, with peers that say what a test wants."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crdt.dot import DATA, new_actor
from crdt.peer import Outbox, Peer
from node.backup.notes import Restored, note_restored, recovering
from node.backup.recovering import Recovery

ME, SECOND, THIRD = (bytes([n]) * 32 for n in (1, 2, 3))
ACTOR = new_actor(DATA, 1_700_000_000, bytes(8), ME)
OTHER = new_actor(DATA, 1_700_000_001, bytes(8), SECOND)
NOW_MS = 1_000_000


class World:
    """One engine, as far as the rule looks at it."""

    def __init__(self, data_dir: Path, members: tuple[bytes, ...] = (ME, SECOND, THIRD)) -> None:
        self.data_dir = data_dir
        self.told: list[bytes] = []
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.recorded: list[str] = []
        self.now_ms = NOW_MS
        self.peers: dict[int, Peer] = {}
        named = {node: SimpleNamespace(node_id=node) for node in members}
        state = SimpleNamespace(members=named, ready=set(members))
        self.exchange = SimpleNamespace(
            peers=self.peers, durable={ACTOR: 5}, catchup=SimpleNamespace(joining=False)
        )
        self.engine: Any = SimpleNamespace(
            me=SimpleNamespace(node_id=ME),
            asides={},
            exchange=self.exchange,
            replica=SimpleNamespace(governance=SimpleNamespace(now=state)),
            readiness=SimpleNamespace(recovering=False),
            store=SimpleNamespace(path=data_dir / "store-1", store_id="ab"),
            now_ms=lambda: self.now_ms,
            send_aside=lambda _topic, data, _link=None: self.told.append(data),
            soon=lambda: None,
        )

    def restored(self, **changes: Any) -> None:
        values: dict[str, Any] = {
            "at_ms": 1,
            "backup": "b",
            "of_node": "",
            "store": "store-1",
            "verified": True,
            "founder": False,
        }
        note_restored(self.data_dir, Restored(**(values | changes)))

    def start(self) -> Recovery:
        return Recovery(
            engine=self.engine,
            data_dir=self.data_dir,
            log=lambda event, **facts: self.logged.append((event, facts)),  # type: ignore[arg-type]  # as an EventLog is called
            record=lambda event, **_facts: self.recorded.append(event),
        )

    def link(self, number: int, node: bytes, **clock: int) -> Peer:
        peer = self.peers[number] = Peer(node, Outbox(), "", heard_ms=self.now_ms)
        names = {"mine": ACTOR, "theirs": OTHER}
        peer.row = {names[name]: seq for name, seq in clock.items()}
        return peer

    @property
    def waits(self) -> bool:
        return bool(self.engine.readiness.recovering)

    @property
    def how(self) -> list[str]:
        return [facts["how"] for event, facts in self.logged if event == "store_recovered"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.restored()
    return made


def test_without_a_note_nothing_waits(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.start().watch()
    assert (world.waits, world.recorded, world.told) == (False, [], [])


def test_nobody_in_reach_is_nothing_pulled(world: World) -> None:
    one = world.start()
    one.watch()
    assert world.waits
    assert world.recorded == ["restored"]
    assert recovering(world.data_dir) is not None


def test_a_member_that_was_not_restored_ends_it_once_nothing_is_ahead(world: World) -> None:
    one = world.start()
    peer = world.link(1, SECOND, mine=6)
    one.watch()
    one.on_aside(SECOND, 1, b"0")
    one.watch()
    assert world.waits, "it is ahead"
    world.exchange.durable = {ACTOR: 6}
    ahead = world.link(2, THIRD, mine=6, theirs=1)
    one.watch()
    assert world.waits, "another one is ahead"
    del world.peers[2]
    peer.lacks = {3}
    one.watch()
    assert world.waits, "not all that it has is known"
    peer.lacks = set()
    one.watch()
    assert (world.waits, world.how) == (False, ["pulled"])
    assert recovering(world.data_dir) is None
    assert world.told[-1] == b"0"
    assert ahead.node_id == THIRD


def test_who_is_no_member_by_what_it_pulled_has_not_pulled_enough(tmp_path: Path) -> None:
    """A store under another key: its mesh takes nothing from who was not let in."""
    world = World(tmp_path, (SECOND, THIRD))
    world.restored()
    one = world.start()
    world.link(1, SECOND, mine=5)
    one.on_aside(SECOND, 1, b"0")
    one.watch()
    assert world.waits
    members = world.engine.replica.governance.now.members
    members[ME] = members[SECOND]
    one.watch()
    assert world.how == ["pulled"]


def test_who_has_not_answered_is_not_believed_until_it_must_have_heard(world: World) -> None:
    one = world.start()
    peer = world.link(1, SECOND, mine=5)
    one.watch()
    assert world.told == [b"?"]
    world.now_ms += 60_000
    one.watch()
    assert world.waits, "it may be asleep"
    peer.heard_ms = NOW_MS + 5_001
    one.watch()
    assert world.how == ["pulled"]


def test_all_restored_with_equal_clocks_is_all_there_is(world: World) -> None:
    one = world.start()
    world.link(1, SECOND, mine=5)
    one.watch()
    one.on_aside(SECOND, 1, b"1")
    one.watch()
    assert world.waits, "the third may know more"
    third = world.link(2, THIRD, mine=4)
    one.watch()
    one.on_aside(THIRD, 2, b"1")
    one.watch()
    assert world.waits, "the third has not joined yet"
    third.row = {ACTOR: 5}
    one.watch()
    assert world.how == ["joined"]


def test_what_a_link_said_ends_with_it(world: World) -> None:
    one = world.start()
    world.link(1, SECOND, mine=5)
    one.on_aside(SECOND, 1, b"1")
    one.watch()
    del world.peers[1]
    one.watch()
    world.link(1, SECOND, mine=5)
    one.watch()
    assert world.told.count(b"?") == 1
    one.on_aside(SECOND, 1, b"0")
    one.watch()
    assert world.how == ["pulled"]


@pytest.mark.parametrize("node", [ME, bytes([9]) * 32])
def test_only_other_members_count(world: World, node: bytes) -> None:
    one = world.start()
    world.link(1, node, mine=5)
    one.on_aside(node, 1, b"0")
    one.watch()
    assert world.waits


def test_a_peer_whose_state_differs_does_not_count(world: World) -> None:
    one = world.start()
    world.link(1, SECOND, mine=5).stopped = True
    one.on_aside(SECOND, 1, b"0")
    one.watch()
    assert world.waits


def test_a_joined_store_is_put_in_place_first(world: World) -> None:
    one = world.start()
    world.link(1, SECOND, mine=5)
    one.on_aside(SECOND, 1, b"0")
    world.exchange.catchup.joining = True
    one.watch()
    assert world.waits


def test_alone_there_is_nothing_to_pull(tmp_path: Path) -> None:
    world = World(tmp_path, (ME,))
    world.restored()
    world.start().watch()
    assert world.how == ["alone"]


def test_a_mesh_that_only_the_note_remembers_is_one(tmp_path: Path) -> None:
    world = World(tmp_path, (ME,))
    world.restored()
    (tmp_path / "join.json").write_text(
        '{"genesis": {"cluster": "c", "founders": []}, "members": [{"url": "https://b"}]}',
        encoding="ascii",
    )
    world.start().watch()
    assert world.waits


def test_an_operator_may_end_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.restored(founder=True)
    world.start()
    assert (world.waits, world.how, world.recorded) == (False, ["founder"], ["restored"])


def test_a_restart_changes_nothing_and_is_told_once(world: World) -> None:
    world.start()
    world.engine.store.path = world.data_dir / "store-of-a-join"
    again = world.start()
    again.watch()
    assert (world.waits, world.recorded) == (True, ["restored"])


def test_a_restore_that_died_before_its_swap_is_void(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.restored(store="store-2")
    world.start()
    assert (world.waits, world.recorded) == (False, [])
    assert recovering(tmp_path) is None


def test_others_are_told_when_they_ask(world: World) -> None:
    one = world.start()
    one.on_aside(SECOND, 1, b"?")
    world.engine.readiness.recovering = False
    one.on_aside(SECOND, 1, b"?")
    one.on_aside(SECOND, 1, b"nonsense")
    assert world.told == [b"1", b"0"]
