"""What a service manager hears, over a real datagram socket."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.process.notify import Notifier


class Supervisor:
    """A service manager's end."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.settimeout(5)

    def hear(self) -> dict[str, str]:
        lines = self.socket.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def is_silent(self) -> bool:
        self.socket.setblocking(False)
        try:
            self.socket.recv(4096)
        except BlockingIOError:
            return True
        return False


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "path":
        return str(tmp_path / "notify")
    return f"@mnemesh-test-{os.getpid()}-{tmp_path.name}"


@pytest.fixture
def supervisor(address: str) -> Iterator[Supervisor]:
    made = Supervisor(address)
    yield made
    made.socket.close()


def test_ready_status_and_stopping_are_told_in_their_order(
    supervisor: Supervisor, address: str
) -> None:
    notifier = Notifier.take({"NOTIFY_SOCKET": address})
    notifier.ready()
    notifier.status("three members,\n two linked")
    notifier.status("three members, two linked")  # unchanged: not told again
    notifier.stopping()
    assert supervisor.hear() == {"READY": "1"}
    assert supervisor.hear() == {"STATUS": "three members, two linked"}
    assert supervisor.hear() == {"STOPPING": "1"}
    assert supervisor.is_silent()


def test_a_reload_begins_with_the_monotonic_time(supervisor: Supervisor, address: str) -> None:
    before = time.monotonic_ns() // 1000
    notifier = Notifier.take({"NOTIFY_SOCKET": address})
    notifier.reloading()
    notifier.ready()
    told = supervisor.hear()
    assert told["RELOADING"] == "1"
    assert before <= int(told["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    assert supervisor.hear() == {"READY": "1"}


async def test_the_watchdog_is_fed_by_the_loop_and_starves_with_it(
    supervisor: Supervisor, address: str
) -> None:
    period = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": str(os.getpid())}
    notifier = Notifier.take(period)
    assert notifier.watchdog_seconds == 0.1
    feeding = asyncio.create_task(notifier.keep_alive())
    for _ in range(3):
        assert await asyncio.to_thread(supervisor.hear) == {"WATCHDOG": "1"}
    while not supervisor.is_silent():
        pass
    end = time.monotonic() + 0.15
    while time.monotonic() < end:  # the loop is stuck for longer than the period
        pass
    assert supervisor.is_silent()
    feeding.cancel()


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"NOTIFY_SOCKET": ""},
        {"NOTIFY_SOCKET": "vsock:2:1"},
        {"WATCHDOG_USEC": "1000000"},
    ],
)
async def test_without_a_service_manager_nothing_happens(environ: dict[str, str]) -> None:
    notifier = Notifier.take(environ)
    assert not notifier.heard
    notifier.ready()
    await notifier.keep_alive()


async def test_a_watchdog_of_another_process_is_not_fed(
    supervisor: Supervisor, address: str
) -> None:
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}
    notifier = Notifier.take(environ)
    await notifier.keep_alive()
    assert supervisor.is_silent()
    assert not environ  # nothing that the node starts can speak for it


def test_a_service_manager_that_is_gone_stops_nothing(tmp_path: Path) -> None:
    notifier = Notifier.take({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    notifier.ready()
    notifier.stopping()
