"""Real node processes for the integration tests.

Law: a node is started by the command line an operator would type, spoken to over its
listeners, and ended by the pid it was started under. Waits are for states and have deadlines.
"""

import hashlib
import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
WAIT_SECONDS = 20.0
_PORTS = range(10_000, 19_990)
_serial = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer of a node."""

    status: int
    headers: Mapping[str, str]
    body: Any


def until(
    poll: Callable[[], T | None],
    what: str,
    seconds: float = WAIT_SECONDS,
    *,
    seen: Callable[[], object] = str,
) -> T:
    """Poll until there is something true; fails with `what` and what is seen when it is not."""
    deadline = time.monotonic() + seconds
    while True:
        found = poll()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain: {what}. {seen()}")
        time.sleep(0.01)


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Ports that nobody uses now, from a part of the range that belongs to this worker."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    found: list[int] = []
    while len(found) < count:
        step = (os.getpid() * 37 + worker * 1009 + next(_serial)) % len(_PORTS)
        port = _PORTS[step]
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


def clean_environment() -> dict[str, str]:
    """Without settings that would reach the nodes."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("MNEMESH_", "XDG_"))}


def content_hash(memory: Mapping[str, Any]) -> str:
    text = f"{memory['title']}\0{memory['content']}"
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class RealNode:
    """A node that is, or can be, a process.

    Attributes:
        flags: of `serve`, beside `--data-dir`.
        agent: host and port of a plain listener.
    """

    name: str
    data_dir: Path
    flags: list[str]
    agent: tuple[str, int]
    api_key: str = ""
    url: str = ""
    fingerprint: str = ""
    process: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    launch: tuple[str, ...] = ("-P", "-m", "node")

    @property
    def log(self) -> Path:
        return self.data_dir.parent / f"{self.data_dir.name}.log"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def spawn(self) -> None:
        """Start the process and do not wait."""
        assert self.process is None, f"{self.name} runs already"
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, *self.launch, "serve", "--data-dir", str(self.data_dir)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=clean_environment() | self.environment,
                start_new_session=True,
            )

    def start(self) -> None:
        """Start the process and wait until it answers."""
        self.spawn()
        self.wait_alive()

    def wait_alive(self) -> None:
        until(self.is_alive, f"{self.name} answers", seen=self.tail)

    def is_alive(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"{self.name} ended: {self.tail()}"
        try:
            return self.ask("GET", "/livez").status == 200
        except OSError:
            return False

    def kill(self) -> None:
        """SIGKILL, and wait until the kernel has taken the process away."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(WAIT_SECONDS)
        self.process = None
        return code

    def clean_up(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(WAIT_SECONDS)
            self.process = None

    def tail(self) -> str:
        return "\n".join(self.log_lines()[-4:])[-1500:]

    def log_lines(self) -> list[str]:
        return self.log.read_text(errors="replace").splitlines() if self.log.exists() else []

    def events(self, name: str) -> list[dict[str, Any]]:
        """Log lines of one event."""
        lines = [json.loads(line) for line in self.log_lines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == name]

    # --- talking --------------------------------------------------------------------

    def ask(
        self,
        method: str,
        path: str,
        body: object | None = None,
        *,
        timeout: float = 15.0,
        **headers: str,
    ) -> Reply:
        """One request; header names are given with underscores."""
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        if self.api_key:
            sent["x-api-key"] = self.api_key
        raw = None
        if body is not None:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent["content-type"] = "application/json"
        full = path if path.startswith(("/livez", "/readyz", "/metrics")) else f"/api/v1{path}"
        connection = http.client.HTTPConnection(*self.agent, timeout=timeout)
        try:
            connection.request(method, full, body=raw, headers=sent)
            return _reply(connection.getresponse())
        finally:
            connection.close()

    def tell(self, method: str, path: str, body: object | None = None, **headers: str) -> Any:
        """Like `ask`, for what must succeed; returns the body."""
        reply = self.ask(method, path, body, **headers)
        assert reply.status < 400, f"{self.name}: {method} {path}: {reply.status} {reply.body}"
        return reply.body

    def store(self, title: str, content: str = "text", **fields: Any) -> dict[str, Any]:
        """Store one memory and return the whole answer."""
        body: dict[str, Any] = self.tell(
            "POST", "/memories", {"title": title, "content": content, **fields}
        )
        return body

    def get(self, ident: str) -> dict[str, Any]:
        memory: dict[str, Any] = self.tell("GET", f"/memories/{ident}")["memory"]
        return memory

    def mesh(self) -> dict[str, Any]:
        body: dict[str, Any] = self.tell("GET", "/mesh")
        return body

    def links(self) -> set[str]:
        """Names of the members it is linked to and gets acknowledgements from."""
        return {m["name"] for m in self.mesh()["members"] if m["state"] == "ready"}

    def ready(self, *, quorum: bool = True) -> bool:
        return self.ask("GET", "/readyz?require=quorum" if quorum else "/readyz").status == 200

    def held(self) -> dict[str, str]:
        """Content hash of every memory it holds, by id."""
        return {m["id"]: content_hash(m) for m in self.tell("GET", "/export")["memories"]}

    def metric(self, name: str, **labels: str) -> float:
        """Sum of the samples of a metric whose labels match."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        total = 0.0
        for line in str(self.tell("GET", "/metrics")).splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.partition("{")[0] == name and all(part in sample for part in wanted):
                total += float(value)
        return total


def _reply(response: http.client.HTTPResponse) -> Reply:
    raw = response.read()
    headers = {key.lower(): value for key, value in response.getheaders()}
    as_json = "json" in headers.get("content-type", "")
    body = json.loads(raw) if as_json else raw.decode()
    return Reply(status=response.status, headers=headers, body=body)


# --- several of them ------------------------------------------------------------------


def until_linked(nodes: Sequence[RealNode]) -> None:
    """Wait until each is linked to all the others and serves with its quorum."""
    names = {node.name for node in nodes}
    for node in nodes:
        until(
            lambda node=node: node.links() >= names - {node.name} and node.ready(),
            f"{node.name} is linked to {names}",
            seen=node.tail,
        )


def until_level(nodes: Sequence[RealNode]) -> str:
    """Wait until all have one clock; their digests must agree then. Returns the digest."""

    def level() -> str | None:
        told = [node.mesh() for node in nodes]
        if any(one["clock"] != told[0]["clock"] for one in told):
            return None
        digests = {one["digest"] for one in told}
        assert len(digests) == 1, f"equal clocks, different digests: {digests}"
        return str(told[0]["digest"])

    return until(level, f"level: {[node.name for node in nodes]}")


def check_equal(nodes: Sequence[RealNode], promised: Mapping[str, str] | None = None) -> None:
    """Level, equal in ids and content, and whole: what every test of a mesh ends with."""
    until_level(nodes)
    first, *others = [node.held() for node in nodes]
    assert all(other == first for other in others)
    missing = {i for i, wanted in (promised or {}).items() if first.get(i) != wanted}
    assert not missing, f"{len(missing)} acknowledged writes are lost: {sorted(missing)[:3]}"
    for node in nodes:
        assert not [m["name"] for m in node.mesh()["members"] if m["digest_agree"] is False]


@contextmanager
def cleaned_up(nodes: Iterable[RealNode]) -> Iterator[None]:
    """Whatever of them still runs after the block is ended, and what they kept is gone."""
    try:
        yield
    finally:
        for node in nodes:
            node.clean_up()


@contextmanager
def running(node: RealNode) -> Iterator[RealNode]:
    """A node that is started and ready within the block, and gone after it."""
    try:
        node.start()
        until(node.ready, f"{node.name} is ready", seen=node.tail)
        yield node
    finally:
        node.clean_up()
