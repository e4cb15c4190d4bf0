"""Every metric of the table moves when it should: here, on a real mesh, or in the test named.

Law: no metric is dead. `MOVES` names the test that moves one; what has an empty place is moved
below, and what has no row is moved by the tests of its own part.
"""

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.metrics import TABLE
from tests.integration.rig import RealNode, until, until_linked
from tests.integration.rig_governance import KEEPER, cut_off, fresh_space, set_policy
from tests.integration.rig_mesh import founded, heal, start_all

pytestmark = [pytest.mark.integration, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
HERE = ""
FAULTS = "tests/integration/test_prometheus_faults.py"
MOVES = {
    **dict.fromkeys(
        (
            *("memory_writes_total", "memory_reads_total", "quorum_writes_total"),
            *("sync_ops_total", "ops_applied_total", "governance_decisions_total"),
            *("gate_refused_total", "auth_rejected_total", "store_commits_total"),
            *("audit_entries_total", "http_requests_total", "build_info", "ready", "members"),
            *("quorum_needed", "peer_up", "peer_last_success_timestamp_seconds"),
            *("peer_consecutive_failures", "replication_lag_ops", "replication_lag_seconds"),
            *("digest_agree", "queue_bytes", "conflicts_open", "store_bytes"),
            *("store_map_used_ratio", "disk_free_bytes", "disk_size_bytes"),
            *("erasures_outstanding", "certificate_expiry_timestamp_seconds"),
            *("peer_round_trip_seconds", "quorum_wait_seconds", "store_commit_seconds"),
            *("http_request_seconds", "event_loop_delay_seconds"),
        ),
        HERE,
    ),
    "writes_shed_total": "tests/unit/node/test_pressure.py",
    "writes_wait_seconds": "tests/unit/node/test_pressure.py",
    "handshake_failures_total": "tests/integration/test_mesh_members.py",
    "frames_rejected_total": "tests/unit/node/test_alarms.py",
    "equivocations_total": "tests/integration/test_bad_input_peers.py",
    "store_changes_total": "tests/integration/test_mesh_disk.py",
    "store_fsync_errors_total": FAULTS,
    "last_exit_code": FAULTS,
    "store_rewrites_total": "tests/integration/test_erasing_mesh.py",
    "audit_dropped_total": "tests/unit/node/test_metrics_follow.py",
    "audit_rollbacks_total": "tests/integration/test_audit_chain_mesh.py",
    "audit_head_countersigned": "tests/integration/test_audit_chain_mesh.py",
    "faults_fired_total": "tests/integration/test_failpoints.py",
    "faults_armed": "tests/integration/test_failpoints.py",
    "webhook_deliveries_total": "tests/unit/events/test_events_webhooks.py",
    "recovering": "tests/unit/node/test_noted.py",
    "backup_last_success_timestamp_seconds": "tests/unit/node/test_noted.py",
    "clock_skew_seconds": "tests/integration/test_bad_input_clocks.py",
    "pending_actions": FAULTS,
    "pending_oldest_seconds": FAULTS,
    "log_floor_ops": "tests/integration/test_mesh_disk.py",
    "index_lag_ops": "tests/integration/test_recall_node.py",
    "documents_troubled": "tests/unit/node/documents/test_documents_troubles.py",
    "event_loop_lag_seconds": "tests/unit/node/test_pulse.py",
    "security_switch_weakened": "tests/unit/doctor/test_doctor_switches.py",
}
# In the tests of faults an alert speaks for its metric.
SPOKEN_FOR = {
    "store_fsync_errors_total": "F23",
    "last_exit_code": "F23",
    "pending_actions": "nobody decides what waits for approval",
    "pending_oldest_seconds": "nobody decides what waits for approval",
    "writes_wait_seconds": "wait_seconds",
}


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RealNode]]:
    flags = ("--quorum-timeout-ms", "700")
    nodes = founded(tmp_path_factory.mktemp("moved"), 3, flags=flags)
    try:
        start_all(nodes)
        yield nodes
    finally:
        for node in nodes:
            if node.process is not None:
                node.process.send_signal(signal.SIGCONT)
            node.clean_up()


def becomes(node: RealNode, name: str, least: float = 0.5, **labels: str) -> float:
    """Wait until a metric is at least so much; gauges are measured every two seconds."""
    return until(
        lambda: value if (value := node.metric(f"mnemesh_{name}", **labels)) >= least else None,
        f"{name} of {node.name} is {least:g} or more",
    )


def falls(node: RealNode, name: str, **labels: str) -> None:
    """Wait until it is 0."""
    until(
        lambda: node.metric(f"mnemesh_{name}", **labels) == 0,
        f"{name} of {node.name} is 0 again",
        seen=lambda: node.metric(f"mnemesh_{name}", **labels),
    )


