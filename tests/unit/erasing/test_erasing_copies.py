"""Copies of a store go with a rewrite: frozen ones, half received ones, replaced ones."""

import asyncio
import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from crdt.effects import Freeze, Stage
from node.errors import DiskFull
from node.replication.engine import Engine
from node.replication.snapshots import SnapshotWorks
from node.store.folder import drop_replaced, open_current, set_aside_stores, swap
from node.store.room import check_room
from node.store.snapshot import START, freeze
from node.store.store import Store
from tests.unit.erasing.rig import RealMaker
from tests.unit.store.rig import MAP_BYTES, T0_MS, entropy, open_store


class Rounds:
    """The part of catching up that the works talk to."""

    def __init__(self) -> None:
        self.session: Any = None
        self.joining = False
        self.offered: list[bytes] = []
        self.resumed: list[tuple[bytes, bytes]] = []
        self.trial = SimpleNamespace()

    def frozen(self, _link: int, _number: int, snapshot: bytes) -> None:
        self.offered.append(snapshot)

    def staged(self, *_: object) -> None:
        """Rows are kept."""

    def resume_at(self, snapshot: bytes, following: bytes) -> None:
        self.resumed.append((snapshot, following))


def folders(data_dir: Path, kind: str) -> list[Path]:
    return sorted(data_dir.glob(f"{kind}-*"))


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    return made


async def until(state: Any) -> None:
    async with asyncio.timeout(10):
        while not state():  # noqa: ASYNC110 - files on a disk set no event
            await asyncio.sleep(0.005)


def works_over(
    data_dir: Path,
    store: Store,
    maker: RealMaker,
    rounds: Rounds,
    tasks: set[asyncio.Task[None]],
) -> SnapshotWorks:
    """The works of a node that has no peers but those that a test speaks for."""
    engine = SimpleNamespace(
        store=store,
        replica=SimpleNamespace(actors=dict(maker.actors), genesis=SimpleNamespace(id=bytes(32))),
        me=SimpleNamespace(key=bytes(32), sign=lambda _: bytes(64)),
        asides={},
        on_alarm=[],
        record=lambda *_, **__: None,
        send_aside=lambda *_: None,
        exchange=SimpleNamespace(catchup=rounds),
        now_ms=lambda: 0,
        pump=lambda: None,
    )
    return SnapshotWorks(
        engine=cast("Engine", engine),
        data_dir=data_dir,
        map_bytes=MAP_BYTES,
        chunk_bytes=100,
        log=lambda *_, **__: None,  # type: ignore[arg-type]  # tells nobody
        spawn=lambda work: tasks.add(asyncio.get_running_loop().create_task(work)),
    )


def test_frozen_and_half_received_copies_go(data_dir: Path) -> None:
    async def story() -> None:
        store, maker = open_current(data_dir, entropy=entropy, map_bytes=MAP_BYTES), RealMaker()
        maker.create("a", content="words")
        store.commit(maker.take())
        rounds, tasks = Rounds(), set[asyncio.Task[None]]()
        works = works_over(data_dir, store, maker, rounds, tasks)
        works.carry(Freeze(1, 1))
        await until(lambda: rounds.offered)
        other = open_store(data_dir.parent / "other")
        maker.create("b")
        other.commit(maker.take())
        given = freeze(other, data_dir.parent / "given")
        rows, following = given.chunk(START, 1)
        works.carry(Stage(1, 1, given.id, rows, following))
        await until(lambda: folders(data_dir, "incoming"))
        await asyncio.gather(*tasks)
        assert folders(data_dir, "frozen")
        # A reception that is under way is left alone.
        rounds.session = SimpleNamespace(snapshot=given.id)
        works.drop_copies()
        await until(lambda: not folders(data_dir, "frozen"))
        assert folders(data_dir, "incoming")
        rounds.session = None
        works.drop_copies()
        await until(lambda: not folders(data_dir, "incoming"))
        assert rounds.resumed == [(b"", b"")]
        works.close()
        given.close()
        other.close()
        store.close()

    asyncio.run(story())


def test_who_asks_many_times_is_offered_one_copy(data_dir: Path) -> None:
    async def story() -> None:
        store, maker = open_current(data_dir, entropy=entropy, map_bytes=MAP_BYTES), RealMaker()
        maker.create("a")
        store.commit(maker.take())
        rounds, tasks = Rounds(), set[asyncio.Task[None]]()
        works = works_over(data_dir, store, maker, rounds, tasks)
        for number in range(60):
            works.carry(Freeze(1, number))
        await asyncio.gather(*tasks)
        assert len(rounds.offered) == 60
        assert len(set(rounds.offered)) == 1
        assert len(folders(data_dir, "frozen")) == 1
        works.close()
        store.close()

    asyncio.run(story())


def test_copies_are_few_however_often_the_log_is_cut_beneath_them(data_dir: Path) -> None:
    async def story() -> None:
        store, maker = open_current(data_dir, entropy=entropy, map_bytes=MAP_BYTES), RealMaker()
        rounds, tasks = Rounds(), set[asyncio.Task[None]]()
        works = works_over(data_dir, store, maker, rounds, tasks)
        for number in range(12):
            maker.create(f"r{number}")
            store.commit(maker.take())
            (actor,) = (one for one in maker.actors if maker.actors[one].seq)
            row = maker.actors[actor]
            works._engine.replica.actors[actor] = dataclasses.replace(row, floor=row.seq)
            works.carry(Freeze(1, number))
            await asyncio.gather(*tasks)
        assert len(set(rounds.offered)) == 12
        await until(lambda: len(folders(data_dir, "frozen")) <= 3)
        works.close()
        store.close()

    asyncio.run(story())


def test_no_copy_takes_the_last_room_of_a_disk(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    check_room(tmp_path, free // 2)
    with pytest.raises(DiskFull, match="no room for a copy"):
        check_room(tmp_path, free)


def test_a_copy_that_was_being_frozen_is_frozen_again(data_dir: Path) -> None:
    async def story() -> None:
        store, maker = open_current(data_dir, entropy=entropy, map_bytes=MAP_BYTES), RealMaker()
        maker.create("a")
        store.commit(maker.take())
        rounds, tasks = Rounds(), set[asyncio.Task[None]]()
        works = works_over(data_dir, store, maker, rounds, tasks)
        works.carry(Freeze(1, 1))
        await asyncio.sleep(0)  # it has begun, and cannot have ended: nobody has looked
        works.drop_copies()
        await until(lambda: rounds.offered)
        await asyncio.gather(*tasks)
        assert len(rounds.offered) == 1
        await until(lambda: len(folders(data_dir, "frozen")) == 1)
        works.close()
        store.close()

    asyncio.run(story())


def test_replaced_stores_go_and_others_stay(data_dir: Path) -> None:
    open_current(data_dir, entropy=entropy, map_bytes=MAP_BYTES).close()
    damaged = data_dir / "aside-damaged-1"
    damaged.mkdir()
    open_store(data_dir / "next-0123456789abcdef").close()
    swap(data_dir, data_dir / "next-0123456789abcdef", T0_MS)
    assert len(set_aside_stores(data_dir)) == 2
    assert drop_replaced(data_dir) == 1
    assert set_aside_stores(data_dir) == [damaged]
