from typing import Any

import pytest

from crdt.admission import Fit
from crdt.bundle import NO_PREV, BundleError, seal_bundle
from crdt.dot import DATA, GOVERNANCE, PRIVATE, Dot
from crdt.mint import MissingRecordError
from crdt.op import Idempotency, Kind, Op
from crdt.request import DeniedError
from tests.unit.crdt.rig import Node, actor, draft, mesh, shared_state, signed, snapshot, spread


def test_a_write_shows_at_once_and_is_claimed_by_no_clock() -> None:
    node = Node("a").found()
    node.create(title="x")
    assert node.values() == {"title": "x"}
    assert DATA not in [actor[:1] for actor in node.replica.clock]
    assert node.replica.has_open
    node.close()
    assert not node.replica.has_open
    assert node.disk.record(b"dmemory/r") is None
    node.land()
    assert node.disk.record(b"dmemory/r") is not None
    assert node.values() == {"title": "x"}


def test_several_writes_become_one_bundle_a_lane() -> None:
    node = Node("a").found()
    node.create("r1")
    node.create("r2")
    node.write(draft(Kind.CREATE, "s", private=True))
    node.policy(write="any")
    assert [(b.actor[:1], len(b.ops)) for b in node.commit()] == [
        (GOVERNANCE, 1),
        (DATA, 2),
        (PRIVATE, 1),
    ]


def test_drafts_are_minted_all_or_none() -> None:
    node = Node("a").found()
    with pytest.raises(MissingRecordError):
        node.write(draft(Kind.CREATE, "r"), draft(Kind.EDIT, "nothing"))
    assert node.record("r") is None
    assert not node.replica.dirty
    assert node.create("r").seq == 1


def test_later_drafts_of_one_request_see_the_earlier_ones() -> None:
    node = Node("a").found()
    node.write(draft(Kind.CREATE, "r", title="x"), draft(Kind.EDIT, "r", title="y"))
    assert node.values() == {"title": "y"}
    node.write(draft(Kind.DELETE, "r"), draft(Kind.CREATE, "r", title="z"))
    assert node.values() == {"title": "z"}


def test_a_request_too_many_closes_what_is_open() -> None:
    node = Node("a").found()
    node.started(ops_max=3)
    node.write(draft(Kind.CREATE, "r1"), draft(Kind.CREATE, "r2"))
    node.write(draft(Kind.CREATE, "r3"), draft(Kind.CREATE, "r4"))
    assert [(b.first, b.last) for b in node.commit()] == [(1, 2), (3, 4)]
    node.started(bundle_bytes_max=1500)
    node.create("r5", title="x" * 900)
    node.create("r6", title="x" * 900)
    assert len(node.commit()) == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"content": "\N{SNOWMAN}" * 2_000},
        {"metadata": {str(n): n for n in range(1_000)}},
        {"content": "x" * 6_000},
        {},
    ],
)
def test_what_is_minted_at_once_fits_a_message_whatever_it_is_written_in(
    fields: dict[str, Any],
) -> None:
    node = Node("a").found()
    node.started(bundle_bytes_max=40_000, taken_bytes_max=60_000 + 1_024)
    for number in range(400):
        node.create(f"r{number}", **fields)
    bundles = node.commit()
    assert sum(len(bundle.ops) for bundle in bundles) == 400
    assert max(len(bundle.data) for bundle in bundles) < 60_000
    for bundle in bundles:
        assert node.replica.read_bundle(bundle.data).ops == bundle.ops


def test_a_bundle_that_could_not_be_passed_on_is_not_taken() -> None:
    node = Node("a").found()
    node.create("r", content="x" * 3_000)
    (bundle,) = node.commit()
    node.started(taken_bytes_max=len(bundle.data))
    assert node.replica.read_bundle(bundle.data).ops == bundle.ops
    node.started(taken_bytes_max=len(bundle.data) - 1)
    with pytest.raises(BundleError) as caught:
        node.replica.read_bundle(bundle.data)
    assert caught.value.reason == "too_large"


def test_no_process_mints_under_the_actor_of_another() -> None:
    node = Node("a").found()
    node.create("r1")
    node.commit()
    first = node.replica.own[DATA]
    node.started()
    node.create("r2")
    node.commit()
    assert node.replica.own[DATA] != first
    assert node.replica.clock == node.disk.clock()
    assert {first, node.replica.own[DATA]} <= set(node.replica.clock)


def test_what_was_not_committed_is_gone_after_a_crash() -> None:
    node = Node("a").found()
    node.create("r1", title="x")
    node.commit()
    node.create("r2", title="x")
    node.edit("r1", title="lost")
    node.close()
    node.started()
    assert node.values("r1") == {"title": "x"}
    assert node.record("r2") is None
    assert node.replica.digest == node.disk.digest


def test_governance_refuses_before_anything_is_minted() -> None:
    node = Node("a").found()
    node.policy(write="deny")
    with pytest.raises(DeniedError, match="refuses store"):
        node.create()
    assert node.record() is None


