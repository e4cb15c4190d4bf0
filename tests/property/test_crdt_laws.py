"""I1, I5, I6, I12 over states that real operations on several replicas made."""

import hashlib
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crdt.admission import Fit
from crdt.clock import shared
from crdt.dot import PRIVATE, Dot
from crdt.memory_state import MemoryState
from crdt.overlay import pending_key
from crdt.pending import decode_pending
from crdt.pending_table import PendingTable
from crdt.record_codec import decode, encode
from crdt.view import NothingPending, shown
from tests.property.crdt_histories import IDS, NAMES, PLAIN, Play, approvals, histories
from tests.simulation.checks import difference, visible
from tests.unit.crdt.rig import Node, shared_state, snapshot


def seen(disk: MemoryState) -> dict[str, Any]:
    held = PendingTable({dot: decode_pending(data) for dot, data in disk.pending.items()})
    return visible({k: decode(k, v) for k, v in disk.records.items()}, held)


def copies(play: Play) -> list[MemoryState]:
    return [snapshot(node.disk, 1000) for node in play.nodes]


@given(histories())
def test_i1_what_is_visible_is_what_the_twin_computes_from_the_clock(steps: list[Any]) -> None:
    for node in (play := Play(steps).settled()).nodes:
        want, _ = play.twin.state(node.disk.clock())
        got = seen(node.disk)
        assert got == want, difference(got, want)


@given(approvals())
def test_i1_approvals_are_what_the_twin_computes_from_the_clock(steps: list[Any]) -> None:
    for node in (play := Play(steps).settled()).nodes:
        want, _ = play.twin.state(node.disk.clock())
        got = seen(node.disk)
        assert got == want, difference(got, want)


@given(histories(PLAIN))
def test_an_edit_leaves_no_value_behind_that_its_author_saw(steps: list[Any]) -> None:
    play = Play()
    for step in steps:
        node = play.nodes[step[1]]
        held = node.record(IDS[step[2] % 2])
        old = {v.origin.dot for f in held.fields.values() for v in f.values()} if held else set()
        play.take(step)
        part = shown(node.record(IDS[step[2] % 2]), NothingPending())
        if step[0] != "edit" or part is None:
            continue
        for name, versions in part.fields.items():
            fresh = any(v.origin.dot not in old for v in versions)
            assert not fresh or name.startswith("+") or len(versions) == 1


@given(histories())
def test_i12_equal_clocks_mean_equal_digests_and_equal_bytes(steps: list[Any]) -> None:
    states = [shared_state(node.disk) for node in Play(steps).levelled().nodes]
    assert states[0] == states[1] == states[2]


@given(histories(), st.randoms(use_true_random=False))
def test_any_causal_order_gives_the_same_state(steps: list[Any], r: random.Random) -> None:
    play = Play(steps).levelled()
    fresh = Node("z", NAMES)
    waiting = play.public()
    r.shuffle(waiting)
    while waiting:
        left = []
        for bundle in waiting:
            fit = fresh.hear(bundle.data)
            assert fit in {Fit.NEXT, Fit.BEHIND}
            left += [bundle] if fit is Fit.BEHIND else []
            if r.random() < 0.3:
                fresh.commit()
        assert len(left) < len(waiting), "nothing fits any more"
        waiting = left
    fresh.commit()
    assert shared_state(fresh.disk) == shared_state(play.nodes[0].disk)


@given(histories(), st.integers(0, 2), st.integers(0, 2))
def test_i6_the_op_path_and_the_snapshot_path_meet(steps: list[Any], x: int, y: int) -> None:
    play = Play(steps).settled()
    mine, theirs = play.nodes[x], play.nodes[y]
    joined = mine.disk.joined_with(snapshot(theirs.disk))
    by_ops = Node("z", NAMES, disk=mine.disk.copy())
    by_ops.pull(theirs)
    assert shared_state(joined) == shared_state(by_ops.disk)
    assert {k: v for k, v in joined.records.items() if k[:1] == PRIVATE} == {
        k: v for k, v in mine.disk.records.items() if k[:1] == PRIVATE
    }


@given(histories())
def test_i5_join_is_commutative_associative_and_idempotent(steps: list[Any]) -> None:
    one, two, three = copies(Play(steps).settled())
    both = one.joined_with(two)
    assert shared_state(both) == shared_state(two.joined_with(one))
    left = shared_state(both.joined_with(three))
    assert left == shared_state(one.joined_with(two.joined_with(three)))
    for state in (one, two, both):
        assert shared_state(state.joined_with(state)) == shared_state(state)
    assert shared_state(both.joined_with(one)) == shared_state(both)


@given(histories())
def test_joining_from_the_empty_state_is_copying(steps: list[Any]) -> None:
    for disk in copies(Play(steps).settled()):
        assert shared_state(MemoryState().joined_with(disk)) == shared_state(disk)


