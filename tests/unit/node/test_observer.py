"""What figures tell an operator: a store filled anew, a clock that is not followed."""

from types import SimpleNamespace
from typing import Any, cast

from crdt.dot import DATA, new_actor
from node.metrics import Metrics
from node.replication.observer import Observer

ME, OTHER = b"m" * 32, b"o" * 32
NOW = new_actor(DATA, 2, b"n" * 8, ME)
BEFORE = new_actor(DATA, 1, b"b" * 8, ME)
THEIRS = new_actor(DATA, 1, b"t" * 8, OTHER)


class Watched:
    """An observer over what it looks at, made of nothing."""

    def __init__(self, **clock: int) -> None:
        self.metrics = Metrics()
        self.clock: dict[bytes, int] = {}
        members = SimpleNamespace(now=SimpleNamespace(members={}))
        self.engine = SimpleNamespace(
            metrics=self.metrics,
            store=object(),
            me=SimpleNamespace(node_id=ME),
            replica=SimpleNamespace(
                joined=False, governance=members, clock=self.clock, own={DATA: NOW}
            ),
            exchange=SimpleNamespace(
                catchup=SimpleNamespace(running=False, joining=False, bundles_taken=0),
                heartbeat=SimpleNamespace(trusted=True),
            ),
        )
        self.clock |= {{"before": BEFORE, "theirs": THEIRS}[name]: n for name, n in clock.items()}
        self.time = SimpleNamespace(ahead_ms=0)
        self.said: list[str] = []
        self.observer = Observer(
            cast("Any", self.engine),
            cast("Any", lambda event, **_: self.said.append(event)),
            cast("Any", self.time),
        )

    def shown(self, name: str) -> float:
        self.observer.look()
        lines = self.metrics.render(process=False).decode().splitlines()
        (line,) = (line for line in lines if line.startswith(f"mnemesh_{name} "))
        return float(line.rpartition(" ")[2])


def test_a_lost_store_that_peers_fill_from_their_logs_is_counted_once() -> None:
    node = Watched()
    assert node.shown("store_changes_total") == 0
    node.clock[NOW] = 1
    node.clock[THEIRS] = 5
    assert node.shown("store_changes_total") == 0, "that is how a newcomer begins"
    node.clock[BEFORE] = 3
    assert node.shown("store_changes_total") == 1
    node.clock[BEFORE] = 4
    assert node.shown("store_changes_total") == 1


def test_a_store_that_is_kept_is_no_new_one() -> None:
    node = Watched(before=2)
    node.clock[BEFORE] = 3  # what its disk had not flushed comes back from a peer
    assert node.shown("store_changes_total") == 0


def test_a_store_that_was_swapped_is_not_counted_twice() -> None:
    node = Watched()
    node.engine.store = object()
    node.clock[BEFORE] = 3
    assert node.shown("store_changes_total") == 0, "who swaps it counts it"


def test_a_jump_of_the_clock_that_is_not_followed_is_shown_while_it_lasts() -> None:
    node = Watched()
    assert node.shown("clock_jump_refused_seconds") == 0
    node.time.ahead_ms = -90_000
    assert node.shown("clock_jump_refused_seconds") == -90
    assert node.said == ["clock_jump_refused"]
    node.time.ahead_ms = 0
    assert node.shown("clock_jump_refused_seconds") == 0
