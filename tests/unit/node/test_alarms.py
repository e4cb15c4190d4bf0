"""Alarms become events: what a peer can cause over and over is told once in a while."""

from typing import Any

from crdt.effects import Alarm
from node.alarms import Alarms
from node.metrics import Metrics


class Told:
    """A log that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, event: str, **facts: Any) -> None:
        self.lines.append((event, facts))


class Time:
    """Seconds that only grow."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def made() -> tuple[Alarms, Told, Metrics, Time]:
    told, metrics, time = Told(), Metrics(), Time()
    alarms = Alarms(told, metrics, time)  # type: ignore[arg-type]
    alarms.names.update({1: "n1", 2: "n2"})
    return alarms, told, metrics, time


def test_refused_bundles_of_one_link_and_reason_are_told_once_and_counted() -> None:
    alarms, told, metrics, time = made()
    for _ in range(1000):
        alarms(Alarm("bad", 1, "actor of ab"))
    assert [facts["more"] for _, facts in told.lines] == [0]
    assert metrics.counter("frames_rejected_total", "bad")._value.get() == 1000
    time.now += 5
    alarms(Alarm("bad", 1, "actor of ab"))
    assert told.lines[-1] == (
        "peer_bundle_refused",
        {"peer": "n1", "reason": "bad", "detail": "actor of ab", "more": 999},
    )


def test_another_link_and_another_reason_are_told_beside() -> None:
    alarms, told, _, _ = made()
    for link, name in ((1, "bad"), (2, "bad"), (1, "private_lane"), (1, "future_stamp")):
        alarms(Alarm(name, link, ""))
        alarms(Alarm(name, link, ""))
    assert [(event, facts["peer"]) for event, facts in told.lines] == [
        ("peer_bundle_refused", "n1"),
        ("peer_bundle_refused", "n2"),
        ("peer_bundle_refused", "n1"),
        ("peer_skewed", "n1"),
    ]


def test_what_is_critical_is_told_each_time() -> None:
    alarms, told, _, _ = made()
    for _ in range(3):
        alarms(Alarm("fork", 1, ""))
        alarms(Alarm("digest_mismatch", 1, ""))
    assert len(told.lines) == 6


def test_links_that_are_gone_are_forgotten() -> None:
    alarms, _, _, time = made()
    for link in range(3, 500):
        alarms.names[link] = "n3"
        alarms(Alarm("bad", link, ""))
        del alarms.names[link]
        time.now += 1
    assert len(alarms._told) <= 2
