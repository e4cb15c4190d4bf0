"""What `serve` refuses before anything runs, and what it leaves behind."""

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from node.cli import serve
from node.errors import Exit, ImpossibleQuorum
from node.facts import LastExit
from node.lock import DirectoryLock, find_holder
from node.settings import TABLE, Settings
from tests.unit.cli.standin import Mnemesh, Ran

FLAGS = {
    "--host", "--port", "--data-dir", "--config", "--quorum-writes", "--quorum-peers", "--reach",
    "--quorum-timeout-ms", "--tls-cert", "--tls-key", "--mtls-allowlist", "--quorum-client-cert",
    "--quorum-client-key", "--quorum-ca-cert", "--catchup-interval-secs", "--name", "--advertise",
    "--agent-listen", "--probe-listen", "--cluster", "--detach", "--key-dir", "--log-level",
    "--json", "--help",
}  # fmt: skip

Node = Callable[[Settings], int]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "d"


@pytest.fixture
def started(
    mnemesh: Mnemesh, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Ran, list[Settings]]]:
    """Runs `serve` with another node in place of the real one."""

    def call(*args: object, node: Node = lambda _settings: 0) -> tuple[Ran, list[Settings]]:
        seen: list[Settings] = []

        def run(settings: Settings) -> int:
            seen.append(settings)
            return node(settings)

        monkeypatch.setattr(serve, "_run", run)
        return mnemesh("serve", "--data-dir", home, *args), seen

    return call


Started = Callable[..., tuple[Ran, list[Settings]]]


def test_the_flags_are_those_of_the_table_and_no_others(mnemesh: Mnemesh) -> None:
    shown = set(re.findall(r"--[a-z][a-z-]+", mnemesh("serve", "--help").out))
    # Flags that help texts mention are flags too.
    assert shown == FLAGS
    assert {row.about.flag for row in TABLE if row.about.flag} < FLAGS


def test_flags_reach_the_node(started: Started, home: Path) -> None:
    ran, seen = started(
        "--port", 0, "--quorum-writes", 0, "--quorum-timeout-ms", 50, "--name", "x",
        "--cluster", "c", "--catchup-interval-secs", "0.5", "--agent-listen", "127.0.0.1:1",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    settings = seen[0]
    assert (settings.listen.port, settings.quorum.writes, settings.quorum.timeout_ms) == (0, 0, 50)
    assert (settings.identity.name, settings.federation.cluster) == ("x", "c")
    assert settings.federation.catchup_interval_secs == 0.5
    assert settings.paths.data_dir == home


def test_the_node_runs_under_the_lock_and_its_end_is_noted(started: Started, home: Path) -> None:
    holders = []

    def node(settings: Settings) -> int:
        holders.append(find_holder(settings.paths.lock))
        return 0

    started(node=node)
    assert [holder.pid for holder in holders if holder] == [os.getpid()]
    assert find_holder(home / "lock") is None
    noted = LastExit.read(home / "last_exit.json")
    assert noted is not None
    assert (noted.code, noted.what) == (0, "")


def test_a_second_node_is_refused(started: Started, home: Path) -> None:
    with DirectoryLock(home / "lock"):
        ran, seen = started()
    assert (ran.code, seen) == (4, [])
    assert str(os.getpid()) in ran.err


def test_an_error_of_the_node_is_its_exit_code_and_is_noted(started: Started, home: Path) -> None:
    def node(_settings: Settings) -> int:
        raise ImpossibleQuorum("W is 3 and N is 2")

    ran, _ = started(node=node)
    assert ran.code == 4
    noted = LastExit.read(home / "last_exit.json")
    assert noted is not None
    assert noted.code == 4
    assert "W is 3" in noted.what


def test_a_disk_error_is_exit_code_10(started: Started, home: Path) -> None:
    def node(_settings: Settings) -> int:
        raise OSError(errno.EIO, "Input/output error")

    ran, _ = started(node=node)
    assert ran.code == Exit.DISK
    noted = LastExit.read(home / "last_exit.json")
    assert noted is not None
    assert noted.code == 10


def test_a_code_of_the_node_is_passed_on(started: Started) -> None:
    assert started(node=lambda _settings: 10)[0].code == 10


def test_a_node_without_identity_makes_its_key_aloud(started: Started, home: Path) -> None:
    ran, _ = started()
    assert (home / "keys" / "node.key").exists()
    assert "identity_made" in ran.err
    assert "identity_made" not in started()[0].err


def test_a_certificate_whose_signing_key_is_lost_is_refused(
    mnemesh: Mnemesh, started: Started, home: Path
) -> None:
    mnemesh("init", "--name", "a", "--data-dir", home)
    (home / "keys" / "node.key").unlink()
    ran, seen = started()
    assert (ran.code, seen) == (4, [])


def test_a_wildcard_starts_after_init_without_further_flags(
    mnemesh: Mnemesh, started: Started, home: Path
) -> None:
    arguments = ("--host", "0.0.0.0", "--port", 9077)  # noqa: S104 -- nothing is bound here
    ran, seen = started(*arguments)
    assert (ran.code, seen) == (2, [])
    assert "without TLS" in ran.err
    advertise = ("--advertise", "https://a:9077")
    mnemesh("init", "--name", "a", *advertise, "--data-dir", home, "--force", "--yes")
    ran, seen = started(*arguments)
    assert ran.code == 0, ran.err
    assert len(seen) == 1


def test_a_quorum_that_an_empty_store_cannot_meet_is_refused(
    mnemesh: Mnemesh, started: Started, home: Path
) -> None:
    mnemesh("init", "--name", "a", "--data-dir", home)
    peers = ("--quorum-peers", "https://b:1,https://c:1")
    assert started("--quorum-writes", 4, *peers)[0].code == 4
    assert started("--quorum-writes", 2)[0].code == 4
    assert started("--quorum-writes", 3, *peers)[0].code == 0
    # Once there is a store, the membership in it decides, and only the node can read it.
    (home / "CURRENT").write_text("store-1", encoding="utf-8")
    assert started("--quorum-writes", 4, *peers)[0].code == 0


def test_loose_modes_of_a_key_are_refused(mnemesh: Mnemesh, started: Started, home: Path) -> None:
    mnemesh("init", "--name", "a", "--data-dir", home)
    (home / "keys" / "tls.key").chmod(0o644)
    ran, seen = started()
    assert (ran.code, seen) == (4, [])
    assert "chmod 600" in ran.err


def test_json_of_a_node_in_the_foreground_is_its_end(started: Started) -> None:
    ran, seen = started("--json")
    assert ran.json == {"stopped": True, "exit_code": 0}
    assert seen[0].logging.format == "json"
