"""What deploy/ promises, tried with the real thing: nginx, a filter of calls, three founders.

Slow, and each test is skipped where its tool is not installed.
"""

# ruff: noqa: S607 -- tools of the system, wherever it has them

import base64
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.docs_blocks import ROOT
from tests.architecture.wheel import wheel_in
from tests.integration.rig import (
    RealNode,
    clean_environment,
    cleaned_up,
    free_ports,
    running,
    until,
    until_linked,
)
from tests.integration.rig_commands import newcomer, told
from tests.integration.rig_mesh import Pair, self_signed

pytestmark = [pytest.mark.integration, pytest.mark.slow]

DEPLOY = ROOT / "deploy"
_NAME = "memory.example"


def needs(*tools: str) -> pytest.MarkDecorator:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


# -- nginx in front -------------------------------------------------------------------------


@contextmanager
def fronted(folder: Path, node: RealNode) -> Iterator[tuple[int, Pair]]:
    """The sample of deploy/nginx in force before a node; yields its port and certificate."""
    folder.mkdir()
    pair = self_signed(folder, _NAME)
    (port,) = free_ports(1)
    (folder / "htpasswd").write_text("ann:{PLAIN}secret\n")
    (folder / "key").write_text(f'proxy_set_header X-API-Key "{node.api_key}";\n')
    sample = (DEPLOY / "nginx" / "mnemesh.conf").read_text(encoding="utf-8")
    for written, here in {
        "127.0.0.1:9078": f"127.0.0.1:{node.agent[1]}",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/nginx/tls/memory.example.crt": str(pair.certificate),
        "/etc/nginx/tls/memory.example.key": str(pair.key),
        "/etc/nginx/mnemesh.htpasswd": str(folder / "htpasswd"),
        "/etc/nginx/mnemesh.key": str(folder / "key"),
    }.items():
        assert written in sample
        sample = sample.replace(written, here)
    (folder / "site.conf").write_text(sample)
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; user root; error_log {folder}/error.log;\n"
        f"pid {folder}/pid;\nevents {{}}\nhttp {{ access_log off;\n"
        f"client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
        f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"include {folder}/site.conf; }}\n"
    )
    nginx = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    subprocess.run([*nginx, "-t", "-q"], check=True)
    process = subprocess.Popen(nginx)
    try:
        until(lambda: _listens(port), "nginx listens")
        yield port, pair
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Outside:
    """Somebody on the other side of nginx, who knows it by its public name."""

    def __init__(self, port: int, certificate: Path) -> None:
        self.port = port
        self.trust = ssl.create_default_context(cafile=str(certificate))
        self.trust.check_hostname = False  # the name leads nowhere on this machine

    def ask(
        self, method: str, path: str, body: Any = None, *, word: str = "secret", host: str = _NAME
    ) -> tuple[int, Any]:
        """One request; the status, and the body read as JSON where it is that."""
        given = base64.b64encode(f"ann:{word}".encode()).decode()
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=self.trust, timeout=15
        )
        headers = {"host": host, "authorization": f"Basic {given}"}
        if body is not None:
            headers["content-type"] = "application/json"
        connection.request(method, path, raw if body is not None else None, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, json.loads(text) if text.startswith(("{", "[")) else text


@needs("nginx")
def test_nginx_in_front_keeps_strangers_out_and_the_public_name(tmp_path: Path) -> None:
    node = newcomer(tmp_path, "a")
    node.environment = {"MNEMESH_LISTEN_HOSTNAMES": _NAME}
    with running(node), fronted(tmp_path / "nginx", node) as (port, pair):
        out = Outside(port, pair.certificate)
        assert out.ask("GET", "/api/v1/stats", word="wrong")[0] == 401
        memory = {"title": "tea", "content": "in the tin"}
        status, made = out.ask("POST", "/api/v1/memories", memory)
        assert status == 201, made
        # Who wrote is who gave the password, whatever else was said.
        assert node.get(made["id"])["metadata"]["agent_id"] == "ann"
        status, found = out.ask("GET", "/api/v1/recall?context=tea")
        assert (status, found["memories"][0]["content"]) == (200, "in the tin")
        assert out.ask("POST", "/api/v1/memories", b"x" * (3 << 20))[0] == 413
        assert out.ask("GET", "/metrics")[0] == 404
        assert out.ask("GET", "/api/v1/metrics")[0] == 404
        # A name that is nobody's gets no further than the node.
        status, refused = out.ask("GET", "/api/v1/stats", host="evil.example")
        assert status not in {200, 404}, refused


# -- systemd's filter -----------------------------------------------------------------------


def _group(name: str) -> set[str]:
    said = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True
    ).stdout
    calls: set[str] = set()
    for line in map(str.strip, said.splitlines()[1:]):
        if line and not line.startswith("#"):
            calls |= _group(line) if line.startswith("@") else {line}
    return calls


