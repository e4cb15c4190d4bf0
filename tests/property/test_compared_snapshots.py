"""A member asked about a snapshot finds every row that nobody wrote, and accuses no honest source.

Both sides are the shipped ones, over real stores; between them only the links are left out.
"""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from crdt.digest import move, weight
from crdt.dot import DATA, PRIVATE, Dot, NodeId
from crdt.overlay import pending_key
from crdt.pending import Pending, Vote, encode_pending
from crdt.state import Batch, Change
from crdt.weighing import Word
from node.replication import confirming, witness
from node.replication.comparing import ASK_TOPIC, SAY_TOPIC
from node.replication.confirming import Compared, Confirming
from node.replication.engine import Engine
from node.replication.witness import Witness
from node.store import Store
from node.store.incoming import Incoming
from node.store.joining import build_join
from node.store.snapshot import freeze
from tests.unit.store.rig import MAP_BYTES, T0_MS, Maker, actor, entropy, memory, open_store

ASKER, ASKED = b"a" * 32, b"b" * 32
Forge = Callable[[Batch], Batch]


class End:
    """What the two sides use of an engine."""

    def __init__(self, me: NodeId, store: Store | None = None) -> None:
        self.me = me
        self.store = store
        self.asides: dict[str, Callable[[NodeId, int, bytes], None]] = {}
        self.other: End | None = None
        self.deaf = False
        self.sent_bytes = 0
        members = SimpleNamespace(members={ASKER, ASKED})
        self.replica = SimpleNamespace(governance=SimpleNamespace(now=members))
        self.exchange = SimpleNamespace(peers={1: None})

    def send_aside(self, topic: str, data: bytes, link: int | None = None) -> None:
        assert link == 1
        assert len(data) <= 64 * 1024
        self.sent_bytes += len(data)
        other = self.other
        if other is not None and not other.deaf:
            asyncio.get_running_loop().call_soon(other.asides[topic], self.me, 1, data)

    def flush(self) -> None:
        """What is said is on its way at once."""


def compare(store: Store, incoming: Incoming, *, deaf: bool = False) -> Compared:
    """Ask the node of a store about a snapshot."""

    async def story() -> Compared:
        asking, asked = End(ASKER), End(ASKED, store)
        asking.other, asked.other = asked, asking
        loop = asyncio.get_running_loop()
        side = Witness(cast("Engine", asked), loop.create_task)
        ask = Confirming(cast("Engine", asking))
        assert set(asking.asides) == {SAY_TOPIC}
        assert set(asked.asides) == {ASK_TOPIC}
        asked.deaf = deaf
        clock = {a: n for a, n in incoming.clock().items() if a[:1] != PRIVATE}
        found = await ask.compare(1, clock, incoming, None)
        side.close()
        return found

    return asyncio.run(story())


def received(store: Store, path: Path) -> Incoming:
    """The whole of a snapshot of a store."""
    frozen = freeze(store, path / "frozen")
    incoming = Incoming(path / "incoming", frozen.id, map_bytes=MAP_BYTES)
    while not incoming.complete:
        incoming.put(*frozen.chunk(incoming.position, 4_000))
    frozen.close()
    return incoming


def held_of(key: bytes, votes: int = 0) -> bytes:
    """A pending row with some votes."""
    cast_votes = {
        Dot(actor(DATA, 7), n): Vote("ann", n, True, True, True, frozenset())
        for n in range(1, votes + 1)
    }
    return encode_pending(Pending(key, bytes(32), "bob", "human", votes=cast_votes))


def story(seed: int, path: Path, forge: Forge | None = None) -> tuple[Store, Store, Maker]:
    """Two stores that hold the same history, one of them as a forger leaves it, and its maker."""
    r = random.Random(seed)
    one, two, maker = open_store(path / "one"), open_store(path / "two"), Maker(1)
    for n in range(r.randint(1, 40)):
        key = maker.create(f"r{n}", content="x" * r.randint(1, 50))
        if r.random() < 0.3:
            maker.edit(key, content="y")
        if r.random() < 0.2:
            maker.delete(key)
        if r.random() < 0.2:
            maker.create(f"secret{n}", PRIVATE)
        if r.random() < 0.1:
            maker.hold(Dot(actor(DATA, 1), n + 1), held_of(key))
        batch = maker.take(genesis=b"mesh")
        one.commit(batch)
        two.commit(batch if forge is None else forge(batch))
    return one, two, maker


