"""Nothing leaves the host unasked: every call to the network of a node that works, watched.

The node runs in a network of its own, where nothing but loopback exists, so that what it would
send could not be mistaken for another program's.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.rig import clean_environment, free_ports, until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or not all(map(shutil.which, ("strace", "unshare", "nsenter", "curl"))),
        reason="needs root, strace, unshare, nsenter and curl",
    ),
]

# What a library may take for leave to send.
TEMPTING = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://192.0.2.1:4318",
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "otlp",
    "OTEL_PYTHON_TRACER_PROVIDER": "sdk_tracer_provider",
    "OTEL_SDK_DISABLED": "false",
    "http_proxy": "http://192.0.2.1:3128",
    "https_proxy": "http://192.0.2.1:3128",
}
_CALL = re.compile(r"\b(connect|sendto|sendmsg|sendmmsg)\(")
_PLACE = re.compile(r'sin_port=htons\((\d+)\), sin_addr=inet_addr\("([^"]+)"\)')
_PLACE6 = re.compile(r'sin6_port=htons\((\d+)\).*?inet_pton\(AF_INET6, "([^"]+)"')


def places(trace: Path) -> set[tuple[str, int]]:
    """Addresses of other protocols than UNIX sockets that calls name."""
    found = set()
    for line in trace.read_text(errors="replace").splitlines():
        if _CALL.search(line):
            for port, host in (*_PLACE.findall(line), *_PLACE6.findall(line)):
                found.add((host, int(port)))
    return found


class Hermit:
    """A node in a network of its own, watched by strace."""

    def __init__(self, folder: Path) -> None:
        (self.port,) = free_ports(1)
        self.trace = folder / "trace"
        self.log = folder / "log"
        serve = f"{sys.executable} -P -m node serve --data-dir {folder / 'data'} --port {self.port}"
        watch = f"strace -f -qq -e trace=connect,sendto,sendmsg,sendmmsg,socket -o {self.trace}"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    shutil.which("unshare") or "",
                    "--net",
                    "sh",
                    "-c",
                    f"ip link set lo up && exec {watch} {serve}",
                ],
                stdout=log,
                stderr=log,
                env=clean_environment() | TEMPTING,
                start_new_session=True,
            )

    def curl(self, *arguments: str) -> str:
        """Ask from inside its network."""
        inside = [
            "nsenter",
            "--net",
            f"--target={self.process.pid}",
            "curl",
            "-sS",
            "--noproxy",
            "*",
        ]
        place = f"http://127.0.0.1:{self.port}"
        ask = [*inside, "--max-time", "10", *arguments[:-1], place + arguments[-1]]
        done = subprocess.run(ask, capture_output=True, check=False, text=True, timeout=30)
        return done.stdout

    def end(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(30)


def test_the_watcher_sees_what_would_leave(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    program = "import socket; s = socket.socket(); s.settimeout(1); s.connect_ex(('192.0.2.1', 9))"
    watch = ["strace", "-f", "-qq", "-e", "trace=connect", "-o", str(trace)]
    subprocess.run(
        [shutil.which("unshare") or "", "--net", *watch, sys.executable, "-c", program], check=True
    )
    assert ("192.0.2.1", 9) in places(trace)


def test_a_node_that_works_speaks_to_nobody(tmp_path: Path) -> None:
    hermit = Hermit(tmp_path)
    try:
        until(lambda: hermit.curl("/readyz") == "ok", "it serves", 60, seen=hermit.log.read_text)
        body = '{"title":"purple elephants","content":"at the zoo"}'
        write = ("-H", "Content-Type: application/json", "-d", body)
        for _ in range(5):
            assert '"id"' in hermit.curl(*write, "/api/v1/memories")
        assert "purple" in hermit.curl("/api/v1/recall?context=elephants")
        for path in ("/metrics", "/api/v1/doctor", "/api/v1/capabilities", "/api/v1/mesh"):
            assert hermit.curl(path)
    finally:
        hermit.end()
    told = {place for place in places(hermit.trace) if place[0] not in ("127.0.0.1", "::1")}
    assert told == set(), f"it spoke to {told}"
    asked_for_names = {place for place in places(hermit.trace) if place[1] == 53}
    assert asked_for_names == set()


def test_nothing_of_opentelemetry_is_loaded_unasked() -> None:
    program = "import sys, node.node; print([m for m in sys.modules if 'opentelemetry.sdk' in m])"
    command = [sys.executable, "-P", "-c", program]
    env = clean_environment() | TEMPTING
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "[]"