def _allowed(unit: str) -> set[str]:
    """System calls that a unit's filters leave, as systemd.exec(5) puts them together."""
    calls = _group("@default")
    for rule in re.findall(r"^SystemCallFilter=(.+)$", unit, re.MULTILINE):
        for word in rule.removeprefix("~").split():
            named = _group(word) if word.startswith("@") else {word}
            calls = calls - named if rule.startswith("~") else calls | named
    return calls


@needs("systemd-analyze", "strace")
def test_a_node_asks_for_no_call_that_the_unit_forbids(tmp_path: Path) -> None:
    unit = (DEPLOY / "systemd" / "mnemesh.service").read_text(encoding="utf-8")
    trace = tmp_path / "trace"
    node = newcomer(tmp_path, "a")
    command = ["strace", "-f", "-qq", "-o", str(trace), shutil.which("python3") or "", "-V"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0, "no ptrace"
    with running(node):
        follow = subprocess.Popen(["strace", "-f", "-qq", "-o", str(trace), "-p", str(node.pid)])
        try:
            until(lambda: _traced(node.pid), "strace follows")
            for turn in range(30):
                node.store(f"tea {turn}", "in the tin")
            node.tell("GET", "/recall?context=tea")
            node.tell("GET", "/metrics")
            os.kill(node.pid, signal.SIGHUP)
            until(lambda: node.events("settings_reloaded"), "it reloads")
            node.stop()
        finally:
            follow.wait(10)
    text = trace.read_text(errors="replace")
    used = set(re.findall(r"^(?:\d+\s+)?([a-z_0-9]+)\(", text, re.MULTILINE))
    assert {"openat", "sendto"} & used
    assert used - _allowed(unit) == set()
    assert not re.search(r"PROT_WRITE\|PROT_EXEC|PROT_EXEC\|PROT_WRITE", text)


def _traced(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    return "TracerPid:\t0\n" not in status


# -- a mesh that is rolled out at once ------------------------------------------------------


def test_prepared_nodes_found_one_mesh_as_soon_as_they_meet(tmp_path: Path) -> None:
    port, agents = free_ports(2)
    made = told(
        *("mesh", "prepare", "--dir", tmp_path / "mesh", "--names", "2,3,4", "--cluster", "rolled"),
        *("--advertise", f"https://127.0.0.{{name}}:{port}", "--port", port),
        *("--agent-port", agents, "--admin", "ann"),
    )
    assert [one["name"] for one in made["nodes"]] == ["2", "3", "4"]
    nodes = []
    for one in made["nodes"]:
        host = f"127.0.0.{one['name']}"
        folder = Path(one["data_dir"])
        # All on this machine: each on an address of its own.
        own = {"MNEMESH_HOST": host, "MNEMESH_AGENT_LISTEN": f"{host}:{agents}"}
        key = (folder / "keys" / "api_key").read_text().strip()
        node = RealNode(one["name"], folder, [], (host, agents), api_key=key, environment=own)
        nodes.append(node)
    with cleaned_up(nodes):
        for node in nodes:
            node.spawn()
        for node in nodes:
            node.wait_alive()
        until_linked(nodes)
        assert {node.mesh()["cluster"] for node in nodes} == {"rolled"}
        ident = nodes[0].store("tea")["id"]
        until(lambda: nodes[2].ask("GET", f"/memories/{ident}").status == 200, "it arrives")


@needs("kubectl")
def test_the_identities_of_pods_are_whole_and_stay_what_they_were(tmp_path: Path) -> None:
    here = Path(sys.executable).parent
    path = f"{here}{os.pathsep}{os.environ['PATH']}"

    def print_them(nodes: int) -> str:
        return subprocess.run(
            [str(DEPLOY / "kubernetes" / "identities.sh"), str(nodes), "mnemesh", "ids"],
            cwd=tmp_path,
            env=clean_environment() | {"PATH": path},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    first, more = print_them(2), print_them(3)
    key = re.compile(r"^  (mnemesh-\d)\.tar: (\S+)$", re.MULTILINE)
    assert len(key.findall(first)) == 2
    assert len(key.findall(more)) == 3
    archives = dict(key.findall(more))
    for name, data in archives.items():
        (tmp_path / "one.tar").write_bytes(base64.b64decode(data))
        with tarfile.open(tmp_path / "one.tar") as archive:
            modes = {entry.name: entry.mode for entry in archive}
        assert modes["keys/node.key"] == 0o600
        assert {"config.toml", "keys/allowlist", "keys/tls.crt"} <= set(modes)
        names = " ".join((tmp_path / "ids" / name / "keys" / "allowlist").read_text().split())
        assert name not in names
        assert len(re.findall(r"mnemesh-\d", names)) == 2
    assert (tmp_path / "ids" / "all.pem").read_text().count("BEGIN CERTIFICATE") == 3


# -- a machine that joins -------------------------------------------------------------------


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can walk into; pytest keeps its own for their maker alone."""
    with tempfile.TemporaryDirectory(prefix="mnemesh-machine-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@needs("setpriv", "useradd", "sha256sum")
@pytest.mark.skipif(os.geteuid() != 0, reason="makes a user and its folders")
@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="needs the system's Python")
def test_a_machine_is_made_a_node_once_however_often_it_is_asked(open_folder: Path) -> None:
    tmp_path = open_folder
    wheel = wheel_in(tmp_path)
    root = tmp_path / "root"
    given: dict[str, object] = {
        "wheel": wheel,
        "lock": ROOT / "requirements.lock",
        "name": "b",
        "advertise": "https://b.example:9077",
        "root": root,
        "python": "/usr/bin/python3",
        "admin": "ann",
    }

    def run(*further: str, **options: object) -> subprocess.CompletedProcess[str]:
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        command = [str(DEPLOY / "join-machine.sh"), *words, *further]
        return subprocess.run(
            command, env=clean_environment(), capture_output=True, text=True, check=False
        )

    lacking = run(**{key: value for key, value in given.items() if key != "lock"})
    assert (lacking.returncode, "--lock is missing" in lacking.stderr) == (2, True)
    wrong = run("--frob", "x", **given)
    assert (wrong.returncode, "unknown option --frob" in wrong.stderr) == (2, True)
    for option, value in (("name", "a b"), ("allow", "5f=a; id"), ("allow", "*"), ("name", "")):
        odd = run(**{**given, option: value})
        assert (odd.returncode, "a name is made of" in odd.stderr) == (2, True), value
    short = run("--name")
    assert (short.returncode, "--name has no value" in short.stderr) == (2, True)
    assert not root.exists()

    there_before = _user_exists()
    try:
        first = run(**given)
        assert first.returncode == 0, first.stderr
        data = root / "var" / "lib" / "mnemesh"
        key = (data / "keys" / "node.key").read_bytes()
        assert "installs" in first.stdout
        pin = "spki:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="
        again = run("--allow", f"{'5f' * 32}=node-a", "--allow", f"{pin}=node-c", **given)
        assert again.returncode == 0, again.stderr
        assert "installs" not in again.stdout
        assert (data / "keys" / "node.key").read_bytes() == key
        allowlist = (data / "keys" / "allowlist").read_text()
        assert "node-a" in allowlist
        assert "spki:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 node-c" in (
            allowlist
        )
        config = (data / "config.toml").read_text()
        assert config.count('agent_listen = "127.0.0.1:9078"') == 1
        assert (root / "etc/systemd/system/mnemesh-backup.timer").exists()
        assert (data / "keys").owner() == "mnemesh"
        joining = run(**{**given, "join": "https://127.0.0.1:9", "fingerprint": "5f" * 32})
        assert (joining.returncode, "node allow" in joining.stdout) == (6, True), joining.stderr
    finally:
        if not there_before:
            subprocess.run(["userdel", "mnemesh"], check=False)


def _user_exists() -> bool:
    return subprocess.run(["getent", "passwd", "mnemesh"], check=False).returncode == 0


# -- a package ------------------------------------------------------------------------------


@needs("dpkg-deb", "dpkg")
def test_the_package_has_debians_layout_and_brings_the_command(tmp_path: Path) -> None:
    wheel = wheel_in(tmp_path)
    made = subprocess.run(
        [
            *(str(DEPLOY / "debian" / "build-package.sh"), "--wheel", str(wheel)),
            *("--lock", str(ROOT / "requirements.lock"), "--out", str(tmp_path / "out")),
            *("--python", sys.executable),
        ],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    (package,) = (tmp_path / "out").glob("mnemesh_*.deb")
    root = tmp_path / "root"
    subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)
    assert root.stat().st_mode & 0o777 == 0o755
    assert os.access(root / "usr/bin/mnemesh", os.X_OK)
    unit = (root / "usr/lib/systemd/system/mnemesh.service").read_text()
    assert "ExecStart=/usr/bin/mnemesh serve\n" in unit
    assert "EnvironmentFile=-/etc/default/mnemesh\n" in unit
    assert (root / "etc/default/mnemesh").exists()
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "node", "version"],
        env=clean_environment() | {"PYTHONPATH": str(root / "usr/lib/mnemesh")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout.split()[-1]) == (0, wheel.name.split("-")[1]), ran.stderr