def go_on(store: Store, maker: Maker, seed: int) -> int:
    """More of the same history at one of them; how much changed."""
    r = random.Random(-seed)
    steps = r.randint(0, 30)
    for n in range(steps):
        keys = [key for key in sorted(maker.records) if key[:1] == DATA]
        kind = r.choice(["create", "edit", "delete"]) if keys else "create"
        if kind == "create":
            maker.create(f"later{n}")
        elif kind == "edit":
            maker.edit(r.choice(keys), content=f"{n}")
        else:
            maker.delete(r.choice(keys))
        store.commit(maker.take())
    return steps


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 40))]
)
def test_an_honest_snapshot_is_the_same_however_far_the_witness_went_on(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    print(f"seed {seed}")
    monkeypatch.setattr(confirming, "SEGMENT_ROWS", random.Random(seed).choice([1, 3, 512]))
    monkeypatch.setattr(witness, "RANGE_ROWS_MAX", random.Random(seed + 1).choice([1, 2, 2048]))
    store, source, maker = story(seed, tmp_path)
    incoming = received(source, tmp_path)
    steps = go_on(store, maker, seed)
    found = compare(store, incoming)
    assert found.word is Word.SAME
    assert found.moved <= 2 * steps + 2
    # It becomes the store of a node without one although it was read in order of key before.
    own, target = open_store(tmp_path / "own"), tmp_path / "next"
    built = build_join(own, incoming, target, entropy=entropy, now_ms=T0_MS, map_bytes=MAP_BYTES)
    made = open_store(built.path)
    assert made.head.digest == source.head.digest
    assert all(made.record(key) == source.record(key) for key in shared_keys(source))
    for one in (store, source, own, made):
        one.close()


def shared_keys(store: Store) -> list[bytes]:
    """The records of a store that are in its snapshots."""
    env = store.environment
    keys = env.read(lambda txn: [bytes(key) for key, _ in txn.cursor(db=env.tables.records)])
    return [key for key in keys if key[:1] == DATA]


def without(batch: Batch, key: bytes) -> Batch:
    """A batch that leaves a record out; its digest adds up."""
    gone = batch.records.get(key)
    if gone is None or gone.data is None:
        return batch
    return batch._replace(records={k: c for k, c in batch.records.items() if k != key})


def other_content(batch: Batch, key: bytes) -> Batch:
    """A batch that says something else under a key."""
    held = batch.records.get(key)
    if held is None or held.data is None:
        return batch
    data = held.data.replace(b"xx", b"zz", 1)
    change = Change(held.before, held.after, data, weight(key, data))
    return batch._replace(records={**batch.records, key: change})


def one_more(batch: Batch, key: bytes) -> Batch:
    """A batch with a record that nobody wrote."""
    held = batch.records.get(key)
    if held is None or held.data is None:
        return batch
    other = memory("invented")
    change = Change(None, held.after, held.data, weight(other, held.data))
    return batch._replace(records={**batch.records, other: change})


@pytest.mark.parametrize("forge", [without, other_content, one_more])
@pytest.mark.parametrize("moved", [False, True])
def test_one_row_that_nobody_wrote_is_found(
    forge: Callable[[Batch, bytes], Batch], *, moved: bool, tmp_path: Path
) -> None:
    one, two, maker = open_store(tmp_path / "one"), open_store(tmp_path / "two"), Maker(1)
    target = memory("r7")
    for n in range(20):
        maker.create(f"r{n}", content="x" * 20)
        batch = maker.take(genesis=b"mesh")
        one.commit(batch)
        two.commit(forge(batch, target))
    incoming = received(two, tmp_path)
    if moved:  # others of the rows may be unlike, and this one is not among them
        maker.edit(memory("r3"), content="later")
        maker.delete(memory("r4"))
        one.commit(maker.take())
    assert compare(one, incoming).word is Word.OTHER
    for each in (one, two, incoming):
        each.close()


def test_votes_that_nobody_cast_are_found(tmp_path: Path) -> None:
    one, two, maker = open_store(tmp_path / "one"), open_store(tmp_path / "two"), Maker(1)
    key = maker.create("held")
    dot = Dot(actor(DATA, 1), 1)
    maker.hold(dot, held_of(key))
    batch = maker.take(genesis=b"mesh")
    one.commit(batch)
    forged = held_of(key, votes=1)
    digest = move(batch.digest, weight(pending_key(dot), held_of(key)), 0)
    digest = move(digest, 0, weight(pending_key(dot), forged))
    two.commit(batch._replace(pending={dot: forged}, digest=digest))
    incoming = received(two, tmp_path)
    assert compare(one, incoming).word is Word.OTHER
    for each in (one, two, incoming):
        each.close()


def test_a_change_below_the_clock_excuses_nothing_although_it_came_later(tmp_path: Path) -> None:
    """Arrivals are each node's own: what came last may lie below the snapshot's clock."""
    one, two, near, far = (
        open_store(tmp_path / "one"),
        open_store(tmp_path / "two"),
        Maker(1),
        Maker(2),
    )
    key = near.create("r", content="a")
    first = near.take(genesis=b"mesh")
    one.commit(first)
    two.commit(first)
    far.relay(near)
    far.take()
    far.edit(key, title="far")
    late = far.take()
    # The witness took an edit beyond the snapshot's clock first, then one that lies below it.
    near.edit(key, content="b")
    one.commit(near.take())
    incoming = received(two, tmp_path)
    near.relay(far)
    one.commit(late._replace(digest=near.digest))
    assert compare(one, incoming).word is Word.SAME
    for each in (one, two, incoming):
        each.close()


def test_who_lacks_what_the_snapshot_covers_or_has_cut_its_log_cannot_tell(tmp_path: Path) -> None:
    store, source, maker = story(3, tmp_path)
    maker.create("more")
    source.commit(maker.take())
    incoming = received(source, tmp_path)
    assert compare(store, incoming).word is Word.UNABLE
    for each in (store, source, incoming):
        each.close()


def test_who_never_answers_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirming, "SILENT_S", 0.05)
    store, source, _ = story(4, tmp_path)
    incoming = received(source, tmp_path)
    assert compare(store, incoming, deaf=True).word is Word.SILENT
    for each in (store, source, incoming):
        each.close()


def test_who_takes_for_ever_over_its_answers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirming, "SEGMENT_ROWS", 1)
    monkeypatch.setattr(confirming, "ROW_S", 0.0)
    monkeypatch.setattr(confirming, "PATIENCE_S", 0.0)  # as after hours of answers that came late
    store, source, _ = story(5, tmp_path)
    incoming = received(source, tmp_path)
    assert compare(store, incoming).word is Word.UNABLE
    for each in (store, source, incoming):
        each.close()
