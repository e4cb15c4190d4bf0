"""Every failpoint on real nodes: each is hit, each effect works, and nothing is lost by it."""

import datetime as dt
import signal
from collections.abc import Iterator
from typing import Final

import pytest

from node.failpoints import POINTS
from tests.integration.conftest import Found
from tests.integration.rig import RealNode, check_equal, cleaned_up, until, until_linked
from tests.integration.rig_faults import (
    DEEDS,
    SETTINGS,
    Stage,
    arm,
    cancel,
    ended,
    fired,
    folder_of,
    order,
    revive,
    until_fired,
)
from tests.integration.rig_hooks import receiving
from tests.integration.rig_mesh import founded, start_all

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

# What a defect or a failing disk at these places costs is one answer, one delivery, one round of
# what is derived; at all others it costs the process, which ends with 1 or 10.
LIVES: Final = {
    "write.minted",
    "answer.before",
    "snapshot.freeze",
    "snapshot.chunk",
    "snapshot.staged",
    "snapshot.join",
    "erase.copy",
    "erase.copied",
    "audit.countersign",
    "nonce.commit",
    "recall.commit",
    "webhook.deliver",
    "webhook.delivered",
}
ENDS_ANYWAY: Final = {"shutdown.drain", "shutdown.close"}
CODES: Final = {"crash": -signal.SIGKILL, "raise": 1, "eio": 10}


@pytest.fixture(scope="module")
def _long_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    nodes = founded(tmp_path_factory.mktemp("faults"), 3, config=SETTINGS)
    for node in nodes:
        arm(node)
    with cleaned_up(nodes):
        start_all(nodes)
        with receiving() as receiver:
            yield Stage(nodes, receiver)


@pytest.fixture
def stage(_long_stage: Stage) -> Stage:
    """A mesh that lives through all cases; what an earlier one left down is put right."""
    for node in _long_stage.nodes:
        for point in POINTS:
            cancel(node, point)
        if node.process is None or ended(node) is not None:
            revive(node)
    until_linked(_long_stage.nodes)
    return _long_stage


def armed_alone(found: Found) -> RealNode:
    (node,) = found(1, start=False)
    arm(node)
    return node


def test_every_point_has_a_deed() -> None:
    assert set(DEEDS) == set(POINTS)


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_every_point_is_hit_in_a_mesh(stage: Stage, point: str) -> None:
    first = stage.nodes[0]
    order(first, point, "delay 0")
    DEEDS[point](stage)
    until_fired(first, point)
    if point in ENDS_ANYWAY:
        stage.wait_end()
        assert ended(first) == 0
        revive(first)
    first.wait_alive()
    until_linked(stage.nodes)
    check_equal(stage.nodes, stage.promised)


@pytest.mark.slow
@pytest.mark.parametrize("effect", CODES)
@pytest.mark.parametrize("point", POINTS)
def test_no_fault_loses_what_was_acknowledged(stage: Stage, point: str, effect: str) -> None:
    first = stage.nodes[0]
    stage.write(first)
    order(first, point, effect)
    DEEDS[point](stage)
    until_fired(first, point)
    if effect == "crash" or point not in LIVES:
        stage.wait_end()
        assert ended(first) == CODES[effect]
        revive(first)
    else:
        until_linked(stage.nodes)
        assert first.store("it goes on")["quorum_acks"] >= 2
        assert ended(first) is None
    until_linked(stage.nodes)
    check_equal(stage.nodes, stage.promised)


def test_points_of_one_write_and_of_a_start_are_hit_by_them(found: Found) -> None:
    """The everyday part of the walk through the table."""
    nodes = found(3, start=False)
    arm(nodes[0])
    cheap = [p for p in POINTS if p.startswith(("store.", "push.", "ack.", "answer.", "feed."))]
    cheap += ["identity.read", "certificate.read", "start.facts", "link.greeting", "write.minted"]
    cheap += ["bundle.taken", "audit.append", "join.note", "recall.commit", "shutdown.drain"]
    for point in cheap:
        order(nodes[0], point, "delay 0")
    start_all(nodes)
    nodes[0].store("one")
    nodes[1].store("two")
    for point in cheap:
        if not point.startswith("shutdown."):
            until_fired(nodes[0], point)
    assert nodes[0].metric("mnemesh_faults_fired_total") >= len(cheap) - 1
    check_equal(nodes)
    assert nodes[0].stop() == 0
    assert fired(nodes[0], "shutdown.drain")


