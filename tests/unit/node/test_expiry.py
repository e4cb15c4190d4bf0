"""When the end of a certificate is told, and how often."""

import io
import json
import random
from typing import Any

from node.logs import make_log
from node.peers.expiry import ExpiryWatch, Held
from node.settings import Logging

DAY = 86_400.0


class Life:
    """Days that go by, looked at every two seconds of some of their minutes."""

    def __init__(self, *held: Held) -> None:
        self.now = 0.0
        self.held = list(held)
        self.stream = io.StringIO()
        log = make_log(Logging(format="json"), self.stream)
        self.watch = ExpiryWatch(lambda: self.held, log, lambda: self.now)

    def live(self, days: float, step: float = 1800.0) -> None:
        end = self.now + days * DAY
        while self.now < end:
            self.watch.look()
            self.watch.look()  # at once again: nothing more is told
            self.now += step

    def told(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        self.stream.seek(0)
        self.stream.truncate()
        return lines


def own(days: float, fingerprint: str = "a" * 64) -> Held:
    return Held("node-a", own=True, fingerprint=fingerprint, expires_at=days * DAY)


def test_a_certificate_that_lasts_is_not_spoken_of() -> None:
    life = Life(own(365 * 20))
    life.live(60, step=DAY / 4)
    assert life.told() == []


def test_the_last_thirty_days_are_told_day_by_day() -> None:
    life = Life(own(40))
    life.live(40 - 1 / 24)
    lines = life.told()
    assert {line["event"] for line in lines} == {"certificate_expires"}
    assert 30 <= len(lines) <= 34  # a day each, and the marks
    days = [line["days"] for line in lines]
    assert days == sorted(days, reverse=True)
    assert (days[0], days[-1]) == (29, 0)
    assert all(line["level"] == "warning" and line["own"] for line in lines)
    life.live(1)
    assert {line["event"] for line in life.told()} <= {"certificate_expired", "certificate_expires"}


def test_one_that_has_expired_is_told_at_once() -> None:
    life = Life(own(-1))
    life.live(0.1)
    assert [line["event"] for line in life.told()] == ["certificate_expired"]


def test_a_new_certificate_ends_the_warnings() -> None:
    life = Life(own(5))
    life.live(1)
    assert life.told()
    life.held = [own(3650, "b" * 64)]
    life.live(10)
    assert life.told() == []


def test_never_more_than_a_line_a_day_and_a_mark_for_any_certificates() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    held = [
        Held(f"n{n}", own=n == 0, fingerprint=f"{n:064x}", expires_at=rng.uniform(-5, 60) * DAY)
        for n in range(10)
    ]
    life = Life(*held)
    life.live(20, step=7200.0)
    lines = life.told()
    for one in held:
        mine = [line for line in lines if line["whose"] == one.whose]
        assert len(mine) <= 20 + 4
        assert bool(mine) == (one.expires_at < 49.9 * DAY)