def test_no_metric_is_dead() -> None:
    names = {row.name.removeprefix("mnemesh_") for row in TABLE}
    assert set(MOVES) <= names
    texts = {path: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    own = texts.pop(Path(__file__)).partition("def becomes")[2]
    for name in names:
        where = MOVES.get(name)
        if where == HERE:
            assert re.search(rf'"{name}(_count)?"', own), f"nothing moves {name}"
            continue
        said = SPOKEN_FOR.get(name, name if where else name.removesuffix("_seconds"))
        found = [str(path.relative_to(ROOT)) for path, text in texts.items() if said in text]
        assert found if where is None else where in found, f"no test speaks of {name}"


def test_a_write_and_a_read_move_what_they_should(mesh: list[RealNode]) -> None:
    one, two, _ = mesh
    for number in range(5):
        ident = one.store(f"title {number}")["id"]
    until(lambda: two.ask("GET", f"/memories/{ident}").status == 200, "it is there")
    becomes(one, "memory_writes_total", 5)
    becomes(two, "memory_reads_total")
    becomes(one, "quorum_writes_total", 5, outcome="committed")
    becomes(one, "sync_ops_total", 5, direction="out", peer=two.name)
    becomes(two, "sync_ops_total", 5, direction="in", peer=one.name)
    becomes(two, "ops_applied_total", 5, outcome="applied")
    becomes(one, "governance_decisions_total", 5, effect="allow")
    becomes(one, "audit_entries_total")
    becomes(one, "http_requests_total", 5, code="201")
    becomes(one, "quorum_wait_seconds_count")
    becomes(one, "store_commit_seconds_count")
    becomes(one, "http_request_seconds_count")
    becomes(one, "peer_round_trip_seconds_count")
    becomes(one, "event_loop_delay_seconds_count")
    becomes(one, "store_commits_total")
    for gauge in ("build_info", "ready", "store_bytes", "disk_free_bytes", "disk_size_bytes"):
        becomes(one, gauge)
    assert 0 < becomes(one, "store_map_used_ratio", 1e-9) < 1
    assert one.metric("mnemesh_disk_free_bytes") <= one.metric("mnemesh_disk_size_bytes")
    becomes(one, "members", 3)
    becomes(one, "quorum_needed", 2)
    becomes(one, "peer_up", 2)
    becomes(one, "digest_agree", 2)
    becomes(one, "peer_last_success_timestamp_seconds", time.time() - 60, peer=two.name)
    becomes(one, "certificate_expiry_timestamp_seconds", time.time())
    assert one.metric("mnemesh_last_exit_code") == 0


def test_refusals_are_counted(mesh: list[RealNode]) -> None:
    one = mesh[0]
    assert one.ask("GET", "/stats", host="evil.example").status == 403
    becomes(one, "auth_rejected_total", reason="host")
    space = fresh_space()
    set_policy(one, space, write="owner", delete="owner")
    mine = one.store("t", namespace=space, agent_id=KEEPER)
    refused = one.ask("DELETE", f"/memories/{mine['id']}", x_agent_id="bob")
    assert refused.status == 403, refused
    becomes(one, "governance_decisions_total", effect="deny")
    becomes(one, "gate_refused_total")


def test_a_conflict_is_counted_everywhere_until_it_is_settled(mesh: list[RealNode]) -> None:
    one, two, three = mesh
    ident = one.store("before")["id"]
    until(lambda: three.ask("GET", f"/memories/{ident}").status == 200, "it is there")
    cut_off(three, [one, two])
    assert three.ask("PUT", f"/memories/{ident}", {"title": "there"}).status == 503
    one.tell("PUT", f"/memories/{ident}", {"title": "here"})
    heal(three, [one, two])
    until_linked(mesh)
    for node in mesh:
        becomes(node, "conflicts_open")
    two.stop()
    two.start()
    until_linked(mesh)
    becomes(two, "conflicts_open")  # it is found again in what is stored
    one.tell("PUT", f"/memories/{ident}", {"title": "settled"})
    for node in mesh:
        falls(node, "conflicts_open")


def test_a_member_that_is_away_shows(mesh: list[RealNode]) -> None:
    one, two, three = mesh
    assert three.process is not None
    three.process.send_signal(signal.SIGSTOP)
    row = {"content": "c" * 50_000}
    for number in range(12):
        rows = [{"title": f"{number} {part}", **row} for part in range(20)]
        one.tell("POST", "/memories/bulk", {"memories": rows})
    becomes(one, "queue_bytes", peer=three.name)
    becomes(one, "replication_lag_ops", peer=three.name)
    becomes(one, "replication_lag_seconds", peer=three.name)
    three.kill()
    falls(one, "peer_up", peer=three.name)
    becomes(one, "peer_consecutive_failures", peer=three.name)
    ident = one.store("to be erased", agent_id=KEEPER)["id"]
    one.tell("POST", "/forget", {"ids": [ident]}, x_agent_id=KEEPER)
    becomes(one, "erasures_outstanding")
    assert two.process is not None
    two.process.send_signal(signal.SIGSTOP)
    assert one.ask("POST", "/memories", {"title": "t", "content": "c"}).status == 503
    becomes(one, "quorum_writes_total", outcome="short")
    two.process.send_signal(signal.SIGCONT)
    three.start()
    until_linked(mesh)
    for name in ("peer_consecutive_failures", "replication_lag_ops", "queue_bytes"):
        falls(one, name, peer=three.name)