@given(histories())
def test_a_joined_store_goes_on_by_ops(steps: list[Any]) -> None:
    play = Play(steps).settled()
    first, second, third = play.nodes
    second.disk = second.disk.joined_with(snapshot(first.disk))
    before = second.replica
    second.started().adopt(before)
    second.pull(third)
    third.pull(first)  # what the second one got by snapshot is not in its log
    third.pull(second)
    first.pull(second)
    states = [shared_state(node.disk) for node in play.nodes]
    assert states[0] == states[1] == states[2]


@given(histories())
def test_twice_is_once(steps: list[Any]) -> None:
    play = Play(steps).levelled()
    for node in play.nodes:
        before = shared_state(node.disk)
        for bundle in play.public():
            assert node.hear(bundle.data) is Fit.KNOWN
        assert not node.replica.dirty
        assert shared_state(node.disk) == before


@given(histories())
def test_the_digest_is_the_sum_of_what_is_stored(steps: list[Any]) -> None:
    for node in Play(steps).settled().nodes:
        rows = [(k, v) for k, v in node.disk.records.items() if k[:1] != PRIVATE]
        rows += [(pending_key(dot), data) for dot, data in node.disk.pending.items()]
        total = sum(_plain_weight(key, value) for key, value in rows) % 2**128
        assert node.disk.digest == node.replica.digest == total


def _plain_weight(key: bytes, value: bytes) -> int:
    text = str(len(key)).encode() + b":" + key + value
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "big")


@given(histories())
def test_a_restart_changes_nothing(steps: list[Any]) -> None:
    for node in Play(steps).settled().nodes:
        before = node.replica
        after = node.started()
        assert after.clock == before.clock
        assert after.digest == before.digest
        assert after.pending == before.pending
        assert after.governance.heads == before.governance.heads
        assert after.governance.now == before.governance.now
        for key in node.disk.records:
            assert after.read(key) == before.read(key)


@given(histories())
def test_stored_records_are_canonical(steps: list[Any]) -> None:
    for node in Play(steps).settled().nodes:
        for key, data in node.disk.records.items():
            record = decode(key, data)
            assert encode(record) == data
            assert record == node.replica.read(key)


@given(histories())
def test_own_bundles_are_read_by_everybody(steps: list[Any]) -> None:
    play = Play(steps).settled()
    for bundle in play.bundles:
        assert play.nodes[0].replica.read_bundle(bundle.data) == bundle


@given(histories(), st.sampled_from([1, 300, 10**6]))
def test_any_prefix_of_a_page_applies(steps: list[Any], limit: int) -> None:
    """The dumb twin of a page: everything beyond the clock, each bundle when it fits."""
    play = Play(steps).settled()
    for source in play.nodes:
        fresh = Node("z", NAMES)
        taken: list[bytes] = []
        complete = False
        while not complete:
            page = source.disk.page(fresh.replica.clock, limit)
            assert page.bundles or page.complete
            for data in page.bundles:
                assert fresh.hear(data) is Fit.NEXT
            taken += page.bundles
            complete = page.complete
        fresh.commit()
        lanes = [data for actor in source.disk.log for data in source.disk.tail(actor, 0, 10**9)]
        private = [b.data for b in play.bundles if b.actor[:1] == PRIVATE]
        assert sorted(taken) == sorted(data for data in lanes if data not in private)
        assert shared_state(fresh.disk) == shared_state(snapshot(source.disk))
        order = [fresh.replica.read_bundle(data).actor[:1] != b"g" for data in taken]
        assert limit < 10**6 or order == sorted(order), "governance goes first"


@given(histories(PLAIN), histories(PLAIN, most=15))
def test_i7_a_deleted_birth_never_lives_again(before: list[Any], after: list[Any]) -> None:
    """Backups of an old state are joined and pulled from again; what died stays dead."""
    play = Play(before).settled()
    backups = [node.disk.copy() for node in play.nodes]
    for step in after:
        play.take(step)
    play.levelled()
    dead = _births(play, alive=False)
    for place, backup in enumerate(backups):
        node = play.nodes[place]
        old = Node("z", NAMES, disk=backup)
        old.pull(node)
        assert not _living(old.disk) & dead
        assert not _living(node.disk.joined_with(snapshot(backup))) & dead


def _births(play: Play, *, alive: bool) -> set[Dot]:
    born = {op.dot for b in play.public() for op in b.ops if op.kind.name == "CREATE"}
    living = _living(play.nodes[0].disk)
    return born & living if alive else born - living


def _living(disk: MemoryState) -> set[Dot]:
    records = [decode(key, data) for key, data in disk.records.items()]
    return {dot for record in records for dot in record.births}


@given(histories())
def test_the_private_lane_stays_where_it_is(steps: list[Any]) -> None:
    play = Play(steps).levelled()
    for node in play.nodes:
        own = node.replica.me.node_id
        lines = [actor for actor in node.disk.actors if actor[:1] == PRIVATE]
        assert all(actor[13:] == own for actor in lines)
        assert not any(actor[:1] == PRIVATE for actor in shared(node.replica.clock))
