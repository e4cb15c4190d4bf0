import os
from pathlib import Path
from typing import Any

import pytest

from node.auth.watched import LOOK_SECONDS, Watched, read_file, rewriting
from transport.errors import LooseModeError


class Rig:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 0.0
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.reads = 0

    def parse(self, data: bytes) -> str:
        self.reads += 1
        if data == b"bad":
            raise ValueError("cannot be understood")
        return data.decode()

    def watch(self, **more: float) -> Watched[str]:
        return Watched(
            self.path,
            self.parse,
            log=lambda event, **facts: self.events.append((event, facts)),
            monotonic=lambda: self.now,
            **more,
        )

    def write(self, text: bytes) -> None:
        with rewriting(self.path) as put:
            put(text)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "keys" / "file.json")


def test_a_change_counts_within_half_a_second_and_is_read_once(rig: Rig) -> None:
    watched = rig.watch()
    assert watched() == ""
    rig.write(b"one")
    assert watched() == ""
    rig.now += LOOK_SECONDS
    assert [watched() for _ in range(9)] == ["one"] * 9
    assert rig.reads == 2
    rig.now += LOOK_SECONDS
    assert watched() == "one"
    assert rig.reads == 2
    assert rig.events == [("auth_file_loaded", {"file": "file.json"})]


def test_who_would_turn_somebody_away_looks_first(rig: Rig) -> None:
    watched = rig.watch()
    rig.write(b"one")
    assert watched() == ""
    assert watched.newest() == "one"
    assert watched() == "one"


def test_a_file_that_cannot_be_read_leaves_the_old_one_in_force(rig: Rig) -> None:
    rig.write(b"one")
    watched = rig.watch()
    for spoil in (lambda: rig.write(b"bad"), lambda: rig.path.chmod(0o644)):
        spoil()
        os.utime(rig.path, ns=(1, len(rig.events) + 2))
        rig.now += 1
        assert watched() == "one"
    assert [event for event, _ in rig.events] == ["auth_file_refused", "auth_file_refused"]
    rig.write(b"two")
    rig.now += 1
    assert watched() == "two"
    rig.path.unlink()
    rig.now += 1
    assert watched() == ""


def test_a_bad_file_at_the_start_is_an_error(rig: Rig) -> None:
    rig.write(b"bad")
    with pytest.raises(ValueError, match="understood"):
        rig.watch()
    rig.path.chmod(0o640)
    with pytest.raises(LooseModeError):
        rig.watch()


def test_what_is_written_is_for_the_owner_alone(rig: Rig) -> None:
    rig.write(b"one")
    assert rig.path.stat().st_mode & 0o777 == 0o600
    assert rig.path.parent.stat().st_mode & 0o777 == 0o700
    assert read_file(rig.path) == b"one"
    assert read_file(rig.path.with_name("other")) == b""


def test_one_that_is_looked_at_each_time_counts_at_once(rig: Rig) -> None:
    watched = rig.watch(look_seconds=0)
    for text in (b"one", b"two", b"three"):
        rig.write(text)
        assert watched() == text.decode()
        assert watched() == text.decode()
    assert rig.reads == 4