@pytest.mark.parametrize("point", ["store.commit.synced", "answer.before"])
def test_a_writer_killed_between_commit_and_answer_loses_nothing(found: Found, point: str) -> None:
    """F17: the agent never heard of it, asks another member with its key, and has it once."""
    nodes = found(3, start=False)
    arm(nodes[0])
    start_all(nodes)
    order(nodes[0], point, "crash after 2")
    body = {"title": "once", "content": "text"}
    answered = {}
    for number in range(3):
        key = f"key-{number}"
        try:
            reply = nodes[0].ask("POST", "/memories", body, Idempotency_Key=key)
            assert reply.status == 201
        except (OSError, EOFError):
            assert number == 2
            assert fired(nodes[0], point)
            reply = until(lambda key=key: _accepted(nodes[1], body, key), "another member takes it")
        answered[key] = reply.body["id"]
    revive(nodes[0])
    until_linked(nodes)
    check_equal(nodes)
    assert set(answered.values()) == set(nodes[0].held())


def _accepted(node: RealNode, body: dict[str, str], key: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a Reply or nothing
    reply = node.ask("POST", "/memories", body, Idempotency_Key=key)
    return reply if reply.status in {200, 201} else None


def test_an_answer_that_breaks_is_asked_again_with_its_key(found: Found) -> None:
    node = armed_alone(found)
    node.start()
    until(node.ready, "it serves")
    order(node, "answer.before", "raise")
    body = {"title": "once", "content": "text"}
    reply = node.ask("POST", "/memories", body, Idempotency_Key="k")
    assert (reply.status, reply.body["error"]) == (500, "internal")
    again = node.ask("POST", "/memories", body, Idempotency_Key="k")
    assert again.status in {200, 201}
    assert list(node.held()) == [again.body["id"]]


def test_a_delay_holds_one_answer_and_nobody_else(found: Found) -> None:
    node = armed_alone(found)
    node.start()
    until(node.ready, "it serves")
    order(node, "answer.before", "delay 30")
    with pytest.raises(TimeoutError):
        node.ask("POST", "/memories", {"title": "late", "content": "x"}, timeout=0.5)
    node.store("soon")
    assert len(node.held()) == 2


def test_a_disk_that_fails_in_a_commit_ends_the_node_and_says_so(found: Found) -> None:
    node = armed_alone(found)
    node.start()
    until(node.ready, "it serves")
    kept = node.store("kept")
    order(node, "store.commit.written", "eio")
    with pytest.raises((OSError, EOFError, AssertionError)):
        node.store("lost")
    assert node.process is not None
    assert node.process.wait(20) == 10
    assert node.events("store_failed")
    revive(node)
    until(node.ready, "it serves again")
    assert list(node.held()) == [kept["id"]]


def test_nobody_can_mistake_such_a_node_for_a_service(found: Found) -> None:
    node = armed_alone(found)
    (folder_of(node) / "store.comit").write_text("crash", encoding="ascii")
    node.start()
    (said,) = node.events("faults_armed")
    assert said["level"] == "critical"
    assert node.events("fault_order_wrong")
    assert node.metric("mnemesh_faults_armed") == 1
    sections = {s["name"]: s["findings"] for s in node.tell("GET", "/doctor")["sections"]}
    grave = [f for f in sections["node"] if f["severity"] == "critical"]
    assert "fails by order" in grave[0]["text"]
    assert any("store.comit is no point" in f["text"] for f in sections["node"])


def test_a_folder_that_is_not_there_refuses_the_start(found: Found) -> None:
    (node,) = found(1, start=False)
    node.environment["MNEMESH_FAULTS"] = str(node.data_dir / "missing")
    node.spawn()
    assert node.process is not None
    assert node.process.wait(20) == 2


def test_a_node_without_the_variable_says_nothing_of_it(found: Found) -> None:
    (node,) = found(1)
    assert node.metric("mnemesh_faults_armed") == 0
    assert not node.events("faults_armed")


def test_the_clock_of_a_node_is_off_as_ordered(found: Found) -> None:
    node = armed_alone(found)
    node.start()
    until(node.ready, "it serves")
    order(node, "clock", "7200000")
    until(lambda: fired(node, "clock"), "it goes by the other clock")
    made = node.get(node.store("later")["id"])
    at = dt.datetime.fromisoformat(made["created_at"])
    ahead = at - dt.datetime.now(dt.UTC)
    assert dt.timedelta(minutes=119) < ahead < dt.timedelta(minutes=121)


def test_a_member_whose_clock_leaps_goes_by_the_mesh_and_loses_nothing(found: Found) -> None:
    nodes = found(3, start=False)
    arm(nodes[0])
    start_all(nodes)
    order(nodes[0], "clock", "3600000")
    until(lambda: fired(nodes[0], "clock"), "its clock leaps")
    made = nodes[0].get(nodes[0].store("not an hour ahead")["id"])
    ahead = dt.datetime.fromisoformat(made["created_at"]) - dt.datetime.now(dt.UTC)
    assert abs(ahead) < dt.timedelta(minutes=1)
    nodes[1].store("the others go on")
    cancel(nodes[0], "clock")
    until(lambda: (folder_of(nodes[0]) / "clock.fired").read_text() == "0\n", "it is put back")
    nodes[0].store("it is itself again")
    check_equal(nodes)
