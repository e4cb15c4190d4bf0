"""The metrics page: complete before the first event, and parsable."""

import random
import threading

import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from node.metrics import TABLE, Metrics, sample_names


def families(metrics: Metrics, *, process: bool = False) -> dict[str, object]:
    page = metrics.render(process=process).decode()
    return {family.name: family for family in text_string_to_metric_families(page)}


def test_every_metric_shows_its_type_before_its_first_event() -> None:
    page = Metrics().render(process=False).decode()
    for row in TABLE:
        assert f"# TYPE {row.name} " in page, row.name
        assert f"# HELP {row.name} " in page, row.name


def test_reads_and_writes_start_at_zero() -> None:
    page = Metrics().render(process=False).decode()
    assert "mnemesh_memory_writes_total 0.0" in page
    assert "mnemesh_memory_reads_total 0.0" in page


def test_names_follow_the_rules() -> None:
    for row in TABLE:
        assert row.name.startswith("mnemesh_")
        assert not {"agent", "memory", "namespace", "agent_id"}.intersection(row.labels)
        if row.kind is Gauge:
            assert "memory_" not in row.name
    page = Metrics().render(process=False).decode()
    assert "_created" not in page
    assert "process_" not in page


def test_process_metrics_are_on_the_page_that_wants_them() -> None:
    assert "process_open_fds" in Metrics().render(process=True).decode()


def test_children_are_cached_and_counted() -> None:
    metrics = Metrics()
    child = metrics.counter("sync_ops_total", "b", "in")
    assert metrics.counter("sync_ops_total", "b", "in") is child
    child.inc(3)
    line = 'mnemesh_sync_ops_total{direction="in",peer="b"} 3.0'
    assert line in metrics.render(process=False).decode()


def test_a_removed_peer_leaves_no_series_and_may_come_back() -> None:
    metrics = Metrics()
    metrics.gauge("peer_up", "b").set(1)
    metrics.histogram("peer_round_trip_seconds", "b").observe(0.1)
    metrics.gauge("peer_up", "c").set(1)
    metrics.forget_peer("b")
    page = metrics.render(process=False).decode()
    assert 'peer="b"' not in page
    assert 'peer="c"' in page
    metrics.gauge("peer_up", "b").set(1)
    assert 'mnemesh_peer_up{peer="b"} 1.0' in metrics.render(process=False).decode()


def test_an_unknown_name_is_a_programmers_error() -> None:
    with pytest.raises(KeyError):
        Metrics().counter("no_such_total")


def test_two_nodes_in_one_process_do_not_share_counters() -> None:
    one, other = Metrics(), Metrics()
    one.counter("memory_writes_total").inc()
    assert "mnemesh_memory_writes_total 0.0" in other.render(process=False).decode()


def test_the_page_can_be_rendered_from_another_thread() -> None:
    metrics, pages = Metrics(), []
    thread = threading.Thread(target=lambda: pages.append(metrics.render(process=True)))
    thread.start()
    thread.join(timeout=10)
    assert b"mnemesh_build_info" in pages[0]


def test_sample_names_are_those_of_the_page() -> None:
    metrics = Metrics()
    metrics.histogram("quorum_wait_seconds").observe(1)
    names = {
        sample.name
        for family in families(metrics).values()
        for sample in family.samples  # type: ignore[attr-defined]  # the parser has no types
    }
    assert names <= sample_names()


def test_the_page_is_what_the_library_would_make_of_it() -> None:
    metrics = Metrics()
    drawn = random.Random(5)
    for row in TABLE:
        name = row.name.removeprefix("mnemesh_")
        for number in range(3 if row.labels else 1):
            labels = [f'odd "{number}"\\ \n{label}' for label in row.labels]
            value = drawn.choice((0, 1, 0.25, 1e-9, 1234567.5, 3e21, float("inf")))
            if row.kind is Histogram:
                metrics.histogram(name, *labels).observe(value)
            elif row.kind is Counter:
                metrics.counter(name, *labels).inc(value)
            else:
                metrics.gauge(name, *labels).set(-value)
    assert metrics.render(process=False) == generate_latest(metrics._registry)
    metrics.forget_peer(f'odd "0"\\ \n{"peer"}')
    assert metrics.render(process=False) == generate_latest(metrics._registry)
