"""Damage is never served and never sent, and all of it is made whole.

Real stores, every table in use, files damaged as disks do it: bits flipped, pages torn or zeroed.
After each damage every road out of the store is walked to its end; then the store is made whole as
a running node does it, by its own means first and by an honest peer's answers then. What breaks the
tree of pages is found before LMDB follows it, and ends in a store that is filled anew.
"""

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chaos.faults.pages import flip, tear, zero
from crdt.dot import PRIVATE
from node.store import CorruptRecord, Store
from node.store.proving import Given
from node.store.rows import key_in
from tests.unit.crdt.rig import Node
from tests.unit.integrity.rig import (
    STORE,
    Truth,
    file_of,
    fill,
    flip_row,
    given_by,
    is_sound,
    kept,
    memory_of,
    scrub_all,
    stop,
    truth_of,
    walk_roads,
)
from tests.unit.store.rig import open_store

SEED = 20_261
ROUNDS_MAX = 8
FLIPS, TORN = 1_000, 100
FLIPS_EVERY_DAY, TORN_EVERY_DAY = 10, 6


@dataclass
class Pair:
    """A store to be damaged, as bytes, and a peer that holds the same."""

    clean: bytes
    node: Node
    peer: Node
    truth: Truth
    folder: Path

    def fresh(self) -> Store:
        """A copy, open as a running node has it."""
        shutil.rmtree(self.folder / "work", ignore_errors=True)
        (self.folder / "work" / STORE).mkdir(parents=True)
        file_of(self.folder / "work").write_bytes(self.clean)
        return open_store(self.folder / "work" / STORE)

    def hurt(self, rng: random.Random, kind: str) -> None:
        file = file_of(self.folder / "work")
        if kind == "flip":
            flip(file, rng, rng.choice((1, 1, 1, 2, 8)))
        else:
            rng.choice((tear, zero))(file, rng)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    rng = random.Random(SEED)
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    node, peer = kept("a", folder / "a"), kept("b", folder / "b")
    fill(node, rng)
    peer.pull(node)
    fill(peer, rng, 20)
    node.pull(peer)
    store: Store = node.disk  # type: ignore[assignment]  # kept on a disk
    assert node.replica.digest == peer.replica.digest
    assert not scrub_all(store)
    assert store.adds_up()
    truth = truth_of(store)
    stop(node)
    yield Pair(file_of(folder / "a").read_bytes(), node, peer, truth, folder)
    stop(peer)


def play(pair: Pair, kind: str, number: int) -> str:
    """One damage; returns what became of it."""
    seed = f"{SEED}-{kind}-{number}"
    store = pair.fresh()
    try:
        pair.hurt(random.Random(seed), kind)
        if not is_sound(pair.folder / "work"):
            return "set aside"
        actors = list(pair.node.replica.clock)
        wrong = walk_roads(store, pair.truth, actors, pair.folder / "frozen")
        assert not wrong, f"{seed}: damage was served or sent: {wrong[:3]}"
        found, left = mend(pair, store)
        # What only this node had, and lost by more than a bit, is kept apart; a backup has it.
        assert all(error.key[:1] == b"p" or error.table == "log_private" for error in left), (
            f"{seed}: {left[:3]}"
        )
        if left:
            return "private"
        assert store.adds_up(), f"{seed}: whole, and not its digest"
        held = truth_of(store)
        assert held.records == pair.truth.records, f"{seed}: repaired into something else"
        assert held.bundles == pair.truth.bundles, f"{seed}: the log is another one"
        return "repaired" if found else "nothing"
    finally:
        store.close()


def mend(pair: Pair, store: Store) -> tuple[int, list[CorruptRecord]]:
    """As a running node does; how many rows were damaged, and what is left."""
    memory, first = memory_of(pair.node), 0
    for number in range(ROUNDS_MAX):
        bad = scrub_all(store)
        first = first if number else len(bad)
        if not bad:
            return first, []
        healed = store.heal(bad, memory, store.mends(bad))
        if not healed.rows:
            given = given_by(pair.peer, healed.needs)
            if not store.heal(bad, memory, {}, given).rows:
                return first, bad
    return first, scrub_all(store)


def played(pair: Pair, flips: int, torn: int) -> Counter[str]:
    outcomes = Counter(play(pair, "flip", number) for number in range(flips))
    return outcomes + Counter(play(pair, "torn", number) for number in range(torn))


def test_damage_is_never_served_and_is_made_whole(pair: Pair) -> None:
    outcomes = played(pair, FLIPS_EVERY_DAY, TORN_EVERY_DAY)
    assert outcomes["repaired"] > 3, outcomes


def test_an_answer_that_does_not_add_up_is_not_taken(pair: Pair) -> None:
    rng, store = random.Random(SEED), pair.fresh()
    try:
        for table in ("feed", "feed", "log_data"):
            key, value = flip_row(store, rng, table, bits=6)
            while table == "feed" and key_in(value)[:1] == PRIVATE:  # no peer could give it
                store.environment.write(
                    lambda txn, k=key, v=value: txn.put(k, v, db=store.tables.feed)
                )
                key, value = flip_row(store, rng, table, bits=6)
        bad = scrub_all(store)
        needs = store.heal(bad, memory_of(pair.node), {}).needs
        honest = given_by(pair.peer, needs)
        forged = Given(
            records={key: (data or b"") + b"x" for key, data in honest.records.items()},
            bundles={name: data + b"x" for name, data in honest.bundles.items()},
            pending=honest.pending,
        )
        assert honest.records
        assert honest.bundles
        assert not store.heal(bad, memory_of(pair.node), {}, forged).given
        assert len(scrub_all(store)) == len(bad)
        assert mend(pair, store)[1] == []
        assert truth_of(store).records == pair.truth.records
    finally:
        store.close()


@pytest.mark.slow
def test_a_thousand_flips_and_a_hundred_torn_pages(pair: Pair) -> None:
    outcomes = played(pair, FLIPS, TORN)
    print(f"seed {SEED}: {dict(outcomes)}")
    assert outcomes["repaired"] > 300, outcomes
    assert outcomes["private"] < 40, outcomes