def test_a_refused_operation_moves_the_clock_and_nothing_else() -> None:
    a, b = mesh("a", "b")
    a.policy(write="deny")
    a.commit()
    b.pull(a)
    line = actor("b", birth=9)
    rogue = seal_bundle(
        cluster=b.replica.cluster,
        actor=line,
        first=1,
        prev=NO_PREV,
        ops=[Op(dot=Dot(line, 1), kind=Kind.CREATE, id="r", heads=b.replica.governance.heads)],
        sign=lambda message: signed("b", message),
    )
    before, refused = a.replica.digest, a.replica.refused
    assert a.hear(rogue.data) is Fit.NEXT
    a.commit()
    assert (a.replica.clock[line], a.disk.clock()[line]) == (1, 1)
    assert (a.replica.digest, a.replica.refused, a.record()) == (before, refused + 1, None)


def test_a_retry_is_remembered_with_what_it_made() -> None:
    a, b = mesh("a", "b")
    mark = Idempotency(scope=b"s" * 16, body=b"b" * 16)
    (op,) = a.write(draft(Kind.CREATE, "r"), idempotency=mark)
    a.commit()
    b.pull(a)
    for node in (a, b):
        row = node.replica.overlay.remembered(mark.scope)
        assert row is not None
        assert (row.body, row.dots) == (mark.body, (op.dot,))


def held_write(**policy: Any) -> tuple[Node, Node, Any]:
    a, b = mesh("a", "b")
    a.create(title="one")
    b.agent("bob")
    a.commit()
    b.commit()
    spread([a, b])
    a.policy(write="approve", **policy)
    a.commit()
    target = a.edit(title="two")
    a.commit()
    spread([a, b])
    return a, b, target


def test_a_pending_edit_shows_only_once_it_is_approved() -> None:
    a, b, target = held_write()
    for node in (a, b):
        assert node.values() == {"title": "one"}
        assert node.replica.pending[target].requester == "ann"
    b.vote(target, "bob")
    b.commit()
    spread([a, b])
    for node in (a, b):
        assert node.values() == {"title": "two"}
        assert node.replica.shown(target)
    assert shared_state(a.disk) == shared_state(b.disk)


def test_the_requester_decides_nothing_and_seals_what_others_approved() -> None:
    a, b, target = held_write()
    a.vote(target, "ann")
    assert a.values() == {"title": "one"}
    before = a.replica.refused
    a.seal(target)
    assert a.replica.refused == before + 1
    a.commit()
    b.vote(target, "bob")
    b.commit()
    spread([a, b])
    a.seal(target)
    a.commit()
    spread([a, b])
    for node in (a, b):
        assert node.replica.pending[target].sealed
        record = node.record()
        assert record is not None
        assert len(record.fields["title"]) == 1
    assert shared_state(a.disk) == shared_state(b.disk)


def test_only_the_requesters_node_seals() -> None:
    a, b, target = held_write()
    b.vote(target, "bob")
    b.commit()
    refused = b.replica.refused
    b.seal(target)
    b.commit()
    spread([a, b])
    assert b.replica.refused == refused + 1
    assert not a.replica.pending[target].sealed


def test_a_vote_about_other_content_is_void() -> None:
    a, b, target = held_write()
    held = b.replica.pending[target]
    b.replica.pending[target] = type(held)(held.key, b"x" * 32, held.requester, held.approver)
    b.vote(target, "bob")
    b.commit()
    a.pull(b)
    assert not a.replica.shown(target)


def test_a_vote_needs_something_to_vote_on() -> None:
    node = Node("a").found()
    target = node.create()
    with pytest.raises(LookupError, match="no such pending"):
        node.vote(target, "bob")


def test_a_bundle_of_another_cluster_has_another_signature() -> None:
    a, b = mesh("a", "b")
    a.create()
    (bundle,) = a.commit()
    b.replica.cluster = b"x" * 32
    assert b.hear(bundle.data) is Fit.BAD
    with pytest.raises(BundleError):
        b.replica.read_bundle(bundle.data[:-1])


def test_own_bundles_are_at_hand_before_they_are_on_disk() -> None:
    node = Node("a").found()
    node.create("r1")
    node.commit()
    node.create("r2")
    node.close()
    own = node.replica.own[DATA]
    line = [b.data for b in node.sealed if b.actor == own]
    assert node.replica.own_tail(own, 0, 10**6) == line
    assert node.replica.own_tail(own, 1, 10**6) == line[1:]
    assert node.replica.own_tail(own, 0, 10) is None
    node.land()
    assert node.replica.own_tail(own, 0, 10**6) == line


def test_a_swapped_store_goes_on_under_the_same_actors() -> None:
    a, b = mesh("a", "b")
    b.create("mine", title="b")
    b.commit()
    a.create("theirs", title="a")
    a.commit()
    before, own = b.replica, dict(b.replica.own)
    b.disk = b.disk.joined_with(snapshot(a.disk))
    b.started().adopt(before)
    assert b.replica.own == own
    assert b.create("more").seq == 2
    b.commit()
    spread([a, b])
    assert shared_state(a.disk) == shared_state(b.disk)
    assert a.values("mine") == {"title": "b"}


def test_a_cut_log_raises_the_floor_and_never_lowers_it() -> None:
    node = Node("a").found()
    node.create()
    node.commit()
    own = node.replica.own[DATA]
    node.replica.truncated({own: 1})
    node.replica.truncated({own: 0})
    assert node.replica.actors[own].floor == 1
