"""A node as a service: what its supervisor hears, what SIGHUP takes, what probes see.

One process for all of it, in the order of a service's life.
"""

import json
import os
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.settings.toml_file import write_config
from tests.integration.rig import RealNode, free_ports, until
from tests.integration.rig_routes import lone

pytestmark = pytest.mark.integration


class Supervisor:
    """The service manager's end of the notification socket."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.heard: list[dict[str, str]] = []

    def look(self) -> list[dict[str, str]]:
        while True:
            try:
                data = self.socket.recv(4096)
            except BlockingIOError:
                return self.heard
            self.heard.append(dict(line.split("=", 1) for line in data.decode().splitlines()))

    def states(self) -> list[str]:
        """What was told, without watchdog and words for people."""
        told = [key for message in self.look() for key in message]
        return [key for key in told if key in ("READY", "RELOADING", "STOPPING")]


@pytest.fixture(scope="module")
def supervisor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path_factory.mktemp("supervisor") / "notify")
    yield made
    made.socket.close()


@pytest.fixture(scope="module")
def service(
    supervisor: Supervisor, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RealNode, int, Path]]:
    folder = tmp_path_factory.mktemp("service")
    (probe,) = free_ports(1)
    node = lone(folder, "--probe-listen", f"0.0.0.0:{probe}")
    node.data_dir.mkdir()
    log = folder / "logs" / "node.log"
    write_config(node.data_dir / "config.toml", {"logging": {"path": str(log)}})
    node.environment = {
        "NOTIFY_SOCKET": str(supervisor.socket.getsockname()),
        "WATCHDOG_USEC": "400000",
    }
    try:
        node.start()
        yield node, probe, log
    finally:
        node.clean_up()


def probed(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_readiness_is_told_once_it_serves_and_the_watchdog_is_fed(
    service: tuple[RealNode, int, Path], supervisor: Supervisor
) -> None:
    _, probe, _ = service
    until(lambda: supervisor.states() == ["READY"], "it is told that it serves")
    assert (probed(probe, "/livez"), probed(probe, "/readyz")) == (200, 200)
    assert (probed(probe, "/metrics"), probed(probe, "/api/v1/memories")) == (404, 404)
    fed = lambda: sum("WATCHDOG" in message for message in supervisor.look())  # noqa: E731 - local
    before, began = fed(), time.monotonic()
    until(lambda: fed() >= before + 3, "the watchdog is fed")
    assert time.monotonic() - began < 2.0
    words = [message["STATUS"] for message in supervisor.look() if "STATUS" in message]
    assert words == ["ready: 1 members, 0 linked, a write needs 1"]


def test_a_stuck_loop_starves_the_watchdog(
    service: tuple[RealNode, int, Path], supervisor: Supervisor
) -> None:
    node, _, _ = service
    os.kill(node.pid, signal.SIGSTOP)
    try:
        until(lambda: _stopped(node.pid), "the process stands still")
        supervisor.look()
        supervisor.heard.clear()
        end = time.monotonic() + 0.5
        until(lambda: time.monotonic() > end, "more than a period goes by")
        assert supervisor.look() == []
    finally:
        os.kill(node.pid, signal.SIGCONT)
    until(lambda: any("WATCHDOG" in message for message in supervisor.look()), "it goes on")


def _stopped(pid: int) -> bool:
    return bool(re.search(r"^State:\s+T", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE))


def test_a_reload_moves_level_request_log_and_file_and_is_told(
    service: tuple[RealNode, int, Path], supervisor: Supervisor
) -> None:
    node, _, log = service
    supervisor.look()
    supervisor.heard.clear()
    events = lambda path: [json.loads(line)["event"] for line in path.read_text().splitlines()]  # noqa: E731 - local
    moved = log.with_name("moved.log")
    log.rename(moved)
    config = {"logging": {"path": str(log), "requests": True, "level": "debug"}}
    write_config(node.data_dir / "config.toml", config)
    os.kill(node.pid, signal.SIGHUP)
    until(lambda: supervisor.states() == ["RELOADING", "READY"], "the reload is told")
    node.store("after the reload")
    until(lambda: log.exists() and "request_served" in events(log), "requests are logged")
    assert "settings_reloaded" in events(log)
    assert "node_started" in events(moved)
    assert log.stat().st_mode & 0o777 == 0o600
    # And back: nothing is written any more that was not before.
    write_config(node.data_dir / "config.toml", {"logging": {"path": str(log), "level": "error"}})
    os.kill(node.pid, signal.SIGHUP)
    until(lambda: supervisor.states() == ["RELOADING", "READY"] * 2, "the second reload is told")
    size = log.stat().st_size
    node.store("in silence")
    assert log.stat().st_size == size


def test_a_configuration_that_cannot_be_used_is_refused_and_the_node_goes_on(
    service: tuple[RealNode, int, Path], supervisor: Supervisor
) -> None:
    node, _, log = service
    supervisor.look()
    supervisor.heard.clear()
    (node.data_dir / "config.toml").write_text("[logging]\nlevle = 'info'\n")
    os.kill(node.pid, signal.SIGHUP)
    until(lambda: "settings_refused" in log.read_text(), "it is refused")
    until(lambda: supervisor.states() == ["RELOADING", "READY"], "the reload ends all the same")
    assert node.store("it goes on")["id"]


def test_stopping_is_told_and_a_node_that_drains_is_not_ready(
    service: tuple[RealNode, int, Path], supervisor: Supervisor
) -> None:
    node, _, _ = service
    supervisor.look()
    supervisor.heard.clear()
    assert node.stop() == 0
    assert supervisor.states() == ["STOPPING"]
